"""One person's mail as the search sees it: look into it bit by bit, find things in it, and tell what belongs together.

Mails are looked into once, newest first, a little at a time: by the page that searches, by the page that shows a mail,
and by the thread of each worker (background.py). What a mail is made of never stops this. Knows no page and no person.
"""

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from time import monotonic, time

from messenger import cache_folder
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox
from messenger.message import Message

from . import index_contents, index_file, index_search, index_threads, index_words
from .index import Index, path_of
from .index_contents import Progress, Waiting
from .index_search import Found, Wanted
from .index_threads import Conversation
from .mail_contents import NOTHING, READ, Contents, contents, contents_of

log = logging.getLogger(__name__)

#: Mails that are kept in one transaction.
BATCH = 50


class Searching:
    """What is inside the mail of *mailbox*; *address*, as ``envelope.normal`` spells it, names its cache.

    Each method raises ``index_file.CacheUnusable`` where the cache can't be used.
    """

    def __init__(self, mailbox: Mailbox, cache: Path, address: str, now: Callable[[], float] = time) -> None:
        self._mailbox, self._cache, self._address = mailbox, cache, address
        self._path = path_of(cache, address)
        self._now = now

    def look_into(self, seconds: float) -> bool:
        """Look into mails for about so many *seconds*. Tell whether there is more to do for us."""
        until = monotonic() + seconds
        return self._alone(lambda: self._look_into(until))

    def tidy(self) -> bool:
        """Make a part of the index anew that holds words of deleted mails. Tell whether there may be more of it."""
        return self._alone(lambda: index_file.use(self._path, index_words.tidy), busy=True)

    def progress(self) -> Progress:
        return index_file.use(self._path, index_contents.progress)

    def search(self, wanted: Wanted, size: int, seconds: float) -> tuple[Found, Progress]:
        """Up to *size* hits, newest first; fewer if it takes longer than so many *seconds*. Of so many mails."""
        until = monotonic() + seconds

        def work(db: sqlite3.Connection) -> tuple[Found, Progress]:
            found = index_search.search(db, wanted, size, lambda: monotonic() > until)
            return found, index_contents.progress(db)

        return index_file.use(self._path, work)

    def conversation(self, name: str, read: Message) -> Conversation:
        """The conversation of the mail *name*, which has been *read*: what of it was looked into so far."""
        found = index_file.use(self._path, lambda db: index_threads.conversation(db, name))
        if not found.cards and self._learn(name, read):
            found = index_file.use(self._path, lambda db: index_threads.conversation(db, name))
        return found

    def _alone(self, work: Callable[[], bool], busy: bool = False) -> bool:
        """Do *work* while nobody else fills the index; *busy* is the answer if somebody does."""
        if not self._mailbox.exists():
            return False
        with index_file.alone(self._path) as alone:
            more = work() if alone else busy
        if not self._mailbox.exists():  # deleted meanwhile: what we made behind that must not stay
            cache_folder.remove(self._cache, self._address)
        return more

    def _look_into(self, until: float) -> bool:
        index_file.use(self._path, lambda db: self._list(Index(db)))
        while batch := index_file.use(self._path, lambda db: index_contents.waiting(db, BATCH)):
            found = []
            for mail in batch:
                found.append((mail, self._inside(mail)))
                if monotonic() > until:
                    break
            self._keep(found)
            if monotonic() > until:
                return True
        return False

    def _learn(self, name: str, read: Message) -> bool:
        with index_file.alone(self._path) as alone:
            mail = index_file.use(self._path, lambda db: index_contents.waiting_for(db, name)) if alone else None
            if mail:
                self._keep([(mail, contents_of(read))])
        return mail is not None

    def _list(self, index: Index) -> None:
        for folder in self._mailbox.folders():
            index.update(self._mailbox, folder, self._now())

    def _keep(self, found: list[tuple[Waiting, Contents | None]]) -> None:
        index_file.use(self._path, lambda db: index_contents.keep(db, found))

    def _inside(self, mail: Waiting) -> Contents | None:
        try:
            return contents(self._mailbox.read(mail.name, mail.folder, limit=READ))
        except MessengerError as error:  # gone this moment, or a file we may not read
            log.warning("%s: not searched: %s", mail.name, type(error).__name__)
            return None
        except Exception:  # whatever a mail may do to us, the others are searched
            log.exception("%s: not searched", mail.name)
            return NOTHING
