"""Write the mails that leave the portal, as bytes: a text, files with it, and a header that only says what it must.

The body is plain text in UTF-8, quoted-printable, a line for each paragraph. Not format=flowed (RFC 3676): programs
that don't know it, Outlook and Gmail among them, show its lines broken after 72 characters, which a phone breaks once
more; and every program wraps long lines. Knows no recipients' rights, no files and no accounts.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import quote

from . import reply
from .notice_mail import encoded, mailbox, unstructured

#: What stands outside where the subject is inside the encryption.
HIDDEN_SUBJECT = "Protected message"
#: Encoded characters of a parameter's value that fit on a line (RFC 2231, 3).
_SEGMENT = 54
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 !#$&'()+,.;=@\[\]^_`{}~-]{1,60}")
OCTETS = "application/octet-stream"


@dataclass(frozen=True)
class File:
    """A file that goes with a mail."""

    name: str
    content_type: str
    content: bytes

    @property
    def key(self) -> str:
        """Names it on pages: by what it is, so that it stays the same from draft to draft."""
        return sha256(self.name.encode("utf-8", "replace") + b"\0" + self.content).hexdigest()[:24]


@dataclass(frozen=True)
class Sender:
    """Whom a mail says it is from."""

    address: str
    name: str = ""
    #: Where answers go if not there.
    reply_to: str = ""


@dataclass(frozen=True)
class Outgoing:
    sender: Sender
    #: Normal addresses.
    to: tuple[str, ...]
    cc: tuple[str, ...]
    subject: str
    text: str
    files: tuple[File, ...]
    #: Without angle brackets.
    message_id: str
    #: With a zone.
    date: datetime
    thread: reply.Thread = field(default_factory=reply.Thread)

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.to, *self.cc)))


@dataclass(frozen=True)
class Written:
    """A mail in two halves: what is encrypted, and what stays outside."""

    #: The header but for the fields about the content, each with CRLF.
    fields: bytes
    #: MIME header and body, seven bits.
    entity: bytes

    @property
    def raw(self) -> bytes:
        return self.fields + self.entity


def sender(own: str, *, site_address: str, site_name: str) -> Sender:
    """From the site, which may sign for its own domain (DKIM, DMARC); *own*, the person's address, gets the answers."""
    return Sender(site_address, f"{own} via {site_name}", own)


def write(mail: Outgoing, more: Iterable[tuple[str, str]] = ()) -> Written:
    """Write *mail*, with *more* fields, which are one line each. Never a Bcc: there is none anywhere."""
    return Written(_lines([*_header(mail), *more, ("MIME-Version", "1.0")]), _entity(mail))


def write_hidden(mail: Outgoing) -> Written:
    """Write *mail* to be encrypted with its subject: header protection, RFC 9788, with hcp_baseline.

    Inside is the true header; the text begins with the subject for programs that don't look there (4.10).
    """
    inner = _header(mail)
    outer = [(name, HIDDEN_SUBJECT if name == "Subject" else value) for name, value in inner]
    # What needs UTF-8 can't be in what is signed as seven bits; it is outside in any case.
    kept = [(name, value) for name, value in inner if value.isascii()]
    hp = [("HP-Outer", f"{name}: {value}") for name, value in outer if value.isascii()]
    entity = _lines([*kept, *hp]) + _entity(mail, hidden=True)
    return Written(_lines([*outer, ("MIME-Version", "1.0")]), entity)


def _header(mail: Outgoing) -> list[tuple[str, str]]:
    thread = mail.thread
    fields = [
        ("From", mailbox(mail.sender.name, mail.sender.address)),
        ("Reply-To", mail.sender.reply_to),
        ("To", ",\r\n ".join(mail.to)),
        ("Cc", ",\r\n ".join(mail.cc)),
        ("Subject", unstructured(reply.one_line(mail.subject))),
        ("Date", format_datetime(mail.date)),
        ("Message-ID", f"<{mail.message_id}>"),
        ("In-Reply-To", thread.in_reply_to),
        ("References", "\r\n ".join(thread.references)),
    ]
    return [(name, value) for name, value in fields if value or name == "Subject"]


def _lines(fields: Iterable[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode()


def _entity(mail: Outgoing, *, hidden: bool = False) -> bytes:
    protection = '; hp="cipher"' if hidden else ""
    legacy = '; hp-legacy-display="1"' if hidden else ""
    words = reply.plain(mail.text).rstrip("\n") + "\n"
    if hidden:
        words = f"Subject: {reply.one_line(mail.subject)}\n\n{words}"
    text = encoded(words)
    if not mail.files:
        return _text_head(protection + legacy) + text
    # From the content, so that the same mail is the same bytes; neither encoding ever writes "=_".
    boundary = b"=_" + sha256(text + b"".join(file.key.encode() for file in mail.files)).hexdigest()[:32].encode()
    parts = [
        b'Content-Type: multipart/mixed;\r\n boundary="%b"%b\r\n\r\n' % (boundary, protection.encode()),
        b"--%b\r\n" % boundary,
        _text_head(legacy),
        text,
    ]
    for file in mail.files:
        parts += [b"\r\n--%b\r\n" % boundary, _file_head(file), _base64(file.content)]
    return b"".join((*parts, b"\r\n--%b--\r\n" % boundary))


def _text_head(more: str) -> bytes:
    return (
        f"Content-Type: text/plain; charset=utf-8{more}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    ).encode()


def _file_head(file: File) -> bytes:
    kind = file.content_type.lower()
    # A mail or a multipart must not be base64 (RFC 2045, 6.4), and a name says what it is well enough.
    if not _TYPE.fullmatch(kind) or kind.startswith(("message/", "multipart/")):
        kind = OCTETS
    head = (
        f"Content-Type: {kind}{_parameter('name', file.name)}\r\n"
        f"Content-Disposition: attachment{_parameter('filename', file.name)}\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode()


def _parameter(name: str, value: str) -> str:
    """A parameter of a field, in any script (RFC 2231)."""
    if not value:
        return ""
    if _PLAIN_NAME.fullmatch(value):
        return f';\r\n {name}="{value}"'
    escaped = quote(value, safe="")
    [first, *rest] = re.findall(rf"(?:%..|[^%]){{1,{_SEGMENT // 3}}}", escaped)
    if not rest:
        return f";\r\n {name}*=utf-8''{first}"
    numbered = "".join(f";\r\n {name}*{at}*={segment}" for at, segment in enumerate(rest, 1))
    return f";\r\n {name}*0*=utf-8''{first}{numbered}"


def _base64(content: bytes) -> bytes:
    return base64.encodebytes(content).replace(b"\n", b"\r\n")
