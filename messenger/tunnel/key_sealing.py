"""Seal a private key by a passphrase, and open it: PKCS#8 (RFC 5958, section 3) with PBES2 (RFC 8018, section 6.2).

``openssl pkey`` opens it too. By hand, because the library derives the key in 2048 rounds, a hundredth of a second.
"""

import os

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ..errors import MessengerError
from . import der
from .keys import PrivateKey, weakness

#: What OWASP asks for with SHA-256; a quarter of a second.
ROUNDS = 600_000
_SALT_OCTETS = 16
_BLOCK_BITS = 128

_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
_AES256_CBC = bytes.fromhex("60864801650304012a")
_NULL = b"\x05\x00"


class SealedKeyError(MessengerError):
    """A sealed key can't be opened: another passphrase, or it is none."""


def seal_key(key: PrivateKey, passphrase: bytes) -> bytes:
    """Return *key* in DER, encrypted."""
    salt, iv = os.urandom(_SALT_OCTETS), os.urandom(_BLOCK_BITS // 8)
    secret = PBKDF2HMAC(SHA256(), 32, salt, ROUNDS).derive(passphrase)
    padder = PKCS7(_BLOCK_BITS).padder()
    clear = padder.update(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) + padder.finalize()
    encryptor = Cipher(AES256(secret), CBC(iv)).encryptor()
    sealed = encryptor.update(clear) + encryptor.finalize()
    derivation = der.algorithm(
        _PBKDF2,
        der.sequence(der.octet_string(salt), der.integer(ROUNDS), der.algorithm(_HMAC_SHA256, _NULL)),
    )
    scheme = der.algorithm(_AES256_CBC, der.octet_string(iv))
    return der.sequence(der.algorithm(_PBES2, der.sequence(derivation, scheme)), der.octet_string(sealed))


def open_key(sealed: bytes, passphrase: bytes) -> PrivateKey:
    """Return the key in *sealed*, which was trusted before: whoever wrote it says how long this takes.

    Raises SealedKeyError.
    """
    if not passphrase:
        raise SealedKeyError("expected the key's passphrase, found an empty one; an empty one doesn't open the key")
    try:
        key = load_der_private_key(sealed, passphrase)
    except TypeError as error:
        raise SealedKeyError("expected a key sealed by a passphrase, found one that is open to everybody") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SealedKeyError("this passphrase doesn't open the key; type the one that belongs to it") from error
    if flaw := weakness(key):
        raise SealedKeyError(f"the key {flaw}")
    assert isinstance(key, PrivateKey)
    return key
