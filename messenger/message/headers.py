"""Header fields: bytes to words a person reads (RFC 5322, 2047, 2231, 6532), tolerant of anything.

Sizes are capped before any field is looked into. Addresses are in addresses.py.
"""

from __future__ import annotations

import binascii
import codecs
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from . import charset, clean

BLOCK = 262_144  # bytes of all fields of one entity
COUNT = 2000  # lines of them
FIELD = 65_536  # bytes of one field that are read
PARAMETERS = 16_384  # bytes of a field with parameters that are read

_NAME = re.compile(rb"(?!--)([!-9;-~]{1,200})[ \t]*:")
_BLANK = re.compile(rb"\n\r?\n")


@dataclass(frozen=True)
class Fields:
    """The fields of one entity, in order, unfolded, otherwise as they came."""

    items: tuple[tuple[bytes, bytes], ...]
    #: There were more or longer ones than we read.
    cut: bool = False

    def every(self, name: bytes) -> list[bytes]:
        """All values of the field *name* (lower case)."""
        return [value for key, value in self.items if key.lower() == name]

    def first(self, name: bytes) -> bytes:
        """The first value of the field *name* (lower case), or nothing."""
        return next((value for key, value in self.items if key.lower() == name), b"")


def line_ends(raw: bytes) -> bytes:
    """*raw*; where lines end with CR alone, as on an old Mac, with LF in its place, so that all stays where it is."""
    head = raw[:BLOCK]
    # The intake's own fields on top end as they should.
    lone = head.count(b"\r") - head.count(b"\r\n")
    return raw.replace(b"\r", b"\n") if lone > 2 and head.count(b"\n") <= 3 else raw


def split(raw: bytes, start: int, end: int) -> tuple[Fields, int]:
    """Read the fields at *start*; return them and where the body begins."""
    items: list[tuple[bytes, bytearray]] = []
    at, lines, cut = start, 0, False
    while at < end:
        stop = raw.find(b"\n", at, min(end, start + BLOCK)) + 1
        if not stop and end - start <= BLOCK:
            stop = end
        if not stop or lines >= COUNT:
            return Fields(_frozen(items), True), _after_blank(raw, at, end)
        line = raw[at:stop].rstrip(b"\r\n")
        if not line:
            return Fields(_frozen(items), cut), stop
        if line[:1] in (b" ", b"\t"):
            if items and len(items[-1][1]) < FIELD:
                items[-1][1].extend(b"\n" + line)
            else:
                cut = cut or bool(items)
        elif found := _NAME.match(line.removeprefix(codecs.BOM_UTF8)):
            items.append((found[1], bytearray(found.string[found.end() :])))
        elif not (line.startswith((b"From ", b">From ")) and lines <= 3):  # mbox's, maybe below our trace
            return Fields(_frozen(items), cut), at  # no field: the body begins without a blank line
        at, lines = stop, lines + 1
    return Fields(_frozen(items), cut), end


def _after_blank(raw: bytes, at: int, end: int) -> int:
    found = _BLANK.search(raw, max(at - 1, 0), end)
    return found.end() if found else end


def _frozen(items: list[tuple[bytes, bytearray]]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name, bytes(value[:FIELD]).strip()) for name, value in items)


def loose(value: bytes) -> str:
    """A field as text, without decoding any encoded words: UTF-8 (RFC 6532), or what else it may be."""
    return charset.decode(value.replace(b"\n", b""))[0]


def source(value: bytes) -> str:
    """A field as it came, in one line, for people who want to see it."""
    return clean.line(loose(value), 10_000)


def text(value: bytes) -> str:
    """A field as it is meant to be read: encoded words decoded, one line, no unseen characters."""
    return clean.line(words(loose(value)))


# RFC 2047, tolerant: spaces inside, and words with no space between them, are common faults.
_WORD = re.compile(r"=\?([^?\s]{1,80})\?([BbQq])\?([^?]{0,8000}+)\?=")


def words(value: str) -> str:
    """Decode the encoded words in *value* (RFC 2047)."""
    if "=?" not in value:
        return value
    out: list[str] = []
    held, held_charset = b"", ""  # neighbours may share a character that was cut in two
    at = 0
    for found in _WORD.finditer(value):
        between = value[at : found.start()]
        name, content = found[1].split("*")[0], _word_bytes(found[2], found[3])
        if content is None:
            name, content = "utf-8", found[0].encode("utf-8", "replace")
        if between.strip() or name.lower() != held_charset or not held:
            out.append(charset.decode(held, held_charset)[0])
            held = b""
            if between.strip() or at == 0:
                out.append(between)
        held, held_charset, at = held + content, name.lower(), found.end()
    return "".join((*out, charset.decode(held, held_charset)[0], value[at:]))


def _word_bytes(encoding: str, content: str) -> bytes | None:
    encoded = content.encode("utf-8", "replace")
    if encoding in "Qq":
        return binascii.a2b_qp(encoded.replace(b" ", b"_"), header=True)
    try:
        return binascii.a2b_base64(encoded.rstrip(b"=") + b"===")
    except binascii.Error:
        return None


# One alternative for every kind of character, all possessive: nothing is tried twice.
_PARAMETER = re.compile(r';\s*+([^\s=;"]++)\s*+=\s*+(?:"((?:[^"\\]|\\.)*+)"?|([^;]*+))', re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?")


def parameters(value: bytes, default: str) -> tuple[str, dict[str, str]]:
    """Split "type/subtype; name=value ..." (RFC 2045, 2231): the lower-case main word, and the parameters."""
    content = loose(value[:PARAMETERS])
    main = clean.line(content.partition(";")[0].partition("(")[0]).lower().strip(" \"'")
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, found in enumerate(_PARAMETER.finditer(content)):
        name = _SECTION.fullmatch(found[1].lower())
        if count >= 200 or name is None:
            continue
        quoted, bare = found[2], found[3]
        # Only these two need a backslash; others are meant, in C:\\names\\of a Windows program.
        given = re.sub(r'\\(["\\])', r"\1", quoted) if quoted is not None else bare.strip()
        # name* and name*0 win over a plain name: senders add that one for old readers.
        key = int(name[2] or 0) if name[2] or name[3] else -1
        sections.setdefault(name[1], {}).setdefault(key, (given, bool(name[3])))
    return main or default, {name: _joined(parts) for name, parts in sections.items()}


def _joined(parts: dict[int, tuple[str, bool]]) -> str:
    if 0 not in parts:
        return words(parts.get(-1, ("", False))[0])
    label, octets = "", b""
    for key in sorted(key for key in parts if key >= 0):
        given, encoded = parts[key]
        if encoded and key == 0 and given.count("'") >= 2:
            label, _, given = given.split("'", 2)
        raw = given.encode("utf-8", "replace")
        octets += unquote_to_bytes(raw) if encoded else raw
    return charset.decode(octets, label or "utf-8")[0]


def date(value: bytes) -> datetime | None:
    """The moment a Date field names, or None for none that makes sense."""
    try:
        found = parsedate_to_datetime(source(value)[:200])
        moment = found if found.tzinfo else found.replace(tzinfo=UTC)
        moment.astimezone(UTC)  # a zone can carry it out of the calendar
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    return moment
