"""What certificates of people say: for which addresses and uses they are, and which known issuer they lead to.

RFC 5280, 8550 and 9598. Knows no mail and no keys of ours: who asks has checked a signature, or wants to encrypt.
"""

import warnings
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from .envelope import AddressError, normal
from .errors import MessengerError

#: Certificates from somebody's to a known issuer's.
CHAIN = 4
#: Debian's ca-certificates. Where it isn't there, nobody is known.
SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
MAX_FILE = 4_000_000  # bytes

_END = b"-----END CERTIFICATE-----"
#: RFC 9598, 3: an address with non-ASCII characters, which rfc822Name can't hold.
_SMTP_UTF8_MAILBOX = ObjectIdentifier("1.3.6.1.5.5.7.8.9")
_UTF8_STRING = b"\x0c"
_FOR_MAIL = {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

T = TypeVar("T", bound=x509.ExtensionType)


class RootsError(MessengerError):
    """The file of known issuers can't be used; what needs it doesn't start."""


def addresses(certificate: x509.Certificate) -> list[str]:
    """The ``normal`` addresses a certificate is for (RFC 8550, 3): of the alternative name, else of the subject.

    Raises ValueError for extensions that are none.
    """
    return [one for one in map(same, _written(certificate)) if one]


def same(address: str) -> str:
    """The one spelling of an address; nothing for what is none, which then equals no other."""
    try:
        return normal(address)
    except AddressError:
        return ""


def may_sign(certificate: x509.Certificate) -> bool:
    """RFC 8550, 4.4.2 and 4.4.4: where a certificate says what it is for, signing mail is among it."""
    usage = _extension(certificate, x509.KeyUsage)
    return (usage is None or usage.digital_signature or usage.content_commitment) and _for_mail(certificate)


def may_encrypt(certificate: x509.Certificate) -> bool:
    """RFC 8550, 4.4.2 and 4.4.4: its key can have a message's key encrypted (RSA) or agreed upon (EC), for mail."""
    key, usage = certificate.public_key(), _extension(certificate, x509.KeyUsage)
    if isinstance(key, rsa.RSAPublicKey):
        return (usage is None or usage.key_encipherment) and _for_mail(certificate)
    if isinstance(key, ec.EllipticCurvePublicKey | x25519.X25519PublicKey):
        return (usage is None or usage.key_agreement) and _for_mail(certificate)
    return False


def known_issuer(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: tuple[x509.Certificate, ...],
    now: datetime,
) -> str | None:
    """The name of the one of *roots* that *certificate* leads to, perhaps over *others*; None if to none of them."""
    if not roots:
        return None
    ca = ExtensionPolicy.webpki_defaults_ca().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check)
    own = ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _check)
    policy = PolicyBuilder().store(Store(list(roots))).time(now).max_chain_depth(CHAIN)
    verifier = policy.extension_policies(ca_policy=ca, ee_policy=own).build_client_verifier()
    try:
        chain = verifier.verify(certificate, list(others)).chain
    except VerificationError:
        return None
    names = chain[-1].subject
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for one in names.get_attributes_for_oid(kind):
            return str(one.value)[:100]
    return names.rfc4514_string()[:100]


def load_roots(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates in a file (PEM): none if it is empty, or if it is the system's and isn't there."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        if path == SYSTEM_ROOTS:
            return ()
        raise RootsError(f"{path}: there is no such file; trusted_roots may be /dev/null") from error
    except OSError as error:
        raise RootsError(f"{path}: cannot be read ({error.strerror}); the service's user must be allowed to") from error
    if len(content) > MAX_FILE:
        raise RootsError(f"{path}: larger than {MAX_FILE} bytes; name a file of certificates (PEM)")
    pieces = [piece + _END for piece in content.split(_END)[:-1]]
    if content.strip() and not pieces:
        raise RootsError(f"{path}: expected certificates in PEM, found something else; name a file of certificates")
    return tuple(one for piece in pieces if (one := _root(path, piece)))


def _root(path: Path, piece: bytes) -> x509.Certificate | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots with odd serial numbers
        try:
            return x509.load_pem_x509_certificate(piece[piece.find(b"-----BEGIN") :])
        except ValueError as error:
            if path != SYSTEM_ROOTS:
                raise RootsError(f"{path}: one of the certificates can't be read ({error}); take it out") from error
            return None


def _check(_: Policy, __: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
    if extension is not None and not _FOR_MAIL & set(extension):
        raise ValueError("a certificate that is not for mail")


def _for_mail(certificate: x509.Certificate) -> bool:
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    return extended is None or bool(_FOR_MAIL & set(extended))


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(str(error)) from error


def _written(certificate: x509.Certificate) -> list[str]:
    found: list[str] = []
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is not None:
        found += names.get_values_for_type(x509.RFC822Name)
        found += [
            one.value[2:].decode()
            for one in names.get_values_for_type(x509.OtherName)
            if one.type_id == _SMTP_UTF8_MAILBOX and one.value[:1] == _UTF8_STRING and one.value[1:2] < b"\x80"
        ]
    subject = certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    return found or [str(one.value) for one in subject]
