"""The pages a person reads mail on: a message, and its other faces.

Every mail is reached through ``mails()``, which knows whose it is: nobody's address is ever taken from a request.
What is in a mail is hostile. It is drawn escaped, or in the frame (docs/reader.md).
"""

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from messenger import message
from messenger.link import reference

from .downloads import save_as
from .list_pages import pages, told
from .marking import is_read_by_a_person, mark_as_read
from .opened import audit, bodies, opened
from .own_mails import mails
from .own_receipts import opened_by_a_person
from .own_searching import conversation_of
from .own_trust import trust_of

__all__ = ["pages"]

#: A plain text up to this length stands in the page itself, and grows with it; a longer one gets the frame.
INLINE_CHARACTERS = 200_000


@pages.get("/message/<name>")
def show(name: str) -> ResponseReturnValue:
    mail = opened(name)
    audit("read", name)
    place = mails().place(name)
    if is_read_by_a_person() and not (place.row and place.row.seen):
        mark_as_read(name)
    pictures = "pictures" in request.args
    inline = mail.message.html is None and len(mail.message.text) <= INLINE_CHARACTERS
    shown = None if inline else bodies().show(name, mail.raw, remote_pictures=pictures)
    return render_template(
        "message.html",
        name=name,
        message=mail.message,
        place=place,
        reference=reference(name),
        text=message.text_html(mail.message.text) if inline else "",
        shown=shown,
        pictures=pictures,
        sandbox=message.FRAME_SANDBOX,
        folders=mails().folders(),
        conversation=conversation_of(name, mail.message),
        receipt=opened_by_a_person(name, place.folder, mail.raw),
        trust=trust_of(name, mail.raw, mail.message),
        **told(),
    )


@pages.get("/message/<name>/body")
def body(name: str) -> ResponseReturnValue:
    """What is in the frame; also shown alone."""
    pictures = "pictures" in request.args
    mail = opened(name)
    audit("read", name, "body")
    shown = bodies().show(name, mail.raw, remote_pictures=pictures)
    response = make_response(shown.html)
    response.headers["Content-Security-Policy"] = message.policy(pictures)
    return response


@pages.get("/message/<name>/text")
def text(name: str) -> ResponseReturnValue:
    return _face("text.html", name)


@pages.get("/message/<name>/print")
def printed(name: str) -> ResponseReturnValue:
    return _face("print.html", name)


@pages.get("/message/<name>/headers")
def headers(name: str) -> ResponseReturnValue:
    return _face("headers.html", name)


@pages.get("/message/<name>/eml")
def eml(name: str) -> ResponseReturnValue:
    mail = opened(name)
    audit("download", name)
    return save_as(f"{reference(name)}.eml", "message/rfc822", mail.raw)


def _face(template: str, name: str) -> str:
    mail = opened(name)
    audit("read", name, template.removesuffix(".html"))
    return render_template(
        template,
        name=name,
        message=mail.message,
        place=mails().place(name),
        reference=reference(name),
        text=message.text_html(mail.message.text),
    )
