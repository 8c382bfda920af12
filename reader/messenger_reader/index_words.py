"""The words in somebody's mails, on shelves: full-text tables (FTS5) of a few thousand mails each, newest last.

Why shelves: what a page of results costs, and what the removal of one mail's words costs, then grows with a shelf and
not with the mailbox (docs/decisions/0011-search.md). A shelf holds words and where they stand, no text; what belongs
on it is what ``content`` has from ``low`` on to the next shelf. Words of a deleted mail (``stale``) leave when their
shelf is made anew, by ``tidy``. Whoever writes here holds the lock of ``index_file.alone``.
"""

import sqlite3
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .word_forms import spaced

#: A shelf this full takes no more at its ends: mails, and characters. Each costs a search 0.2 ms that finds nothing on
#: it; the fuller they are, the longer takes the beginning of a word that thousands of words share.
FULL_MAILS, FULL_SIZE = 16_384, 64_000_000
#: Mails that are put on a new shelf in one go; others may write between two goes.
BATCH = 200
COLUMNS = ("subject", "sender", "recipients", "text", "files")
TOP = 2**63 - 1
#: How long to wait for those who read what is about to be overwritten.
LOG_MILLISECONDS = 300

_CREATE = f"""
CREATE VIRTUAL TABLE words_%d USING fts5(
    {", ".join(COLUMNS)}, content = '', columnsize = 0, tokenize = "unicode61 remove_diacritics 2"
)"""
_SHELVES = "SELECT number, low, mails, size, fresh FROM shelf ORDER BY low DESC"
_SHELF_OF = "SELECT number, low, mails, size, fresh FROM shelf WHERE low <= ? ORDER BY low DESC LIMIT 1"
_NEW_SHELF = "INSERT INTO shelf (number, low, mails, size, fresh) VALUES (?, ?, ?, ?, ?)"
_INSERT = "INSERT INTO words_%d (rowid, subject, sender, recipients, text, files) VALUES (?, ?, ?, ?, ?, ?)"
_ROWS = """
SELECT c.id, c.subject, c.senders, c.recipients, b.text, c.files FROM content c JOIN body b ON b.id = c.id
WHERE c.id > ? AND c.id < ? ORDER BY c.id LIMIT ?
"""


class Shelf(NamedTuple):
    number: int
    #: The lowest content.id on it.
    low: int
    mails: int
    size: int
    #: Mails that were put on it since FTS5 has put its words into one piece: a search looks into each piece.
    fresh: int

    @property
    def full(self) -> bool:
        return self.mails >= FULL_MAILS or self.size >= FULL_SIZE

    @property
    def scattered(self) -> bool:
        return self.fresh > max(self.mails // 8, 100)

    @property
    def overfull(self) -> bool:
        return self.mails >= 2 * FULL_MAILS or self.size >= 2 * FULL_SIZE


class Text(NamedTuple):
    """The words of one mail, in the order of COLUMNS."""

    id: int
    subject: str
    senders: str
    recipients: str
    text: str
    files: str

    @property
    def size(self) -> int:
        return sum(map(len, self[1:]))


def packed(text: str) -> bytes:
    return zlib.compress(text.encode())


def unpacked(text: bytes) -> str:
    return zlib.decompress(text).decode()


def shelves(db: sqlite3.Connection) -> list[Shelf]:
    """All of them, newest mails first."""
    return [Shelf(*row) for row in db.execute(_SHELVES)]


def put(db: sqlite3.Connection, text: Text) -> None:
    """Put a mail on its shelf; within a transaction, and right after its row in ``content``."""
    number = _shelf_for(db, text.id)
    _insert(db, number, text)
    change = "UPDATE shelf SET mails = mails + 1, size = size + ?, fresh = fresh + 1 WHERE number = ?"
    db.execute(change, (text.size, number))


def tidy(db: sqlite3.Connection) -> bool:
    """Make one shelf anew that holds words of deleted mails, or too much; else put one into one piece that isn't.

    False if there is nothing to do.
    """
    all_shelves = shelves(db)
    for number in _tables(db) - {shelf.number for shelf in all_shelves}:  # begun, and never ended
        db.execute(f"DROP TABLE words_{number}")
    end = TOP
    for shelf in all_shelves:
        stale = db.execute("SELECT id FROM stale WHERE id >= ? AND id < ?", (shelf.low, end)).fetchall()
        if stale or shelf.overfull:
            _make_anew(db, shelf, end, stale)
            _empty_log(db)
            return True
        if shelf.scattered:
            _gather(db, shelf)
            return True
        end = shelf.low
    db.execute("DELETE FROM stale")  # on no shelf
    return False


def _empty_log(db: sqlite3.Connection) -> None:
    """What was overwritten must not stay in the log that SQLite writes ahead."""
    # Who still reads in there keeps everybody from writing meanwhile, so not for long: the last one to close the file
    # empties the log, too.
    [patience] = db.execute("PRAGMA busy_timeout").fetchone()
    db.execute(f"PRAGMA busy_timeout = {LOG_MILLISECONDS}")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.execute(f"PRAGMA busy_timeout = {patience}")


def _gather(db: sqlite3.Connection, shelf: Shelf) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"INSERT INTO words_{shelf.number} (words_{shelf.number}) VALUES ('optimize')")  # noqa: S608 -- our own words
    db.execute("UPDATE shelf SET fresh = 0 WHERE number = ?", (shelf.number,))
    db.execute("COMMIT")


