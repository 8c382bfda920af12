"""What somebody typed into the search box, understood: text in, a frozen Query out, and hints where it wasn't.

Knows no mail, no SQL and no folder. Whatever is typed has an answer: what can't be understood is left out of the
search and named in a hint, which the page puts into words. Operators are in English and in German.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from difflib import get_close_matches

from .word_forms import is_searchable

#: Longer than anything a person types.
CHARACTERS = 500
PARTS = 20

SENDER, RECIPIENTS, SUBJECT = "sender", "recipients", "subject"
_COLUMNS = {
    "from": SENDER, "von": SENDER,
    "to": RECIPIENTS, "an": RECIPIENTS, "cc": RECIPIENTS,
    "subject": SUBJECT, "betreff": SUBJECT,
}  # fmt: skip
_HAS, _IS, _IN, _BEFORE, _AFTER = "has", "is", "in", "before", "after"
_FILTERS = {
    "has": _HAS, "hat": _HAS, "is": _IS, "ist": _IS, "in": _IN,
    "before": _BEFORE, "vor": _BEFORE, "after": _AFTER, "since": _AFTER, "nach": _AFTER, "seit": _AFTER,
}  # fmt: skip
_ATTACHMENT = {
    "attachment", "attachments", "file", "files",
    "anhang", "anhänge", "anhaenge", "anlage", "anlagen", "datei", "dateien",
}  # fmt: skip
_STATES = {
    **dict.fromkeys(("unread", "new", "ungelesen", "neu"), ("unread", True)),
    **dict.fromkeys(("read", "gelesen"), ("unread", False)),
    **dict.fromkeys(("starred", "flagged", "markiert", "stern"), ("starred", True)),
}
#: Words with a colon that are no slip of an operator.
_INNOCENT = frozenset(["re", "aw", "fw", "fwd", "wg", "http", "https", "mailto", "tel", "ps", "nb", "ca"])

#: Phones turn quotes into curly ones, and hyphens into dashes.
_QUOTES = dict.fromkeys(map(ord, "“”„‟«»″＂"), '"')
_NAMES = "|".join((*_COLUMNS, *_FILTERS))
_PART = re.compile(
    # A value may follow after a space, unless that is an operator of its own.
    rf'(?P<minus>[-−–])?(?:(?P<name>{_NAMES})[:：](?:[ ]+(?![^\s:"]*[:：]))?)?'
    r'(?:"(?P<phrase>[^"]*)(?P<closed>"?)|(?P<word>[^\s"]+))?',
    re.IGNORECASE,
)
_LIKE_A_NAME = re.compile(r"([^\W\d_]{2,20})[:：].")
_DAY = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?")
_GERMAN_DAY = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


@dataclass(frozen=True)
class Term:
    """Words that stand one behind the other, in one column or, where that is empty, in any."""

    words: str
    column: str = ""
    #: The last word may go on.
    prefix: bool = False


@dataclass(frozen=True)
class Hint:
    """Something that was not understood. ``kind`` is one of

    unknown-operator (``better`` may name one), no-value, bad-date, bad-has, bad-is, unknown-folder, open-quote,
    no-words, too-long, no-time (the dates leave nothing between them).
    """

    kind: str
    given: str = ""
    better: str = ""


@dataclass(frozen=True)
class Query:
    """What is looked for. None and empty: no matter."""

    needed: tuple[Term, ...] = ()
    excluded: tuple[Term, ...] = ()
    attachment: bool | None = None
    unread: bool | None = None
    starred: bool | None = None
    #: As typed; the page knows the folders.
    folder: str | None = None
    not_in: tuple[str, ...] = ()
    #: Days in the reader's time zone: the first one after, and the first one that counts.
    before: date | None = None
    after: date | None = None
    hints: tuple[Hint, ...] = field(default=(), compare=False)

    @property
    def empty(self) -> bool:
        """There is nothing to look for."""
        return self == Query()


def parse(text: str) -> Query:
    """Understand *text*. Never raises."""
    hints = [Hint("too-long")] if len(text) > CHARACTERS else []
    text = re.sub(r"[\x00-\x1f\x7f\ud800-\udfff]+", " ", text[:CHARACTERS]).translate(_QUOTES).strip()
    query, parts, at = Query(hints=tuple(hints)), 0, 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or found.end() == at:
            at += 1  # a space
            continue
        at = found.end()
        parts += 1
        if parts > PARTS:
            query = _hinted(query, Hint("too-long"))
            break
        query = _with(query, found, last=at == len(text))
    if query.before and query.after and query.after >= query.before:
        query = _hinted(query, Hint("no-time"))
    return query


def _with(query: Query, found: re.Match[str], last: bool) -> Query:
    minus, name = bool(found["minus"]), (found["name"] or "").lower()
    value = found["phrase"] if found["phrase"] is not None else found["word"] or ""
    if found["phrase"] is not None and not found["closed"]:
        query = _hinted(query, Hint("open-quote", value[:40]))
    typed = found[0].strip()[:60]
    if name and not value.strip():
        return _hinted(query, Hint("no-value", f"{name}:"))
    if name in _FILTERS:
        return _READERS[_FILTERS[name]](query, value.strip().lower(), minus, typed)
    if not name and (slip := _slip(found["word"] or "")):
        query = _hinted(query, slip)
    column = _COLUMNS.get(name, "")
    prefix = value.endswith("*") or (last and not minus and found["phrase"] is None and len(value) > 1)
    if not is_searchable(value):
        # A dash between two words is no slip.
        return _hinted(query, Hint("no-words", typed)) if typed.strip("-–−&+/|.,") else query
    term = Term(value.strip("* "), column, prefix)
    if minus:
        return replace(query, excluded=(*query.excluded, term))
    return replace(query, needed=(*query.needed, term))


def _slip(word: str) -> Hint | None:
    """What looks like an operator, and isn't one, is searched for as a word, and gets a hint besides."""
    found = _LIKE_A_NAME.match(word)
    name = found[1].lower() if found else ""
    near = get_close_matches(name, [*_FILTERS, *_COLUMNS], 1, 0.7) if name and name not in _INNOCENT else ()
    return Hint("unknown-operator", f"{name}:", f"{near[0]}:") if near else None


