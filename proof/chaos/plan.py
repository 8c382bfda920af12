"""What happens when, out of a seed: which mails come, and what fails. Values only; the same seed gives the same."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

KB, MB = 1024, 1024 * 1024
PEOPLE = tuple(f"person{number:02d}@partner.example" for number in range(60))
#: Who also reads, sorts and answers, by a browser.
READERS = PEOPLE[:3]
#: All copies of all mails together; more wouldn't fit on the disk of the mailboxes.
OCTETS = 300 * MB
#: No fault begins in the first and last moments: what is never used in peace shows nothing.
QUIET_SECONDS = 3.0

Kind = Literal["plain", "pdf", "hostile"]
#: Where the sender's side of a connection breaks: within the body; after the final dot, before the answer is read;
#: the same, so that the other side gets a reset instead of an end.
Cut = Literal["body", "answer", "reset"]


@dataclass(frozen=True)
class Mail:
    """One tunnel mail."""

    number: int
    kind: Kind
    #: Seconds after the beginning.
    at: float
    size: int
    rcpt_tos: tuple[str, ...]
    #: What becomes of the first tries to send it; later ones are let through.
    cuts: tuple[Cut, ...] = ()
    #: Which of the hostile ones.
    hostile: str = ""


@dataclass(frozen=True)
class Fault:
    """Something fails at *at*, and is mended after *lasts* seconds."""

    at: float
    kind: str
    target: str
    lasts: float


#: What can fail, each as often as it stands here.
FAULTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("kill", ("milter",)),
    ("kill", ("milter", "reader", "pdfotp")),
    ("kill-all", ("milter", "reader", "pdfotp")),
    ("kill-child", ("postfix", "reader", "pdfotp")),
    ("kill-child", ("postfix",)),
    ("stop", ("postfix",)),
    ("stop", ("milter", "reader", "pdfotp")),
    ("freeze", ("milter", "reader", "pdfotp")),
    ("full", ("mail", "intake", "pdf", "accounts", "postfix")),
    ("full", ("mail", "intake")),
    ("no-inodes", ("mail", "intake", "pdf", "accounts")),
    ("read-only", ("mail",)),
    ("read-only", ("mail", "intake", "pdf", "accounts")),
    ("locked", ("accounts", "index")),
    ("clock", ("+3h", "-3h", "+2d", "-2d", "+40s", "-40s")),
)


def mails(seed: int, seconds: float, rate: float, hostile: Sequence[str]) -> list[Mail]:
    """Return a steady stream of *rate* mails a second; one in twenty is one of *hostile*."""
    chance = random.Random(f"mails {seed}")
    left = OCTETS
    found = []
    for number in range(int(seconds * rate)):
        at = (number + chance.random()) / rate
        if number % 20 == 19:
            found.append(Mail(number, "hostile", at, 0, (), hostile=chance.choice(hostile)))
            continue
        kind: Kind = "pdf" if number % 12 == 5 else "plain"
        size = _size(chance) if kind == "plain" else chance.randrange(KB, 50 * KB)
        rcpt_tos = _recipients(chance, size, kind)
        if size * len(rcpt_tos) > left / 4:
            size, rcpt_tos = KB, rcpt_tos[:1]
        left -= size * len(rcpt_tos)
        cuts: tuple[Cut, ...] = (chance.choice(get_args(Cut)),) if chance.random() < 0.12 else ()
        found.append(Mail(number, kind, at, size, rcpt_tos, cuts))
    return found


def _size(chance: random.Random) -> int:
    low, high = chance.choices(((KB, 64 * KB), (64 * KB, MB), (MB, 25 * MB)), (75, 21, 4))[0]
    return int(math.exp(chance.uniform(math.log(low), math.log(high))))


def _recipients(chance: random.Random, size: int, kind: Kind) -> tuple[str, ...]:
    most = 4 if size <= MB else 2
    if kind == "plain" and size < 64 * KB:
        most = chance.choices((1, 8, 50), (60, 30, 10))[0]
    return tuple(chance.sample(PEOPLE, chance.randint(1, most)))


def faults(seed: int, seconds: float, every: float) -> list[Fault]:
    """Return faults, one each *every* seconds on average, of each kind before any comes again."""
    chance = random.Random(f"faults {seed}")
    found: list[Fault] = []
    waiting: list[tuple[str, tuple[str, ...]]] = []
    at = QUIET_SECONDS
    while at < seconds - QUIET_SECONDS:
        if not waiting:
            waiting = chance.sample(FAULTS, len(FAULTS))
        kind, targets = waiting.pop()
        found.append(Fault(at, kind, chance.choice(targets), chance.uniform(0.2, 4.0)))
        at += chance.expovariate(1 / every)
    return found
