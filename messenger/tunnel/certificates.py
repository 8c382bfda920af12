"""Make the tunnel's own certificates: one for the gateway that signs, one for Messenger that opens.

Self-signed, because both ends pin them by fingerprint; ten years, because nobody renews what nobody sees.
"""

from datetime import datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from ..envelope import normal
from . import der

KeyType = Literal["rsa-3072", "ec-p256"]
Role = Literal["sender", "recipient"]

YEARS = 10
#: Clocks differ; a certificate made just now must not seem to be from the future elsewhere.
EARLIER = timedelta(hours=1)

# RFC 9598, 3: an address with non-ASCII characters, which rfc822Name can't hold.
_SMTP_UTF8_MAILBOX = ObjectIdentifier("1.3.6.1.5.5.7.8.9")
_UTF8_STRING = 0x0C
#: RFC 5280, appendix A: ub-common-name.
_MAX_COMMON_NAME = 64


def make_pair(
    address: str, key_type: KeyType, role: Role, now: datetime
) -> tuple[x509.Certificate, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey]:
    """A key, and a certificate for it that says what it is for."""
    address = normal(address)
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    if key_type == "rsa-3072":
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    else:
        key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, address[:_MAX_COMMON_NAME]),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, f"Webmail Messenger tunnel {role}"),
        ]
    )
    public = key.public_key()
    start = (now - EARLIER).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=round(YEARS * 365.25)))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(role, key_type), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_mailbox(address)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return builder.sign(key, SHA256()), key


def _key_usage(role: Role, key_type: KeyType) -> x509.KeyUsage:
    """RFC 8550, 4.4.2: sign, or have a key encrypted (RSA) or agreed upon (EC)."""
    return x509.KeyUsage(
        digital_signature=role == "sender",
        content_commitment=False,
        key_encipherment=role == "recipient" and key_type == "rsa-3072",
        data_encipherment=False,
        key_agreement=role == "recipient" and key_type == "ec-p256",
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _mailbox(address: str) -> x509.GeneralName:
    if address.isascii():
        return x509.RFC822Name(address)
    return x509.OtherName(_SMTP_UTF8_MAILBOX, der.element(_UTF8_STRING, address.encode()))
