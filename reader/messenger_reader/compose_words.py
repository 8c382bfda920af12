"""What is said about a mail that can't go yet, in the language of the page."""

from __future__ import annotations

from collections.abc import Sequence

from .language import file_size, ngettext
from .language import gettext as _
from .look import address
from .rights import EMPTY, LONG, MANY, MISSING, OUTSIDE, RECIPIENTS, TEXT_CHARACTERS, UNCLEAR, Fault, Rights

#: How many addresses or files a sentence names.
NAMED = 8


def said(fault: Fault, rights: Rights) -> str:
    """A sentence; what it holds of addresses is still to be escaped."""
    if fault.kind == UNCLEAR:
        words = ngettext(
            "This is not an email address: %(who)s.", "These are not email addresses: %(who)s.", len(fault.addresses)
        )
        return words % {"who": named(fault.addresses)}
    if fault.kind == OUTSIDE:
        return unreachable(fault.addresses, rights)
    return {
        MISSING: _("Please say who the message goes to."),
        MANY: _("A message can go to at most %(num)s people.") % {"num": RECIPIENTS},
        EMPTY: _("The message is empty. Please write something, or add a file."),
        LONG: _("The text is too long. At most %(num)s characters go; please send it as a file.")
        % {"num": TEXT_CHARACTERS},
    }[fault.kind]


def unreachable(addresses: Sequence[str], rights: Rights) -> str:
    """Who can't be written to from here, and who can."""
    words = ngettext(
        "%(who)s can’t be reached from here.", "These can’t be reached from here: %(who)s.", len(addresses)
    )
    return f"{words % {'who': named(addresses)}} {reach(rights)}"


def reach(rights: Rights) -> str:
    if not rights.write:
        return _("You can only answer people who wrote to you.")
    if rights.listed:
        return _("You can write to the people on the list.")
    return _("You can write to people at %(domains)s.") % {"domains": domains(rights)}


def domains(rights: Rights) -> str:
    """The domains in reach, as people read them."""
    return ", ".join(address(f"x@{domain}").removeprefix("x@") for domain in rights.domains)


def named(names: Sequence[str]) -> str:
    shown = ", ".join(address(one)[:200] for one in names[:NAMED])
    return f"{shown}, …" if len(names) > NAMED else shown


def too_much(files: Sequence[str], room: int) -> str:
    """Of files that didn't go in."""
    words = _("Too large: %(files)s. All files of a message together can have up to %(room)s.")
    return words % {"files": ", ".join(files[:NAMED]) or "…", "room": file_size(room)}
