"""Keys and certificates of the tunnel: from files, checked before anything leans on them.

Refuses what would fail later and far away: a public key where a private one belongs, a pair that does not belong
together, keys too small to protect anything.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519

from .. import key_file
from ..errors import MessengerError
from . import identity

MIN_RSA_BITS = 2048
MAX_FILE = 256 * 1024
CURVES = ("secp256r1", "secp384r1", "secp521r1")

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | x25519.X25519PublicKey | ed25519.Ed25519PublicKey


class KeyFileError(MessengerError):
    """A key or certificate file is not what it should be. Temporary for the mail: the operator can mend it."""

    temporary = True


@dataclass(frozen=True)
class RecipientKey:
    """A certificate mail is encrypted to, and the key that opens it."""

    certificate: x509.Certificate
    key: PrivateKey

    @cached_property
    def identity(self) -> identity.Identity:
        return identity.of(self.certificate)


@dataclass(frozen=True)
class SenderKey:
    """A certificate mail is signed by, and the key that signs."""

    certificate: x509.Certificate
    key: PrivateKey


@dataclass(frozen=True)
class Signer:
    """A pinned certificate, read once."""

    certificate: x509.Certificate
    key: PublicKey
    identity: identity.Identity
    fingerprint: str


@dataclass(frozen=True)
class TunnelKeys:
    """Ours to open with, and the certificates whose signatures count. Several of each during a rollover."""

    recipients: tuple[RecipientKey, ...]
    signers: tuple[x509.Certificate, ...]

    @cached_property
    def pinned(self) -> tuple[Signer, ...]:
        return tuple(
            Signer(pinned, public_key(pinned), identity.of(pinned), identity.fingerprint(pinned))
            for pinned in self.signers
        )


def weakness(key: object) -> str:
    """Why this key must not be used, as the end of a sentence; empty when it may."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return f"is RSA with {key.key_size} bits, at least {MIN_RSA_BITS} are needed" * (key.key_size < MIN_RSA_BITS)
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        return "" if key.curve.name in CURVES else f"is on the curve {key.curve.name}; P-256, P-384, P-521 are known"
    if isinstance(key, PrivateKey | PublicKey):
        return ""
    return f"is of a kind not used here ({type(key).__name__}); RSA, EC, X25519 and Ed25519 are"


def public_key(certificate: x509.Certificate) -> PublicKey:
    """The key in a certificate, if it is one of those we use."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(f"the key in the certificate of {_subject(certificate)} cannot be read: {error}") from error
    if flaw := weakness(key):
        raise KeyFileError(f"the key in the certificate of {_subject(certificate)} {flaw}")
    assert isinstance(key, PublicKey)
    return key


def load_certificate(path: Path) -> x509.Certificate:
    """Read one certificate, PEM or DER."""
    content = _read(path)
    if b"PRIVATE KEY-----" in content and b"BEGIN CERTIFICATE" not in content:
        raise KeyFileError(
            f"{path}: a certificate was expected, this is a private key; name the certificate's own file"
        )
    try:
        if b"-----BEGIN" in content:
            found = x509.load_pem_x509_certificates(content)
            if len(found) != 1:
                raise KeyFileError(f"{path}: one certificate was expected, found {len(found)}; keep the first alone")
            certificate = found[0]
        else:
            certificate = x509.load_der_x509_certificate(content)
        public_key(certificate)
    except ValueError as error:
        raise KeyFileError(
            f"{path}: an X.509 certificate (PEM or DER) was expected, {_instead(path, content)}"
        ) from error
    except KeyFileError as error:
        raise error if str(error).startswith(str(path)) else KeyFileError(f"{path}: {error}") from error
    return certificate


def load_key(path: Path) -> PrivateKey:
    """Read one private key without password, PEM or DER, from where systemd put it or from *path*."""
    content = _read(path, key_file.found(path))
    if b"PRIVATE KEY-----" not in content and b"-----BEGIN" in content:
        kind = content.split(b"-----BEGIN ", 1)[1].split(b"-----", 1)[0].decode("ascii", "replace").lower()
        raise KeyFileError(f"{path}: a private key was expected, this is a {kind}; name the key's own file")
    try:
        if b"-----BEGIN" in content:
            key = serialization.load_pem_private_key(content, None)
        else:
            key = serialization.load_der_private_key(content, None)
    except TypeError as error:
        raise KeyFileError(
            f"{path}: the private key has a password, and nobody is there to type it; write it without:"
            f" openssl pkey -in {path} -out NEWFILE"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            f"{path}: a private key (PEM, PKCS#8) was expected, found something else or a damaged one; restore it"
            " from a backup, or write it as PEM with openssl pkey"
        ) from error
    if flaw := weakness(key):
        raise KeyFileError(f"{path}: the key {flaw}; make a new pair: messenger setup --renew-tunnel")
    assert isinstance(key, PrivateKey)
    return key


def load_recipient_key(certificate_path: Path, key_path: Path) -> RecipientKey:
    """Read the pair that opens tunnel mails."""
    certificate, key = _pair(certificate_path, key_path)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        raise KeyFileError(f"{key_path}: an Ed25519 key signs and cannot decrypt; RSA, EC and X25519 keys can")
    return RecipientKey(certificate, key)


def load_sender_key(certificate_path: Path, key_path: Path) -> SenderKey:
    """Read the pair that signs tunnel mails."""
    certificate, key = _pair(certificate_path, key_path)
    if isinstance(key, x25519.X25519PrivateKey):
        raise KeyFileError(f"{key_path}: an X25519 key agrees on keys and cannot sign; RSA, EC and Ed25519 keys can")
    return SenderKey(certificate, key)


def _pair(certificate_path: Path, key_path: Path) -> tuple[x509.Certificate, PrivateKey]:
    certificate, key = load_certificate(certificate_path), load_key(key_path)
    if _spki(certificate.public_key()) != _spki(key.public_key()):
        raise KeyFileError(f"{key_path}: this key does not belong to the certificate {certificate_path}; name its own")
    return certificate, key


def _spki(key: object) -> bytes:
    assert isinstance(key, PublicKey)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _instead(path: Path, content: bytes) -> str:
    """What was found in a certificate's place, and what mends it, as the end of a sentence."""
    if content[:1] == b"\x30" and b"\x02\x01\x03" in content[:8]:  # RFC 7292, section 4: PFX, version 3
        return (
            "this is a PKCS#12 file; take the certificate out of it:"
            f" openssl pkcs12 -in {path} -nokeys -clcerts -out NEWFILE"
        )
    return "found something else or a damaged one; restore it from a backup, or export it again as PEM"


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:200] or "(no name)"


def _read(path: Path, place: Path | None = None) -> bytes:
    try:
        with (place or path).open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        raise KeyFileError(f"{path}: there is no such file; messenger setup makes the tunnel's keys") from error
    except PermissionError as error:
        mend = key_file.REACH if place else "the service must be able to, so give that right to everybody: chmod 644"
        raise KeyFileError(f"{path}: cannot be read ({error.strerror}); {mend}") from error
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read ({error.strerror}); name a file that can") from error
    if len(content) > MAX_FILE:
        raise KeyFileError(f"{path}: larger than {MAX_FILE} bytes, so neither a key nor a certificate")
    if not content.strip():
        raise KeyFileError(f"{path}: the file is empty; restore it from a backup or make a new pair")
    return content
