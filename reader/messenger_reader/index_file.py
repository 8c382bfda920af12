"""The file an index lives in: opened, made, and thrown away when it is no good.

Knows SQLite, modes and locks; knows nothing of mail beyond the names of its columns.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TypeVar

from messenger import cache_folder
from messenger.errors import MessengerError

from . import index_contents

#: Any change to SCHEMA, or to what a column means, needs another number here.
VERSION = 6
SCHEMA = """
CREATE TABLE folder (
    folder TEXT PRIMARY KEY,
    new_stamp INTEGER NOT NULL, cur_stamp INTEGER NOT NULL, -- Mailbox.state() as of the last look
    new_again REAL NOT NULL, cur_again REAL NOT NULL        -- when to look again even if that hasn't changed
) STRICT;
CREATE TABLE tally (folder TEXT PRIMARY KEY, total INTEGER NOT NULL, unread INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE mail (
    folder TEXT NOT NULL, name TEXT NOT NULL,
    received INTEGER NOT NULL, size INTEGER NOT NULL, flags TEXT NOT NULL,
    subject TEXT, sender_name TEXT, sender_address TEXT, suspicious INTEGER,
    recipient_name TEXT, recipient_address TEXT, recipient_suspicious INTEGER, recipients INTEGER,
    attachments INTEGER, preview TEXT,
    content INTEGER, -- see index_contents.py
    PRIMARY KEY (folder, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX mail_by_age ON mail (folder, received, name);
CREATE INDEX mail_by_name ON mail (name);
CREATE TABLE act ( -- what was moved last, so that it can be undone: see done.py
    token TEXT PRIMARY KEY, made REAL NOT NULL, act TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""
_LESS = "UPDATE tally SET total = total - 1, unread = unread - (instr(OLD.flags, 'S') = 0) WHERE folder = OLD.folder;"
# Nothing that depends on a conflict: in a trigger SQLite would settle it as the statement outside says.
_MORE = """
    INSERT INTO tally SELECT NEW.folder, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM tally WHERE folder = NEW.folder);
    UPDATE tally SET total = total + 1, unread = unread + (instr(NEW.flags, 'S') = 0) WHERE folder = NEW.folder;
"""
#: What is in each folder is kept count of: to count a hundred thousand takes longer than all else of a page.
TALLY = (
    f"CREATE TRIGGER tally_more AFTER INSERT ON mail BEGIN {_MORE} END",
    f"CREATE TRIGGER tally_less AFTER DELETE ON mail BEGIN {_LESS} END",
    "CREATE TRIGGER tally_other AFTER UPDATE OF folder, flags ON mail"
    f" WHEN OLD.folder <> NEW.folder OR OLD.flags <> NEW.flags BEGIN {_LESS} {_MORE} END",
)
#: SQLite's primary result codes that say the file itself is no good.
BROKEN = {
    sqlite3.SQLITE_ERROR,  # other tables than ours
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_NOTADB,
}

T = TypeVar("T")


class CacheUnusable(MessengerError):
    """The index can't be opened or written; the folder itself still can be listed."""

    temporary = True


def use(path: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    """Run *work* on the index at *path*, made anew first if it is broken."""
    try:
        cache_folder.make(path.parent)
        try:
            return _run(path, work)
        except sqlite3.Error as error:
            if (error.sqlite_errorcode & 0xFF) not in BROKEN:
                raise
            _throw_away(path)
            return _run(path, work)
    except (sqlite3.Error, OSError) as error:
        raise CacheUnusable(f"index {path}: {error}; the folder is listed without it") from error


@contextmanager
def kept_open() -> Iterator[None]:
    """In here this thread opens an index at its first use and closes it at the end: a page asks several times."""
    before, _here.kept = _here.kept, {}
    try:
        yield
    finally:
        opened, _here.kept = _here.kept, before
        for one in (opened or {}).values():
            one.close()


class _Here(threading.local):
    #: The indexes this thread keeps open, by their paths; None outside of kept_open().
    kept: "dict[Path, _Open] | None" = None


_here = _Here()


class _Open:
    """An index that is open; nobody throws it away meanwhile."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as stack:
            stack.enter_context(_locked(path, fcntl.LOCK_SH))
            self.connection = stack.enter_context(closing(_connect(path)))
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()


def _run(path: Path, work: Callable[[sqlite3.Connection], T]) -> T:
    kept = _here.kept if _here.kept is not None else {}
    opened = kept.get(path) or _Open(path)
    try:
        answer = work(opened.connection)
    except BaseException:
        kept.pop(path, None)  # whatever it had begun ends with it
        opened.close()
        raise
    if _here.kept is None:
        opened.close()
    else:
        kept[path] = opened
    return answer


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    """Nobody throws the file away while somebody else has it open: SQLite would mix the old with the new."""
    descriptor = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether nobody else is filling the index at *path*, in this process or another; if so, nobody will be.

    Reading it and writing its other tables needs no such leave.
    """
    cache_folder.make(path.parent)
    descriptor = os.open(path.with_suffix(".filling"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _throw_away(path: Path) -> None:
    with _locked(path, fcntl.LOCK_EX):
        for suffix in ("", "-wal", "-shm", "-journal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite alone would let the umask decide
    connection = sqlite3.connect(path, timeout=15, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")  # words of a deleted mail don't stay in what is left free
        connection.execute("PRAGMA recursive_triggers = ON")  # else a row that REPLACE takes away is still counted
        if _version(connection) != VERSION:
            _create(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _create(connection: sqlite3.Connection) -> None:
    """Fill an empty file; one of another version has the tables already and so counts as broken."""
    connection.execute("BEGIN IMMEDIATE")
    if _version(connection) != VERSION:  # else another process was quicker
        for statement in (*SCHEMA.split(";"), *TALLY, *index_contents.SCHEMA):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
