"""A target that gives way, in each of the manners that there are: what shows that the fuzzer sees it."""

from __future__ import annotations

import os
from pathlib import Path

from .target import Feed, Target


def _start(_home: Path) -> Feed:
    def feed(data: bytes) -> None:
        match data[:1]:
            case b"e":
                raise ValueError(data)
            case b"m":
                bytearray(2**30)
            case b"h":
                while True:
                    pass
            case b"k":
                os.abort()

    return feed


BREAKS = Target(_start, lambda: [b"x"])
