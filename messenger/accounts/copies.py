"""A copy of the accounts database for a backup, a look whether a copy is whole, and the way back.

By SQLite's own backup, so that the copy is of one moment while others write. Part of messenger.accounts: nobody else
reads this.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .file import BUSY_SECONDS, AccountsError
from .store import Store


class Copies(Store):
    def hold(self) -> None:
        """Open the database for ``copy_to``, as it is at this moment; nobody who writes waits for that."""
        with self._file.reading() as db:
            db.conn.execute("BEGIN")
            db.execute("SELECT 1 FROM account LIMIT 1").fetchone()

    def copy_to(self, path: Path) -> None:
        """Write what ``hold`` has seen to *path*, a new file, as one file without a log beside it."""
        with self._file.reading() as db, _errors(path), closing(sqlite3.connect(path)) as copy:
            db.conn.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def opened_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy that nobody writes to, for ``put_back``; AccountsError unless it is whole."""
    if not path.is_file():
        raise AccountsError(f"{path}: no copy of the accounts database there; make the backup again")
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as copy:
        with _errors(path):
            flaws = [text for (text,) in copy.execute("PRAGMA integrity_check(3)") if text != "ok"]
            flaws += [
                f"a row of {row[0]} belongs to none" for row in copy.execute("PRAGMA foreign_key_check").fetchmany(3)
            ]
            copy.execute("SELECT 1 FROM account LIMIT 1").fetchone()
        if flaws:
            raise AccountsError(f"accounts database {path}: damaged: {'; '.join(flaws)}; take an older backup")
        yield copy


def count_accounts(copy: sqlite3.Connection) -> int:
    """Return how many accounts are in an ``opened_copy``."""
    return int(copy.execute("SELECT count(*) FROM account").fetchone()[0])


def put_back(copy: sqlite3.Connection, database: Path) -> None:
    """Make the file *database*, which must hold no account, what an ``opened_copy`` is. Raises AccountsError."""
    with _errors(database), closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as into:
        if _has_an_account(into):
            raise AccountsError(f"accounts database {database}: holds accounts; move it away first")
        copy.backup(into)
        into.execute("PRAGMA journal_mode = WAL")


def is_filled(database: Path) -> bool:
    """Tell whether there is an account in the file *database*. Raises AccountsError."""
    with _errors(database), closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as db:
        return _has_an_account(db)


def _has_an_account(db: sqlite3.Connection) -> bool:
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'account'").fetchone():
        return False
    return db.execute("SELECT 1 FROM account LIMIT 1").fetchone() is not None


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise AccountsError(
            f"accounts database {path}: {error}; it must be a SQLite file, on a disk with room"
        ) from error
