"""The keys a gateway works with, put where its settings name them. Never over another file: new ones stand beside old.

Files first, then the settings that name them: a run that was killed between leaves the old pair in use.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ..config import Config
from ..tunnel import KeyFileError, SenderKey, load_certificate
from ..tunnel.keys import load_key
from .files import write_whole
from .key_making import Pair
from .settings_file import written_path
from .tunnel_files import key_beside


@dataclass(frozen=True)
class Keys:
    """What came in a bundle, and where it belongs."""

    sender: SenderKey
    recipient: x509.Certificate
    pair: Pair
    certificate: Path


def placed(sender: SenderKey, recipient: x509.Certificate, folder: Path, config: Config | None) -> Keys:
    """Find the places in *folder* (and those that *config* names) that hold these keys, or nothing yet."""
    here = config.gateway if config else None
    pairs = [Pair(here.sender_certificate, here.sender_key)] if here else []
    files = [here.recipient_certificate] if here else []
    pair = next(one for one in chain(pairs, _pairs(folder, "sender")) if _fits(one, sender))
    more = (one.certificate for one in _pairs(folder, "recipient"))
    certificate = next(one for one in chain(files, more) if not one.exists() or _holds(one, recipient))
    return Keys(sender, recipient, pair, certificate)


def changes(keys: Keys, base: Path) -> dict[tuple[str, str], Any]:
    """Return what settings in the folder *base* say of *keys*; `messenger tunnel` on this host reads the second part.

    The recipient's key is named because each certificate has one; here it is nowhere.
    """
    return named(keys.pair, keys.certificate, base) | {
        ("tunnel", "sender_certificates"): [written_path(keys.pair.certificate, base)],
        ("tunnel", "recipient_certificates"): [written_path(keys.certificate, base)],
        ("tunnel", "recipient_keys"): [written_path(key_beside(keys.certificate), base)],
    }


def named(pair: Pair, recipient: Path, base: Path) -> dict[tuple[str, str], Any]:
    """Return what settings in the folder *base* say of a gateway's keys."""
    return {
        ("gateway", "sender_certificate"): written_path(pair.certificate, base),
        ("gateway", "sender_key"): written_path(pair.key, base),
        ("gateway", "recipient_certificate"): written_path(recipient, base),
    }


def put(keys: Keys) -> list[str]:
    """Write what isn't there yet; return what was done."""
    private = keys.sender.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    contents = (
        (keys.pair.key, private, 0o600),
        (keys.pair.certificate, keys.sender.certificate.public_bytes(Encoding.PEM), 0o644),
        (keys.certificate, keys.recipient.public_bytes(Encoding.PEM), 0o644),
    )
    done = []
    for path, content, mode in contents:
        if not path.exists():
            write_whole(path, content, mode, replace=False)
            done.append(f"wrote {path}")
    return done


def _pairs(folder: Path, end: str) -> Iterator[Pair]:
    number = 1
    while True:
        certificate = folder / f"webmail-{end}{f'-{number}' if number > 1 else ''}.pem"
        yield Pair(certificate, key_beside(certificate))
        number += 1


def _fits(pair: Pair, sender: SenderKey) -> bool:
    """Whether nothing stands there, or *sender*, or what a killed run left of it."""
    try:
        return (not pair.key.exists() or load_key(pair.key).public_key() == sender.key.public_key()) and (
            not pair.certificate.exists() or _holds(pair.certificate, sender.certificate)
        )
    except KeyFileError:
        return False


def _holds(path: Path, certificate: x509.Certificate) -> bool:
    try:
        return load_certificate(path) == certificate
    except KeyFileError:
        return False
