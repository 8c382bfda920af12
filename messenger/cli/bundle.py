"""The bundle: what a gateway on another host needs of Messenger's, in one file. Bytes in, values out, nothing on disk.

All of it counts for its fingerprint, which people compare: whoever could change an own domain or a certificate on the
way would read along. The sender's key is sealed; whoever finds the file can't sign.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .. import config as settings
from ..chain import may_encrypt
from ..config import Config
from ..config_reading import shown
from ..tunnel import KeyFileError, SenderKey
from ..tunnel.key_sealing import open_key, seal_key
from ..tunnel.keys import public_key
from ..tunnel_fields import Fields
from . import status
from .questions import Answers, Place
from .status import Failed

FORMAT = "webmail-messenger-bundle"
VERSION = 1
MAX_OCTETS = 1_000_000
#: Of the SHA-256: nobody makes a second file with the same 128 bits.
DIGITS = 32
MIN_PASSPHRASE = 12

#: Settings that both ends must have alike.
PLACES: tuple[Place, ...] = (
    ("site", "portal_url"),
    ("site", "own_domains"),
    ("tunnel", "webmail_sender"),
    ("tunnel", "webmail_recipient"),
    ("tunnel", "fields"),
    ("notice", "mail_from"),
    ("reply", "mail_from"),
)
_PARTS = ("settings", "recipient_certificate", "sender_certificate", "sender_key")


@dataclass(frozen=True)
class Bundle:
    """What stands in a bundle whose form is right; nobody has said yet that it is Messenger's."""

    settings: Answers
    recipient: x509.Certificate
    sender: x509.Certificate
    #: As ``seal_key`` makes it.
    sealed: bytes

    def open(self, passphrase: bytes) -> SenderKey:
        """Return the pair that signs. Raises MessengerError for another passphrase or another one's key."""
        key = open_key(self.sealed, passphrase)
        if _public(key.public_key()) != _public(self.sender.public_key()):
            raise Failed("the bundle's key doesn't belong to its sender certificate; make the bundle anew")
        return SenderKey(self.sender, key)


def make(config: Config, sender: SenderKey, recipient: x509.Certificate, passphrase: bytes) -> bytes:
    """Write a bundle for the gateway of the site of *config*."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise Failed(
            f"expected a passphrase of at least {MIN_PASSPHRASE} bytes (it seals a key), found {len(passphrase)}",
            status.USAGE,
        )
    found = {
        FORMAT: VERSION,
        "settings": _sections(settings_of(config)),
        "recipient_certificate": _pem(recipient),
        "sender_certificate": _pem(sender.certificate),
        "sender_key": b64encode(seal_key(sender.key, passphrase)).decode(),
    }
    return json.dumps(found, ensure_ascii=False, indent=1).encode() + b"\n"


def settings_of(config: Config) -> Answers:
    """Return the settings that both ends must have alike, as a settings file holds them."""
    return {(section, key): _plain(getattr(getattr(config, section), key)) for section, key in PLACES}


def read(data: bytes, name: str, now: datetime) -> Bundle:
    """Read a bundle that came from anywhere; *name* is what errors call it. Raises MessengerError."""
    found = _document(data, name)
    certificates = []
    for part, usable in (("recipient_certificate", may_encrypt), ("sender_certificate", _may_sign)):
        try:
            certificates.append(_certificate(_text(found, part), usable, now))
        except (ValueError, KeyFileError, x509.InvalidVersion) as error:
            what = str(error).splitlines()[0][:200]
            raise _bad(name, f"{part}: expected a certificate (PEM) that is valid now, found: {what}") from error
    recipient, sender = certificates
    try:
        sealed = b64decode(_text(found, "sender_key"), validate=True)
    except ValueError as error:
        raise _bad(name, "sender_key: expected base64, found something else") from error
    return Bundle(_settings(found["settings"], name), recipient, sender, sealed)


def says(data: bytes, config: Config, sender: x509.Certificate, recipient: x509.Certificate) -> bool:
    """Whether the bundle *data* holds these certificates and the settings of *config*."""
    try:
        found = json.loads(data)
        known = found["settings"] == _sections(settings_of(config))
        return bool(
            known and (found["sender_certificate"], found["recipient_certificate"]) == (_pem(sender), _pem(recipient))
        )
    except (ValueError, KeyError, TypeError):
        return False


def groups(data: bytes) -> str:
    """Return the fingerprint of a bundle's bytes as people compare it: the beginning of what sha256sum says."""
    digits = hashlib.sha256(data).hexdigest()[:DIGITS]
    return " ".join(digits[start : start + 4] for start in range(0, DIGITS, 4))


