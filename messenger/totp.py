"""Codes of an authenticator app (TOTP, RFC 6238), and how their secret is kept: sealed, for one address.

Knows no accounts and no clock. Whether a code was used before is the caller's to know: it is told the time step.
"""

import base64
import binascii
import hmac
import os
import unicodedata
from pathlib import Path

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import key_file
from .errors import MessengerError

# RFC 4226, section 4, R6: 160 bits. Authenticator apps know SHA-1, six digits, 30 seconds, and little else.
SECRET_BITS = 160
STEP_SECONDS = 30
DIGITS = 6
#: This step and the one before: slow thumbs, and a phone a little behind.
WINDOW = (-1, 0)

KEY_BYTES = key_file.BYTES
NONCE_BYTES = 12
# Sealed along, so that nothing else sealed with this key passes for a secret.
_PURPOSE = b"webmail-messenger totp 1\0"
_VERSION = "1."


class TotpError(MessengerError):
    """A key that can't be used, or a secret that was sealed with another one."""


def new_secret() -> str:
    """Return a new secret in base32, as authenticator apps take it."""
    return pyotp.random_base32(SECRET_BITS // 5)


def step_of(now: int) -> int:
    """Return the number of the time step that *now* belongs to."""
    return now // STEP_SECONDS


def code(secret: str, step: int) -> str:
    """Return the code of *secret* in time step *step*."""
    return pyotp.HOTP(secret, digits=DIGITS).at(step)


def match(secret: str, given: str, now: int, after: int = -1) -> int | None:
    """Return the time step later than *after* that *given* is the code of, or None. Always the same work."""
    digits = "".join(_plain(given).split())
    found = None
    for offset in WINDOW:
        step = max(0, step_of(now) + offset)
        right = hmac.compare_digest(code(secret, step).encode(), digits.encode("utf-8", "surrogatepass"))
        if right and step > after:
            found = step
    return found


def uri(secret: str, address: str, site_name: str) -> str:
    """Return what a QR code holds: the secret, and what the app calls it."""
    # A colon parts the two in the label, so a name must not have one.
    issuer = site_name.replace(":", " ").strip()
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_SECONDS).provisioning_uri(name=address, issuer_name=issuer)


def seal(key: bytes, secret: str, address: str) -> str:
    """Return *secret* so that only *key* opens it, and only for *address*."""
    nonce = os.urandom(NONCE_BYTES)
    data = nonce + AESGCM(_usable(key)).encrypt(nonce, secret.encode(), _PURPOSE + address.encode())
    return _VERSION + base64.urlsafe_b64encode(data).decode("ascii")


def open_sealed(key: bytes, sealed: str, address: str) -> str:
    """Return the secret that ``seal`` was given for *address*."""
    usable = _usable(key)
    try:
        data = base64.b64decode(sealed.removeprefix(_VERSION), altchars=b"-_", validate=True)
        nonce, rest = data[:NONCE_BYTES], data[NONCE_BYTES:]
        return AESGCM(usable).decrypt(nonce, rest, _PURPOSE + address.encode()).decode("ascii")
    except (binascii.Error, InvalidTag, ValueError) as error:
        raise TotpError(
            "a second factor's secret doesn't open: it was sealed with another TOTP key, or for another address;"
            " restore that key from a backup, or let the account enrol anew: `messenger account reset-totp`"
        ) from error


def load_key(path: Path) -> bytes:
    """Read the TOTP key: 32 bytes in hexadecimal, on one line."""
    return key_file.read(path, "TOTP key", TotpError)


def _plain(given: str) -> str:
    """Digits as a phone or a keyboard of another script writes them, with the space that apps show."""
    return unicodedata.normalize("NFKC", given[: 4 * DIGITS]).replace("-", "")


def _usable(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise TotpError(f"the TOTP key has {len(key)} bytes, {KEY_BYTES} are needed; read it with load_key()")
    return key
