"""The accounts database as a file: connections, reads and writes, and errors that say what to do.

Part of messenger.accounts: nobody else reads this.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlite_utils import Database

from ..errors import MessengerError
from .schema import migrations
from .values import TooSoon

#: How long a write waits for another one, in seconds.
BUSY_SECONDS = 15
MODE = 0o600
#: More of it is not told: it is mended from the backup anyhow.
DAMAGES = 5


class AccountsError(MessengerError):
    """The accounts database can't be used now. Names the file and the mend."""

    temporary = True


def damage(path: Path) -> list[str]:
    """Return what is damaged in the database at *path*; AccountsError if it can't be read, or is none."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=BUSY_SECONDS, uri=True)
        try:
            connection.execute("PRAGMA query_only = ON")
            said = [str(line) for (line,) in connection.execute(f"PRAGMA quick_check({DAMAGES})")]
            lost = connection.execute("PRAGMA foreign_key_check").fetchmany(DAMAGES)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _error(path, error) from error
    return [line for line in said if line != "ok"] + [
        f"{table}: row {row} belongs to nobody" for table, row, *_ in lost
    ]


class AccountsFile:
    """A SQLite file in WAL mode. Each thread has a connection of its own; a forked process opens anew."""

    def __init__(self, path: Path) -> None:
        """Open *path*, make it if it isn't there, and bring its tables up to date."""
        self.path = path
        self._thread = threading.local()
        try:
            # SQLite would make it as open as the umask allows; its -wal and -shm files take its mode.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, MODE))
        except OSError as error:
            raise self._error(error) from error
        with self._errors():
            self._set_wal()
        # One transaction for all of it: of several processes that start at once, one makes the tables.
        with self.writing() as db:
            migrations.apply(db)

    @contextmanager
    def reading(self) -> Iterator[Database]:
        with self._errors():
            yield self._database()

    @contextmanager
    def writing(self) -> Iterator[Database]:
        """One transaction, alone from its first line on: all of it is on the disk at the end, or nothing."""
        with self._errors():
            db = self._database()
            db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.conn.execute("COMMIT")
            except TooSoon:
                db.conn.execute("COMMIT")  # that somebody was put off is all that was noted
                raise
            except BaseException:
                db.rollback()
                raise

    def close(self) -> None:
        """Close this thread's connection."""
        opened = getattr(self._thread, "opened", None)
        if opened is not None:
            opened[1].close()
            del self._thread.opened

    def _database(self) -> Database:
        opened: tuple[int, Database] | None = getattr(self._thread, "opened", None)
        # A connection must not be used on the far side of a fork, not even to close it.
        if opened is None or opened[0] != os.getpid():
            opened = self._thread.opened = (os.getpid(), self._connect())
        return opened[1]

    def _connect(self) -> Database:
        # rw: a file that is gone while we run is an error to be told, not an empty database to start over with.
        connection = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", timeout=BUSY_SECONDS, uri=True)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        return Database(connection, strict=True)

    def _set_wal(self) -> None:
        """Switch a new file to WAL. SQLite doesn't wait for others that start at the same moment, so we do."""
        connection = self._database().conn
        deadline = time.monotonic() + BUSY_SECONDS
        while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> AccountsError:
        return _error(self.path, error)


def _error(path: Path, error: Exception) -> AccountsError:
    return AccountsError(
        f"accounts database {path}: {error}; it must be a SQLite file in an existing folder, both "
        "writable by this user, on a disk with room"
    )
