"""Tell senders who asked for it that their mail was opened: at once, and again and again while the mail system fails.

A page puts down what is owed and goes on; one thread per process sends what is due, also what other processes and
machines left behind. Takes the clock as an argument; knows no page.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from messenger import receipt
from messenger.envelope import domain_of
from messenger.errors import MessengerError
from messenger.letterhead import Site
from messenger.link import reference

from .receipt_spool import Owed

if TYPE_CHECKING:
    from messenger.receipt import Asked
    from messenger.reply_mail import Sender

    from .receipt_spool import ReceiptSpool

log = logging.getLogger(__name__)

#: How long what another process left behind waits at most, once it is due.
POLL_SECONDS = 60
#: The wait before the next try: as long as it waited already, within these.
SHORTEST_WAIT, LONGEST_WAIT = 60, 4 * 3600
#: Then it is given up, as mail systems give up mail (RFC 5321, 4.5.4.1).
GIVE_UP_SECONDS = 5 * 86_400
#: After so many failures in a row nobody takes receipts now.
FAILURES = 3
#: How long a stop waits for the one that is on its way.
SETTLE_SECONDS = 10

Submit = Callable[[bytes, str, Sequence[str]], None]


@dataclass(frozen=True)
class Way:
    """How receipts leave."""

    site: Site
    submit: Submit
    #: Whom mail of the person with an address says it is from.
    sender_of: Callable[[str], Sender]


class Receipts:
    """What is owed to senders. With *enabled* false nothing becomes owed, and nothing leaves."""

    def __init__(self, spool: ReceiptSpool, way: Way, clock: Callable[[], float], *, enabled: bool = True) -> None:
        self._spool = spool
        self._way = way
        self._clock = clock
        self._enabled = enabled
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._news = threading.Event()
        self._stopped = threading.Event()
        #: Left, but could not be written down yet.
        self._left: set[str] = set()

    def owe(self, address: str, name: str, kind: str, asked: Asked) -> bool:
        """Have *asked* told, once for each mail of *address*. Never waits, never fails.

        Returns whether that was news.
        """
        if not self._enabled:
            return False
        try:
            if self._spool.find(address, name):
                return False
            happened = int(self._clock())
            news = self._spool.put(Owed(address, name, kind, asked.address, asked.about, happened))
        except MessengerError as error:  # a full disk: the mail is shown all the same, and the next opening tries again
            log.error("%s: no receipt: %s", reference(name), error)
            return False
        self.start()
        self._news.set()
        return news

    def known(self, address: str, name: str) -> Owed | None:
        """What is known of a receipt for that mail."""
        return self._spool.find(address, name)

    def start(self) -> None:
        """Begin to send what is due. Not before a server has parted into processes: threads don't come along."""
        with self._lock:
            if self._thread is None and self._enabled:
                self._thread = threading.Thread(target=self._work, name="receipts", daemon=True)
                self._thread.start()
                atexit.register(self.stop)

    def stop(self) -> None:
        """Send no more; wait for the one that is on its way, so that it need not be sent again."""
        self._stopped.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(SETTLE_SECONDS)

    def send_due(self) -> None:
        """Send what is due now, unless nobody takes it."""
        failures = 0
        now = int(self._clock())
        for key in self._spool.due(now):
            if failures == FAILURES or self._stopped.is_set():
                return
            try:
                with self._spool.claim(key, now) as owed:
                    if owed:
                        failures = 0 if self._send(owed, now) else failures + 1
            except MessengerError as error:
                # It may have left and not be written down: who tries again must not send one each minute.
                log.error("receipts: %s", error)
                self._spool.later(key, now + LONGEST_WAIT)
                failures += 1

    def _work(self) -> None:
        while not self._stopped.is_set():
            self._news.clear()
            try:
                self.send_due()
            except MessengerError as error:
                log.error("receipts: %s", error)
            except Exception:
                log.exception("receipts")
            self._news.wait(POLL_SECONDS)

    def _send(self, owed: Owed, now: int) -> bool:
        """Returns whether there is nothing more to do about it."""
        code, age = reference(owed.name), now - owed.happened
        if age > GIVE_UP_SECONDS:
            log.error("%s: the receipt (%s) was given up after %d days", code, owed.kind, age // 86_400)
            self._spool.settle(replace(owed, given_up=now))
            return True
        try:
            if owed.key not in self._left:
                self._way.submit(self._write(owed), "", [owed.to])
        except MessengerError as error:
            if not error.temporary:
                log.error("%s: the receipt (%s) was given up: %s", code, owed.kind, error)
                self._spool.settle(replace(owed, given_up=now))
                return True
            log.warning("%s: the receipt (%s) was not sent, and is tried again: %s", code, owed.kind, error)
            self._spool.later(owed.key, now + min(max(age, SHORTEST_WAIT), LONGEST_WAIT))
            return False
        self._left.add(owed.key)
        self._spool.settle(replace(owed, sent=now))
        self._left.discard(owed.key)
        log.info("%s: receipt (%s) sent", code, owed.kind)
        return True

    def _write(self, owed: Owed) -> bytes:
        site, sender = self._way.site, self._way.sender_of(owed.address)
        made = receipt.Receipt(
            owed.kind,
            receipt.Asked(owed.to, owed.about),
            owed.address,
            (sender.address, sender.name, sender.reply_to),
            reference(owed.name),
            f"receipt.{owed.key}@{domain_of(site.notice_from)}",
        )
        return receipt.letter(made, site, datetime.fromtimestamp(owed.happened, UTC))
