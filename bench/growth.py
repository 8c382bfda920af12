"""What the growth tables share: the same operations in places of several sizes, in turns, and the ratio of the ends.

A place knows how to do an operation by its name; this knows how often, in which order, and what was promised. Judged is
processor time, the kernel's included: waiting for a disk that others use too says nothing about growth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import NamedTuple, Protocol

from .load import verdict

#: The promise: in the largest place an operation costs at most this many times what it costs in the smallest.
LIMIT = 1.5
#: Each operation is measured so often in each place; the best counts, since what else the machine does only adds.
ROUNDS = 9


class Cost(NamedTuple):
    """What an operation took, in milliseconds."""

    wall: float
    cpu: float


class Place(Protocol):
    """Something of one size."""

    def step(self, name: str) -> Cost:
        """Do the operation *name* and measure it, but not what it needs beforehand."""


@dataclass(frozen=True)
class Operation:
    """One line of a table."""

    name: str
    #: Why it may grow, where it may; "" where the promise is for it.
    grows: str = ""
    #: How often it is done in each place.
    rounds: int = ROUNDS


def taken(work: Callable[[], object]) -> Cost:
    """Do *work* once."""
    wall, cpu = perf_counter(), process_time()
    work()
    return Cost((perf_counter() - wall) * 1000, (process_time() - cpu) * 1000)


def best(costs: Iterable[Cost], each: int = 1) -> Cost:
    """Return the least of both times; *each* is how many things all of them were for."""
    walls, cpus = zip(*costs, strict=True)
    return Cost(min(walls) / each, min(cpus) / each)


def table(title: str, places: Mapping[int, Place], operations: Iterable[Operation]) -> bool:
    """Measure and print; return whether the promise was held by each operation that it is for."""
    sizes = sorted(places)
    print(
        f"\n{title}: milliseconds, and the ratio of the last column to the first; by processor time at most {LIMIT}\n"
    )
    print(f"{'':44}" + "".join(f"{size:>11,}" for size in sizes) + f"{'ratio':>8}{'by CPU':>8}", flush=True)
    missed = []
    for operation in operations:
        # In turns, so that a busy moment of the machine hits all.
        costs = [[places[size].step(operation.name) for size in sizes] for _ in range(operation.rounds)]
        least = [best(column) for column in zip(*costs, strict=True)]
        wall, cpu = least[-1].wall / least[0].wall, least[-1].cpu / least[0].cpu
        said = operation.grows or verdict(cpu <= LIMIT)
        if not operation.grows and cpu > LIMIT:
            missed.append(operation.name)
        columns = "".join(f"{one.wall:11.3g}" for one in least)
        print(f"{operation.name:44}{columns}{wall:8.2f}{cpu:8.2f}   {said}", flush=True)
    print(f"\nMissed: {', '.join(missed)}" if missed else "\nAll of them held.", flush=True)
    return not missed
