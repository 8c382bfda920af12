"""Make the encrypted PDF of one mail: read it, lay it out, put its files in, encrypt, sign.

Whatever the mail is, there is a PDF: as it was written, or its text alone, or a page that says so with the mail
itself attached. Knows no spool, no clock and no settings.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from messenger import message
from messenger.letterhead import Site
from messenger.message import Message, Part, Printed
from messenger.pdf_job import PdfJob

from .page import Contents, paper
from .protect import File, protect
from .renderer import Rendered, Renderer, RenderError

log = logging.getLogger(__name__)

#: So much of a text is tried when the whole takes too long: some sixty pages, then twelve, for letters that cost more.
TEXT_CHARACTERS = (250_000, 50_000)
#: What ``Message.problems`` says of a mail that was not read to its end.
LOST = frozenset({"too-many-parts", "too-deep", "text-cut"})
ORIGINAL = "message.eml"


#: What is left out of the page is in the mail itself.
WITH_ORIGINAL = ("cut", "bare")


@dataclass(frozen=True)
class Wishes:
    """What the settings say about PDFs."""

    #: Put the mail itself in, as message.eml.
    original: bool = False
    #: Larger mails leave their files in the portal (bytes of the whole mail).
    files_limit: int = 15_000_000


@dataclass(frozen=True)
class Made:
    content: bytes
    pages: int
    #: "", "text", "cut" or "bare": see ``page.Contents``.
    fallback: str
    #: Files stayed behind in the portal.
    files_waiting: bool
    unconfined: tuple[str, ...]


def make(
    job: PdfJob,
    site: Site,
    password: str,
    renderer: Renderer,
    wishes: Wishes,
    sign: Callable[[bytes, str], bytes] | None = None,
) -> Made:
    """Return the PDF for *job*; *site* as it speaks to the recipient.

    *sign* takes the encrypted PDF and its password. Raises MessengerError where no PDF can be made at all.
    """
    mail = message.read(job.raw)
    listed = tuple(part for part in mail.attachments if not part.inline)
    inside = len(job.raw) <= wishes.files_limit
    rendered, fallback = _lay_out(job, mail, listed, inside, site, wishes, renderer)
    # The page promises the mail itself.
    original = inside and (wishes.original or fallback in WITH_ORIGINAL)
    files = [*(_files(job.raw, listed) if inside else ()), *([_original(job.raw)] if original else ())]
    content = protect(rendered.content, password, files)
    if sign is not None:
        content = sign(content, password)
    return Made(content, rendered.pages, fallback, bool(listed) and not inside, rendered.unconfined)


def _lay_out(
    job: PdfJob,
    mail: Message,
    listed: tuple[Part, ...],
    inside: bool,
    site: Site,
    wishes: Wishes,
    renderer: Renderer,
) -> tuple[Rendered, str]:
    """Try the mail as it is, then its text alone, then a page that says that it is attached."""
    identifier = hashlib.sha256(job.pdf_id.encode()).hexdigest()[:32]
    error: RenderError | None = None
    for fallback, body in _bodies(job.raw, mail):
        contents = Contents(mail, body, listed, inside, fallback)
        if fallback == "bare":
            contents = replace(contents, message=_short(mail), files=listed[:100])
        page = paper(contents, job, site)
        try:
            return renderer.render(page.html, page.css, identifier), fallback
        except RenderError as refused:
            log.warning("%s: laid out more simply: %s", job.pdf_id, refused)
            error = refused
    assert error is not None
    raise error


def _bodies(raw: bytes, mail: Message) -> Iterator[tuple[str, Printed]]:
    body = message.printed(raw)
    # Of parts that weren't read there is no file beside the page: the mail itself goes along then.
    lost = not LOST.isdisjoint(mail.problems)
    yield ("cut" if lost else "text" if body.fallback else ""), body
    if not body.plain:
        yield ("cut" if lost else "text"), _plain(mail.text)
    for characters in TEXT_CHARACTERS:
        if len(mail.text) > characters:
            yield "cut", _plain(mail.text[:characters])
    yield "bare", _plain("")


def _plain(text: str) -> Printed:
    return Printed(message.text_html(text), "", "", "", True, "")


def _short(mail: Message) -> Message:
    """What is shown of the header when nothing else can be."""
    return replace(mail, senders=mail.senders[:3], to=mail.to[:3], cc=())


def _files(raw: bytes, listed: tuple[Part, ...]) -> Iterator[File]:
    # The mail is read once for all of them: it may have a thousand.
    for found, content in message.contents(raw, {part.number for part in listed}):
        yield File(found.filename, found.content_type, content)


def _original(raw: bytes) -> File:
    return File(ORIGINAL, "message/rfc822", raw)
