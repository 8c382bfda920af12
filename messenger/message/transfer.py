"""Content-Transfer-Encoding (RFC 2045, section 6): the octets a part stands for."""

from __future__ import annotations

import binascii
import quopri
import re

from .parse import Node

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
#: Several words in one line: no base64.
_WORDS = re.compile(rb"^[ \t]*+[^\s]++[ \t]++[^\s]", re.MULTILINE)
#: RFC 2045, section 6.7 (3): what a transport added behind a soft line break.
_PADDED = re.compile(rb"=[ \t]++(?=\r?\n)")
_NAME = re.compile(r"[a-z0-9-]+")
#: Where one piece of base64 ends, and there is more.
_JOINT = re.compile(rb"=\s*+(?=[A-Za-z0-9+/])")
PIECES = 1000
_UUENCODED = ("x-uuencode", "uuencode", "x-uue", "uue")
#: How much longer than what is written a decoded part may be: blanks at the ends of lines get lost on the way.
UU_GROWTH = 2
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\n]*\n", re.MULTILINE)


def encoding(node: Node) -> str:
    """The lower-case name, without quotes and comments; what is unknown is taken as it stands."""
    found = _NAME.search(node.fields.first(b"content-transfer-encoding")[:200].decode("latin-1").lower())
    return found[0] if found else ""


def content(raw: bytes, node: Node, limit: int | None = None) -> bytes:
    """Decode the body of *node*; with a limit, only about so many encoded bytes of it. Never raises."""
    end = node.end if limit is None else min(node.end, node.start + limit)
    body = raw[node.start : end]
    match encoding(node):
        case "base64" if node.kind.startswith("text/") and (words := _WORDS.search(body)):
            # A footer that a list put behind it, or a text that only says it is encoded.
            return b"\n".join(piece for piece in (_base64(body[: words.start()]), body[words.start() :]) if piece)
        case "base64":
            return _base64(body)
        case "quoted-printable":
            return quopri.decodestring(_PADDED.sub(b"=", body) if b"= " in body or b"=\t" in body else body)
        case name if name in _UUENCODED:
            return _uuencoded(body)
        case _:
            return body


def _base64(body: bytes) -> bytes:
    whole = _piece(body)
    if _JOINT.search(body) is None:
        return whole
    # Pieces that were encoded one by one; the decoder stops behind the first.
    pieces = (_NOT_BASE64.sub(b"", one) for one in _JOINT.split(body, PIECES)[1:])
    return whole + b"".join(_piece(one + b"=" * (-len(one) % 4)) for one in pieces if len(one) % 4 != 1)


def _piece(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        # Letters missing at the end, or "=" in the middle where two pieces were glued together.
        letters = _NOT_BASE64.sub(b"", body)
        return binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + b"==")


def _uuencoded(body: bytes) -> bytes:
    begun = _UU_BEGIN.search(body)
    if begun is None:
        return body
    pieces: list[bytes] = []
    # A line may say that it holds more than it does, and a2b_uu fills it up: with 32 octets where there is nothing.
    room = UU_GROWTH * len(body)
    for line in body[begun.end() :].split(b"\n"):
        line = line.rstrip(b"\r")
        if line == b"end" or room <= 0:
            break
        if line:
            pieces.append(_uu_line(line))
            room -= len(pieces[-1])
    return b"".join(pieces)


def _uu_line(line: bytes) -> bytes:
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        pass
    try:
        # Some programs pad a line with more than its length says.
        return binascii.a2b_uu(line[: ((line[0] - 32) & 63) * 4 // 3 + 2])
    except binascii.Error:
        return b""


def size(raw: bytes, node: Node) -> int:
    """How many bytes content() would give, without decoding (right to the byte for well-formed base64)."""
    length = node.end - node.start
    match encoding(node):
        case "base64":
            breaks = raw.count(b"\n", node.start, node.end) + raw.count(b"\r", node.start, node.end)
            padding = raw.count(b"=", max(node.start, node.end - 8), node.end)
            return max((length - breaks) * 3 // 4 - padding, 0)
        case "quoted-printable":
            return max(length - 2 * raw.count(b"=", node.start, node.end), 0)
        case _:
            return length
