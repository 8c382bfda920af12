"""Tell systemd how a service fares (sd_notify(3)), where systemd wants to know."""

import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

VARIABLE = "NOTIFY_SOCKET"
#: How long systemd waits for a sign of life, in microseconds, and of which process (sd_watchdog_enabled(3)).
WATCHDOG, WATCHDOG_PROCESS = "WATCHDOG_USEC", "WATCHDOG_PID"
#: So many signs in that time: one may be late.
SIGNS = 3


def sd_notify(state: str) -> None:
    """Send *state*, such as "READY=1". Without systemd nothing happens; a failure is a line in the log."""
    address = os.environ.get(VARIABLE, "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as systemd:
        try:
            systemd.sendto(state.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)
        except OSError as error:
            log.warning("systemd could not be told %s: %s", state.partition("\n")[0], error)


@contextmanager
def reloading() -> Iterator[None]:
    """Say that the service is reading its files again, and afterwards, however that went, that it is ready."""
    sd_notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        yield
    finally:
        sd_notify("READY=1")


class Watchdog:
    """Signs of life, for who shows one often enough: ``alive`` may be called at any time and sends what is due."""

    def __init__(self) -> None:
        #: Seconds between two signs; 0: systemd asks for none.
        self.every = _seconds() / SIGNS
        self._last = float("-inf")

    def alive(self) -> None:
        """The service has just been seen to work."""
        now = time.monotonic()
        if self.every and now - self._last >= self.every:
            self._last = now
            sd_notify("WATCHDOG=1")


def _seconds() -> float:
    """How long systemd waits for this process; 0 for ever."""
    try:
        if int(os.environ.get(WATCHDOG_PROCESS, os.getpid())) != os.getpid():
            return 0.0
        return max(int(os.environ.get(WATCHDOG, 0)), 0) / 1_000_000
    except ValueError:
        return 0.0
