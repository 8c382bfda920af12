"""Mails inside a mail (RFC 2046, section 5.2.1), and the contents of many parts in one pass.

A part of a mail inside is named by a path: "2-1.3" is part 1.3 of the mail that is part 2. Like the numbers it is made
of, it stays the same for the same bytes.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterator

from . import body, charset, clean, opaque, reading, transfer
from .parse import Node, tree
from .values import NoSuchPart, Part

SEPARATOR = "-"
#: A mail in a mail in a mail: more than anybody forwards, and each level costs a copy.
LEVELS = 8
MAILS = frozenset({"message/rfc822", "message/global"})


def inner(raw: bytes, path: str) -> bytes:
    """Return the mail at *path* inside *raw*; NoSuchPart where there is none, or where that part is no mail."""
    numbers = path.split(SEPARATOR, LEVELS)
    if len(numbers) > LEVELS:
        raise NoSuchPart(f"expected at most {LEVELS} mails one in another, found {path[:200]!r}")
    for number in numbers:
        raw = opaque.opened(raw)
        node = _node(raw, number)
        if not is_mail(body.part(node, 0, False)):
            raise NoSuchPart(f"expected a mail as part {number!r}, found {node.kind}")
        raw = transfer.content(raw, node)
    return raw


def part(raw: bytes, path: str) -> tuple[Part, bytes]:
    """As ``reading.part``, for a path: the part, numbered as in the mail it is in, and its content decoded."""
    above, separator, number = path.rpartition(SEPARATOR)
    return reading.part(inner(raw, above) if separator else raw, number)


def part_text(raw: bytes, path: str, limit: int) -> tuple[Part, str, bool]:
    """Return the part at *path*, its content as text of at most *limit* characters, and whether there is more.

    In the charset it says, else in the one its first bytes say, else in what looks like it; unseen characters go.
    """
    above, separator, number = path.rpartition(SEPARATOR)
    mail = opaque.opened(inner(raw, above) if separator else raw)
    node = _node(mail, number)
    # A character has four bytes at most, and an encoded byte three.
    content = transfer.content(mail, node, limit * 12)
    named = reading.charset_of(node, content) or _charset_by_mark(content)
    decoded = clean.block(charset.decode(content, named)[0])
    more = len(decoded) > limit or node.end - node.start > limit * 12
    return body.part(node, transfer.size(mail, node), False), decoded[:limit], more


def contents(raw: bytes, numbers: Collection[str]) -> Iterator[tuple[Part, bytes]]:
    """Yield those of the parts that have one of *numbers*, decoded; one of them at a time is in memory."""
    raw = opaque.opened(raw)
    for node in tree(raw)[0].walk():
        if node.number in numbers and not node.parts:
            content = transfer.content(raw, node)
            yield body.part(node, len(content), False), content


def is_mail(part: Part) -> bool:
    """Whether a part is a mail of its own, by its type or, where that says nothing, by its name."""
    unnamed = part.content_type == "application/octet-stream"
    return part.content_type in MAILS or (unnamed and part.filename.lower().endswith(".eml"))


def _charset_by_mark(content: bytes) -> str:
    """What a file without a charset says by a byte order mark, as spreadsheets write it."""
    return "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""


def _node(raw: bytes, number: str) -> Node:
    for node in tree(raw)[0].walk():
        if node.number == number and not node.parts:
            return node
    raise NoSuchPart(f"expected a part of the mail, found no part numbered {number[:200]!r}; list them with read()")
