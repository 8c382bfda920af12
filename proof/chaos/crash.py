"""Stop a process of ours at every call that writes, one after the other. crash.c does it; this says when."""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

from . import processes, shims

ROOT = Path(__file__).parent.parent.parent
#: As in crash.c.
CALLS, NAME = 4096, 120
HEAD = struct.Struct(f"=qqq{NAME}s{NAME}s")
WAIT_SECONDS = 30.0


class Crashes(AbstractContextManager["Crashes"]):
    """Starts processes that can be made to die at their n-th call that writes.

    *folder* is for its own files; *modules* are what can be started; *settings* for what all starts with these have in
    common.
    """

    def __init__(self, folder: Path, *modules: str, settings: Path | None = None) -> None:
        self._folder = folder
        self._words = [str(settings or ""), *modules]
        self.log = folder / "crashes.log"

    def __enter__(self) -> Crashes:
        path = self._folder / "crash-state"
        path.write_bytes(bytes(HEAD.size + CALLS * NAME))
        with path.open("r+b") as file:
            self._state = mmap.mmap(file.fileno(), 0)
        paths = os.pathsep.join(str(ROOT / name) for name in ("", "milter", "reader", "pdfotp"))
        self._starter = subprocess.Popen(
            [sys.executable, "-m", "proof.chaos.forked", *self._words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"PYTHONPATH": paths, "CRASH_STATE": str(path)}
            | {"LD_PRELOAD": str(shims.build("crash", self._folder))},
        )
        self._running: list[int] = []
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in self._running:
            processes.send(pid, signal.SIGKILL)
        assert self._starter.stdin
        self._starter.stdin.close()
        self._starter.wait(WAIT_SECONDS)

    def start(self, module: str, *words: str) -> int:
        """Start the ``main`` of *module* with *words*; return the id of its process. What it says goes to ``log``."""
        assert self._starter.stdin
        assert self._starter.stdout
        self._starter.stdin.write(json.dumps({"module": module, "words": words, "log": str(self.log)}) + "\n")
        self._starter.stdin.flush()
        pid = int(self._starter.stdout.readline())
        self._running.append(pid)
        return pid

    def arm(self, pid: int, at: int, spared: str = "", only: str = "") -> None:
        """From now on count the calls of *pid*, and have it die before the one with number *at* (0: never).

        Of what ``calls`` shows, that counts which has no *spared* in it, but *only*.
        """
        self._state[: HEAD.size] = HEAD.pack(0, 0, 0, b"", b"")
        self._state[: HEAD.size] = HEAD.pack(pid, at, 0, spared.encode(), only.encode())

    def calls(self) -> list[str]:
        """What was called since, each with the end of its path."""
        count = HEAD.unpack(self._state[: HEAD.size])[2]
        names = (self._state[HEAD.size + n * NAME : HEAD.size + (n + 1) * NAME] for n in range(min(count, CALLS)))
        return [name.partition(b"\0")[0].decode(errors="replace") for name in names]

    def ended(self, pid: int) -> None:
        """Return when that process is gone. Raises TimeoutError."""
        wait(lambda: not processes.alive(pid), f"the end of process {pid}")
        self._running.remove(pid)

    def stop(self, pid: int) -> None:
        processes.send(pid, signal.SIGKILL)
        self.ended(pid)


def wait(ready: Callable[[], object], what: str) -> None:
    """Return when *ready* says so. Raises TimeoutError, which names *what*."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WAIT_SECONDS:.0f} s for {what}")
        time.sleep(0.005)


def without_names(calls: Sequence[str]) -> list[str]:
    """The calls alone, for a look at which there are."""
    return [call.partition(" ")[0] for call in calls]
