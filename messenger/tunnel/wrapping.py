"""Write tunnel mails: profile ``wrapped``, clear-signed, then encrypted (docs/tunnel.md).

Takes an original message and where it is to go, gives the mail that carries it. The MIME is written here, because
a signature is over bytes and no library may rewrap them.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from email.utils import format_datetime

from cryptography import x509

from .. import tunnel_fields
from ..envelope import normal
from .encrypting import encrypt
from .keys import SenderKey, public_key, weakness
from .opening import canonical_line_ends
from .signing import WrapError, base64_lines, multipart_signed, sign

SUBJECT = "Protected message"

#: RFC 5322, 2.1.1.
MAX_LINE = 998

_FIELD_NAME = re.compile(r"[!-9;-~]{1,100}")
_RULE = re.compile(r"[!-~](?:[ -~]{0,98}[!-~])?")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}>")


def wrap(
    raw: bytes,
    *,
    mail_from: str,
    rcpt_tos: Sequence[str],
    options: Iterable[str] = (),
    sender: SenderKey,
    recipient: x509.Certificate,
    webmail_sender: str,
    webmail_recipient: str,
    date: datetime,
    message_id: str,
    modern: bool = False,
    rules: Sequence[str] = (),
    fields: tunnel_fields.Fields = tunnel_fields.Fields(),  # noqa: B008  (frozen)
) -> bytes:
    """Write the tunnel mail. *modern*: AES-256-GCM and RSA-OAEP instead of AES-256-CBC and PKCS#1 v1.5.

    *rules* are the names of those that made it one: printable ASCII, for whoever looks into the tunnel.
    """
    if not raw.strip():
        raise WrapError("there is no message to wrap")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise WrapError(f"a Message-ID like <id@host> was expected, found {ascii(message_id)[:100]}")
    raw = canonical_line_ends(raw)
    header = _entity_header(raw, mail_from, rcpt_tos, options, rules, fields)
    signature = sign(hashlib.sha256(header), raw, sender, date)
    if flaw := weakness(public_key(recipient)):
        raise WrapError(f"the key in the recipient's certificate {flaw}")
    boundary = secrets.token_hex(24)
    kind, encrypted = encrypt(multipart_signed(boundary, header, raw, signature), [recipient], modern)
    head = (
        f"From: <{normal(webmail_sender)}>\r\n"
        f"To: <{normal(webmail_recipient)}>\r\n"
        f"Subject: {SUBJECT}\r\n"
        f"Date: {format_datetime(date)}\r\n"
        f"Message-ID: {message_id}\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: application/pkcs7-mime; smime-type={kind};\r\n name="smime.p7m"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
    )
    return b"".join((head.encode(), *base64_lines(encrypted)))


def _entity_header(
    raw: bytes,
    mail_from: str,
    rcpt_tos: Sequence[str],
    options: Iterable[str],
    rules: Sequence[str],
    fields: tunnel_fields.Fields,
) -> bytes:
    """The header of the signed entity: envelope and options, under the signature."""
    asked = sorted(set(options))
    if unknown := set(asked) - tunnel_fields.OPTIONS:
        raise WrapError(f"unknown options {sorted(unknown)}; known are {sorted(tunnel_fields.OPTIONS)}")
    recipients = list(dict.fromkeys(normal(address) for address in rcpt_tos))
    if not recipients:
        raise WrapError("a recipient is needed, found none")
    sender, recipient, option = (_first(names) for names in (fields.sender, fields.recipient, fields.options))
    lines = [f"{sender}: <{normal(mail_from) if mail_from else ''}>"]
    lines += [f"{recipient}: <{address}>" for address in recipients]
    lines += [f"{option}: {', '.join(asked)}"] if asked else []
    lines += [f"{tunnel_fields.RULE}: {_printable(rule)}" for rule in rules]
    lines += ["Content-Type: message/rfc822", f"Content-Transfer-Encoding: {_encoding(raw)}", "", ""]
    return "\r\n".join(lines).encode()


def _first(names: tuple[str, ...]) -> str:
    if not names or not _FIELD_NAME.fullmatch(names[0]):
        raise WrapError(f"the name of a header field was expected, found {names[:1]!a}")
    return names[0]


def _printable(rule: str) -> str:
    if not _RULE.fullmatch(rule):
        raise WrapError(f"a rule's name of 1 to 100 printable ASCII characters was expected, found {ascii(rule)[:120]}")
    return rule


def _encoding(raw: bytes) -> str:
    """RFC 2045, 6.2. Nothing is encoded: within the encryption any byte travels safely."""
    if b"\0" in raw or _has_long_line(raw):
        return "binary"
    return "7bit" if raw.isascii() else "8bit"


def _has_long_line(raw: bytes) -> bool:
    """Is a line longer than RFC 5322 allows? In strides: of most lines nothing is looked at."""
    place = 0
    while len(raw) - place > MAX_LINE:
        line_end = raw.rfind(b"\n", place, place + MAX_LINE + 2)
        if line_end < 0:
            return True
        place = line_end + 1
    return False
