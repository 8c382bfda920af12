"""One of our services as a process that may be killed, stopped, frozen and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from . import processes

BIN = Path(sys.executable).parent
STOP_SECONDS = 90.0
#: What a kill of the main process leaves has this long to end by itself.
REST_SECONDS = 5.0


class Service:
    """messenger-NAME; whoever breaks it holds ``lock`` until it runs again."""

    def __init__(self, name: str, config: Path, log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.log = log
        self.lock = threading.Lock()
        #: With which statuses it ended though nobody had asked it to.
        self.ended_by_itself: list[int] = []
        self._command = [str(BIN / f"messenger-{name}"), "--config", str(config)]
        self._environment = os.environ | environment | {"PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=self._environment,
            )  # fmt: skip

    def watch(self) -> None:
        """Start it again if it has ended by itself, as systemd does."""
        if self.lock.acquire(blocking=False):
            try:
                if self._process is not None and not self.running:
                    self.ended_by_itself.append(self._process.returncode)
                    self.start()
            finally:
                self.lock.release()

    def kill(self, everything: bool) -> None:
        """kill -9, of the main process or of all that it has started as well; systemd ends what is left."""
        if self._process is None:
            return
        others = processes.descendants(self._process.pid)
        for pid in (self._process.pid, *(others if everything else ())):
            processes.send(pid, signal.SIGKILL)
        self._process.wait()
        for pid in others:
            processes.send(pid, signal.SIGTERM)
        deadline = time.monotonic() + REST_SECONDS
        while any(map(processes.alive, others)) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in others:
            processes.send(pid, signal.SIGKILL)

    def children(self) -> list[int]:
        """The ids of all that it has started."""
        return processes.descendants(self._process.pid) if self._process else []

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process and all that it has started."""
        if self._process:
            for pid in (self._process.pid, *processes.descendants(self._process.pid)):
                processes.send(pid, number)

    def stop(self) -> int:
        """Stop it as systemd does; return the exit status, which is 0 where all went well."""
        if self._process is None:
            return 0
        processes.send(self._process.pid, signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill(True)
            return -signal.SIGKILL
