"""Show systemd that a milter lives: connect to its own socket and negotiate, as Postfix does, before each sign of life.

A thread that only says "alive" would go on when nobody is answered any more. Knows the socket's name and no mail.
"""

from __future__ import annotations

import logging
import threading
import time

from messenger.milter_greeting import greet
from messenger.sd_notify import Watchdog

from . import socket_file
from .verdicts import one_line

log = logging.getLogger(__name__)


def beating(name: str) -> tuple[threading.Thread, ...]:
    """Return the thread that shows life for the milter on the socket *name*; none where systemd doesn't ask for it."""
    watchdog = Watchdog()
    if not watchdog.every:
        return ()
    return (threading.Thread(target=_beat, args=(name, watchdog), name="heartbeat", daemon=True),)


def _beat(name: str, watchdog: Watchdog) -> None:
    while True:
        try:
            with socket_file.connected(name, watchdog.every) as there:
                if greet(there):
                    watchdog.alive()
        except (OSError, EOFError) as error:
            log.warning("%s: no answer to ourselves: %s", name, one_line(error))
        time.sleep(watchdog.every)
