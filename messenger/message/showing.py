"""Make the document for the frame: HTML sanitised in the sandbox, or the plain text with the reason for it."""

from __future__ import annotations

import atexit
import logging

from ..child_process import ChildError, TimedOut
from . import body, document, html_text, opaque, reading, sandbox, text, transfer
from .parse import tree
from .sanitise import Sanitised
from .values import Message, Printed, Shown

log = logging.getLogger(__name__)

#: Beyond these nh3 may take minutes; no honest mail comes near.
LENGTH = 1_000_000
TAGS = 20_000
OPEN = 512

# The one thing in this package that outlives a call: children wait for the next mail, or each would cost a start.
_POOL = sandbox.Pool()
atexit.register(_POOL.close)


def show(raw: bytes, *, remote_pictures: bool = False) -> Shown:
    """Return the body as a document for the frame. Never raises."""
    message = reading.read(raw)
    clean, reason = _clean(raw, message, remote_pictures)
    if clean is None:
        return Shown(document.plain(message.subject, text.text_html(message.text)), 0, reason)
    return Shown(document.sheet(message.subject, clean), clean.remote_pictures, "")


def printed(raw: bytes) -> Printed:
    """Return the body as HTML for a page of the caller's own, pictures from elsewhere left out. Never raises."""
    message = reading.read(raw)
    clean, reason = _clean(raw, message, remote_pictures=False)
    if clean is None:
        return Printed(text.text_html(message.text), "", "", "", True, reason)
    return Printed(clean.html, clean.body_style, clean.language, clean.direction, False, "")


def _clean(raw: bytes, message: Message, remote_pictures: bool) -> tuple[Sanitised | None, str]:
    """The sanitised HTML, or nothing and the reason why there is the plain text only."""
    if message.html is None:
        return None, ""
    reason = too_much(message.html)
    if reason:
        return None, reason
    inline = _pictures(raw, message.html)
    try:
        return _POOL.run(message.html, inline, remote_pictures, sandbox.WALL_SECONDS), ""
    except TimedOut as error:
        log.warning("a mail is shown as plain text: %s", error)
        return None, "timeout"
    except (ChildError, OSError) as error:
        log.warning("a mail is shown as plain text: %s", error)
        return None, "too-complex"


def too_much(html: str) -> str:
    """The reason why nobody should try to sanitise this, or ""."""
    if len(html) > LENGTH or len(html.encode("utf-8", "replace")) > LENGTH:
        return "too-big"
    if html.count("<") > TAGS or html_text.depth(html, OPEN) > OPEN:
        return "too-complex"
    return ""


def _pictures(raw: bytes, html: str) -> dict[str, bytes]:
    """The pictures of the mail that its HTML shows."""
    raw = opaque.opened(raw)
    asked = body.shown(raw, body.layout(tree(raw)[0]).pictures, html)
    return {name: transfer.content(raw, node) for name, node in asked.items()}
