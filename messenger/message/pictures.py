"""Pictures that travel in the mail, as data: URIs; the type is what the bytes say, never what the mail claims."""

from __future__ import annotations

import binascii
import re

#: One picture, and all that one document holds (each place a picture is shown at counts).
PICTURE = 2_000_000
MAIL = 8_000_000

_DATA = re.compile(r"data:image/[a-z+.-]{1,40}(?:;[a-z0-9=_-]{1,40}){0,3};base64,", re.IGNORECASE)


def kind(content: bytes) -> str:
    """The media type by the first bytes: png, jpeg, gif or webp; "" for everything else (SVG can hold scripts)."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return ""


def data_uri(content: bytes) -> str:
    """The picture as an address, or "" if it isn't one of ours or too large."""
    found = kind(content)
    if not found or len(content) > PICTURE:
        return ""
    return f"data:{found};base64,{binascii.b2a_base64(content, newline=False).decode('ascii')}"


def from_data_uri(value: str) -> bytes:
    """The bytes of a data: URI that says it is a picture; b"" for any other."""
    found = _DATA.match(value)
    if found is None or len(value) > PICTURE * 2:
        return b""
    try:
        return binascii.a2b_base64(value[found.end() :])
    except (binascii.Error, ValueError):
        return b""
