"""What leaves beside, or instead of, a mail: tunnel mails, S/MIME copies, copies for the filter that knows PGP.

Bytes and choices in, mails with their envelopes out. Sends nothing and decides nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import getaddresses
from itertools import groupby

from cryptography import x509

from messenger import tunnel, tunnel_fields
from messenger.envelope import AddressError, domain_of, normal
from messenger.gateway.values import Choice, Seen, Way
from messenger.tunnel import SenderKey

#: On what is handed to the filter: a mail that comes back with it in clear goes round in a circle.
HANDED = "X-Webmail-Gateway"

#: What describes the body that is no more, or signs it.
_REPLACED = ("content-", "mime-version", "dkim-signature", "arc-")


@dataclass(frozen=True)
class Keys:
    """What tunnel mails and S/MIME copies are made with."""

    sender: SenderKey
    #: The certificate of a webmail recipient, by address. Raises where there is none.
    webmail_recipient: Callable[[str], x509.Certificate]
    #: The certificate and the signing key of anybody, by address.
    certificate: Callable[[str], x509.Certificate | None]
    signing_key: Callable[[str], SenderKey | None]
    fields: tunnel_fields.Fields
    modern: bool = True


@dataclass(frozen=True)
class Copy:
    """One mail to be submitted."""

    way: Way
    mail_from: str
    rcpt_tos: tuple[str, ...]
    message: bytes


def copies(seen: Seen, raw: bytes, choices: Sequence[Choice], keys: Keys, date: datetime) -> list[Copy]:
    """Make all that has to leave for *choices*, in the order in which to submit it.

    Tunnel mails first: Messenger knows one that it has had. *raw* is what they carry.
    """
    found = [tunnel_copy(seen, raw, group, keys, date) for group in _groups(choices)]
    smime = [choice.recipient for choice in choices if choice.way is Way.SMIME]
    named = _named(raw)
    open_ones = tuple(recipient for recipient in smime if recipient in named)
    # A certificate list tells whom a mail is for: who isn't named in it gets a copy without the others.
    for recipients in ([open_ones] if open_ones else []) + [(one,) for one in smime if one not in named]:
        found.append(smime_copy(seen, raw, recipients, keys, date))
    if pgp := tuple(choice.recipient for choice in choices if choice.way is Way.PGP):
        found.append(Copy(Way.PGP, seen.mail_from, pgp, f"{HANDED}: pgp\r\n".encode() + raw))
    return found


def tunnel_copy(seen: Seen, raw: bytes, group: Sequence[Choice], keys: Keys, date: datetime) -> Copy:
    """Wrap the mail for all of *group*, who share options and webmail addresses (docs/tunnel.md)."""
    first = group[0]
    message = tunnel.wrap(
        raw,
        mail_from=seen.mail_from,
        rcpt_tos=[choice.recipient for choice in group],
        options=first.options,
        sender=keys.sender,
        recipient=keys.webmail_recipient(first.webmail_recipient),
        webmail_sender=first.webmail_sender,
        webmail_recipient=first.webmail_recipient,
        date=date,
        message_id=_message_id(seen, raw, group),
        modern=keys.modern,
        rules=_rules(group),
        fields=keys.fields,
    )
    return Copy(first.way, first.webmail_sender, (first.webmail_recipient,), message)


def smime_copy(seen: Seen, raw: bytes, recipients: Sequence[str], keys: Keys, date: datetime) -> Copy:
    """Encrypt the mail's content to all of *recipients*, signed before where the sender has a key (RFC 8551, 3.1)."""
    certificates = []
    for recipient in recipients:
        certificate = keys.certificate(recipient)
        if certificate is None:
            raise tunnel.KeyFileError(f"the certificate of {recipient} was there a moment ago, and isn't any more")
        certificates.append(certificate)
    head, body = _halves(raw)
    outside, inside = _parted(head)
    entity = b"".join(inside) + b"\r\n" + body
    sealed = tunnel.seal(
        entity, recipients=certificates, signer=keys.signing_key(seen.mail_from), date=date, seven_bit=False
    )
    message = b"".join(outside) + b"MIME-Version: 1.0\r\n" + sealed
    return Copy(Way.SMIME, seen.mail_from, tuple(recipients), message)


def with_subject(raw: bytes, value: bytes) -> bytes:
    """The mail with another subject, and otherwise byte for byte."""
    head, gap, body = raw.partition(b"\r\n\r\n")
    fields = [b"Subject: " + value + b"\r\n" if field[:8].lower() == b"subject:" else field for field in _fields(head)]
    return b"".join(fields) + gap[2:] + body


def _groups(choices: Sequence[Choice]) -> list[list[Choice]]:
    def key(choice: Choice) -> tuple[str, ...]:
        return (choice.webmail_sender, choice.webmail_recipient, *sorted(choice.options))

    ours = sorted((choice for choice in choices if choice.way in (Way.WEBMAIL, Way.PDF)), key=key)
    return [list(group) for _, group in groupby(ours, key)]


def _rules(group: Sequence[Choice]) -> list[str]:
    return sorted({rule for choice in group for rule in choice.rules})


def _message_id(seen: Seen, raw: bytes, group: Sequence[Choice]) -> str:
    """The same for the same mail to the same people: a retry is known by it in every log."""
    digest = hashlib.sha256(raw)
    for word in (seen.mail_from, *sorted(choice.recipient for choice in group), *sorted(group[0].options)):
        digest.update(word.encode("utf-8", "backslashreplace") + b"\0")
    return f"<{digest.hexdigest()[:40]}@{domain_of(group[0].webmail_sender)}>"


def _named(raw: bytes) -> frozenset[str]:
    """The addresses in To and Cc: whoever gets the mail may know of these."""
    head, _ = _halves(raw)
    values = [
        field.partition(b":")[2].decode("utf-8", "replace").replace("\r\n", "")
        for field in _fields(head)
        if field.lower().startswith((b"to:", b"cc:"))
    ]
    found = set()
    for _, address in getaddresses(values):
        try:
            found.add(normal(address))
        except AddressError:
            continue
    return frozenset(found)


def _parted(head: bytes) -> tuple[list[bytes], list[bytes]]:
    """Fields that stay outside, and those that describe the content and go inside with it."""
    outside, inside = [], []
    for field in _fields(head):
        name = field.partition(b":")[0].strip().lower().decode("latin-1")
        if name.startswith("content-"):
            inside.append(field)
        elif not name.startswith(_REPLACED):
            outside.append(field)
    return outside, inside


def _halves(raw: bytes) -> tuple[bytes, bytes]:
    """The header with its last CRLF, and what stands behind the empty line."""
    if raw.startswith(b"\r\n"):
        return b"", raw[2:]
    head, gap, body = raw.partition(b"\r\n\r\n")
    return (head + b"\r\n", body) if gap else (raw, b"")


def _fields(head: bytes) -> list[bytes]:
    """Header fields with their folded lines, each ending in CRLF."""
    fields: list[bytes] = []
    for line in head.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line + b"\r\n"
        elif line:
            fields.append(line + b"\r\n")
    return fields
