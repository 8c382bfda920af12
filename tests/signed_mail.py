"""S/MIME mails as people's programs make them, by openssl: certificates of a small authority, and what can be wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .cms_makers import openssl_signed
from .tunnel_fixtures import Pair, private_key

ANNA = "anna@example.org"
NOW = datetime(2027, 1, 15, tzinfo=UTC)
HEAD = (
    "From: Anna Beispiel <anna@example.org>\r\nTo: alice@example.net\r\nSubject: Signed\r\n"
    "Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
)
TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nWhat Anna signed.\r\n"


@dataclass(frozen=True)
class Authority:
    """A root, and what it has issued on the way to people's certificates."""

    pair: Pair
    above: tuple[x509.Certificate, ...] = ()


def issued(
    name: str,
    by: Authority | None = None,
    *,
    ca: bool = False,
    address: str = "",
    purpose: Any = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    begin: datetime = NOW - timedelta(days=100),
    until: datetime = NOW + timedelta(days=200),
    key: Any = None,
) -> Pair:
    """A certificate as public authorities make them; self-signed if nobody issues it."""
    key = key or private_key("p256")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = by.pair.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.pair.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if purpose is not None and not (ca and by is None):
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if address:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
    return Pair(builder.sign(signer, hashes.SHA256()), key)


@cache
def root() -> Authority:
    return Authority(issued("Example Root", ca=True))


@cache
def office() -> Authority:
    pair = issued("Example Office", root(), ca=True)
    return Authority(pair, (pair.certificate,))


@cache
def anna() -> Pair:
    return issued("Anna Beispiel", office(), address=ANNA)


def signed(
    folder: Path,
    signer: Pair | None = None,
    content: bytes = TEXT,
    *arguments: str,
    head: str = HEAD,
    chain: Sequence[x509.Certificate] | None = None,
) -> bytes:
    """A mail that *signer* has signed: multipart/signed, or opaque with "-nodetach" among the arguments."""
    more = office().above if chain is None else chain
    beside = folder / "chain.pem"
    beside.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in more))
    extra = ("-certfile", str(beside)) if more else ()
    made = openssl_signed(folder, content, signer or anna(), "-binary", *extra, *arguments)
    return head.encode() + made
