"""Keys and tunnel mails for tests: made once, quickly, by hand where our own code would be too careful."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from messenger import tunnel

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
MESSAGE_ID = "<tunnel.1@example.org>"
ORIGINAL = b"From: Anna <anna@example.org>\r\nTo: bob@example.com\r\nSubject: The offer\r\n\r\nSee you on Monday.\r\n"


@dataclass(frozen=True)
class Pair:
    certificate: x509.Certificate
    key: Any

    @property
    def recipient(self) -> tunnel.RecipientKey:
        return tunnel.RecipientKey(self.certificate, self.key)

    @property
    def sender(self) -> tunnel.SenderKey:
        return tunnel.SenderKey(self.certificate, self.key)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Files ``name.pem`` and ``name.key``."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        key.write_bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate, key


def private_key(kind: str) -> Any:
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:] or 2048))
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "x25519":
        return x25519.X25519PrivateKey.generate()
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}[kind])


def certify(
    key: Any,
    name: str,
    *,
    issuer: Pair | None = None,
    serial: int | None = None,
    key_id: bool = True,
    until: datetime = NOW + timedelta(days=3650),
) -> Pair:
    """A certificate for *key*, self-signed unless there is an issuer."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(until)
    )
    if key_id:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Pair(builder.sign(signer, digest), key)


@cache
def authority() -> Pair:
    return certify(private_key("p256"), "A certificate authority")


@cache
def pair(kind: str, name: str) -> Pair:
    """The same pair each time it is asked for. X25519 can't sign its own certificate: an authority does."""
    return certify(private_key(kind), name, issuer=authority() if kind == "x25519" else None)


def gateway(kind: str = "rsa2048") -> Pair:
    return pair(kind, f"gateway {kind}")


def messenger(kind: str = "rsa2048") -> Pair:
    return pair(kind, f"messenger {kind}")


def keys(recipient: str = "rsa2048", sender: str = "rsa2048") -> tunnel.TunnelKeys:
    return tunnel.TunnelKeys((messenger(recipient).recipient,), (gateway(sender).certificate,))


def wrapped(
    raw: bytes = ORIGINAL,
    *,
    recipient: str | x509.Certificate = "rsa2048",
    sender: str | tunnel.SenderKey = "rsa2048",
    **changes: Any,
) -> bytes:
    """A tunnel mail by our own hand."""
    arguments: dict[str, Any] = {
        "mail_from": "anna@example.org",
        "rcpt_tos": ["bob@example.com"],
        "sender": gateway(sender).sender if isinstance(sender, str) else sender,
        "recipient": messenger(recipient).certificate if isinstance(recipient, str) else recipient,
        "webmail_sender": "gateway@example.org",
        "webmail_recipient": "webmail@example.org",
        "date": NOW,
        "message_id": MESSAGE_ID,
    }
    return tunnel.wrap(raw, **(arguments | changes))
