"""The lists of one mailbox's folders, kept in SQLite so that a page costs the same in a folder of any size.

It is a cache: the Maildir is the truth. A file that is missing, broken or of another version is made anew, without
a word to anybody. Where the cache can't be used at all (disk full, no rights) ``use`` raises ``CacheUnusable`` and
the caller lists the folder itself. Knows SQL and when to look at the folder again; knows nothing of pages.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from messenger import cache_folder
from messenger.errors import MessengerError
from messenger.mailbox import Entry, Mailbox
from messenger.message import Person, Summary

from . import index_file
from .index_values import NEWEST, Cursor, Row, Rows

__all__ = ["Cursor", "Index", "Row", "Rows", "path_of", "use"]

#: A folder's time stamp may stand still for changes this close together.
GRAIN_SECONDS = 2.0
#: After a change of our own we take the new stamp as seen. Somebody else's change in the same instant would hide
#: behind it, so the folder is compared once more when this has passed.
DOUBT_SECONDS = 60.0
NEVER = 1e18
#: Mail may come faster than it is listed; what is left then is for the next visit.
ROUNDS = 10

COLUMNS = """
name, received, size, flags, subject, sender_name, sender_address, suspicious,
recipient_name, recipient_address, recipient_suspicious, recipients, attachments, preview
"""
ONE = f"""
SELECT {COLUMNS} FROM mail WHERE folder = ? AND name = ?
"""  # noqa: S608 -- our own words
OLDER = f"""
SELECT {COLUMNS} FROM mail WHERE folder = ? AND (received, name) < (?, ?) ORDER BY received DESC, name DESC LIMIT ?
"""  # noqa: S608 -- our own words
COUNTS = "SELECT folder, coalesce(total, 0), coalesce(unread, 0) FROM folder LEFT JOIN tally USING (folder)"
NEWER = f"""
SELECT {COLUMNS} FROM mail WHERE folder = ? AND (received, name) > (?, ?) ORDER BY received, name LIMIT ?
"""  # noqa: S608 -- our own words

T = TypeVar("T")


def path_of(cache: Path, address: str) -> Path:
    """Where the index of the mailbox of *address* lies."""
    return cache_folder.folder_of(cache, address) / "inbox.sqlite"


def use(path: Path, work: Callable[["Index"], T]) -> T:
    """Run *work* on the index at *path*, which is made, or made anew, if need be; CacheUnusable if it can't be."""
    return index_file.use(path, lambda connection: work(Index(connection)))


@dataclass(frozen=True)
class Look:
    """When and how we last looked at a folder."""

    new_stamp: int
    cur_stamp: int
    new_again: float
    cur_again: float

    def fresh(self, state: tuple[int, int], now: float) -> bool:
        same = state == (self.new_stamp, self.cur_stamp)
        return same and now < self.new_again and now < self.cur_again


def _again(stamp: int, now: float) -> float:
    """When to look again at what has changed at *stamp*, looked at *now*."""
    return NEVER if now - stamp / 1e9 > GRAIN_SECONDS else now + GRAIN_SECONDS


