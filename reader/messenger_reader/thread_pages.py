"""A conversation on one page.

The newest few are shown with their text, as plain text and cut where it is long; every other is a line that leads to
its own page. What is shown with its text counts as read, and is in the audit; what is a line doesn't, and isn't.
"""

from typing import NamedTuple

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from messenger import message
from messenger.errors import MessengerError
from messenger.message import Message

from .index_contents import Card
from .marking import is_read_by_a_person, mark_as_read
from .opened import audit, opened
from .own_mails import mails
from .own_receipts import opened_by_a_person
from .own_searching import conversation_of
from .receipt_spool import Owed

pages = Blueprint("thread", __name__)

#: So many of the newest are shown with their text, besides the one that the address names.
OPEN = 3
#: Characters of a text; the rest is on the message's own page.
TEXT = 20_000


class Line(NamedTuple):
    """One mail of the conversation. Without a message it is a line."""

    card: Card
    message: Message | None = None
    text: str = ""
    cut: bool = False
    receipt: Owed | None = None


@pages.get("/thread/<name>")
def show(name: str) -> ResponseReturnValue:
    mail = opened(name)
    conversation = conversation_of(name, mail.message)
    if len(conversation.cards) < 2:
        return redirect(url_for("mail.show", name=name))
    shown = {name, *(card.name for card in conversation.cards[-OPEN:])}
    lines = [_opened(card) if card.name in shown else Line(card) for card in conversation.cards]
    return render_template(
        "thread.html",
        name=name,
        message=mail.message,
        lines=lines,
        cut=conversation.cut,
        folder=mails().folder_of(name),
    )


def _opened(card: Card) -> Line:
    try:
        raw = mails().read(card.name)
    except MessengerError:  # gone this moment
        return Line(card)
    read = message.read(raw)
    audit("read", card.name, "thread")
    if is_read_by_a_person() and not card.seen:
        mark_as_read(card.name)
    receipt = opened_by_a_person(card.name, card.folder, raw)
    return Line(card, read, message.text_html(read.text[:TEXT]), len(read.text) > TEXT, receipt)
