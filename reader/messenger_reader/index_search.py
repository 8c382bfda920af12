"""Find mails in an index: shelf by shelf, newest first, until a page is full or the time is up.

Nothing that was typed gets to SQLite but as a parameter, and to FTS5 but as quoted words.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .index_contents import CARD, Card, card, text_of
from .index_words import TOP, Shelf, shelves
from .search_query import Term
from .word_forms import spellings

#: Where a search without words looks: only at mails that are starred, or unread, or have files, if these are wanted.
_INSIDE = "CROSS JOIN content c ON c.id = m.content"
_ALL = f"mail m INDEXED BY mail_by_content {_INSIDE}"
_STARRED = f"mail m INDEXED BY mail_starred_inside {_INSIDE}"
_UNREAD = f"mail m INDEXED BY mail_unread_inside {_INSIDE}"
_FILES = "content f INDEXED BY content_with_files CROSS JOIN mail m ON m.content = f.id " + _INSIDE


@dataclass(frozen=True)
class Wanted:
    """A query whose folders and days have been looked up."""

    needed: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()
    attachment: bool | None = None
    unread: bool | None = None
    starred: bool | None = None
    folder: str | None = None
    not_in: tuple[str, ...] = ()
    #: Numbers of mails (index_contents.first_id): from, and up to but without.
    low: int = 0
    high: int = TOP


@dataclass(frozen=True)
class Found:
    """A page of hits, newest first, each once, with the text of each."""

    cards: tuple[Card, ...]
    texts: tuple[str, ...]
    #: Where the next page begins; None if there is none.
    older: int | None
    #: The time was up before the page was full: what lies below ``older`` has not been searched yet.
    unfinished: bool = False


def search(db: sqlite3.Connection, wanted: Wanted, size: int, time_is_up: Callable[[], bool]) -> Found:
    """Up to *size* hits. A shelf is searched to its end, whatever the time."""
    db.execute("BEGIN")  # all shelves as they are now: one may be made anew meanwhile, and its table is gone then
    try:
        return _search(db, wanted, size, time_is_up)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _search(db: sqlite3.Connection, wanted: Wanted, size: int, time_is_up: Callable[[], bool]) -> Found:
    cards: dict[int, Card] = {}
    expression = match_expression(wanted.needed, wanted.excluded)
    for shelf, low, high in _ranges(db, wanted):
        for one in _hits(db, f"words_{shelf.number}", expression, replace(wanted, low=low, high=high)):
            if one.id not in cards and len(cards) == size:
                return _found(db, cards, min(cards))
            cards.setdefault(one.id, one)  # in two folders, it is one mail
        if time_is_up() and low > wanted.low:
            return _found(db, cards, low, unfinished=True)
    return _found(db, cards, None)


def _found(db: sqlite3.Connection, cards: dict[int, Card], older: int | None, unfinished: bool = False) -> Found:
    return Found(tuple(cards.values()), tuple(text_of(db, at) for at in cards), older, unfinished)


def _ranges(db: sqlite3.Connection, wanted: Wanted) -> Iterator[tuple[Shelf, int, int]]:
    """Every shelf with what of it may be wanted."""
    end = TOP
    for shelf in shelves(db):
        low, high = max(shelf.low, wanted.low), min(end, wanted.high)
        if low < high:
            yield shelf, low, high
        end = shelf.low


def _hits(db: sqlite3.Connection, words: str, expression: str, wanted: Wanted) -> Iterator[Card]:
    """The hits on one shelf, whose table is *words*."""
    filters = list(_filters(wanted))
    if not wanted.needed:
        return _without_words(db, words, expression, wanted, filters)
    if filters:
        # What the list knows of a mail is asked before what is inside: its index alone can tell.
        source = f"{words} w CROSS JOIN mail m ON m.content = w.rowid {_INSIDE}"
        conditions: list[tuple[str, list[object]]] = [(f"{words} MATCH ?", [expression])]
        return _cards(db, source, "w.rowid", [*conditions, *_range("w.rowid", wanted), *filters])
    return _with_words(db, words, expression, wanted)


def _with_words(db: sqlite3.Connection, words: str, expression: str, wanted: Wanted) -> Iterator[Card]:
    # Two statements: the second is made ready once, for all shelves.
    query = f"SELECT rowid FROM {words} WHERE {words} MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid DESC"  # noqa: S608 -- our own words
    for (at,) in db.execute(query, (expression, wanted.low, wanted.high)):
        yield from _cards(db, _ALL, "m.content", [("m.content = ?", [at])])


def _without_words(
    db: sqlite3.Connection, words: str, expression: str, wanted: Wanted, filters: list[tuple[str, list[object]]]
) -> Iterator[Card]:
    if wanted.attachment and not (wanted.starred or wanted.unread):
        source, at = _FILES, "f.id"
        filters.append(("f.has_files = 1", []))
    else:
        source, at = _STARRED if wanted.starred else _UNREAD if wanted.unread else _ALL, "m.content"
    if wanted.excluded:
        without = f"m.content NOT IN (SELECT rowid FROM {words} WHERE {words} MATCH ?)"  # noqa: S608 -- our own words
        filters.append((without, [expression]))
    return _cards(db, source, at, [*_range(at, wanted), *filters])


def _range(at: str, wanted: Wanted) -> list[tuple[str, list[object]]]:
    return [(f"{at} >= ?", [wanted.low]), (f"{at} < ?", [wanted.high])]


def _cards(db: sqlite3.Connection, source: str, at: str, conditions: list[tuple[str, list[object]]]) -> Iterator[Card]:
    where = " AND ".join(["m.content > 0", *(condition for condition, _ in conditions)])
    values = [value for _, given in conditions for value in given]
    query = f"SELECT {CARD} FROM {source} WHERE {where} ORDER BY {at} DESC"  # noqa: S608 -- our own words
    return (card(row) for row in db.execute(query, values))


def _filters(wanted: Wanted) -> Iterator[tuple[str, list[object]]]:
    if wanted.attachment is not None:
        yield f"c.has_files = {int(wanted.attachment)}", []
    if wanted.unread is not None:
        yield f"instr(m.flags, 'S') {'=' if wanted.unread else '>'} 0", []
    if wanted.starred is not None:
        yield f"instr(m.flags, 'F') {'>' if wanted.starred else '='} 0", []
    if wanted.folder is not None:
        yield "m.folder = ?", [wanted.folder]
    for folder in wanted.not_in:
        yield "m.folder <> ?", [folder]


def match_expression(needed: tuple[Term, ...], excluded: tuple[Term, ...]) -> str:
    """What FTS5 is asked (https://www.sqlite.org/fts5.html#full_text_query_syntax)."""
    without = " OR ".join(map(_term, excluded))
    if not needed:
        return without
    words = " AND ".join(map(_term, needed))
    return f"({words}) NOT ({without})" if without else words


def _term(term: Term) -> str:
    star = " *" if term.prefix else ""
    # A quote in a word is no letter, so nothing is lost with it.
    phrases = (f'"{one.replace(chr(34), " ")}"{star}' for one in spellings(term.words))
    either = " OR ".join(phrases)
    return f"{{{term.column}}} : ({either})" if term.column else f"({either})"
