"""What breaks a promise: a name for it that stays the same, and the smallest input that shows it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Hang(BaseException):
    """One input took longer than it may. No Exception: nobody is to catch it on the way."""


def signature(error: BaseException) -> str:
    """What went wrong and where: kind of error, file and line of the deepest frame that is ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [one for one in frames if _is_ours(one.filename)] or frames
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__} at {place}"


def _is_ours(file: str) -> bool:
    return file.startswith(str(ROOT)) and "/.venv/" not in file and "/proof/fuzz/" not in file


def smallest(data: bytes, shows: Callable[[bytes], bool], seconds: float) -> bytes:
    """Take out of *data* whatever isn't needed to show it, for at most so long."""
    deadline, piece = time.monotonic() + seconds, max(len(data) // 2, 1)
    while piece and time.monotonic() < deadline:
        at = 0
        while at < len(data) and time.monotonic() < deadline:
            shorter = data[:at] + data[at + piece :]
            if shows(shorter):
                data = shorter
            else:
                at += piece
        piece //= 2
    return data


def store(folder: Path, kind: str, data: bytes) -> Path:
    """Keep *data* under a name that says what it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    word = "".join(one if one.isalnum() else "-" for one in kind.lower())
    path = folder / f"{word}-{sha256(data).hexdigest()[:8]}"
    path.write_bytes(data)
    return path
