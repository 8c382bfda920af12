"""Passwords of encrypted PDFs, derived instead of stored, and the ids that PDFs and people call each other by.

Whoever holds the PDF key can say the password of any PDF, at any time, from what the PDF's mail says openly. Knows
no files but the key's, no clock, no accounts and no PDF. docs/pdf-passwords.md has the derivation for other
implementations, with test vectors.
"""

import hashlib
import math
import re
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from . import key_file
from .errors import MessengerError

KEY_BYTES = key_file.BYTES
#: Small letters and digits, since a phone types them without shifting. Left out: 0 o 1 i l, which look alike.
SYMBOLS = "23456789abcdefghjkmnpqrstuvwxyz"
GROUP = 4
#: 17 symbols are the fewest with 80 bits.
PASSWORD_SYMBOLS_MIN = math.ceil(80 / math.log2(len(SYMBOLS)))
PASSWORD_SYMBOLS = 20
PASSWORD_SYMBOLS_MAX = 60
ID_SYMBOLS = 16
#: A generation is written in four bytes.
GENERATIONS = 2**32

# A byte from here on is skipped: the rest spreads evenly over the symbols.
_FAIR = 256 - 256 % len(SYMBOLS)
# Bytes to choose from; that more than 64 of them are skipped happens once in 10^50.
_STREAM_BYTES = PASSWORD_SYMBOLS_MAX + 64
_PASSWORD_PURPOSE = b"webmail-messenger pdf password 1"
_ID_PURPOSE = b"webmail-messenger pdf id 1"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class PdfPasswordError(MessengerError):
    """A PDF key that can't be used, or an id that is none."""


def password(key: bytes, address: str, generation: int, pdf_id: str, symbols: int = PASSWORD_SYMBOLS) -> str:
    """Return the password of the PDF *pdf_id*, in groups of four; the hyphens are part of it.

    *address* as ``envelope.normal`` spells it, *generation* that of the PDF's record (0 to 2^32 - 1), *symbols* how
    many there are without the hyphens. HKDF-Expand with SHA-256 (RFC 5869, section 2.3) of the PDF key.
    """
    if len(key) != KEY_BYTES:
        raise PdfPasswordError(f"the PDF key has {len(key)} bytes, {KEY_BYTES} are needed; read it with load_key()")
    if not PASSWORD_SYMBOLS_MIN <= symbols <= PASSWORD_SYMBOLS_MAX:
        raise PdfPasswordError(f"expected {PASSWORD_SYMBOLS_MIN} to {PASSWORD_SYMBOLS_MAX} symbols, found {symbols}")
    info = _joined(_PASSWORD_PURPOSE, address.encode(), generation.to_bytes(4, "big"), canonical_id(pdf_id).encode())
    stream = HKDFExpand(hashes.SHA256(), _STREAM_BYTES, info).derive(key)
    return _grouped(stream, symbols)


def id_of(digest: str, address: str) -> str:
    """Return the id of the PDF that carries the mail of this digest (64 hexadecimal digits) to *address*.

    A retry makes the same one. It is no secret, and it tells nothing of the mail.
    """
    if not _DIGEST.fullmatch(digest):
        raise PdfPasswordError(f"expected a digest of 64 hexadecimal digits, found {len(digest)} characters")
    joined = _joined(_ID_PURPOSE, bytes.fromhex(digest), address.encode())
    return _grouped(hashlib.sha512(joined).digest(), ID_SYMBOLS)


def canonical_id(given: str) -> str:
    """Return an id as ``id_of`` writes it, from what a person typed: any case, with or without hyphens and spaces."""
    plain = re.sub(r"[\s\u2010-\u2015-]", "", given[:100]).lower()
    if len(plain) != ID_SYMBOLS or any(symbol not in SYMBOLS for symbol in plain):
        raise PdfPasswordError(
            f"expected the id of a PDF, {ID_SYMBOLS} letters and digits such as"
            f" {_cut('abcdefgh23456789')}; found something else"
        )
    return _cut(plain)


def load_key(path: Path) -> bytes:
    """Read the PDF key: 32 bytes in hexadecimal, on one line. Raises PdfPasswordError with what to do."""
    mend = "restore it from a backup: with another key no PDF that was sent can be opened any more"
    return key_file.read(path, "PDF key", PdfPasswordError, mend)


def _joined(*fields: bytes) -> bytes:
    """Each field behind its length, so that no two lists of fields give the same bytes."""
    return b"".join(len(field).to_bytes(2, "big") + field for field in fields)


def _grouped(stream: bytes, symbols: int) -> str:
    chosen = [SYMBOLS[byte % len(SYMBOLS)] for byte in stream if byte < _FAIR]
    return _cut("".join(chosen[:symbols]))


def _cut(plain: str) -> str:
    return "-".join(plain[at : at + GROUP] for at in range(0, len(plain), GROUP))
