"""A process of ours at the other end of two pipes, for work on hostile bytes: asked frame by frame, killed when late.

A frame is the length of a JSON head, the length of the octets after it, the head, the octets. Knows nothing of the
work: what a child may do it sees to itself, before it reads the first frame.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

from .errors import MessengerError

FRAME = struct.Struct(">II")


class ChildError(MessengerError):
    """The child gave no answer; what it was given is at fault, and would be again."""


class TimedOut(ChildError):
    """The child took too long."""


class Child:
    """The module *name*, run as a program of its own; *path* is where Python finds it."""

    def __init__(self, name: str, path: tuple[Path, ...]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # The same code as ours, wherever it was found; no secrets of ours.
            env={"PYTHONPATH": os.pathsep.join(map(str, path))},
            cwd="/",
            start_new_session=True,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.to, self.back = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.to, False)
        os.set_blocking(self.back, False)

    def ask(self, request: bytes, deadline: float, most: int) -> tuple[bytes, bytes]:
        """Send a frame, return the JSON and the octets of the answer, *most* bytes of each at most.

        *deadline* is a time of ``time.monotonic``.
        """
        rest = memoryview(request)
        while rest:
            self._wait(self.to, select.POLLOUT, deadline)
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self.to, rest[: 2**20]) :]
        head, octets = FRAME.unpack(self._read(FRAME.size, deadline))
        if max(head, octets) > most:
            raise ChildError(f"expected an answer of at most {most} bytes, found {max(head, octets)}")
        return self._read(head, deadline), self._read(octets, deadline)

    def _read(self, length: int, deadline: float) -> bytes:
        pieces: list[bytes] = []
        while length:
            self._wait(self.back, select.POLLIN, deadline)
            with contextlib.suppress(BlockingIOError):
                piece = os.read(self.back, min(length, 2**20))
                if not piece:
                    raise ChildError("the process ended without an answer")
                pieces.append(piece)
                length -= len(piece)
        return b"".join(pieces)

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimedOut("the process took too long")

    def end(self) -> int | None:
        """Kill it and what it started, leave no zombie and no open pipe; return its exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        return self.process.wait()


def read(length: int) -> bytes:
    """For the child: *length* bytes of standard input, fewer where it ends."""
    pieces: list[bytes] = []
    while length and (piece := os.read(0, min(length, 2**20))):
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def write(octets: bytes) -> None:
    """For the child: all of *octets* to standard output."""
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(1, rest) :]
