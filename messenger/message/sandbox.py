"""Run the sanitiser where it can do no harm: in a child process that is killed when it takes too long.

nh3 is quadratic on some input, and any parser of hostile bytes may have a fault. The children stay for the next job
(starting Python anew would cost each mail 60 ms), at most a few per process; whatever goes wrong with one, it is
killed, waited for, and replaced. Safe with threads, and in a process that was forked after the first use.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..child_process import FRAME, Child, ChildError, TimedOut
from . import worker
from .sanitise import Sanitised

WALL_SECONDS = 10.0
#: Children at work at once in one process; a further caller waits.
CHILDREN = 2
#: What a child may answer: the HTML it was given, with pictures in it.
ANSWER = 32_000_000
ROOT = Path(__file__).parents[2]


_FIELDS = {"html": str, "remote_pictures": int, "body_style": str, "language": str, "direction": str}


@dataclass
class _Held:
    """What one process holds; after a fork the new process begins with another."""

    owner: int
    room: threading.BoundedSemaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    idle: list[Child] = field(default_factory=list)


class Pool:
    """The children of this process."""

    def __init__(self, children: int = CHILDREN) -> None:
        self._children = children
        self._held = self._begin()

    def _begin(self) -> _Held:
        return _Held(os.getpid(), threading.BoundedSemaphore(self._children))

    def run(self, html: str, inline: Mapping[str, bytes], remote_pictures: bool, seconds: float) -> Sanitised:
        """Sanitise in a child; raises ChildError or TimedOut."""
        held = self._held
        if held.owner != os.getpid():
            held = self._held = self._begin()  # forked: those children belong to our parent
        request = _request(html, inline, remote_pictures)
        deadline = time.monotonic() + seconds
        if not held.room.acquire(timeout=seconds):
            raise TimedOut(f"no sanitising process was free within {seconds} seconds")
        try:
            return _once(held, request, deadline)
        finally:
            held.room.release()

    def close(self) -> None:
        """End all idle children of this process."""
        held = self._held
        if held.owner != os.getpid():
            return
        with held.lock:
            idle, held.idle = held.idle, []
        for child in idle:
            child.end()


def _once(held: _Held, request: bytes, deadline: float) -> Sanitised:
    child = _take(held)
    try:
        answer = json.loads(child.ask(request, deadline, ANSWER)[0])
    except BaseException as error:
        status = child.end()
        if isinstance(error, TimedOut) or status == -signal.SIGXCPU:
            raise TimedOut("sanitising took too long") from error
        if isinstance(error, (ChildError, OSError, ValueError)):
            raise ChildError(f"the sanitising process ended with status {status}: {error}") from error
        raise
    if answer.get("last"):
        # It says so, because it may still be there when the next job comes, and gone before it reads it.
        child.end()
    else:
        with held.lock:
            held.idle.append(child)
    return _sanitised(answer)


def _take(held: _Held) -> Child:
    """An idle child that still lives, or a new one."""
    while True:
        with held.lock:
            child = held.idle.pop() if held.idle else None
        if child is None:
            return Child(worker.__name__, (ROOT,))
        if child.process.poll() is None:
            return child
        child.end()


def _sanitised(answer: dict[str, Any]) -> Sanitised:
    """Believe a child only as far as the kinds of values go; the frame holds whatever the HTML is."""
    if "error" in answer:
        raise ChildError(answer["error"])
    try:
        return Sanitised(**{name: kind(answer[name]) for name, kind in _FIELDS.items()})
    except (KeyError, TypeError, ValueError) as error:
        raise ChildError(f"expected the fields {list(_FIELDS)} in the answer, found {list(answer)}") from error


def _request(html: str, inline: Mapping[str, bytes], remote_pictures: bool) -> bytes:
    head = json.dumps(
        {
            "html": html,
            "remote_pictures": remote_pictures,
            "inline": [[name, len(content)] for name, content in inline.items()],
        }
    ).encode("ascii")
    octets = b"".join(inline.values())
    return FRAME.pack(len(head), len(octets)) + head + octets
