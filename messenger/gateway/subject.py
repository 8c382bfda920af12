"""Find words in a mail's subject, and take them out of it: bytes in, bytes out (RFC 2047).

What stays is byte for byte what it was, as far as that can be; else the whole is encoded anew. Knows no rules.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from ..message import headers

#: Bytes of a subject that are looked at.
LONGEST = 65_536
#: RFC 2047, section 2: an encoded word has 75 characters at most, a line 76.
_PAYLOAD = 45
_LINE = 76

_WORD = re.compile(r"=\?[^?\s]{1,80}\?[BbQq]\?[^?]{0,8000}+\?=")
#: Several encoded words with blanks between them read as one text.
_RUN = re.compile(rf"{_WORD.pattern}(?:\s*+{_WORD.pattern})*+")
#: An encoded word without a blank between it and other text.
_GLUED = re.compile(rf"\S(?={_WORD.pattern})(?<!\?=)|{_WORD.pattern}(?=\S)(?!=\?)")
#: What mail programs put before an answer or a copy sent on.
_PREFIX = r"(?:(?:re|aw|antw|fwd?|wg|sv|vs|vb|tr|rv|ref|res|r|i|odp|pd|ynt|ilt)\s*(?:\[\d+\]|\(\d+\)|\^\d+)?\s*:\s*)"
#: Never seen between the letters of a word.
_UNSEEN = "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*+"


def text(value: bytes) -> str:
    """The subject as it is meant to be read, of one line, blanks and all."""
    return headers.words(_source(value)[0])


class Word(str):
    """A word as it is spelled in a subject; it knows where in it it counts."""

    __slots__ = ("place",)
    place: str


def hits(words_in: str, words: Iterable[str], place: str = "anywhere") -> tuple[Word, ...]:
    """Those of *words* that stand in the text *words_in*: at its "start" (behind Re:, AW:, Fwd:), "end" or "anywhere".

    As they are spelled there, without regard to case; each once.
    """
    found = (Word(words_in[begin:end]) for begin, end in _spans(words_in, {place: tuple(words)}))
    once = tuple(dict.fromkeys(found))
    for word in once:
        word.place = place
    return once


def finder(words: Iterable[str], place: str = "anywhere") -> Callable[[str], bool]:
    """Return what tells whether one of *words* stands in a text, as ``hits`` would find it."""
    search = _pattern(tuple(words), place).search
    return lambda words_in: search(words_in) is not None


def without(value: bytes, words: Iterable[str]) -> bytes:
    """Return the value of a Subject field without *words*, and without the blanks that would stand double.

    What ``hits`` gave is taken out only where it counts. A value in which nothing is found comes back as it is.
    """
    source, codec = _source(value)
    pieces = _pieces(source)
    whole = "".join(meant for _, meant in pieces)
    by_place: dict[str, tuple[str, ...]] = {}
    for word in words:
        place = word.place if isinstance(word, Word) else "anywhere"
        by_place[place] = (*by_place.get(place, ()), str(word))
    spans = [_with_blanks(whole, begin, end) for begin, end in _joined(whole, _spans(whole, by_place))]
    if not spans or len(value) > LONGEST:
        return value
    left = _cut(whole, 0, len(whole), spans)
    made: list[str] = []
    at = 0
    for written, meant in pieces:
        kept = _cut(whole, at, at + len(meant), spans)
        made.append(written if kept == meant else kept if written == meant else _encoded(kept))
        at += len(meant)
    result = "".join(made)
    if "".join(meant for _, meant in _pieces(result)) != left or (_GLUED.search(result) and not _GLUED.search(source)):
        # Blanks between encoded words count for nothing, and they need some beside other text. What encoded words
        # hid, a line end among it, stays hidden: in clear it would be a field of its own.
        result = left if left.isascii() and left.isprintable() and "=?" not in left else _encoded(left)
    return _folded(result.encode(codec, "surrogateescape"), value)


def _source(value: bytes) -> tuple[str, str]:
    """The value in one line as text from which the same bytes can be made again, and by which codec."""
    value = value[:LONGEST].translate(None, b"\r\n")
    try:
        return value.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return value.decode("cp1252", "surrogateescape"), "cp1252"


def _pieces(source: str) -> list[tuple[str, str]]:
    """What is written, and what it means: runs of encoded words, and all between them."""
    if "=?" not in source:
        return [(source, source)]
    found: list[tuple[str, str]] = []
    at = 0
    for run in _RUN.finditer(source):
        found += [(source[at : run.start()],) * 2, (run[0], headers.words(run[0]))]
        at = run.end()
    return [*found, (source[at:],) * 2]


@lru_cache(256)
def _pattern(words: tuple[str, ...], place: str) -> re.Pattern[str]:
    # A program may write an accent as a character of its own.
    forms = dict.fromkeys(
        unicodedata.normalize(form, word) for word in words if word.strip() for form in ("NFC", "NFD")
    )
    choice = "|".join(_spelled(form) for form in sorted(forms, key=len, reverse=True)) or "(?!)"
    before = rf"\A\s*{_PREFIX}*+" if place == "start" else ""
    behind = r"(?=\s*\Z)" if place == "end" else ""
    return re.compile(f"{before}({choice}){behind}", re.IGNORECASE)


def _spelled(word: str) -> str:
    letters = (r"\s+" if letter.isspace() else re.escape(letter) for letter in re.sub(r"\s+", " ", word.strip()))
    return _UNSEEN.join(letters)


def _spans(whole: str, by_place: Mapping[str, tuple[str, ...]]) -> list[tuple[int, int]]:
    """Where words stand, in order; what two of them share is in both."""
    return sorted(
        found.span(1) for place, words in by_place.items() for found in _pattern(words, place).finditer(whole)
    )


def _joined(whole: str, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """*spans*; those with nothing but blanks between them as one."""
    joined: list[tuple[int, int]] = []
    for begin, end in spans:
        if joined and not whole[joined[-1][1] : begin].strip():
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def _with_blanks(whole: str, begin: int, end: int) -> tuple[int, int]:
    """Where a word begins and ends together with the blanks that nobody needs without it."""
    before = len(whole[:begin].rstrip())
    after = len(whole) - len(whole[end:].lstrip())
    if after == len(whole):
        return before, after
    return (begin, after) if before < begin or not before else (begin, end)


def _cut(whole: str, begin: int, end: int, spans: list[tuple[int, int]]) -> str:
    """``whole[begin:end]`` without *spans*."""
    kept, at = [], begin
    for first, last in spans:
        if last > at and first < end:
            kept.append(whole[at : max(first, at)])
            at = max(at, min(last, end))
    return "".join((*kept, whole[at:end]))


def _encoded(words: str) -> str:
    """*words* in encoded words of UTF-8; no character is cut in two (RFC 2047, section 5)."""
    chunks: list[bytes] = []
    for letter in words:
        octets = letter.encode("utf-8", "replace")
        if chunks and len(chunks[-1]) + len(octets) <= _PAYLOAD:
            chunks[-1] += octets
        else:
            chunks.append(octets)
    return " ".join(f"=?utf-8?b?{binascii.b2a_base64(one, newline=False).decode()}?=" for one in chunks)


def _folded(result: bytes, value: bytes) -> bytes:
    """*result*, in lines where *value* stood in lines, or where one would be too long for SMTP."""
    if b"\n" not in value and len(result) < 900:
        return result
    end = b"\r\n" if b"\r\n" in value else b"\n"
    lines = [b""]
    # A line goes on with a space or a tab (RFC 5322, section 2.2.3), and with no other blank.
    for word in re.findall(rb"[ \t]*[^ \t]+", result):
        if lines[-1].strip() and len(lines[-1]) + len(word) > _LINE and word[:1] in (b" ", b"\t"):
            lines.append(word)
        else:
            lines[-1] += word
    return end.join(lines)
