"""Links in notices, and the reference code that notice and portal both show.

A link names one address and the time it was made, under a signature with the site's link key. It opens nothing by
itself: the reader decides what it leads to. Knows no files but the key's, no clock and no accounts.
"""

import base64
import binascii
import hashlib
import hmac
import re
from pathlib import Path

from . import key_file
from .errors import MessengerError

KEY_BYTES = key_file.BYTES
DAY_SECONDS = 86_400
#: The machine that made a link may be a little ahead of the one that opens it.
CLOCK_SKEW_SECONDS = 300

# Signed along, so that nothing else that is ever signed with this key can pass for a link.
_PURPOSE = b"webmail-messenger link 1\0"
# It stands at the end: base64url may end in "-" or "_", and a mail client that makes addresses in plain text
# clickable may leave that character out.
_VERSION = "1"
_ISSUED_BYTES = 5
_TAG_BYTES = 32
#: An address has at most 254 octets.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{52,400}1")

#: No vowels, so no words; of each pair that looks alike (0 O, 1 I L, 2 Z, 5 S, 8 B, U V) at most one.
REFERENCE_SYMBOLS = "34679CDFGHJKMNPQRTVWXY"
REFERENCE_LENGTH = 8
_DIGEST = re.compile(r"[0-9a-f]{64}(?![0-9a-f])")


class LinkError(MessengerError):
    """A link that is forged, damaged or too old, or a link key that can't be used."""


def token(key: bytes, address: str, issued: int) -> str:
    """Return the token for *address* as ``envelope.normal`` spells it, made at *issued* (Unix seconds)."""
    payload = issued.to_bytes(_ISSUED_BYTES, "big") + address.encode()
    return _base64(_tag(key, payload) + payload) + _VERSION


def open_token(key: bytes, token: str, now: int, days: int) -> str:
    """Return the address that *token* names, if it was made with *key* at most *days* ago."""
    refusal = LinkError("the link is not one of ours, is damaged, or is too old")
    if not _TOKEN.fullmatch(token):
        raise refusal
    text = token.removesuffix(_VERSION)
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise refusal from None
    # The last character of base64 may carry bits that decoding drops: a link has one spelling.
    if _base64(data) != text:
        raise refusal
    tag, payload = data[:_TAG_BYTES], data[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(key, payload)):
        raise refusal
    issued = int.from_bytes(payload[:_ISSUED_BYTES], "big")
    if not -CLOCK_SKEW_SECONDS <= now - issued <= days * DAY_SECONDS:
        raise refusal
    return payload[_ISSUED_BYTES:].decode()


def url(portal_url: str, token: str) -> str:
    """Return the address of the page that *token* leads to."""
    return f"{portal_url.rstrip('/')}/l/{token}"


def reference(name: str) -> str:
    """Return the code people compare: from a mail's digest, or from the Maildir name that begins with it."""
    found = _DIGEST.match(name)
    # Mail that came by another way (a Sent copy, something put there over IMAP) has a name that is no digest.
    digest = found.group(0) if found else hashlib.sha256(name.encode()).hexdigest()
    number = int(digest[:32], 16)
    symbols = []
    for _ in range(REFERENCE_LENGTH):
        number, index = divmod(number, len(REFERENCE_SYMBOLS))
        symbols.append(REFERENCE_SYMBOLS[index])
    code = "".join(symbols)
    return f"{code[:4]}-{code[4:]}"


def load_key(path: Path) -> bytes:
    """Read the link key: 32 bytes in hexadecimal, on one line."""
    return key_file.read(path, "link key", LinkError)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _tag(key: bytes, payload: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise LinkError(f"the link key has {len(key)} bytes, {KEY_BYTES} are needed; read it with load_key()")
    return hmac.digest(key, _PURPOSE + payload, "sha256")
