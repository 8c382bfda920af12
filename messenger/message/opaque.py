"""Mail whose whole content lies inside its S/MIME signature (RFC 8551, section 3.5.2), with the signature taken off.

Such a mail is readable without any key. Whether the signature is right is not known here: that says the reader.
"""

from __future__ import annotations

from . import headers, transfer
from .parse import tree

CMS = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
#: Where the type of a mail must show itself.
_WINDOW = 65_536

_SEQUENCE, _SET, _INTEGER, _OCTETS, _SEGMENTS, _EXPLICIT_0 = 0x30, 0x31, 0x02, 0x04, 0x24, 0xA0
#: RFC 5652, sections 4 and 5.1: id-data and id-signedData, as they are encoded.
_DATA = bytes.fromhex("06092a864886f70d010701")
_SIGNED = bytes.fromhex("06092a864886f70d010702")
_UNKNOWN = -1
#: So many segments are free; beyond, one for so many bytes. A streaming writer's hold 256 bytes and more.
_SEGMENTS_FREE, _SEGMENT_BYTES = 4096, 128


def opened(raw: bytes) -> bytes:
    """Return *raw*, or, where its content is inside a signature, the mail that it would be without."""
    inside = content(raw)
    if inside is None:
        return raw
    outer, _ = headers.split(headers.line_ends(raw), 0, len(raw))
    # The content is an entity; what it says of itself beside its type is not the mail's (RFC 9788 has its own ways).
    inner, start = headers.split(inside, 0, len(inside))
    fields = [one for one in outer.items if not _describes(one[0])]
    fields += [one for one in inner.items if _describes(one[0])]
    return b"".join(name + b": " + value + b"\n" for name, value in fields) + b"\n" + inside[start:]


def content(raw: bytes) -> bytes | None:
    """The entity inside the signature of the mail *raw*; as much of it as there is. None for any other mail."""
    if b"pkcs7-mime" not in raw[:_WINDOW].lower():
        return None
    root, _ = tree(raw)
    return inside(transfer.content(raw, root)) if root.kind in CMS else None


def inside(cms: bytes) -> bytes | None:
    """The content of a SignedData, whole or cut off; None for what is none, or doesn't hold its content."""
    try:
        at = _enter(cms, 0, _SEQUENCE)
        if not cms.startswith(_SIGNED, at):
            return None
        at = _enter(cms, _enter(cms, at + len(_SIGNED), _EXPLICIT_0), _SEQUENCE)
        at = _enter(cms, _pass(cms, _pass(cms, at, _INTEGER), _SET), _SEQUENCE)
        if not cms.startswith(_DATA, at):
            return None
        return _octets(cms, _enter(cms, at + len(_DATA), _EXPLICIT_0))
    except (IndexError, ValueError):
        return None


def _octets(cms: bytes, at: int) -> bytes:
    tag, length, at = _head(cms, at)
    if tag == _OCTETS:
        return cms[at : at + length]
    if tag != _SEGMENTS:
        raise ValueError
    end = len(cms) if length == _UNKNOWN else min(at + length, len(cms))
    pieces: list[bytes] = []
    most = _SEGMENTS_FREE + len(cms) // _SEGMENT_BYTES
    while at + 2 <= end and cms[at : at + 2] != b"\0\0":
        at = _enter(cms, start := at, _OCTETS)
        _, size, _ = _head(cms, start)
        pieces.append(cms[at : at + size])
        if len(pieces) > most:
            raise ValueError
        at += size
    return b"".join(pieces)


def _head(cms: bytes, at: int) -> tuple[int, int, int]:
    """Tag, length, and where the content begins (X.690, section 8.1)."""
    tag, length, at = cms[at], cms[at + 1], at + 2
    if length == 0x80 and tag != _OCTETS:
        return tag, _UNKNOWN, at
    if length >= 0x80:
        count = length & 0x7F
        if not 0 < count <= 8:
            raise ValueError
        length, at = int.from_bytes(cms[at : at + count], "big"), at + count
    return tag, length, at


def _enter(cms: bytes, at: int, wanted: int) -> int:
    tag, _, at = _head(cms, at)
    if tag != wanted:
        raise ValueError
    return at


def _pass(cms: bytes, at: int, wanted: int) -> int:
    tag, length, at = _head(cms, at)
    if tag != wanted or length == _UNKNOWN:
        raise ValueError
    return at + length


def _describes(name: bytes) -> bool:
    return name.lower().startswith(b"content-")
