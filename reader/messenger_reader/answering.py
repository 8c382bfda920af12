"""Begin an answer: what a form is filled in with, out of the mail that is answered or passed on.

Knows the words of quotation in the language of the page; knows no form and no folder.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import NamedTuple

from messenger import reply
from messenger.message import Message, Person
from messenger.reply import Recipients

from .drafts import FORWARD, NEW, REPLY_ALL, Draft, files_of
from .language import full_date
from .language import gettext as _
from .look import address
from .rights import Rights


@dataclass(frozen=True)
class Answers:
    """What can be done about a mail, for the buttons beside it."""

    reply: bool
    reply_all: bool
    forward: bool
    #: Who can't be answered from here, where nobody else is there to answer either.
    outside: tuple[str, ...] = ()


class Original(NamedTuple):
    """The mail that is answered or passed on."""

    name: str
    raw: bytes
    message: Message


def answers(message: Message, own: str, rights: Rights) -> Answers:
    one = reply.recipients(message, own, rights.domains)
    every = reply.recipients(message, own, rights.domains, to_all=True)
    several = len(every.to) + len(every.cc) > 1 or (not one.to and bool(every.to))
    return Answers(
        reply=rights.reply and bool(one.to),
        reply_all=rights.reply_all and several,
        forward=rights.write,
        outside=one.outside if rights.reply and not one.to else (),
    )


def recipients(kind: str, original: Original | None, own: str, rights: Rights) -> Recipients:
    """Whom an answer of *kind* to *original* goes to, and who is left out."""
    if original is None or kind in (NEW, FORWARD):
        return Recipients()
    return reply.recipients(original.message, own, rights.domains, to_all=kind == REPLY_ALL)


def begun(kind: str, original: Original | None, own: str, rights: Rights) -> Draft:
    """A form's first state."""
    new = secrets.token_hex(16)
    if original is None:
        return Draft(new)
    found = recipients(kind, original, own, rights)
    passed_on = kind == FORWARD
    subject = original.message.subject
    return Draft(
        id=new,
        kind=kind,
        original=original.name,
        quote=bool(quotation(kind, original)),
        to=", ".join(map(address, found.to)),
        cc=", ".join(map(address, found.cc)),
        subject=reply.subject_of_forward(subject) if passed_on else reply.subject_of_answer(subject),
        files=tuple(files_of(original.raw, original.message)) if passed_on else (),
        thread=reply.thread(original.message),
    )


def quotation(kind: str, original: Original | None) -> str:
    """What of *original* goes below an answer: its text, and whose it is. Passed on, its facts as well."""
    if original is None or kind == NEW:
        return ""
    read = original.message
    words = reply.plain(read.text).strip("\n")
    if kind == FORWARD:
        return f"{_facts(read)}\n\n{words[: reply.QUOTE_CHARACTERS]}".rstrip()
    if not words:
        return ""
    who = ", ".join(one.name if one.name and not one.suspicious else one.address for one in read.senders[:1])
    if read.date and who:
        line = _("On %(date)s, %(who)s wrote:") % {"date": full_date(read.date), "who": who}
    else:
        line = _("%(who)s wrote:") % {"who": who or _("Unknown sender")}
    return f"{reply.one_line(line)}\n{reply.quoted(words)}"


def _facts(read: Message) -> str:
    lines = [
        "---------- " + _("Forwarded message") + " ----------",
        _line(_("From"), _people(read.senders)),
        _line(_("Date"), full_date(read.date) if read.date else ""),
        _line(_("Subject"), read.subject),
        _line(_("To"), _people(read.to)),
        _line(_("Copy to"), _people(read.cc)),
    ]
    return "\n".join(line for line in lines if line)


def _line(name: str, value: str) -> str:
    return f"{name}: {value}" if value else ""


def _people(people: tuple[Person, ...]) -> str:
    shown = [f"{one.name} <{address(one.address)}>" if one.name else address(one.address) for one in people[:20]]
    return ", ".join([*shown, *(["…"] if len(people) > 20 else [])])
