"""A message that was attached to another one, as a message of its own: its headings, its body, its attachments."""

from flask import Blueprint, abort, make_response, render_template, request
from flask.typing import ResponseReturnValue

from messenger import message
from messenger.link import reference
from messenger.message import NoSuchPart

from .mail_pages import INLINE_CHARACTERS
from .mails import Place
from .opened import Opened, audit, bodies, raw_of

pages = Blueprint("nested", __name__)


@pages.get("/message/<name>/part/<path>")
def show(name: str, path: str) -> ResponseReturnValue:
    raw = raw_of(name)
    mail = _inside(name, raw, path)
    audit("read", name, f"part {path}")
    above = path.rpartition(message.SEPARATOR)[0]
    pictures = "pictures" in request.args
    inline = mail.message.html is None and len(mail.message.text) <= INLINE_CHARACTERS
    shown = None if inline else bodies().show(mail.name, mail.raw, remote_pictures=pictures)
    return render_template(
        "nested.html",
        name=name,
        path=path,
        above=above,
        outer=message.read(message.inner(raw, above) if above else raw),
        message=mail.message,
        place=Place(),
        reference=reference(name),
        text=message.text_html(mail.message.text) if inline else "",
        shown=shown,
        pictures=pictures,
        sandbox=message.FRAME_SANDBOX,
    )


@pages.get("/message/<name>/part/<path>/body")
def body(name: str, path: str) -> ResponseReturnValue:
    """What is in the frame; also shown alone."""
    pictures = "pictures" in request.args
    mail = _inside(name, raw_of(name), path)
    audit("read", name, f"part {path} body")
    response = make_response(bodies().show(mail.name, mail.raw, remote_pictures=pictures).html)
    response.headers["Content-Security-Policy"] = message.policy(pictures)
    return response


def _inside(name: str, raw: bytes, path: str) -> Opened:
    """The message at *path*. Its name is one that no message has, so that bodies aren't mixed up."""
    try:
        inner = message.inner(raw, path)
    except NoSuchPart:
        abort(404)
    return Opened(f"{name}/{path}", inner, message.read(inner))