class Index:
    """An open index. Reads see one state; writes are one transaction each, one process at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def update(self, mailbox: Mailbox, folder: str, now: float) -> None:
        """Bring the list up to date, at the cost of what has changed."""
        if self._fresh(folder, mailbox.state(folder), now):
            return
        with self._writing():
            known, (new_stamp, cur_stamp) = self._look(folder), mailbox.state(folder)
            if known and known.fresh((new_stamp, cur_stamp), now):  # another process was quicker
                return
            if known and known.cur_stamp == cur_stamp and now < known.cur_again:
                cur_again = known.cur_again
            else:
                found, gone = mailbox.changes(self._flags(folder), folder)
                self._put(folder, found)
                self._forget(folder, gone)
                cur_again = _again(cur_stamp, now)
            new_stamp, after = self._take_arrivals(mailbox, folder)
            if after is not None:
                cur_stamp, cur_again = after, min(cur_again, now + DOUBT_SECONDS)
            self._note(folder, Look(new_stamp, cur_stamp, _again(new_stamp, now), cur_again))

    def _take_arrivals(self, mailbox: Mailbox, folder: str) -> tuple[int, int | None]:
        """Move what is new to cur, as whoever lists a Maildir must (maildir(5)).

        Returns the stamp of new as of the last look into it, and that of cur if we have changed it.
        """
        changed = False
        for _ in range(ROUNDS):
            new_stamp, cur_stamp = mailbox.state(folder)  # before the listing: what comes after it shows
            arrived = mailbox.list(folder, new_only=True)
            self._put(folder, arrived)
            moved = False
            for entry in arrived:
                with suppress(MessengerError):  # another program was quicker, or we may not write here
                    mailbox.flag(entry.name, folder=folder)
                    moved = changed = True
            if not moved:
                break
        return new_stamp, cur_stamp if changed else None

    def flag(self, mailbox: Mailbox, folder: str, act: Callable[[], dict[str, str]], now: float) -> None:
        """Let *act* change flags in the Maildir, and here, without making the whole folder look changed.

        It returns the names of those that were there, with the flags they have now.
        """
        with self._writing():
            known, before = self._look(folder), mailbox.state(folder)
            flags = [(flags, folder, name) for name, flags in act().items()]
            self._db.executemany("UPDATE mail SET flags = ? WHERE folder = ? AND name = ?", flags)
            self._settle(mailbox, folder, known, before, now)

    def move(self, mailbox: Mailbox, folder: str, to: str, act: Callable[[], dict[str, str]], now: float) -> None:
        """Let *act* move mails, and move their rows too. It returns the names of those that moved, with their flags."""
        with self._writing():
            looks = [(one, self._look(one), mailbox.state(one)) for one in (folder, to)]
            unheard = 0
            for name, flags in act().items():
                unheard += not self._db.execute(
                    "UPDATE OR REPLACE mail SET folder = ?, flags = ? WHERE folder = ? AND name = ?",
                    (to, flags, folder, name),
                ).rowcount
            # What we didn't know of is in the new place, and not in its list: the next visit looks.
            for one, known, before in looks[: 1 if unheard else 2]:
                self._settle(mailbox, one, known, before, now)

    def remove(self, mailbox: Mailbox, folder: str, act: Callable[[], Iterable[str]], now: float) -> None:
        """Let *act* remove mails for good, and forget them. It returns the names of those that went."""
        with self._writing():
            known, before = self._look(folder), mailbox.state(folder)
            self._forget(folder, act())
            self._settle(mailbox, folder, known, before, now)

    def counts(self, folders: Iterable[str]) -> list[tuple[str, int, int]]:
        """Each of *folders* with how many mails it holds, and how many of them are unread. Others are forgotten."""
        found = {folder: (total, unread) for folder, total, unread in self._db.execute(COUNTS)}
        wanted = list(folders)
        if vanished := found.keys() - set(wanted):
            with self._writing():
                for table in ("mail", "folder", "tally"):
                    self._db.executemany(f"DELETE FROM {table} WHERE folder = ?", [(one,) for one in vanished])  # noqa: S608 -- our own words
        return [(folder, *found.get(folder, (0, 0))) for folder in wanted]

    def _settle(self, mailbox: Mailbox, folder: str, known: Look | None, before: tuple[int, int], now: float) -> None:
        """After a change of our own: if nothing else was to be seen, nothing is now."""
        if known and known.fresh(before, now):
            doubt = min(known.cur_again, now + DOUBT_SECONDS)
            self._note(folder, Look(known.new_stamp, mailbox.state(folder)[1], known.new_again, doubt))

    def page(self, folder: str, size: int, older: Cursor | None = None, newer: Cursor | None = None) -> Rows:
        """Up to *size* mails older (or newer) than a cursor; the newest ones without."""
        if newer:
            found = self._rows(NEWER, folder, newer, size + 1)
            rows, has_newer, has_older = found[:size][::-1], len(found) > size, True
        else:
            found = self._rows(OLDER, folder, older or NEWEST, size + 1)
            rows, has_newer, has_older = found[:size], older is not None, len(found) > size
        counted = self._db.execute("SELECT total, unread FROM tally WHERE folder = ?", (folder,)).fetchone()
        total, unread = counted or (0, 0)
        return Rows(tuple(rows), has_newer, has_older, total, unread)

    def neighbours(self, folder: str, name: str) -> tuple[Row | None, Row | None]:
        """The next newer and the next older mail."""
        row = self.row(folder, name)
        if row is None:
            return None, None
        newer = self._rows(NEWER, folder, row.cursor, 1)
        older = self._rows(OLDER, folder, row.cursor, 1)
        return (newer[0] if newer else None), (older[0] if older else None)

    def row(self, folder: str, name: str) -> Row | None:
        rows = [_row(*row) for row in self._db.execute(ONE, (folder, name))]
        return rows[0] if rows else None

    def remember(self, folder: str, summaries: Iterable[tuple[str, Summary]]) -> None:
        """Keep what was found inside of mails. A name stands for its bytes, so this never goes stale."""
        values = [(*_columns(summary), folder, name) for name, summary in summaries]
        if not values:
            return
        with self._writing():
            self._db.executemany(
                "UPDATE mail SET subject = ?, sender_name = ?, sender_address = ?, suspicious = ?, recipient_name = ?,"
                " recipient_address = ?, recipient_suspicious = ?, recipients = ?, attachments = ?, preview = ?"
                " WHERE folder = ? AND name = ?",
                values,
            )

    def _rows(self, query: str, folder: str, cursor: Cursor, limit: int) -> list[Row]:
        found = self._db.execute(query, (folder, cursor.received, cursor.name, limit))
        return [_row(*row) for row in found]

    def _look(self, folder: str) -> Look | None:
        found = self._db.execute(
            "SELECT new_stamp, cur_stamp, new_again, cur_again FROM folder WHERE folder = ?", (folder,)
        ).fetchone()
        return Look(*found) if found else None

    def _fresh(self, folder: str, state: tuple[int, int], now: float) -> bool:
        known = self._look(folder)
        return known is not None and known.fresh(state, now)

    def _flags(self, folder: str) -> dict[str, str]:
        return dict(self._db.execute("SELECT name, flags FROM mail WHERE folder = ?", (folder,)))

    def _forget(self, folder: str, names: Iterable[str]) -> None:
        gone = [(folder, name) for name in names]
        self._db.executemany("DELETE FROM mail WHERE folder = ? AND name = ?", gone)

    def _put(self, folder: str, found: Iterable[Entry]) -> None:
        self._db.executemany(
            "INSERT INTO mail (folder, name, received, size, flags) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (folder, name) DO UPDATE"
            " SET received = excluded.received, size = excluded.size, flags = excluded.flags"
            " WHERE flags <> excluded.flags OR received <> excluded.received",
            ((folder, one.name, one.received, one.size, one.flags) for one in sorted(found)),
        )

    def _note(self, folder: str, look: Look) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?, ?)",
            (folder, look.new_stamp, look.cur_stamp, look.new_again, look.cur_again),
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it by itself when the disk is full
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _row(name: str, received: int, size: int, flags: str, subject: str | None, *inside: Any) -> Row:
    if subject is None:
        return Row(name, received, size, flags)
    name_, address, suspicious, to_name, to_address, to_suspicious, recipients, attachments, preview = inside
    sender = Person(name_, address, bool(suspicious))
    recipient = Person(to_name, to_address, bool(to_suspicious))
    return Row(
        name, received, size, flags,
        Summary(subject, sender, None, bool(attachments), preview, recipient, recipients),
    )  # fmt: skip


def _columns(found: Summary) -> tuple[str | int, ...]:
    """In the order of COLUMNS, from the subject on."""
    return (
        _storable(found.subject),
        *_person(found.sender), *_person(found.recipient), found.recipients,
        int(found.has_attachments), _storable(found.preview),
    )  # fmt: skip


def _person(one: Person) -> tuple[str, str, int]:
    return _storable(one.name), _storable(one.address), int(one.suspicious)


def _storable(text: str) -> str:
    """A lone surrogate can't be stored or sent as UTF-8."""
    return text.encode("utf-8", "replace").decode()
