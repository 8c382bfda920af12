"""Write DER (X.690): the few elements that a tunnel mail is made of."""

from collections.abc import Iterable
from datetime import datetime

from .ber import GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, UTC_TIME


def head(tag: int, length: int) -> bytes:
    """Tag and length, for content that follows on its own."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return head(tag, len(content)) + content


def sequence(*parts: bytes) -> bytes:
    return element(SEQUENCE, *parts)


def set_of(parts: Iterable[bytes]) -> bytes:
    return element(SET, *sorted(parts))


def octet_string(content: bytes) -> bytes:
    return element(OCTET_STRING, content)


def integer(value: int) -> bytes:
    return element(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(octets: bytes) -> bytes:
    return element(OID, octets)


def time(moment: datetime) -> bytes:
    """A Time (RFC 5652, 11.3): UTCTime until 2049, GeneralizedTime after."""
    if moment.year < 2050:
        return element(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return element(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


def algorithm(octets: bytes, parameters: bytes = b"") -> bytes:
    return sequence(element(OID, octets), parameters)
