"""Tell whether bytes are an encrypted OpenPGP message (RFC 9580), by their packets: nothing is decrypted, no key known.

Takes bytes, gives a yes or no. What is odd is a no.
"""

from __future__ import annotations

import binascii
import re

# RFC 9580, section 5: packet type IDs.
_PKESK, _SKESK, _SED, _MARKER, _SEIPD, _AEAD, _PADDING = 1, 3, 9, 10, 18, 20, 21
_SESSION_KEYS = frozenset({_PKESK, _SKESK})
_ENCRYPTED = frozenset({_SED, _SEIPD, _AEAD})
#: Packets before the encrypted one: a session key for each recipient.
MOST = 1000
#: Cipher text in which no octet has its highest bit set is none (a chance of 1 in 2 to this).
SAMPLE = 64

BEGIN = b"-----BEGIN PGP MESSAGE-----"
#: Of what may stand above the base64 only what programs write; a comment is no place for a letter.
_HEAD = re.compile(
    rb"-----BEGIN PGP MESSAGE-----[ \t]*\r?\n(?:(?:Version|Comment|Hash|Charset|MessageID): [^\r\n]{0,100}\r?\n){0,6}"
    rb"[ \t]*\r?\n"
)
_CHECKSUM = re.compile(rb"\n=[A-Za-z0-9+/]{4}\s*\Z")
_END = b"-----END PGP MESSAGE-----"


def is_encrypted(content: bytes) -> bool:
    """Whether *content*, in armor or without, is an encrypted message and nothing else."""
    if content.lstrip().startswith(b"-----BEGIN"):
        return is_armored(content)
    return _is_message(content)


def is_armored(content: bytes) -> bool:
    """Whether *content* is the armor (RFC 9580, section 6.2) of an encrypted message, with nothing around it."""
    content = content.strip()
    head = _HEAD.match(content)
    if head is None or not content.endswith(_END):
        return False
    end = len(content) - len(_END)
    checksum = _CHECKSUM.search(content, max(end - 40, head.end()), end)
    letters = content[head.end() : checksum.start() if checksum else end].translate(None, b" \t\r\n")
    try:
        return _is_message(binascii.a2b_base64(letters, strict_mode=True))
    except binascii.Error:
        return False


def _is_message(octets: bytes) -> bool:
    """RFC 9580, section 10.3: session keys, then one encrypted packet that reaches to the end."""
    at = keys = 0
    try:
        for _ in range(MOST):
            kind, begin, end, whole = _packet(octets, at)
            if kind in _ENCRYPTED:
                return keys > 0 and whole and is_cipher_text(octets[begin : begin + SAMPLE + 2][2:])
            if (kind not in _SESSION_KEYS and kind not in (_MARKER, _PADDING)) or end == len(octets) or not whole:
                return False
            keys += kind in _SESSION_KEYS
            at = end
    except IndexError:
        pass
    return False


def is_cipher_text(sample: bytes) -> bool:
    """Whether the beginning of what is said to be encrypted isn't plain ASCII."""
    return len(sample) >= 8 and not sample.isascii()


def _packet(octets: bytes, at: int) -> tuple[int, int, int, bool]:
    """RFC 9580, section 4.2: type, where the content begins and ends, whether it is inside *octets*.

    An encrypted packet must reach to the end of the message; so must one in pieces.
    """
    tag = octets[at]
    if not tag & 0x80:
        raise IndexError
    if tag & 0x40:
        return _new_packet(octets, at, tag & 0x3F)
    kind, form = tag >> 2 & 0x0F, tag & 3
    if form == 3:  # of indeterminate length
        return kind, at + 1, len(octets), kind in _ENCRYPTED
    begin = at + 1 + (1 << form)
    end = begin + int.from_bytes(octets[at + 1 : begin], "big")
    return kind, begin, end, end == len(octets) if kind in _ENCRYPTED else end <= len(octets)


def _new_packet(octets: bytes, at: int, kind: int) -> tuple[int, int, int, bool]:
    length, begin, more = _length(octets, at + 1)
    first, end = begin, begin + length
    while more:
        length, begin, more = _length(octets, end)
        end = begin + length
    return kind, first, end, end == len(octets) if kind in _ENCRYPTED else end <= len(octets)


def _length(octets: bytes, at: int) -> tuple[int, int, bool]:
    """RFC 9580, section 4.2.1: the length, where the content begins, whether another piece follows."""
    first = octets[at]
    if first < 192:
        return first, at + 1, False
    if first < 224:
        return ((first - 192) << 8) + octets[at + 1] + 192, at + 2, False
    if first < 255:
        return 1 << (first & 0x1F), at + 1, True
    return int.from_bytes(octets[at + 1 : at + 5], "big"), at + 5, False
