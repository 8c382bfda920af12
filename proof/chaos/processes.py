"""Processes by their ids, out of /proc: who has started whom, and whether they still live."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Return the ids of all that *pid* has started, directly or not, parents first."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := _facts(int(entry.name))):
            children.setdefault(found[1], []).append(int(entry.name))
    found_all, waiting = [], [pid]
    while waiting:
        mine = sorted(children.get(waiting.pop(0), []))
        found_all += mine
        waiting += mine
    return found_all


def alive(pid: int) -> bool:
    """Whether there is such a process, other than one that only waits for its parent to look."""
    found = _facts(pid)
    return found is not None and found[0] not in "ZX"


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process; nothing if it is gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _facts(pid: int) -> tuple[str, int] | None:
    """State and parent: proc(5), /proc/PID/stat."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None
    return words[0], int(words[1])