def _hinted(query: Query, hint: Hint) -> Query:
    return query if hint in query.hints else replace(query, hints=(*query.hints, hint))


def _has(query: Query, value: str, minus: bool, typed: str) -> Query:
    if value in _ATTACHMENT:
        return replace(query, attachment=not minus)
    return _hinted(query, Hint("bad-has", typed))


def _is(query: Query, value: str, minus: bool, typed: str) -> Query:
    if value not in _STATES:
        return _hinted(query, Hint("bad-is", typed))
    name, state = _STATES[value]
    state = state != minus
    return replace(query, unread=state) if name == "unread" else replace(query, starred=state)


def _in(query: Query, value: str, minus: bool, _typed: str) -> Query:
    return replace(query, not_in=(*query.not_in, value)) if minus else replace(query, folder=value)


def _before(query: Query, value: str, minus: bool, typed: str) -> Query:
    days = _days(value)
    if days is None:
        return _hinted(query, Hint("bad-date", typed))
    return replace(query, after=days[0]) if minus else replace(query, before=days[0])


def _after(query: Query, value: str, minus: bool, typed: str) -> Query:
    days = _days(value)
    if days is None:
        return _hinted(query, Hint("bad-date", typed))
    return replace(query, before=days[0]) if minus else replace(query, after=days[0])


def _days(value: str) -> tuple[date, date] | None:
    """The first day that *value* means, and the first one after: a day, a month or a year."""
    if german := _GERMAN_DAY.fullmatch(value):
        day, month, year = map(int, german.groups())
        return _span(year, month, day)
    if found := _DAY.fullmatch(value):
        year, month, day = (int(one) if one else 0 for one in found.groups())
        return _span(year, month, day)
    return None


def _span(year: int, month: int, day: int) -> tuple[date, date] | None:
    try:
        first = date(year, month or 1, day or 1)
        if day:
            return first, first + timedelta(days=1)
        return first, date(year + (not month or month == 12), month % 12 + 1 if month else 1, 1)
    except (ValueError, OverflowError):  # 31 February, the year 0, the day after the last one
        return None


_READERS: dict[str, Callable[[Query, str, bool, str], Query]] = {
    _HAS: _has,
    _IS: _is,
    _IN: _in,
    _BEFORE: _before,
    _AFTER: _after,
}
