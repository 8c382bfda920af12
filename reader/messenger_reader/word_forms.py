"""How words are spelled for searching: the same for what is stored, for what is asked, and for what is marked.

FTS5's unicode61 sees to case and diacritics; this sees to what it can't do. Chinese, Japanese and Thai put no spaces
between words, Korean hangs endings on them: their characters are stored as a word each and asked for as a phrase, so
that any piece of a sentence is found. (Trigrams need three characters, and most Chinese words have two.) Also marks
the hits in a text, which FTS5 could only do in a copy of its own.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

#: Scripts whose every character is stored as a word: Thai, Lao, Burmese, Khmer; kana, ideographs, Hangul.
_SINGLE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff"
)
_EACH = re.compile(f"([{_SINGLE}])")
_TOKEN = re.compile(rf"[{_SINGLE}]|(?:(?![{_SINGLE}])[^\W_])+")
#: What German has two spellings for; not after a vowel, where they are no umlaut ("neue", "Bauer").
_UMLAUT = re.compile(r"(?<![aeiouqy])([aou])e(?!u)")
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_SHORTEST_UMLAUT = 4
#: Characters of a snippet, and how many of them stand before the first hit.
SNIPPET, LEAD = 200, 40


class Words(Protocol):
    """What is looked for, as search_query.Term has it."""

    @property
    def words(self) -> str: ...
    @property
    def prefix(self) -> bool: ...


@dataclass(frozen=True)
class Piece:
    """Part of a text, and whether it is a hit."""

    text: str
    hit: bool = False


def spaced(text: str) -> str:
    """*text* as it is stored and asked for."""
    return _EACH.sub(r" \1 ", unicodedata.normalize("NFKC", text))


def is_searchable(text: str) -> bool:
    """There is a letter or a digit in it."""
    return any(unicodedata.category(one)[0] in "LN" for one in text)


def spellings(words: str) -> tuple[str, ...]:
    """*words*, and the same with ä for ae and ß for ss, and the other way round, as unicode61 stores them."""
    found = spaced(words).strip()
    lower = found.lower()
    if len(lower) < _SHORTEST_UMLAUT:
        return (found,)
    others = (_UMLAUT.sub(r"\1", lower), lower.replace("ss", "ß"), lower.translate(_SPELLED_OUT))
    return (found, *(one for one in dict.fromkeys(others) if one != lower))


class _Folded(dict[int, str]):
    """Each character as unicode61 compares it, one for one, so that places stay the same."""

    def __missing__(self, code: int) -> str:
        parts = unicodedata.normalize("NFKD", chr(code))
        base = parts[0] if all(map(unicodedata.combining, parts[1:])) else chr(code)
        lower = base.lower()
        self[code] = lower if len(lower) == 1 else base
        return self[code]


_FOLDED = _Folded()


def folded(text: str) -> str:
    """*text* without case and diacritics, as long as before."""
    return text.translate(_FOLDED)


def pattern(terms: Iterable[Words]) -> re.Pattern[str] | None:
    """What finds *terms* in a folded text; None if there is nothing to find."""
    found = []
    for term in terms:
        for spelling in spellings(term.words):
            tokens = _TOKEN.findall(folded(spelling))
            if tokens:
                found.append(_sequence(tokens, term.prefix))
    return re.compile("|".join(found)) if found else None


def _sequence(tokens: list[str], prefix: bool) -> str:
    single = re.compile(f"[{_SINGLE}]")
    begin = "" if single.match(tokens[0]) else r"(?<![^\W_])"
    end = "" if prefix or single.match(tokens[-1]) else r"(?![^\W_])"
    return begin + r"[\W_]{0,20}".join(map(re.escape, tokens)) + end


def marked(text: str, hits: re.Pattern[str] | None) -> tuple[Piece, ...]:
    """The whole of *text* in pieces."""
    pieces, at = [], 0
    for found in hits.finditer(folded(text)) if hits else ():
        if found.end() > found.start():
            pieces += [Piece(text[at : found.start()]), Piece(text[found.start() : found.end()], True)]
            at = found.end()
    return tuple(one for one in (*pieces, Piece(text[at:])) if one.text)


def snippet(text: str, hits: re.Pattern[str] | None) -> tuple[Piece, ...]:
    """A line of *text* around the first hit, in pieces; without a hit, its beginning."""
    found = hits.search(folded(text)) if hits else None
    start = max(found.start() - LEAD, 0) if found else 0
    if start:
        space = text.find(" ", start, found.start() if found else start)
        start = space + 1 if space >= 0 else start
    line = " ".join(text[start : start + 2 * SNIPPET].split())
    cut = line[:SNIPPET]
    pieces = marked(cut, hits)
    ahead = (Piece("… "),) if start else ()
    behind = (Piece(" …"),) if len(line) > len(cut) or start + 2 * SNIPPET < len(text) else ()
    return (*ahead, *pieces, *behind)
