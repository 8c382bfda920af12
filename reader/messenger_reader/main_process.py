"""gunicorn's main process as systemd wants it: it shows life while a worker works, and reads files again at SIGHUP.

Knows neither settings nor pages: whose server it is says what reading again means.
"""

from __future__ import annotations

import time
from typing import Protocol

from gunicorn.arbiter import Arbiter

from messenger.config_renewal import renewed
from messenger.sd_notify import Watchdog

#: A worker says every second that its main loop runs.
FRESH_SECONDS = 30


class Server(Protocol):
    """gunicorn's application, and how its settings become others."""

    def renew(self) -> None:
        """Read the files again; raises, and changes nothing, where one can't be used."""


class MainProcess(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """Starts workers, replaces those that are stuck, and is told to stop or to reload."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._server = server
        self._watchdog = Watchdog()

    def reload(self) -> None:
        """Replace the workers by others that work with what files say now; keep them where a file is wrong."""
        renewed(self._replace_workers)

    def _replace_workers(self) -> None:
        self._server.renew()
        super().reload()

    def murder_workers(self) -> None:
        """End workers that are stuck, as ever; called every second."""
        super().murder_workers()
        now = time.monotonic()
        # One that is starting hasn't said so yet: gunicorn has it in the far future.
        if any(0 <= now - worker.tmp.last_update() <= FRESH_SECONDS for worker in list(self.WORKERS.values())):
            self._watchdog.alive()
