"""One person's mail as the pages see it: folders, lists, places, flags and moves, with the index where it works.

Only what is shown is looked into: of a hundred thousand mails, the fifty on the page. What was found is kept in the
index, so the next visit reads no mail at all. A mail has one name whatever its folder; this finds the folder.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import NamedTuple, TypeVar

from messenger import message
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox, MailboxError, NoSuchMessage
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
#: Does something to mails, and returns those that were there, with the flags they have now.
Act = Callable[[list[str]], dict[str, str]]
#: Lets the index know of what such a one does.
Noted = Callable[[Index, Callable[[], dict[str, str]]], None]


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
        self._path = index.path_of(cache, address)
        self._now = now

    def folders(self) -> list[FolderCount]:
        """Every folder with its counts: the usual ones first, then those that a mail client made, by name."""
        folders = self._folders(ALWAYS)

        def work(index: Index) -> list[tuple[str, int, int]]:
            for folder in folders:
                try:
                    index.update(self._mailbox, folder, self._now())
                except MailboxError as error:  # one that can't be read keeps nobody from the others
                    log.warning("not counted: %s", error)
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

        def flag(folder: str) -> None:
            if not self.flagged([name], add, remove, folder):
                raise NoSuchMessage(f"{name!a} is not in {folder!a} any more")

        self._where_it_is(name, flag)

    def move(self, names: Iterable[str], to: str, folder: str | None = None) -> int:
        """Move mails to the folder *to*, out of *folder* or wherever they are. Returns how many were there."""
        return sum(len(self.moved(those, to, one)) for one, those in self.by_folder(names, folder).items())

    def remove(self, names: Iterable[str], folder: str | None = None) -> int:
        """Remove mails for good, out of *folder* or wherever they are. Returns how many were there."""
        return sum(len(self.removed(those, one)) for one, those in self.by_folder(names, folder).items())

    def moved(self, names: Iterable[str], to: str, folder: str) -> list[str]:
        """Move mails from *folder* to the folder *to*. Returns those that were there."""
        return self._each(
            list(names),
            lambda left: self._mailbox.move_all(left, folder, to),
            lambda index, act: index.move(self._mailbox, folder, to, act, self._now()),
        )

    def removed(self, names: Iterable[str], folder: str) -> list[str]:
        """Remove mails of *folder* for good. Returns those that were there."""
        return self._each(
            list(names),
            lambda left: dict.fromkeys(self._mailbox.remove_all(left, folder), ""),
            lambda index, act: index.remove(self._mailbox, folder, act, self._now()),
        )

    def flagged(self, names: Iterable[str], add: str, remove: str, folder: str) -> list[str]:
        """Add and remove flags of mails in *folder*. Returns those that were there."""

        def flag(left: list[str]) -> dict[str, str]:
            flags = {}
            for name in left:
                with suppress(NoSuchMessage):
                    flags[name] = self._mailbox.flag(name, add=add, remove=remove, folder=folder)
            return flags

        return self._each(list(names), flag, lambda index, act: index.flag(self._mailbox, folder, act, self._now()))

    def empty(self, folder: str) -> int:
        """Remove all mails of *folder* for good. Returns how many there were."""
        count = self._mailbox.empty(folder)
        self._use(lambda index: index.update(self._mailbox, folder, self._now()), lambda: None)
        return count

    def _each(
        self, names: list[str], act: Act, noted: Callable[[Index, Callable[[], dict[str, str]]], None]
    ) -> list[str]:
        """Let *act* do something to mails, and the index know of it. Returns those that were there."""
        done: dict[str, str] = {}

        def once() -> dict[str, str]:
            # Should the index fail behind this, it is asked again: what is done stays done.
            done.update(act([name for name in names if name not in done]))
            return done

        def without() -> None:
            once()

        self._use(lambda index: noted(index, once), without)
        return [name for name in names if name in done]

    def by_folder(self, names: Iterable[str], folder: str | None = None) -> dict[str, list[str]]:
        """Part *names* by the folder they are in; all in *folder*, if that is given. Leaves out what is nowhere."""
        if folder is not None:
            return {folder: list(names)} if self.has_folder(folder) else {}
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
