"""Letters to the owner of an account: a link to choose a new password, word of a change. Sent behind the pages' backs.

A page hands over what to say and goes on at once: nobody waits for a mail server, and an answer's time doesn't tell
whether a letter was written. What can't be sent after a few tries is a line in the log. Knows no page.
"""

from __future__ import annotations

import atexit
import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue
from typing import TYPE_CHECKING

from flask import has_request_context, request

from messenger import preferences
from messenger.account_letter import letter
from messenger.errors import MessengerError
from messenger.mailbox import mailbox_of
from messenger.notify import Site

if TYPE_CHECKING:
    from messenger.accounts import Account

log = logging.getLogger(__name__)

#: The answer has left before work on its letter starts, or the time it took would tell that there is one.
PAUSE_SECONDS = 0.5
#: How long to wait before each further try: a mail server that restarts is back by then.
RETRY_SECONDS = (5, 30)
#: More than this in the queue means a mail server that is gone, or somebody who floods us.
LONGEST_QUEUE = 1000
#: How long a stop waits for letters under way.
SETTLE_SECONDS = 10

Submit = Callable[[bytes, str, Sequence[str]], None]


@dataclass(frozen=True)
class _Order:
    kind: str
    account: Account
    link: str
    client: str
    phrase: str | None


class Letters:
    """A queue, and one thread that writes and submits what is in it. Of one process: nothing is kept on disk."""

    def __init__(self, site: Site, mail_root: Path, clock: Callable[[], float], submit: Submit) -> None:
        self._site = site
        self._mail_root = mail_root
        self._clock = clock
        self._submit = submit
        self._queue: Queue[_Order] = Queue(LONGEST_QUEUE)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._hurry = threading.Event()

    def send(self, kind: str, account: Account, link: str = "", phrase: str | None = None) -> None:
        """Have a letter of *kind*, one of ``account_letter.KINDS``, sent to its owner. Never waits, never fails.

        Its *phrase* is looked up, unless it is given because the owner's folder is gone by then.
        """
        client = (request.remote_addr or "") if has_request_context() else ""
        try:
            self._queue.put_nowait(_Order(kind, account, link, client, phrase))
        except Full:
            log.error('a letter "%s" to account %d was not written: %d wait', kind, account.id, LONGEST_QUEUE)
            return
        self._start()

    def flush(self) -> None:
        """Wait until everything handed over is sent, or given up."""
        self._hurry.set()
        if self._thread is not None:
            self._queue.join()
        self._hurry.clear()

    def _start(self) -> None:
        # Not before the first letter: a server may part into worker processes, and threads don't come along.
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="letters", daemon=True)
                self._thread.start()
                atexit.register(self._settle)

    def _settle(self) -> None:
        """At a stop of the process: send what is left, without waiting for a server that doesn't answer."""
        waiting = threading.Thread(target=self.flush, daemon=True)
        waiting.start()
        waiting.join(SETTLE_SECONDS)
        if left := self._queue.unfinished_tasks:
            log.error("%d letters about accounts were not sent before the stop", left)

    def _work(self) -> None:
        while True:
            order = self._queue.get()
            try:
                self._hurry.wait(PAUSE_SECONDS)
                self._deliver(order)
            except Exception as error:
                # The next letter is not to fall with this one. The kind alone: str(error) may hold the link.
                log.error('a letter "%s" to account %d: %s', order.kind, order.account.id, type(error).__name__)
            finally:
                self._queue.task_done()

    def _deliver(self, order: _Order) -> None:
        raw = self._write(order)
        for wait in (*RETRY_SECONDS, None):
            try:
                self._submit(raw, self._site.notice_from, [order.account.address])
            except MessengerError as error:
                log.error('a letter "%s" to account %d was not sent: %s', order.kind, order.account.id, error)
                if wait is None or not error.temporary:
                    return
                self._hurry.wait(wait)
            else:
                return

    def _write(self, order: _Order) -> bytes:
        account = order.account
        folder = mailbox_of(self._mail_root, account.address).root.parent
        domain = self._site.notice_from.rpartition("@")[2]
        return letter(
            order.kind,
            account.address,
            self._site,
            datetime.fromtimestamp(self._clock(), UTC),
            f"{secrets.token_hex(16)}@{domain}",
            link=order.link,
            client=order.client,
            language=account.language,
            time_zone=account.time_zone,
            phrase=preferences.read(folder).phrase if order.phrase is None else order.phrase,
        )
