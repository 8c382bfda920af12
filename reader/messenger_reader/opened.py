"""Open a mail of whoever is logged in, for pages that show something of it, and write down that they did.

Nobody's address is ever taken from a request: ``mails()`` knows whose mail it is. What isn't there is not found (404).
"""

import re
from typing import NamedTuple

from flask import abort, g

from messenger import message
from messenger.accounts import DONE
from messenger.link import reference
from messenger.mailbox import NoSuchMessage
from messenger.message import Message

from . import entry
from .bodies import Bodies
from .context import context
from .own_mails import mails

# What Maildir allows and a page's address can hold; Mailbox looks again.
NAME = re.compile(r"(?!\.)[!-.0-9;-~]{1,200}")


class Opened(NamedTuple):
    name: str
    raw: bytes
    message: Message


def opened(name: str) -> Opened:
    """The mail *name*, read."""
    raw = raw_of(name)
    return Opened(name, raw, message.read(raw))


def raw_of(name: str) -> bytes:
    """The mail *name* as it came."""
    try:
        return mails().read(checked(name))
    except NoSuchMessage:
        abort(404)


def checked(name: str) -> str:
    if not NAME.fullmatch(name):
        abort(404)
    return name


def bodies() -> Bodies:
    """The sanitised bodies of this person's mail."""
    return Bodies(context().config.reader.cache, g.account.address)


def audit(event: str, name: str, face: str = "") -> None:
    """Write down that something of the mail left the house: its code and which page, nothing that is in it."""
    own = context()
    detail = f"{reference(name)} {face}".rstrip()
    own.accounts.audit(event, DONE, g.account.id, entry.client(), own.now(), detail)
