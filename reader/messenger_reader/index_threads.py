"""Which mails make a conversation: those that name the same beginning, by Message-ID, In-Reply-To and References.

Each mail hangs on one earlier mail or on none (mail_contents.py), so a conversation is a tree, found upwards and then
downwards at the time somebody asks: nothing is stored that a deleted or a forged mail could leave wrong. Subjects
don't matter. Bounded whatever mails claim: cycles, one Message-ID in a thousand mails, chains without an end.
"""

import sqlite3
from typing import NamedTuple

from .index_contents import CARD, Card, card

#: Mails of one conversation that are shown; the newest of them.
SHOWN = 200
#: Mails looked at, and steps upwards.
LOOKED_AT, STEPS = 1000, 100


class Conversation(NamedTuple):
    """Its mails, oldest first."""

    cards: tuple[Card, ...] = ()
    #: There are older ones that aren't among them.
    cut: bool = False


def conversation(db: sqlite3.Connection, name: str) -> Conversation:
    """All of the conversation that the mail *name* is in; empty if nobody has looked into that mail."""
    found = db.execute("SELECT id, root FROM content WHERE name = ?", (name,)).fetchone()
    if found is None:
        return Conversation()
    own, root = found
    ids = {own} | (_below(db, _top(db, root)) if root else set())
    shown = sorted(ids)[-SHOWN:]
    if own not in shown:
        shown = [own, *shown[1:]]
    cards: dict[int, Card] = {}
    for at in shown:
        query = f"SELECT {CARD} FROM content c JOIN mail m ON m.content = c.id AND m.content > 0 WHERE c.id = ?"  # noqa: S608 -- our own words
        rows = [card(row) for row in db.execute(query, (at,))]
        if rows:
            cards[at] = min(rows, key=lambda one: one.folder)
    return Conversation(tuple(cards.values()), len(ids) > len(shown))


def _top(db: sqlite3.Connection, key: bytes) -> bytes:
    """The Message-ID that *key*'s own mail names as the beginning, and so on."""
    seen = {key}
    for _ in range(STEPS):
        _, above = _first(db, key)
        if not above or above in seen:
            break
        key = above
        seen.add(key)
    return key


def _below(db: sqlite3.Connection, key: bytes) -> set[int]:
    """The numbers of the mails that began with *key*, or with one of those; of too many the newest."""
    query = "SELECT id, message_id FROM content WHERE {} = ? ORDER BY id DESC LIMIT ?"
    ids = {at for at, _ in db.execute(query.format("message_id"), (key, LOOKED_AT))}
    keys, seen = [key], {key}
    while keys and len(ids) < LOOKED_AT:
        rows = db.execute(query.format("root"), (keys.pop(), LOOKED_AT)).fetchall()
        ids.update(at for at, _ in rows)
        fresh = {message_id for at, message_id in rows if message_id and _first(db, message_id)[0] == at}
        keys += fresh - seen
        seen |= fresh
    return ids


def _first(db: sqlite3.Connection, message_id: bytes) -> tuple[int, bytes]:
    """Number and beginning of the mail with that Message-ID, or 0 and nothing.

    Of several the first that came counts: who forges one, comes later.
    """
    query = "SELECT id, root FROM content WHERE message_id = ? ORDER BY id LIMIT 1"
    at, root = db.execute(query, (message_id,)).fetchone() or (0, b"")
    return at, root
