"""Whether a signature in a mail says who wrote it: bytes and known issuers in, a state for a sentence out.

"Signed by" is said only where all of this holds: the signed part is the root of the mail, the signature fits it and is
the only one, the mail has one From field with one mailbox, the certificate is for that mailbox and for mail, it is
valid today, and it leads to an issuer that the site knows. Anything less is said to be less, and never trusted.
Knows nothing of pages.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cryptography import x509

from messenger import chain, message
from messenger.message import Kind, Message
from messenger.tunnel import Refused, correspondence
from messenger.tunnel.correspondence import Vouched


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
    addresses = chain.addresses(certificate)
    if chain.same(sender) not in addresses:
        return Trust(State.OTHER_ADDRESS, addresses[0] if addresses else "")
    if not chain.may_sign(certificate):
        return Trust(State.NOT_FOR_MAIL, sender)
    if now > certificate.not_valid_after_utc:
        return Trust(State.EXPIRED, sender, day=certificate.not_valid_after_utc)
    if now < certificate.not_valid_before_utc:
        return Trust(State.NOT_YET, sender, day=certificate.not_valid_before_utc)
    issuer = chain.known_issuer(certificate, vouched.others, roots, now)
    return Trust(State.SIGNED, sender, issuer) if issuer is not None else Trust(State.UNKNOWN_ISSUER, sender)
