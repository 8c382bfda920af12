"""What a target is: how it is started, fed and seeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .finding import ROOT

#: Where our code lies; the proofs and tests themselves are not what is to be reached.
PLACES = tuple(str(ROOT / room) + "/" for room in ("messenger", "milter", "reader"))
Feed = Callable[[bytes], None]


@dataclass(frozen=True)
class Target:
    #: Makes what is fed, in a folder of its own. Whatever that raises is a finding.
    start: Callable[[Path], Feed]
    seeds: Callable[[], list[bytes]]
    #: What the format is made of.
    words: tuple[bytes, ...] = ()
    #: Bytes of the largest input.
    size: int = 60_000
    places: tuple[str, ...] = PLACES
    #: One input of so many is followed at most: through ten thousand calls, following takes all the time.
    followed: int = 1
    name: str = ""


class Broken(AssertionError):
    """A promise that this input breaks, though nothing crashed."""


def text(data: bytes) -> str:
    """Bytes as text: what is no UTF-8 becomes lone surrogates, which are in texts from outside as well."""
    return data.decode("utf-8", "surrogateescape")
