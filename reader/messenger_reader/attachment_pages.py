"""The pages of a message's attachments: look at one, save one, save all of them.

A path such as "2" or "2-1.3" says which: a part of the message, or of a message inside it. What an attachment holds is
never a page of ours: it is saved, or it is in a sandbox of its own (docs/reader.md).
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import tzinfo

from flask import Blueprint, Response, abort, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue

from messenger import message
from messenger.link import reference
from messenger.message import Message, NoSuchPart, Part

from . import calendar_words, calendars, file_words, language, pdf_pages, previews
from .calendars import Calendar
from .downloads import named, save_as, show
from .opened import audit, raw_of
from .own_mails import mails
from .zip_stream import ZipStream, safe_name

pages = Blueprint("files", __name__)

pages.add_app_template_filter(file_words.kind_of, "file_kind")
pages.add_app_template_test(file_words.is_tnef, "tnef")
pages.add_app_template_global(calendar_words, "calendar_words")  # type: ignore[arg-type]  # a module, for its functions


@pages.app_template_global("invitation_in")
def invitation_in(name: str, parts: list[Part], prefix: str) -> Calendar | None:
    """The first calendar among *parts*, so that an invitation is read where the message is."""
    for part in parts:
        if file_words.preview_of(part) == "calendar" and part.size <= calendars.CALENDAR_BYTES:
            with suppress(NoSuchPart, calendars.NotACalendar):
                return calendars.read(message.part(raw_of(name), f"{prefix}{part.number}")[1])
            return None
    return None


@pages.get("/message/<name>/attachment/<path>")
def attachment(name: str, path: str) -> ResponseReturnValue:
    part, content = _part(raw_of(name), path)
    audit("download", name, f"part {path}")
    return save_as(part.filename, part.content_type, content)


@pages.get("/message/<name>/preview/<path>")
def preview(name: str, path: str) -> ResponseReturnValue:
    """An attachment to be looked at: what it is, and a frame or a picture with what is in it."""
    raw = raw_of(name)
    part, content = _part(raw, path)
    if file_words.preview_of(part) == "mail":
        return redirect(url_for("nested.show", name=name, path=path), 303)
    audit("read", name, f"preview {path}")
    return render_template(
        "preview.html",
        name=name,
        path=path,
        above=path.rpartition(message.SEPARATOR)[0],
        part=part,
        shown=previews.look(raw, path, part, content, _page()),
        pages=pdf_pages.PAGES,
    )


@pages.get("/message/<name>/preview/<path>/content")
def content(name: str, path: str) -> ResponseReturnValue:
    """What is in the frame or the picture of a preview: one of few types, and sandboxed for whoever opens it alone."""
    raw = raw_of(name)
    part, whole = _part(raw, path)
    try:
        found = previews.shown(raw, path, part, whole, _page())
    except pdf_pages.Busy:
        abort(503)
    if found is None:
        abort(404)
    audit("read", name, f"preview {path} content")
    return show(part.filename, *found)


@pages.get("/message/<name>/attachments.zip")
def all_of(name: str) -> ResponseReturnValue:
    """All attachments in one zip file; of a message inside with ``?of=`` its path. Nothing is kept on disk."""
    raw, of = raw_of(name), request.args.get("of", "")
    try:
        raw = message.inner(raw, of) if of else raw
    except NoSuchPart:
        abort(404)
    found = message.read(raw)
    moment = _moment(name, found)
    audit("download", name, f"all attachments {of}")
    pieces = _zipped(raw, found, moment, language.time_zone())
    response = Response(stream_with_context(pieces), mimetype="application/zip")
    return named(response, "attachment", f"{reference(name)}.zip")


def _zipped(raw: bytes, found: Message, moment: float, zone: tzinfo) -> Iterator[bytes]:
    file = ZipStream(zone)
    numbers = {part.number for part in found.attachments if not part.inline}
    for part, content in message.contents(raw, numbers):
        yield from file.add(file.free(*safe_name(part.filename)), content, moment)
    yield from file.end()


def _moment(name: str, found: Message) -> float:
    """When the message was sent, else when it came."""
    if found.date is not None:
        return found.date.timestamp()
    row = mails().place(name).row
    return row.received if row else 0


def _part(raw: bytes, path: str) -> tuple[Part, bytes]:
    try:
        return message.part(raw, path)
    except NoSuchPart:
        abort(404)


def _page() -> int:
    """The page of a PDF, from 1."""
    given = request.args.get("page", "")
    return int(given) if given.isascii() and given.isdecimal() and 0 < len(given) < 6 and int(given) else 1
