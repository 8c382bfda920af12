"""Content-Transfer-Encoding (RFC 2045, section 6): the octets a part stands for."""

from __future__ import annotations

import binascii
import quopri
import re

from .parse import Node

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def encoding(node: Node) -> str:
    """The lower-case name; what is unknown is taken as it stands."""
    return node.fields.first(b"content-transfer-encoding").decode("latin-1").strip().lower()


def content(raw: bytes, node: Node, limit: int | None = None) -> bytes:
    """Decode the body of *node*; with a limit, only about so many encoded bytes of it. Never raises."""
    end = node.end if limit is None else min(node.end, node.start + limit)
    body = raw[node.start : end]
    match encoding(node):
        case "base64":
            return _base64(body)
        case "quoted-printable":
            return quopri.decodestring(body)
        case _:
            return body


def _base64(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        # Letters missing at the end, or "=" in the middle where two pieces were glued together.
        letters = _NOT_BASE64.sub(b"", body)
        return binascii.a2b_base64(letters[: len(letters) - (len(letters) % 4 == 1)] + b"==")


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
