"""One thread per process that looks into the mail of whoever is logged in, so that a search finds everything soon.

A request wakes it for its person. It works a little, rests as long as it worked, and takes the next one; what is left
when the process ends is for the next request. Words of deleted mails leave once their owner has been quiet for a
moment, so that a row of deletions is one piece of work. Once a day it takes everybody: mail is also deleted by others,
such as `messenger cleanup`, and its words must not stay because its owner does. Knows no mail: that is searching.py's.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from time import monotonic, sleep

from flask import Flask, Response, g

from messenger.errors import MessengerError
from messenger.mailbox import mailbox_of

from .context import context
from .index import path_of
from .searching import Searching

log = logging.getLogger(__name__)

SLICE_SECONDS = 0.3
#: After the last request of a person, before the words of what was deleted leave: once for a visit, if possible.
QUIET_SECONDS = 120.0
#: From the start to the first round through everybody's mail, and from one to the next.
FIRST_ROUND_SECONDS, ROUND_SECONDS = 3600.0, 86400.0


class Background:
    """*searching_of* opens the mail of an address; *everybody* says for whom there is an index."""

    def __init__(
        self,
        searching_of: Callable[[str], Searching],
        everybody: Callable[[], Iterable[str]] = tuple,
        quiet: float = QUIET_SECONDS,
        first_round: float | None = None,
    ) -> None:
        self._searching_of = searching_of
        self._everybody = everybody
        self._quiet = quiet
        self._round = monotonic() + (FIRST_ROUND_SECONDS if first_round is None else first_round)
        self._news = threading.Condition()
        #: When to look into whose mail, and when to tidy up behind it; the longest waiting first.
        self._look: dict[str, float] = {}
        self._tidy: dict[str, float] = {}

    def wake(self, address: str) -> None:
        """There may be something to do for *address*. Costs nothing."""
        with self._news:
            self._look.setdefault(address, 0.0)
            self._tidy[address] = monotonic() + self._quiet
            self._news.notify()

    def start(self) -> None:
        """Begin to work. Not before the process has been forked: threads stay behind."""
        threading.Thread(target=self._work, name="background", daemon=True).start()

    def _work(self) -> None:
        while True:
            do, address = self._next()
            begun = monotonic()
            try:
                more = do(address)
            except MessengerError as error:  # a full disk: pages say so; another try with the next request
                log.warning("%s", error)
                more = False
            except Exception:
                log.exception("in the background")
                more = False
            taken = monotonic() - begun
            with self._news:
                if more:
                    jobs = self._look if do == self._look_into else self._tidy
                    jobs.setdefault(address, begun + 2 * taken)
            sleep(taken)  # pages come first

    def _next(self) -> tuple[Callable[[str], bool], str]:
        with self._news:
            while True:
                if self._round <= monotonic():
                    self._round = monotonic() + ROUND_SECONDS
                    return self._go_round, ""
                for jobs, do in ((self._look, self._look_into), (self._tidy, self._tidy_up)):
                    address = min(jobs, key=jobs.__getitem__, default=None)
                    if address is not None and jobs[address] <= monotonic():
                        del jobs[address]
                        return do, address
                due = min([self._round, *self._look.values(), *self._tidy.values()])
                self._news.wait(max(due - monotonic(), 0.0))

    def _go_round(self, _: str) -> bool:
        for address in self._everybody():
            with self._news:
                self._look.setdefault(address, monotonic())
                self._tidy.setdefault(address, monotonic())
        return False

    def _look_into(self, address: str) -> bool:
        return self._searching_of(address).look_into(SLICE_SECONDS)

    def _tidy_up(self, address: str) -> bool:
        return self._searching_of(address).tidy()


def install(app: Flask) -> None:
    """Let every page that somebody asks for when logged in wake the thread for their mail."""
    with app.app_context():
        own = context()

    def searching_of(address: str) -> Searching:
        return Searching(mailbox_of(own.config.mail.root, address), own.config.reader.cache, address, own.clock)

    def everybody() -> Iterable[str]:
        cache = own.config.reader.cache
        return [address for address in own.accounts.addresses() if path_of(cache, address).exists()]

    background = Background(searching_of, everybody)
    background.start()

    @app.after_request
    def wake(response: Response) -> Response:
        if g.get("account"):
            background.wake(g.account.address)
        return response
