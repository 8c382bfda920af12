"""Take MIME (RFC 2045, 2046, 1847) apart byte for byte: a signature is over bytes, not over what they mean.

Takes bytes and places in them, gives places. Header blocks are capped before anything looks into them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import pybase64

from .refused import Refused, malformed

MAX_HEADER = 512 * 1024
MAX_CONTENT_TYPE = 4096
#: A nested boundary may begin like the outer one; thousands of such lines are an attack on our time.
MAX_FALSE_DELIMITERS = 10_000

PKCS7_MIME = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
PKCS7_SIGNATURE = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})

_SPACE = b" \t\r\n"
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=" + _SPACE
#: A line end that no continuation line follows.
_FIELD_END = re.compile(rb"\n(?![ \t])")
_TYPE = re.compile(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+-]+)\s*(?:;|$)", re.ASCII)
_PARAMETER = re.compile(r";\s*([\w!#$&^.+*'%-]+)\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;\"]*))", re.ASCII | re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)")

_CHECKED_AT_ONCE = 1 << 16

Data = bytes | bytearray


@dataclass(frozen=True)
class Entity:
    """A header block and where its body lies in *data*."""

    data: Data
    #: By name in lower case, in the order they stand; each value unfolded.
    fields: dict[bytes, list[bytes]]
    #: Where the entity begins, where its body begins, where both end.
    start: int
    body: int
    end: int

    def values(self, name: str) -> list[bytes]:
        return self.fields.get(name.lower().encode(), [])

    def one(self, name: str) -> bytes:
        """The value of a field that may stand once; empty when it doesn't."""
        values = self.values(name)
        if len(values) > 1:
            raise malformed(f"the field {name} stands {len(values)} times")
        return values[0] if values else b""


def entity(data: Data, start: int = 0, end: int | None = None) -> Entity:
    """Read the header block at *start*. Line ends may be CRLF or LF, even mixed: milters hand over both."""
    end = len(data) if end is None else end
    body, block = _header_block(data, start, end)
    fields: dict[bytes, list[bytes]] = {}
    for field in _FIELD_END.split(block) if block else ():
        name, colon, value = field.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not name or not name.isascii() or b" " in name or b"\n" in name or name.startswith(b"\t"):
            raise malformed("a line in a header block is no header field")
        if b"\n" in value:
            value = value.replace(b"\r\n", b"").replace(b"\n", b"")
        fields.setdefault(name.lower(), []).append(value.strip())
    return Entity(data, fields, start, body, end)


def _header_block(data: Data, start: int, end: int) -> tuple[int, bytes]:
    """Where the body begins, and what stands before the empty line."""
    if data.startswith((b"\r\n", b"\n"), start, end):
        return start + (2 if data[start] == 0x0D else 1), b""
    window = min(end, start + MAX_HEADER)
    stop, body = data.find(b"\n\r\n", start, window), 3
    lf = data.find(b"\n\n", start, window if stop < 0 else stop + 1)
    if lf >= 0:
        stop, body = lf, 2
    if stop < 0:
        raise malformed(f"no header block of at most {MAX_HEADER} bytes")
    return stop + body, bytes(data[start:stop])


def content_type(part: Entity) -> tuple[str, Mapping[str, str]]:
    """Type and parameters, names in lower case; empty when there is none or it can't be read."""
    value = part.one("content-type")
    if len(value) > MAX_CONTENT_TYPE:
        raise malformed(f"a Content-Type of {len(value)} bytes")
    return _content_type(value)


# A program writes the same types into each of its mails; what differs is a boundary.
@lru_cache(64)
def _content_type(value: bytes) -> tuple[str, Mapping[str, str]]:
    text = value.decode("latin-1")
    found = _TYPE.match(text)
    if not found:
        return "", {}
    parameters: dict[str, str] = {}
    for name, quoted, token in _PARAMETER.findall(text, found.end(1)):
        if name.lower() in parameters:
            raise malformed(f"the parameter {name[:40]} stands twice in a Content-Type")
        parameters[name.lower()] = _QUOTED_PAIR.sub(r"\1", quoted) if "\\" in quoted else quoted or token
    return found[1].lower(), parameters


def check_decrypted(part: Entity) -> None:
    """Refuse odd bytes in what was decrypted and nobody signed: header blocks, and base64.

    With CBC an attacker can put blocks of the mail where he likes, among garbage. A reader who forgives some garbage
    and refuses other tells, mail by mail, what such a block holds. So here all of it is refused; and before the first
    boundary, where anything may stand, all of it is passed over.
    """
    _only(_PRINTABLE, part, part.start, part.body, "a header block holds more than printable characters")
    if _encoding(part) == b"base64":
        _only(_BASE64, part, part.body, part.end, "base64: characters that don't belong there")


def _only(allowed: bytes, part: Entity, start: int, end: int, complaint: str) -> None:
    view = memoryview(part.data)
    for place in range(start, end, _CHECKED_AT_ONCE):
        if bytes(view[place : min(place + _CHECKED_AT_ONCE, end)]).translate(None, allowed):
            raise malformed(complaint)


def _encoding(part: Entity) -> bytes:
    return part.one("content-transfer-encoding").strip().lower()


def octets(part: Entity) -> Data:
    """The body of *part* as the bytes it stands for: base64 decoded, stray characters passed over, or as it is."""
    encoding = _encoding(part)
    if encoding == b"base64":
        body = memoryview(part.data)[part.body : part.end]
        try:
            return pybase64.b64decode(body)
        except ValueError as error:
            raise malformed(f"base64: {error}") from error
    if encoding in (b"", b"7bit", b"8bit", b"binary"):
        return part.data[part.body : part.end]
    raise malformed("a Content-Transfer-Encoding that CMS doesn't travel in")


def split_signed(part: Entity, boundary: str) -> tuple[int, int, Entity]:
    """Split multipart/signed: where the signed content begins and ends, and the entity with the signature."""
    if not 0 < len(boundary) <= 200:
        raise malformed("multipart/signed: no boundary, or one longer than RFC 2046 allows")
    mark = b"--" + boundary.encode("latin-1")
    _, first, closing = _delimiter(part.data, mark, part.body, part.end)
    signed_end, second, closing_too = _delimiter(part.data, mark, first, part.end)
    signature_end, rest, closed = _delimiter(part.data, mark, second, part.end)
    if closing or closing_too or not closed:
        raise malformed("multipart/signed: not exactly two parts")
    # Whoever can add blocks to CBC would learn about its padding from what we make of text after the end.
    if bytes(memoryview(part.data)[rest : part.end]).strip(_SPACE):
        raise malformed("multipart/signed: something after the end")
    return first, signed_end, entity(part.data, second, signature_end)


def _delimiter(data: Data, mark: bytes, pos: int, end: int) -> tuple[int, int, bool]:
    """The next boundary line: where what precedes it ends, where what follows begins, is it the closing one."""
    for _ in range(MAX_FALSE_DELIMITERS):
        found = data.find(mark, pos, end)
        if found < 0:
            break
        after = found + len(mark)
        line_end = data.find(b"\n", after, min(end, after + 998))
        stop = line_end + 1 if line_end >= 0 else end
        rest = bytes(data[after:stop]) if stop - after <= 998 else b"x"
        closing = rest.startswith(b"--")
        if data[found - 1] == 0x0A and not rest[2 if closing else 0 :].strip(_SPACE):
            # The line end before a boundary line belongs to it, not to the part (RFC 2046, 5.1.1).
            return max(pos, found - (2 if data[found - 2] == 0x0D else 1)), stop, closing
        pos = after
    raise Refused("malformed", "multipart/signed: a boundary line is missing")
