"""One person's inbox as the pages see it: lists, places and flags, with the index where it works and without it else.

Only what is shown is looked into: of a hundred thousand mails, the fifty on the page. What was found is kept in the
index, so the next visit reads no mail at all.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import TypeVar

from messenger import message
from messenger.cache_folder import folder_of
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox
from messenger.message import Summary

from . import index, index_file
from .index import Cursor, Index, Row, Rows

log = logging.getLogger(__name__)

PAGE = 50
FOLDER = ""

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A mail and what lies beside it in the list."""

    row: Row | None = None
    newer: Row | None = None
    older: Row | None = None


class Inbox:
    """The inbox of *mailbox*; *address*, as ``envelope.normal`` spells it, names its cache."""

    def __init__(self, mailbox: Mailbox, cache: Path, address: str, now: Callable[[], float] = time) -> None:
        self._mailbox = mailbox
        self._path = folder_of(cache, address) / "inbox.sqlite"
        self._now = now

    def page(self, older: Cursor | None = None, newer: Cursor | None = None) -> Rows:
        """The mails older or newer than a cursor, and the newest ones where that leads to nothing."""

        def work(index: Index) -> Rows:
            index.update(self._mailbox, FOLDER, self._now())
            rows = index.page(FOLDER, PAGE, older, newer)
            if (newer and not rows.has_newer) or (older and not rows.rows):
                rows = index.page(FOLDER, PAGE)
            found = {row.name: self._summary(row) for row in rows.rows if row.summary is None}
            index.remember(FOLDER, ((name, summary) for name, summary in found.items() if summary))
            return _with(rows, found)

        return self._use(work, lambda: self._listed_page(older, newer))

    def place(self, name: str) -> Place:
        """Where in the list the mail *name* is."""

        def work(index: Index) -> Place:
            index.update(self._mailbox, FOLDER, self._now())
            return Place(index.row(FOLDER, name), *index.neighbours(FOLDER, name))

        return self._use(work, lambda: self._listed_place(name))

    def read(self, name: str) -> bytes:
        """The mail *name*; NoSuchMessage if it isn't there."""
        return self._mailbox.read(name, FOLDER)

    def flag(self, name: str, add: str = "", remove: str = "") -> None:
        """Add and remove flags of the mail *name*; NoSuchMessage if it isn't there."""
        self._use(
            lambda index: index.flag(self._mailbox, FOLDER, name, add, remove, self._now()),
            lambda: self._mailbox.flag(name, add=add, remove=remove, folder=FOLDER),
        )

    def _use(self, work: Callable[[Index], T], without: Callable[[], T]) -> T:
        try:
            return index.use(self._path, work)
        except index_file.CacheUnusable as error:
            log.warning("%s", error)
            return without()

    def _summary(self, row: Row) -> Summary | None:
        try:
            head = self._mailbox.read(row.name, FOLDER, limit=message.HEAD)
        except MessengerError as error:  # gone this moment, or a file we may not read: the others still show
            log.warning("%s: not listed with its subject: %s", row.name, type(error).__name__)
            return None
        return message.summary(head, row.size)

    def _listed(self) -> list[Row]:
        """The whole list, newest first, from the folder itself."""
        rows = [Row(entry.name, entry.received, entry.size, entry.flags) for entry in self._mailbox.list(FOLDER)]
        return sorted(rows, key=lambda row: row.cursor, reverse=True)

    def _listed_page(self, older: Cursor | None, newer: Cursor | None) -> Rows:
        rows = self._listed()
        start = 0
        if older:
            start = sum(row.cursor >= older for row in rows)
        elif newer:
            start = max(0, sum(row.cursor > newer for row in rows) - PAGE)
        if start >= len(rows):
            start = 0
        shown = tuple(rows[start : start + PAGE])
        unread = sum(not row.seen for row in rows)
        page = Rows(shown, start > 0, start + PAGE < len(rows), len(rows), unread)
        return _with(page, {row.name: self._summary(row) for row in shown})

    def _listed_place(self, name: str) -> Place:
        rows = self._listed()
        for at, row in enumerate(rows):
            if row.name == name:
                return Place(row, rows[at - 1] if at else None, rows[at + 1] if at + 1 < len(rows) else None)
        return Place()


def _with(rows: Rows, summaries: dict[str, Summary | None]) -> Rows:
    return replace(rows, rows=tuple(replace(row, summary=row.summary or summaries.get(row.name)) for row in rows.rows))
