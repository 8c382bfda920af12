"""systemd's end of a service: the socket it is told states by, and how long it waits for a sign of life."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

#: What systemd waits, short enough for a test; services send three signs in that time.
WATCHDOG_SECONDS = 0.9


class Systemd:
    """What a service said, in order."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000))}
        self.heard: list[str] = []

    def hear(self, seconds: float = 0.0) -> list[str]:
        """Take in what comes in so many seconds; return the first line of each."""
        end = time.monotonic() + seconds
        news: list[str] = []
        while True:
            self._socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                news.append(self._socket.recv(4096).decode().partition("\n")[0])
            except TimeoutError:
                self.heard += news
                return news

    def wait(self, state: str, seconds: float = 20.0) -> None:
        """Listen until *state* comes."""
        end = time.monotonic() + seconds
        while state not in self.heard:
            assert time.monotonic() < end, f"no {state}, but {self.heard}"
            self.hear(0.05)
        del self.heard[: self.heard.index(state) + 1]

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(name="systemd")
def systemd_fixture(tmp_path, monkeypatch):
    """systemd, for all processes that the test starts."""
    listening = Systemd(tmp_path / "notify")
    for name, value in listening.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield listening
    listening.close()


def alive(systemd: Systemd) -> int:
    """How many signs of life come in the time that systemd waits for one, and a little more."""
    systemd.hear()
    return systemd.hear(WATCHDOG_SECONDS * 1.5).count("WATCHDOG=1")
