"""What is inside somebody's mails, in the same SQLite file as the lists: kept by the mail's name, whatever its folder.

A row of ``mail`` points to its row here; NULL means that nobody has looked into it yet, 0 that it couldn't be read.
The number of a row grows with the time the mail came, so newest first is simply downwards. A mail that has left its
last folder leaves this too, by a trigger, and its words when the shelf is made anew (index_words.py).
"""

import sqlite3
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

from messenger.message import Person

from . import index_words
from .index_words import Text, packed, unpacked
from .mail_contents import Contents

SCHEMA = (
    """
    CREATE TABLE content (
        id INTEGER PRIMARY KEY, -- see id_for
        name TEXT NOT NULL UNIQUE,
        message_id BLOB, root BLOB, -- digests: its own, and the one its conversation began with
        subject TEXT NOT NULL, sender_name TEXT NOT NULL, sender_address TEXT NOT NULL, suspicious INTEGER NOT NULL,
        senders TEXT NOT NULL, recipients TEXT NOT NULL, files TEXT NOT NULL, has_files INTEGER NOT NULL,
        preview TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE body (id INTEGER PRIMARY KEY, text BLOB NOT NULL) STRICT",
    "CREATE TABLE stale (id INTEGER PRIMARY KEY) STRICT",
    "CREATE TABLE shelf (number INTEGER PRIMARY KEY, low INTEGER NOT NULL UNIQUE, mails INTEGER NOT NULL,"
    " size INTEGER NOT NULL, fresh INTEGER NOT NULL) STRICT",
    "CREATE INDEX content_by_message_id ON content (message_id) WHERE message_id IS NOT NULL",
    "CREATE INDEX content_by_root ON content (root) WHERE root IS NOT NULL",
    "CREATE INDEX content_with_files ON content (id) WHERE has_files = 1",
    "CREATE INDEX mail_unread_inside ON mail (content) WHERE instr(flags, 'S') = 0",
    "CREATE INDEX mail_starred_inside ON mail (content) WHERE instr(flags, 'F') > 0",
    "CREATE INDEX mail_waiting ON mail (received, folder, name) WHERE content IS NULL",
    "CREATE INDEX mail_by_content ON mail (content, flags, folder) WHERE content > 0",  # enough to filter by
    """
    CREATE TRIGGER mail_gone AFTER DELETE ON mail
    WHEN OLD.content > 0 AND NOT EXISTS (SELECT 1 FROM mail WHERE content = OLD.content AND content > 0) BEGIN
        DELETE FROM content WHERE id = OLD.content;
        DELETE FROM body WHERE id = OLD.content;
        INSERT OR IGNORE INTO stale (id) VALUES (OLD.content);
        UPDATE shelf SET mails = mails - 1 WHERE low = (SELECT max(low) FROM shelf WHERE low <= OLD.content);
    END""",
)
#: So many mails of one second have numbers of their own; after that they borrow from the next second.
_SAME_SECOND_BITS = 20
_LATEST = 2**42

CARD = "c.id, m.folder, c.name, m.received, m.flags, c.subject, c.sender_name, c.sender_address, c.suspicious, \
c.recipients, c.has_files, c.preview, c.files"


class Waiting(NamedTuple):
    """A mail that nobody has looked into yet."""

    folder: str
    name: str
    received: int


class Progress(NamedTuple):
    """How many mails can be found, and how many are there."""

    done: int
    total: int


class Card(NamedTuple):
    """A mail as lists of hits and of conversations show it."""

    id: int
    folder: str
    name: str
    received: int
    flags: str
    subject: str
    sender: Person
    #: One a line.
    recipients: str
    has_files: bool
    preview: str
    files: str

    @property
    def seen(self) -> bool:
        return "S" in self.flags

    @property
    def starred(self) -> bool:
        return "F" in self.flags

    @property
    def recipient(self) -> Person:
        """The first of them."""
        name, _, address = self.recipients.partition("\n")[0].rpartition(" ")
        return Person(name.strip(), address, "@" in name)


def card(row: tuple[object, ...]) -> Card:
    """A row of the columns CARD."""
    at, folder, name, received, flags, subject, sender_name, address, suspicious, recipients, has_files, *rest = row
    sender = Person(str(sender_name), str(address), bool(suspicious))
    return Card(at, folder, name, received, flags, subject, sender, recipients, bool(has_files), *rest)  # type: ignore[arg-type]


def first_id(received: int) -> int:
    """The lowest number that a mail of the second *received* may have."""
    return min(max(received, 0), _LATEST) << _SAME_SECOND_BITS


def waiting(db: sqlite3.Connection, most: int) -> list[Waiting]:
    """The newest mails that nobody has looked into yet."""
    found = db.execute(
        "SELECT folder, name, received FROM mail WHERE content IS NULL ORDER BY received DESC LIMIT ?", (most,)
    )
    return [Waiting(*row) for row in found]


def waiting_for(db: sqlite3.Connection, name: str) -> Waiting | None:
    """The mail *name*, if it is listed and nobody has looked into it yet."""
    found = db.execute(
        "SELECT folder, name, received FROM mail WHERE name = ? AND content IS NULL", (name,)
    ).fetchone()  # fmt: skip
    return Waiting(*found) if found else None


def progress(db: sqlite3.Connection) -> Progress:
    [done] = db.execute("SELECT coalesce(sum(mails), 0) FROM shelf").fetchone()
    [left] = db.execute("SELECT count(*) FROM mail WHERE content IS NULL").fetchone()
    return Progress(done, done + left)


def keep(db: sqlite3.Connection, found: Iterable[tuple[Waiting, Contents | None]]) -> None:
    """Keep what was found in mails, in one transaction; None for one that couldn't be read."""
    db.execute("BEGIN IMMEDIATE")
    try:
        for at, name, inside in sorted(_new(db, found), key=lambda one: one[0]):  # FTS5 likes them in order
            _insert(db, at, name, inside)
            text = Text(at, inside.subject, inside.senders, inside.recipients, inside.text, inside.files)
            index_words.put(db, text)
    except BaseException:
        if db.in_transaction:  # SQLite has ended it by itself when the disk is full
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def text_of(db: sqlite3.Connection, at: int) -> str:
    """The text of the mail with that number."""
    found = db.execute("SELECT text FROM body WHERE id = ?", (at,)).fetchone()
    return unpacked(found[0]) if found else ""


def _new(
    db: sqlite3.Connection, found: Iterable[tuple[Waiting, Contents | None]]
) -> Iterator[tuple[int, str, Contents]]:
    """Say in ``mail`` that these have been looked into, and return those that nobody had before."""
    taken: set[int] = set()
    for mail, inside in found:
        if inside is None:
            # Only there: another folder may have it, readable.
            db.execute("UPDATE mail SET content = 0 WHERE folder = ? AND name = ? AND content IS NULL", mail[:2])
            continue
        row = db.execute("SELECT id FROM content WHERE name = ?", (mail.name,)).fetchone()
        at = row[0] if row else _id_for(db, mail, taken)
        # In whatever folders it is by now; in none, if it was deleted meanwhile.
        there = db.execute("UPDATE mail SET content = ? WHERE name = ? AND content IS NULL", (at, mail.name)).rowcount
        if there and not row:
            taken.add(at)
            yield at, mail.name, inside


def _id_for(db: sqlite3.Connection, mail: Waiting, not_these: set[int]) -> int:
    spread = int.from_bytes(sha256(mail.name.encode()).digest()[:4], "big") % (1 << _SAME_SECOND_BITS)
    at = first_id(mail.received) + spread or 1
    # A stale number is still written on its shelf.
    taken = "SELECT 1 FROM content WHERE id = ?1 UNION ALL SELECT 1 FROM stale WHERE id = ?1"
    while at in not_these or db.execute(taken, (at,)).fetchone():
        at += 1
    return at


def _insert(db: sqlite3.Connection, at: int, name: str, inside: Contents) -> None:
    sender = inside.sender
    db.execute(
        "INSERT INTO content (id, name, message_id, root, subject, sender_name, sender_address, suspicious, senders,"
        " recipients, files, has_files, preview) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (at, name, inside.message_id, inside.root, inside.subject, sender.name, sender.address, int(sender.suspicious),
         inside.senders, inside.recipients, inside.files, int(inside.has_files), inside.preview),
    )  # fmt: skip
    db.execute("INSERT INTO body (id, text) VALUES (?, ?)", (at, packed(inside.text)))
