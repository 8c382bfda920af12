"""Whether a signature in a mail says who wrote it: bytes and known issuers in, a state for a sentence out.

"Signed by" is said only where all of this holds: the signed part is the root of the mail, the signature fits it and is
the only one, the mail has one From field with one mailbox, the certificate is for that mailbox and for mail, it is
valid today, and it leads to an issuer that the site knows. Anything less is said to be less, and never trusted.
Knows nothing of pages.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from messenger import message
from messenger.envelope import AddressError, normal
from messenger.message import Kind, Message
from messenger.tunnel import Refused, correspondence
from messenger.tunnel.correspondence import Vouched

#: Certificates from the signer's to a known issuer's.
CHAIN = 4
#: RFC 9598, 3: an address with non-ASCII characters, which rfc822Name can't hold.
_SMTP_UTF8_MAILBOX = ObjectIdentifier("1.3.6.1.5.5.7.8.9")
_UTF8_STRING = 0x0C
_FOR_MAIL = {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}

T = TypeVar("T", bound=x509.ExtensionType)


class State(StrEnum):
    NONE = ""
    #: All of it holds.
    SIGNED = "signed"
    #: The signature fits, but:
    UNKNOWN_ISSUER = "unknown-issuer"
    EXPIRED = "expired"
    NOT_YET = "not-yet"
    OTHER_ADDRESS = "other-address"
    SEVERAL_SENDERS = "several-senders"
    NOT_FOR_MAIL = "not-for-mail"
    #: It does not:
    ALTERED = "altered"
    SEVERAL_SIGNERS = "several-signers"
    SHA1 = "sha1"
    UNCHECKED = "unchecked"
    #: There is none over the whole mail.
    INSIDE = "inside"
    #: Not for us to check, or to open.
    PGP_SIGNED = "pgp-signed"
    PGP_ENCRYPTED = "pgp-encrypted"
    SMIME_ENCRYPTED = "smime-encrypted"


@dataclass(frozen=True)
class Trust:
    """What the page says; ``address`` is the certificate's, ``day`` the one from or until which it is valid."""

    state: State = State.NONE
    address: str = ""
    issuer: str = ""
    day: datetime | None = None


@dataclass(frozen=True)
class Examined:
    """What the mail alone says, whenever it is asked."""

    state: State = State.NONE
    vouched: Vouched | None = None
    #: Of From, if it names one mailbox.
    sender: str = ""


_UNSIGNED = {
    Kind.NONE: State.NONE,
    Kind.SMIME_ENCRYPTED: State.SMIME_ENCRYPTED,
    Kind.PGP_SIGNED: State.PGP_SIGNED,
    Kind.PGP_ENCRYPTED: State.PGP_ENCRYPTED,
    Kind.SIGNED_INSIDE: State.INSIDE,
    Kind.BROKEN: State.UNCHECKED,
}
_REFUSED = {"altered": State.ALTERED, "several-signers": State.SEVERAL_SIGNERS, "sha1": State.SHA1}


def examine(raw: bytes, read: Message) -> Examined:
    """Look at the mail *raw*, which was read as *read*; time grows with its length. Never raises."""
    found = message.protection(raw, read.text)
    if found.kind is not Kind.SMIME_SIGNED:
        return Examined(_UNSIGNED[found.kind])
    try:
        vouched = correspondence.check(found.cms, found.content, found.opaque)
    except Refused as error:
        return Examined(_REFUSED.get(error.code, State.UNCHECKED))
    odd = {"several-from", "several-authors", "no-from", "headers-cut"} & set(read.problems)
    if odd or len(read.senders) != 1:
        return Examined(State.SEVERAL_SENDERS)
    return Examined(State.SIGNED, vouched, read.senders[0].address)


def judge(examined: Examined, roots: tuple[x509.Certificate, ...], now: int) -> Trust:
    """Say what the page says, at the moment *now* (Unix seconds). Never raises."""
    if examined.vouched is None:
        return Trust(examined.state)
    try:
        return _judge(examined.vouched, examined.sender, roots, datetime.fromtimestamp(now, UTC))
    except (ValueError, TypeError):  # extensions that are none
        return Trust(State.UNCHECKED)


def _judge(vouched: Vouched, sender: str, roots: tuple[x509.Certificate, ...], now: datetime) -> Trust:
    certificate = vouched.certificate
    addresses = [one for one in map(_normal, _addresses(certificate)) if one]
    if _normal(sender) not in addresses:
        return Trust(State.OTHER_ADDRESS, addresses[0] if addresses else "")
    if not _may_sign_mail(certificate):
        return Trust(State.NOT_FOR_MAIL, sender)
    if now > certificate.not_valid_after_utc:
        return Trust(State.EXPIRED, sender, day=certificate.not_valid_after_utc)
    if now < certificate.not_valid_before_utc:
        return Trust(State.NOT_YET, sender, day=certificate.not_valid_before_utc)
    issuer = _known_issuer(vouched, roots, now)
    return Trust(State.SIGNED, sender, issuer) if issuer is not None else Trust(State.UNKNOWN_ISSUER, sender)


def _known_issuer(vouched: Vouched, roots: tuple[x509.Certificate, ...], now: datetime) -> str | None:
    """The name of the known issuer that the certificate leads to, or None."""
    if not roots:
        return None
    ca = ExtensionPolicy.webpki_defaults_ca().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _for_mail)
    own = ExtensionPolicy.permit_all().may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _for_mail)
    policy = PolicyBuilder().store(Store(list(roots))).time(now).max_chain_depth(CHAIN)
    verifier = policy.extension_policies(ca_policy=ca, ee_policy=own).build_client_verifier()
    try:
        chain = verifier.verify(vouched.certificate, list(vouched.others)).chain
    except VerificationError:
        return None
    names = chain[-1].subject
    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for one in names.get_attributes_for_oid(kind):
            return str(one.value)[:100]
    return names.rfc4514_string()[:100]


def _for_mail(_: Policy, certificate: x509.Certificate, extension: x509.ExtendedKeyUsage | None) -> None:
    if extension is not None and not _FOR_MAIL & set(extension):
        raise ValueError("a certificate that is not for mail")


def _may_sign_mail(certificate: x509.Certificate) -> bool:
    """RFC 8550, 4.4.2 and 4.4.4: where a certificate says what it is for, this is among it."""
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        return False
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    return extended is None or bool(_FOR_MAIL & set(extended))


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _addresses(certificate: x509.Certificate) -> list[str]:
    """RFC 8550, 3: from the alternative name, or from the subject where that has none."""
    found: list[str] = []
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is not None:
        found += names.get_values_for_type(x509.RFC822Name)
        found += [
            one.value[2:].decode()
            for one in names.get_values_for_type(x509.OtherName)
            if one.type_id == _SMTP_UTF8_MAILBOX and one.value[:1] == bytes((_UTF8_STRING,)) and one.value[1] < 128
        ]
    subject = certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    return found or [str(one.value) for one in subject]


def _normal(address: str) -> str:
    """The one spelling of an address; nothing for what is none, which then equals no other."""
    try:
        return normal(address)
    except AddressError:
        return ""
