"""Write the mail around an encrypted PDF: from whom it is, and where its password is. No subject, no content.

Knows no spool, no clock and no way to send.
"""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace
from datetime import datetime

import segno

from messenger import envelope, message, visible
from messenger.letterhead import SUBJECT_CHARACTERS, Site, date_and_time, direction, head, language_tag
from messenger.link import reference
from messenger.notice_mail import encoded
from messenger.notice_texts import environment, languages, render
from messenger.notify import readable_address, readable_name
from messenger.pdf_job import PdfJob
from messenger.preferences import PHRASE_CHARACTERS

from .signing import Signer, base64_lines

SUBJECT, TEXT, HTML = "pdf-cover-subject.txt", "pdf-cover.txt", "pdf-cover.html"
#: Points of a QR code's module; a mail shows it at 180 pixels.
QR_SCALE = 5


def cover(
    job: PdfJob,
    pdf: bytes,
    site: Site,
    now: datetime,
    *,
    files_waiting: bool = False,
    signer: Signer | None = None,
) -> bytes:
    """Return the whole mail, ready to be sent; *site* as it speaks to the recipient.

    Its Message-ID is the same for the same PDF, so that a repeat shows itself. Raises NoticeError for a template
    that can't be used.
    """
    texts = environment(site.templates, site.language)
    picture = _qr(job.password_url)
    picture_id = f"qr.{job.pdf_id}@{_domain(site)}"
    sender = message.sender(job.raw)
    values = {
        "site": site,
        "language": language_tag(site),
        "direction": direction(site),
        "sender_name": "" if sender.suspicious else readable_name(sender.name, sender.address),
        "sender_address": readable_address(sender.address),
        "received": date_and_time(site, datetime.fromtimestamp(job.created, now.tzinfo)),
        "reference": reference(job.digest),
        "phrase": visible.line(job.phrase, PHRASE_CHARACTERS),
        "pdf_id": job.pdf_id,
        "password_url": job.password_url,
        "files_waiting": files_waiting,
        "picture_id": picture_id,
    }
    subject = visible.line(render(texts, SUBJECT, {"site": site}), SUBJECT_CHARACTERS)
    text = encoded(render(texts, TEXT, values))
    html = encoded(render(texts, HTML, values | {"subject": subject}))
    entity = _mixed(_alternative(text, html, picture, picture_id), pdf, f"{job.pdf_id}.pdf")
    fields = head(job.address, subject, site, now, f"pdf.{job.pdf_id}@{_domain(site)}")
    header = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    if signer is not None:
        return signer.sign_mail(header, entity)
    return header + b"MIME-Version: 1.0\r\n" + entity


def check_templates(site: Site) -> None:
    """Raise NoticeError, naming file and line, if a mail of *site* could not be written in any of its languages."""
    now = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    for language in dict.fromkeys((site.language, *languages(site.templates))):
        spoken = replace(site, language=language)
        for waiting in (False, True):
            cover(_CHECK, b"", spoken, now, files_waiting=waiting)


def _domain(site: Site) -> str:
    return envelope.domain_of(site.notice_from)


def _qr(text: str) -> bytes:
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="png", scale=QR_SCALE, border=2)
    return out.getvalue()


def _alternative(text: bytes, html: bytes, picture: bytes, picture_id: str) -> bytes:
    """Plain text, or HTML with its picture (RFC 2387)."""
    shown = _part(b'text/html; charset="utf-8"', html, b"quoted-printable")
    drawn = _part(
        b"image/png",
        base64_lines(picture),
        b"base64",
        b"Content-ID: <" + picture_id.encode() + b'>\r\nContent-Disposition: inline; filename="qr.png"\r\n',
    )
    related = _multipart(b'related; type="text/html"', [shown, drawn])
    return _multipart(b"alternative", [_part(b'text/plain; charset="utf-8"', text, b"quoted-printable"), related])


def _mixed(words: bytes, pdf: bytes, name: str) -> bytes:
    quoted = name.encode("ascii")
    attached = _part(
        b'application/pdf; name="' + quoted + b'"',
        base64_lines(pdf),
        b"base64",
        b'Content-Disposition: attachment; filename="' + quoted + b'"\r\n',
    )
    return _multipart(b"mixed", [words, attached])


def _part(kind: bytes, content: bytes, encoding: bytes, fields: bytes = b"") -> bytes:
    return (
        b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n" + fields + b"\r\n" + content
    )


def _multipart(kind: bytes, parts: list[bytes]) -> bytes:
    # From the content, so that the same mail is the same bytes; neither encoding writes "=_".
    boundary = b"=_" + hashlib.sha256(b"".join(parts)).hexdigest()[:32].encode()
    assert re.fullmatch(rb"=_[0-9a-f]{32}", boundary)
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        b"Content-Type: multipart/"
        + kind
        + b';\r\n boundary="'
        + boundary
        + b'"\r\n\r\n'
        + body
        + b"--"
        + boundary
        + b"--\r\n"
    )


_CHECK = PdfJob(
    pdf_id="2222-3333-4444-5555",
    address="recipient@example.org",
    digest="0" * 64,
    generation=0,
    created=946_684_800,
    password_url="https://portal.example.org/l/x/2222-3333-4444-5555",  # noqa: S106 -- a page's address
    reply_url="",
    language="",
    time_zone="",
    phrase="A phrase",
    raw=b"",
)
