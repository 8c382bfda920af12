"""Stand-alone mode: read a mail that came in the clear as what the tunnel would have brought.

Envelope and bytes in, a TunnelMail out, with the digest by which a retry is known. Knows no Postfix, no keys, no clock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

from messenger.envelope import AddressError, Envelope, normal
from messenger.errors import MessengerError
from messenger.gateway.decision import destination
from messenger.tunnel import TunnelMail
from messenger.tunnel_fields import Fields, outer_options

PROFILE = "standalone"

# Milters get continuation lines that begin with a blank or a tab, and so are the fields put together again.
_FIELD_END = re.compile(rb"\r\n(?![ \t])")
#: What an author's program writes. What servers add on the way differs from attempt to attempt: Received, signatures.
_AUTHORS = frozenset(
    b"date from sender reply-to to cc bcc message-id in-reply-to references subject comments keywords"
    b" mime-version".split()
)
_AUTHORS_TOO = (b"content-", b"resent-")

Field = tuple[bytes, bytes]


class NoMailbox(MessengerError):
    """A recipient whom no webmail can reach. Trying again won't help."""


def opened(
    envelope: Envelope,
    raw: bytes,
    *,
    fields: Fields,
    own_domains: Collection[str],
    tunnel: Collection[str],
) -> TunnelMail:
    """Read *raw*, whose recipients are all outside; NoMailbox where one can't have a mailbox.

    *tunnel* are the tunnel's own addresses, as ``normal`` gives them: nothing opens tunnel mail here.
    """
    for address in envelope.rcpt_tos:
        if address in tunnel:
            raise NoMailbox(f'{address} takes tunnel mail, which needs [intake] mode = "tunnel"')
        if destination(address, own_domains) != address:
            # A guess here could hand somebody's mail to somebody else.
            raise NoMailbox(f"{address} is a way through our own domain; write where it leads")
    header, body = _split(raw)
    return TunnelMail(
        raw=raw,
        mail_from=_reverse_path(envelope.mail_from),
        rcpt_tos=envelope.rcpt_tos,
        options=outer_options(lambda name: _values(header, name), fields),
        digest=_digest(header, memoryview(raw)[body:], envelope.queue_id),
        profile=PROFILE,
        signer="",
    )


def _reverse_path(mail_from: str) -> str:
    """The sender; nobody where bounces and receipts could not be sent to what SMTP said."""
    try:
        return normal(mail_from) if mail_from else ""
    except AddressError:
        return ""


def _split(raw: bytes) -> tuple[list[Field], int]:
    """The header fields, each as its name in lower case and the whole of it, and where the body begins."""
    if raw.startswith(b"\r\n"):
        return [], 2
    end = raw.find(b"\r\n\r\n")
    if end < 0:
        return [], 0
    return [(field.partition(b":")[0].strip().lower(), field) for field in _FIELD_END.split(raw[:end])], end + 4


def _values(header: list[Field], name: str) -> list[bytes]:
    wanted = name.lower().encode()
    return [_value(field) for found, field in header if found == wanted]


def _value(field: bytes) -> bytes:
    return field.partition(b":")[2].replace(b"\r\n", b"").strip()


def _digest(header: list[Field], body: memoryview, queue_id: str) -> str:
    """SHA-256, hex: the same for each attempt and each copy of one mail, another one for another mail.

    A mail with a Message-ID of its own is what its author wrote, whatever was added on the way. Without one all fields
    count; and where nothing tells one mail from the next of the same words, each counts as a mail of its own: rather a
    second copy after a retry than a mail that is lost.
    """
    added = _added_by_postfix(header, queue_id)
    own = [field for index, field in enumerate(header) if index not in added]
    names = {name for name, _ in own}
    if b"message-id" in names:
        counted = [field for name, field in own if name in _AUTHORS or name.startswith(_AUTHORS_TOO)]
    elif names & {b"received", b"date"}:
        counted = [field for _, field in own]
    else:
        counted = [field for _, field in header] + [b"queue-id:" + queue_id.encode()]
    digest = hashlib.sha256()
    for field in counted:
        digest.update(field + b"\r\n")
    digest.update(b"\r\n")
    digest.update(body)
    return digest.hexdigest()


def _added_by_postfix(header: list[Field], queue_id: str) -> frozenset[int]:
    """Where the Message-Id stands that our own Postfix has made of the queue id, and the Date behind it (cleanup(8)).

    Both differ at each attempt. Postfix adds them at the end of the header, and for its local clients alone.
    """
    ours = re.compile(rb"<(?:\d{14}\.)?%b@[^>]*>" % re.escape(queue_id.encode()))
    for index in range(len(header) - 1, -1, -1):
        name, field = header[index]
        if name == b"message-id" and ours.fullmatch(_value(field)):
            dated = index + 1 < len(header) and header[index + 1][0] == b"date"
            return frozenset({index, index + 1} if dated else {index})
    return frozenset()
