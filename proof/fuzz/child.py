"""One target in a process of its own, under its limits: feeds it until the time is up, and tells on standard output.

The input in hand stands in a file, so that it can be found even where the process didn't survive it.
"""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import mmap
import resource
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from . import finding
from .finding import Hang
from .mutating import mutated
from .reach import Reach
from .target import Feed, Target
from .targets import ALL, load

#: CPU seconds of one input, and bytes of the whole process.
HANG_SECONDS = 2.0
MEMORY = 512 * 2**20
MINIMISE_SECONDS = 5.0
#: Following costs as much again: where nothing new came for so many inputs, only one of so many is followed.
PATIENCE = 200
NOW_AND_THEN = 10
#: What is kept as a seed for the next run.
KEPT_BYTES = 3000


@dataclass
class Told:
    """What one run of one target showed."""

    runs: int = 0
    lines: int = 0
    corpus: int = 0
    slowest_ms: float = 0.0
    memory_mb: int = 0
    #: What was found, and the file with the input.
    findings: list[tuple[str, str]] = field(default_factory=list)


class InHand:
    """The input in hand, in a file that others can read: count, length, bytes."""

    def __init__(self, path: Path, size: int) -> None:
        path.write_bytes(bytes(16 + size))
        self._count = 0
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)

    def put(self, data: bytes) -> None:
        self._count += 1
        self._map[16 : 16 + len(data)] = data
        self._map[:16] = self._count.to_bytes(8, "big") + len(data).to_bytes(8, "big")


class Run:
    """A target, what it was fed so far, and what came of it."""

    def __init__(self, target: Target, feed: Feed, out: Path, seed: int) -> None:
        self._target, self._feed, self._out = target, feed, out
        self._dice = Random(f"{target.name} {seed}")
        self._in_hand = InHand(out / f"{target.name}.current", target.size)
        self._reach = Reach(target.places)
        self._news = PATIENCE
        self._known: set[str] = set()
        self.told = Told()
        self.fresh: list[bytes] = []

    def go(self, corpus: list[bytes], seconds: float) -> None:
        """All of *corpus* first, then altered ones until the time is up."""
        until = time.monotonic() + seconds
        for data in corpus:
            self._once(data[: self._target.size])
        while time.monotonic() < until:
            # Every other time what was found last, which is where something new may be.
            recent = self.fresh[-20:] if self.fresh and self._dice.random() < 0.5 else corpus
            data = mutated(self._dice, self._dice.choice(recent), corpus, self._target.words, self._target.size)
            if self._once(data):
                self.fresh.append(data)
                corpus.append(data)
        self.told.lines, self.told.corpus = len(self._reach), len(corpus)
        self.told.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    def _once(self, data: bytes) -> bool:
        """Feed one; whether it reached something new."""
        self._in_hand.put(data)
        self.told.runs += 1
        before, begun = len(self._reach), time.process_time()
        follow = self.told.runs % (self._target.followed if self._news > 0 else NOW_AND_THEN) == 0
        error = self._error(data, follow)
        took = time.process_time() - begun
        if follow and isinstance(error, Hang):
            # Followed, it may be slow for that alone.
            error = self._error(data)
        self.told.slowest_ms = max(self.told.slowest_ms, took * 1000)
        if error is not None:
            self._found(error, data)
        new = len(self._reach) > before
        self._news = PATIENCE if new else self._news - 1
        return new

    def _error(self, data: bytes, follow: bool = False) -> BaseException | None:
        signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS * (4 if follow else 1))
        try:
            if follow:
                self._reach.following(self._feed, data)
            else:
                self._feed(data)
        except (Exception, Hang) as error:
            return error
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return None

    def _found(self, error: BaseException, data: bytes) -> None:
        kind = finding.signature(error)
        if kind in self._known:
            return
        self._known.add(kind)
        if not isinstance(error, Hang):
            data = finding.smallest(data, lambda one: self._shows(one, kind), MINIMISE_SECONDS)
        path = finding.store(self._out / self._target.name, kind, data)
        self.told.findings.append((f"{kind}: {str(error)[:160]!r}", str(path)))

    def _shows(self, data: bytes, kind: str) -> bool:
        error = self._error(data)
        return error is not None and finding.signature(error) == kind


def started(target: Target) -> Feed:
    """What *target* is fed by, in a folder that lasts as long as this process."""
    home = tempfile.mkdtemp(prefix="fuzz-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return target.start(Path(home))


def _hang(_number: int, _frame: object) -> None:
    raise Hang(f"took over {HANG_SECONDS} s of CPU")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", choices=ALL, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--keep", type=int, default=0)
    options = parser.parse_args()
    target = load(options.target)
    logging.disable(logging.CRITICAL)
    feed = started(target)
    corpus = [*target.seeds(), *(path.read_bytes() for path in sorted((options.corpus / target.name).glob("*")))]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    signal.signal(signal.SIGPROF, _hang)
    run = Run(target, feed, options.out, options.seed)
    run.go(corpus, options.seconds)
    for data in sorted((one for one in run.fresh if len(one) <= KEPT_BYTES), key=len)[: options.keep]:
        finding.store(options.corpus / target.name, "seed", data)
    json.dump(asdict(run.told), sys.stdout)


if __name__ == "__main__":
    main()
