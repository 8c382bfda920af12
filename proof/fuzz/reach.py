"""Which lines of the code under test an input is the first to reach. Costs little once nothing new comes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

#: Calls of one function without a new line, after which it is no longer followed.
PATIENCE = 400
Trace = Callable[[FrameType, str, Any], Any]


class Reach:
    """The lines reached so far, in files whose path begins with one of *places*."""

    def __init__(self, places: tuple[str, ...]) -> None:
        self._places = places
        self._lines: set[tuple[CodeType, int]] = set()
        self._patience: dict[CodeType, int] = {}

    def __len__(self) -> int:
        return len(self._lines)

    def following(self, feed: Callable[[bytes], None], data: bytes) -> None:
        """Feed *data*, and follow it."""
        sys.settrace(self._call)
        try:
            feed(data)
        finally:
            sys.settrace(None)

    def _call(self, frame: FrameType, _event: str, _arg: Any) -> Trace | None:
        code = frame.f_code
        left = self._patience.get(code)
        if left is None:
            left = PATIENCE if code.co_filename.startswith(self._places) else 0
        self._patience[code] = left - 1 if left else 0
        return self._line if left else None

    def _line(self, frame: FrameType, event: str, _arg: Any) -> Trace:
        if event == "line":
            line = (frame.f_code, frame.f_lineno)
            if line not in self._lines:
                self._lines.add(line)
                self._patience[frame.f_code] = PATIENCE
        return self._line
