"""Make the tunnel's key pairs and the site's secrets. Nothing here ever replaces a key that is there."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ..tunnel.certificates import make_pair
from . import status
from .files import write_whole
from .tunnel_files import key_beside

End = Literal["sender", "recipient"]
KeyType = Literal["rsa-3072", "ec-p256"]

SECRET_BYTES = 32


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path


def make_secret(path: Path) -> bool:
    """Write 32 random bytes in hex; False where a secret is already."""
    if path.exists():
        return False
    write_whole(path, f"{secrets.token_hex(SECRET_BYTES)}\n".encode(), 0o600, replace=False)
    return True


def make_tunnel_pair(
    pair: Pair, role: End, address: str, key_type: KeyType, now: datetime, *, in_use: bool
) -> list[Path]:
    """Write a key and its certificate; return what was written, or nothing where both are already.

    *in_use*: settings have named this pair before, so half of it is a loss, not a beginning.
    """
    has_key, has_certificate = pair.key.exists(), pair.certificate.exists()
    if has_certificate and (has_key or role == "sender"):  # a sender's key may live in the gateway alone
        return []
    if has_certificate:
        raise status.Failed(
            f"{pair.certificate}: is there without its key {pair.key}; restore the key from a backup,"
            " or move the certificate away to get a new pair",
            status.CONFIG,
        )
    if has_key and in_use:
        raise status.Failed(
            f"{pair.key}: is there without its certificate {pair.certificate}; restore the certificate from a backup"
            " or from the gateway, or move the key away to get a new pair",
            status.CONFIG,
        )
    if has_key:
        # A setup that was killed between the two: nothing has ever been encrypted to, or signed with, this key.
        pair.key.rename(_free(pair.key.with_suffix(".key.unused")))
    certificate, key = make_pair(address, key_type, role, now)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_whole(pair.key, pem, 0o600, replace=False)
    write_whole(pair.certificate, certificate.public_bytes(Encoding.PEM), 0o644, replace=False)
    return [pair.key, pair.certificate]


def next_pair(folder: Path, role: End) -> Pair:
    """Name a pair beside those that are there: webmail-sender-2.pem, webmail-sender-2.key."""
    number = 2
    while True:
        certificate = folder / f"webmail-{role}-{number}.pem"
        if not certificate.exists() and not key_beside(certificate).exists():
            return Pair(certificate, key_beside(certificate))
        number += 1


def _free(path: Path) -> Path:
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
