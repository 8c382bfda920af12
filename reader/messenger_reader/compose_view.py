"""What the pages for writing show: the form with all that is in it, and what is said above it.

Draws; decides and keeps nothing.
"""

from __future__ import annotations

from flask import Response, g, make_response, render_template, request

from messenger import reply
from messenger.message import Message

from . import answering, compose_words
from .answering import Answers
from .context import context
from .drafts import FORWARD, NEW, Draft
from .language import gettext as _
from .own_mails import mails
from .rights import Rights, rights_of
from .whole_draft import original_of


def rights() -> Rights:
    return rights_of(context().config)


def answers(read: Message) -> Answers:
    """What the person of this request can do about a mail."""
    return answering.answers(read, g.account.address, rights())


def note(shown: Draft) -> tuple[str, str]:
    """What the page says about what came before it: the kind of note, and the words."""
    beyond = [one for field in (shown.to, shown.cc) for one in reply.typed(field).addresses if not one.isascii()]
    if "refused" in request.args and beyond:
        words = _("Perhaps it doesn’t know addresses with letters like those in %(who)s.")
        return "bad", f"{_refused()} {words % {'who': compose_words.named(beyond)}}"
    notes = {
        "saved": ("", _("Your draft is saved.")),
        "quoted": ("", _("The original is in your text now. Your draft is saved.")),
        "unquoted": ("", _("What was quoted is out of your text. Your draft is saved.")),
        "kept": (
            "",
            _("This is what you were writing when you were logged out. Nothing was sent. Please look through it."),
        ),
        "refused": ("bad", _refused()),
        "large": ("bad", _("Nothing was sent: the message is too large. Your draft is saved; please take out a file.")),
        "often": (
            "bad",
            _(
                "Nothing was sent: so many messages in an hour are not possible. "
                "Your draft is saved; please send it later."
            ),
        ),
        "unclear": (
            "warn",
            _("It is not known whether this message left before. Whoever got it gets it twice if you send it now."),
        ),
    }
    return next((said for key, said in notes.items() if key in request.args), ("", ""))


def _refused() -> str:
    return _(
        "Nothing was sent: the mail system didn’t take the message. "
        "Your draft is saved; please try again in a few minutes."
    )


def page(
    shown: Draft,
    name: str = "",
    *,
    note: tuple[str, str] = ("", ""),
    tried: bool = False,
    problems: list[str] | None = None,
    at: set[str] | None = None,
    status: int = 200,
) -> Response:
    own, allowed = context(), rights()
    original = original_of(shown, mails())
    found = answering.recipients(shown.kind, original, g.account.address, allowed)
    faults = allowed.faults(shown, (*found.to, *found.cc)) if tried else []
    html = render_template(
        "compose.html",
        draft=shown,
        name=name,
        note=note,
        problems=[*(problems or []), *(compose_words.said(fault, allowed) for fault in faults)],
        wrong={*(at or set()), *(fault.field for fault in faults)},
        left_out=compose_words.unreachable(found.outside, allowed) if found.outside else "",
        reach=compose_words.reach(allowed),
        listed=allowed.listed if shown.kind in (NEW, FORWARD) else (),
        picked=set(reply.typed(shown.to).addresses),
        quotation=answering.quotation(shown.kind, original),
        room=own.post.room,
        sender=own.post.sender(g.account.address),
        encrypted=bool(own.post.recipients),
    )
    return make_response(html, status)


def carried(shown: Draft, status: int) -> Response:
    """A page that does no more than show what was typed, to be copied."""
    return make_response(render_template("carried.html", draft=shown), status)
