"""One person's mail as the pages see it: folders, lists, places, flags and moves, with the index where it works.

Only what is shown is looked into: of a hundred thousand mails, the fifty on the page. What was found is kept in the
index, so the next visit reads no mail at all. A mail has one name whatever its folder; this finds the folder.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import NamedTuple, TypeVar

from messenger import cache_folder, message
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox, NoSuchMessage
from messenger.message import Summary

from . import index, index_file, unindexed
from .index import Cursor, Index, Row, Rows

log = logging.getLogger(__name__)

PAGE = 50
INBOX, SENT, DRAFTS, ARCHIVE, TRASH = "", "Sent", "Drafts", "Archive", "Trash"
#: There for everybody, whether the Maildir has them yet or not; in the order they are shown in.
ALWAYS = (INBOX, DRAFTS, SENT, ARCHIVE, TRASH)
#: Where a mail is looked for first.
SEARCHED = (INBOX, ARCHIVE, SENT, DRAFTS, TRASH)
#: A mail may be moved between two looks for it.
TRIES = 3

T = TypeVar("T")


class FolderCount(NamedTuple):
    """A folder, how many mails it holds, and how many of them are unread."""

    folder: str
    total: int
    unread: int


@dataclass(frozen=True)
class Place:
    """A mail, the folder it is in, and what lies beside it in the list."""

    folder: str = INBOX
    row: Row | None = None
    newer: Row | None = None
    older: Row | None = None


class Mails:
    """What is in *mailbox*; *address*, as ``envelope.normal`` spells it, names its cache."""

    def __init__(self, mailbox: Mailbox, cache: Path, address: str, now: Callable[[], float] = time) -> None:
        self._mailbox = mailbox
        self._path = cache_folder.folder_of(cache, address) / "inbox.sqlite"
        self._now = now

    def folders(self) -> list[FolderCount]:
        """Every folder with its counts: the usual ones first, then those that a mail client made, by name."""
        folders = self._folders(ALWAYS)

        def work(index: Index) -> list[tuple[str, int, int]]:
            for folder in folders:
                index.update(self._mailbox, folder, self._now())
            return index.counts(folders)

        return [FolderCount(*one) for one in self._use(work, lambda: unindexed.counts(self._mailbox, folders))]

    def has_folder(self, folder: str) -> bool:
        return folder in self._folders(ALWAYS)

    def page(self, folder: str = INBOX, older: Cursor | None = None, newer: Cursor | None = None) -> Rows:
        """The mails older or newer than a cursor, and the newest ones where that leads to nothing."""

        def work(index: Index) -> Rows:
            index.update(self._mailbox, folder, self._now())
            rows = index.page(folder, PAGE, older, newer)
            if (newer and not rows.has_newer) or (older and not rows.rows):
                rows = index.page(folder, PAGE)
            found = self._summaries(folder, rows)
            index.remember(folder, ((name, summary) for name, summary in found.items() if summary))
            return _with(rows, found)

        def without() -> Rows:
            rows = unindexed.page(self._mailbox, folder, PAGE, older, newer)
            return _with(rows, self._summaries(folder, rows))

        return self._use(work, without)

    def folder_of(self, name: str) -> str:
        """The folder the mail *name* is in; NoSuchMessage if there is none."""
        found = self._mailbox.find(name, self._folders(SEARCHED))
        if found is None:
            raise NoSuchMessage(f"no message {name!a} in any folder")
        return found

    def place(self, name: str) -> Place:
        """Where in which list the mail *name* is."""
        try:
            folder = self.folder_of(name)
        except NoSuchMessage:
            return Place()

        def work(index: Index) -> Place:
            index.update(self._mailbox, folder, self._now())
            return Place(folder, index.row(folder, name), *index.neighbours(folder, name))

        return self._use(work, lambda: Place(folder, *unindexed.neighbours(self._mailbox, folder, name)))

    def read(self, name: str) -> bytes:
        """The mail *name*; NoSuchMessage if it isn't there."""
        return self._where_it_is(name, lambda folder: self._mailbox.read(name, folder))

    def flag(self, name: str, add: str = "", remove: str = "") -> None:
        """Add and remove flags of the mail *name*; NoSuchMessage if it isn't there."""
        self._where_it_is(
            name,
            lambda folder: self._use(
                lambda index: index.flag(self._mailbox, folder, name, add, remove, self._now()),
                lambda: self._flag_without(folder, name, add, remove),
            ),
        )

    def move(self, names: Iterable[str], to: str, folder: str | None = None) -> int:
        """Move mails to the folder *to*, out of *folder* or wherever they are. Returns how many were there."""
        return sum(self._move(those, one, to) for one, those in self._by_folder(names, folder).items())

    def remove(self, names: Iterable[str], folder: str | None = None) -> int:
        """Remove mails for good, out of *folder* or wherever they are. Returns how many were there."""
        return sum(self._remove(those, one) for one, those in self._by_folder(names, folder).items())

    def _move(self, names: list[str], folder: str, to: str) -> int:
        moved: dict[str, str] = {}

        def act() -> dict[str, str]:
            # Should the index fail behind this, it is asked again: what has moved stays moved.
            moved.update(self._mailbox.move_all((name for name in names if name not in moved), folder, to))
            return moved

        self._use(lambda index: index.move(self._mailbox, folder, to, act, self._now()), lambda: (act(), None)[1])
        return len(moved)

    def _remove(self, names: list[str], folder: str) -> int:
        gone: set[str] = set()

        def act() -> set[str]:
            gone.update(self._mailbox.remove_all((name for name in names if name not in gone), folder))
            return gone

        self._use(lambda index: index.remove(self._mailbox, folder, act, self._now()), lambda: (act(), None)[1])
        return len(gone)

    def _by_folder(self, names: Iterable[str], folder: str | None) -> dict[str, list[str]]:
        if folder is not None:
            return {folder: list(names)}
        found: dict[str, list[str]] = {}
        for name in names:
            where = self._mailbox.find(name, self._folders(SEARCHED))
            if where is not None:
                found.setdefault(where, []).append(name)
        return found

    def _folders(self, first: tuple[str, ...]) -> list[str]:
        return [*first, *(folder for folder in self._mailbox.folders() if folder not in first)]

    def _where_it_is(self, name: str, act: Callable[[str], T]) -> T:
        for _ in range(TRIES - 1):
            folder = self.folder_of(name)
            try:
                return act(folder)
            except NoSuchMessage:  # moved since we found it
                continue
        return act(self.folder_of(name))

    def _flag_without(self, folder: str, name: str, add: str, remove: str) -> None:
        self._mailbox.flag(name, add=add, remove=remove, folder=folder)

    def _use(self, work: Callable[[Index], T], without: Callable[[], T]) -> T:
        try:
            return index.use(self._path, work)
        except index_file.CacheUnusable as error:
            log.warning("%s", error)
            return without()

    def _summaries(self, folder: str, rows: Rows) -> dict[str, Summary | None]:
        return {row.name: self._summary(folder, row) for row in rows.rows if row.summary is None}

    def _summary(self, folder: str, row: Row) -> Summary | None:
        try:
            head = self._mailbox.read(row.name, folder, limit=message.HEAD)
        except MessengerError as error:  # gone this moment, or a file we may not read: the others still show
            log.warning("%s: not listed with its subject: %s", row.name, type(error).__name__)
            return None
        return message.summary(head, row.size)


def _with(rows: Rows, summaries: dict[str, Summary | None]) -> Rows:
    return replace(rows, rows=tuple(replace(row, summary=row.summary or summaries.get(row.name)) for row in rows.rows))
