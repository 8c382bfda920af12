"""The door to the mail of whoever is logged in. There is no way to anybody else's: no address comes from a request."""

from flask import g

from messenger.mailbox import mailbox_of

from .context import context
from .mails import Mails


def mails() -> Mails:
    """The mail of the person of this request."""
    own, address = context(), g.account.address
    return Mails(mailbox_of(own.config.mail.root, address), own.config.reader.cache, address, own.clock)