def is_fingerprint(given: str, data: bytes) -> bool:
    """Whether *given* is the fingerprint of *data*, with any blanks, colons or hyphens; also all of sha256sum's."""
    digits = "".join(given.lower().replace(":", " ").replace("-", " ").split())
    return len(digits) >= DIGITS and hashlib.sha256(data).hexdigest().startswith(digits)


def _document(data: bytes, name: str) -> dict[str, Any]:
    if len(data) > MAX_OCTETS:
        raise _bad(name, f"expected at most {MAX_OCTETS} bytes, found more")
    try:
        found = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        what = str(error).splitlines()[0][:100] if data.strip() else "nothing"
        raise _bad(name, f"expected JSON, as `messenger tunnel bundle` writes it, found {what}") from error
    if not isinstance(found, dict) or FORMAT not in found:
        raise _bad(name, f'expected a bundle, which begins with "{FORMAT}", found {shown(found)}')
    if (version := found.pop(FORMAT)) != VERSION or isinstance(version, bool):
        raise Failed(
            f"{name}: expected a bundle of version {VERSION}, found {shown(version)}; bring both ends to the same"
            " release of Webmail Messenger, then make the bundle anew"
        )
    if set(found) != set(_PARTS):
        raise _bad(name, f"expected {', '.join(_PARTS)}, found {shown(', '.join(sorted(found)))}")
    return found


def _text(found: Mapping[str, Any], part: str) -> str:
    return found[part] if isinstance(found[part], str) else ""


def _certificate(text: str, usable: Callable[[x509.Certificate], bool], now: datetime) -> x509.Certificate:
    several = x509.load_pem_x509_certificates(text.encode())
    if len(several) != 1:
        raise ValueError(f"{len(several)} of them")
    certificate = several[0]
    public_key(certificate)  # neither weak nor unknown
    if not usable(certificate):
        raise ValueError("one whose key is for something else")
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        dates = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise ValueError(f"one that is valid from {dates} only (is this machine's clock right?)")
    return certificate


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage.digital_signature or usage.content_commitment


def _settings(found: Any, name: str) -> Answers:
    flat: Answers = {}
    for section, keys in found.items() if isinstance(found, dict) else ():
        flat |= {(section, key): value for key, value in keys.items()} if isinstance(keys, dict) else {(section, ""): 0}
    lacking = [_name(place) for place in PLACES if place not in flat]
    unknown = [_name(place) for place in flat if place not in PLACES]
    if lacking or unknown:
        what = f"none of {', '.join(lacking)}" if lacking else shown(", ".join(unknown))
        raise _bad(name, f"settings: expected {', '.join(map(_name, PLACES))}, found {what}")
    for place, value in flat.items():
        try:
            settings.check(*place, value)
        except settings.ConfigError as error:
            raise _bad(name, f"settings: {error}") from error
    return flat


def _name(place: Place) -> str:
    return f"[{place[0]}] {place[1]}"


def _sections(flat: Answers) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (section, key), value in flat.items():
        found.setdefault(section, {})[key] = value
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Fields):
        return {name: list(names) for name, names in vars(value).items()}
    return list(value) if isinstance(value, tuple) else value


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _public(key: Any) -> bytes:
    found: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def _bad(name: str, text: str) -> Failed:
    return Failed(f"{name}: {text}; carry the file over again, or make it anew: messenger tunnel bundle")
