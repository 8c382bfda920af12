"""What the intake does beside answering: sync the ledger, close idle connections, send notices whose hour is over.

Each a loop for a thread of its own. Knows no settings; what it works with may be another object at each round.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

from messenger.submission import Relay

from .ledger import Ledger, LedgerError
from .verdicts import one_line

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400.0
HOUSE_SECONDS = 1.0
#: How often to look whether somebody's hour is over.
HELD_SECONDS = 5.0
#: Each look goes through all who have one an hour, 20 ms for a thousand of them. It may take a twentieth of the time
#: that mail needs, and nobody's hour gets longer than by this.
HELD_REST = 19
HELD_LONGEST_SECONDS = 60.0


class Work(Protocol):
    """What the intake works with, as far as this concerns it."""

    @property
    def relay(self) -> Relay: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def ledger_days(self) -> int: ...


def keep(current: Callable[[], Work]) -> None:
    """Each second put the ledger on disk and let go of idle connections; once a day forget old entries."""
    pruned = -DAY_SECONDS
    relays = set()
    while True:
        work = current()
        relays.add(work.relay)  # another one after a change of the settings
        if time.monotonic() - pruned >= DAY_SECONDS:
            pruned = time.monotonic()
            _prune(work.ledger, work.ledger_days)
        sync(work.ledger)
        for relay in relays:
            relay.tidy()
        time.sleep(HOUSE_SECONDS)


def tell_held(tell: Callable[[], int], stopping: threading.Event) -> None:
    """Send the notices that were held back, as their hours end. Beside the other house work, which must not wait."""
    taken = 0.0
    while not stopping.wait(rest(taken)):
        began = time.thread_time()
        try:
            told = tell()
            if told:
                log.info("%d notices sent that were held back", told)
        except Exception as error:  # the next round comes whatever happened in this one
            log.warning("notices held back: %s", one_line(error), exc_info=error)
        taken = time.thread_time() - began


def rest(taken: float) -> float:
    """Seconds until the next look, after one that took *taken* seconds of processor time."""
    return max(HELD_SECONDS, min(taken * HELD_REST, HELD_LONGEST_SECONDS))


def _prune(ledger: Ledger, days: int) -> None:
    try:
        ledger.prepare()
        forgotten = ledger.prune(time.time() - days * DAY_SECONDS)
        log.info("ledger: %d entries older than %d days removed", forgotten, days)
    except (LedgerError, OSError) as error:
        log.warning("ledger: %s", one_line(error))


def sync(ledger: Ledger) -> None:
    """Put on disk what the ledger has noted; a failure is a line in the log."""
    try:
        ledger.sync()
    except LedgerError as error:
        log.warning("ledger: %s", one_line(error))