def _shelf_for(db: sqlite3.Connection, at: int) -> int:
    found = db.execute(_SHELF_OF, (at,)).fetchone()
    if found is None:
        return _new_shelf(db, 0)
    shelf = Shelf(*found)
    if not shelf.full:
        return shelf.number
    lowest, highest = db.execute(
        "SELECT min(id), max(id) FROM content WHERE id >= ? AND id < ? AND id <> ?", (shelf.low, _end(db, shelf), at)
    ).fetchone()
    if lowest is None or at > highest:
        return _new_shelf(db, at)
    if at < lowest:
        db.execute("UPDATE shelf SET low = ? WHERE number = ?", (lowest, shelf.number))
        return _new_shelf(db, shelf.low)
    return shelf.number  # until it is so full that tidy parts it


def _end(db: sqlite3.Connection, shelf: Shelf) -> int:
    [end] = db.execute("SELECT min(low) FROM shelf WHERE low > ?", (shelf.low,)).fetchone()
    return TOP if end is None else int(end)


def _new_shelf(db: sqlite3.Connection, low: int) -> int:
    number = _new_table(db)
    db.execute(_NEW_SHELF, Shelf(number, low, 0, 0, 0))
    return number


def _new_table(db: sqlite3.Connection) -> int:
    number = max(_tables(db), default=0) + 1
    db.execute(_CREATE % number)
    return number


def _tables(db: sqlite3.Connection) -> set[int]:
    found = db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'")
    return {int(name.removeprefix("words_")) for (name,) in found if name.startswith("words_")}


def _insert(db: sqlite3.Connection, number: int, text: Text) -> None:
    db.execute(_INSERT % number, (text.id, *map(spaced, text[1:])))


def _make_anew(db: sqlite3.Connection, shelf: Shelf, end: int, stale: list[tuple[int]]) -> None:
    """Fill new tables in several transactions, one for each shelf's worth, and put them in the old one's place."""
    made: list[Shelf] = []
    for texts in _batches(db, shelf.low - 1, end):
        db.execute("BEGIN IMMEDIATE")
        if not made or made[-1].full:
            made.append(Shelf(_new_table(db), texts[0].id if made else shelf.low, 0, 0, 0))
        last = made[-1]
        for text in texts:
            _insert(db, last.number, text)
        mails = last.mails + len(texts)
        made[-1] = last._replace(mails=mails, size=last.size + sum(text.size for text in texts), fresh=mails)
        db.execute("COMMIT")
    db.execute("BEGIN IMMEDIATE")
    db.execute(f"DROP TABLE words_{shelf.number}")
    db.execute("DELETE FROM shelf WHERE number = ?", (shelf.number,))
    db.executemany(_NEW_SHELF, made)
    db.executemany("DELETE FROM stale WHERE id = ?", stale)  # what was deleted meanwhile stays stale
    db.execute("COMMIT")


def _batches(db: sqlite3.Connection, after: int, end: int) -> Iterator[list[Text]]:
    while rows := db.execute(_ROWS, (after, end, BATCH)).fetchall():
        yield [
            Text(at, subject, senders, recipients, unpacked(text), files)
            for at, subject, senders, recipients, text, files in rows
        ]
        after = rows[-1][0]
