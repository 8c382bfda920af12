"""What somebody did to mails last, kept so that the next page can say it, ask about it, and undo it.

It lies beside the index, a cache: where that can't be used nothing is kept, and nothing can be undone. A page knows
it by a random token alone, so fifty long names never travel in an address.
"""

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import TypeVar

from . import index_file

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How long something can be undone, and how much is kept for one person.
KEEP_SECONDS = 86_400.0
KEEP = 50

MOVED, BACK, REMOVED, ASKED = "moved", "back", "removed", "asked"
#: Only selected: nothing was done.
PICKED = "picked"
READ, UNREAD, STARRED, UNSTARRED = "read", "unread", "starred", "unstarred"


@dataclass(frozen=True)
class Done:
    """One thing that was done: MOVED, say, to the folder *to*."""

    kind: str
    #: The names of the mails it was done to, by the folder they were in.
    names: Mapping[str, list[str]] = field(default_factory=dict)
    to: str = ""
    #: How many were not there any more.
    gone: int = 0
    #: The page it was done on.
    back: str = ""
    #: Where the names aren't kept, because nothing can be undone.
    uncounted: int = 0

    @property
    def count(self) -> int:
        return self.uncounted + sum(len(names) for names in self.names.values())


class Notes:
    """What one person did last, in the index at *path*."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now

    def keep(self, done: Done) -> str:
        """Keep *done* and return its token; "" if that can't be done."""
        token = token_urlsafe(16)

        def work(db: sqlite3.Connection) -> str:
            db.execute("INSERT INTO act VALUES (?, ?, ?)", (token, self._now(), json.dumps(asdict(done))))
            db.execute(
                "DELETE FROM act WHERE made < ? OR token NOT IN (SELECT token FROM act ORDER BY made DESC LIMIT ?)",
                (self._now() - KEEP_SECONDS, KEEP),
            )
            return token

        return self._use(work, "")

    def find(self, token: str) -> Done | None:
        """What *token* stands for, if it is still kept."""
        query = "SELECT act FROM act WHERE token = ? AND made >= ?"
        return self._one(query, token)

    def take(self, token: str) -> Done | None:
        """As ``find``, and it is found once: two who press a button at once don't both undo."""
        query = "DELETE FROM act WHERE token = ? AND made >= ? RETURNING act"
        return self._one(query, token)

    def _one(self, query: str, token: str) -> Done | None:
        if not token or not token.isascii():
            return None
        oldest = self._now() - KEEP_SECONDS
        found = self._use(lambda db: db.execute(query, (token, oldest)).fetchone(), None)
        try:
            return Done(**json.loads(found[0])) if found else None
        except (ValueError, TypeError):  # as another edition of the reader wrote it
            return None

    def _use(self, work: Callable[[sqlite3.Connection], T], without: T) -> T:
        try:
            return index_file.use(self._path, work)
        except index_file.CacheUnusable as error:
            log.warning("%s", error)
            return without
