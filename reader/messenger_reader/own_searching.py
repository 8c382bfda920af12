"""The search of whoever is logged in. There is no way into anybody else's mail: no address comes from a request."""

import logging

from flask import g

from messenger.mailbox import mailbox_of
from messenger.message import Message

from .context import context
from .index_file import CacheUnusable
from .index_threads import Conversation
from .searching import Searching

log = logging.getLogger(__name__)


def searching() -> Searching:
    """What is inside the mail of the person of this request."""
    own, address = context(), g.account.address
    return Searching(mailbox_of(own.config.mail.root, address), own.config.reader.cache, address, own.clock)


def conversation_of(name: str, read: Message) -> Conversation:
    """The conversation of the mail *name*, as far as it is known; empty where the cache can't be used."""
    try:
        return searching().conversation(name, read)
    except CacheUnusable as error:
        log.warning("%s", error)
        return Conversation()
