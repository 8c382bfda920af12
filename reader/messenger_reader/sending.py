"""Send a mail so that a crash anywhere loses nothing, and sends nothing twice without saying so.

1. The mail goes into Sent, under a name made of its Message-ID, with the flag D: it is being sent. Of several tries at
   once exactly one gets it in; the others wait for what becomes of it.
2. It goes into the mail system's queue.
3. The flag D goes. Drafts of it go, and the mail it answers is marked.

A crash before 2 is done, or an answer that never came, leaves it in Sent with D: nobody knows whether it left, and the
page says so. What was refused goes back to the drafts.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from messenger import reply_mail
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox, NoSuchMessage
from messenger.reply_mail import Outgoing
from messenger.submission import SubmissionUnclear

from . import drafts
from .drafts import FORWARD, NEW, Draft
from .mails import DRAFTS, SENT, Mails
from .post import Post

log = logging.getLogger(__name__)

LEFT, ALREADY, UNCLEAR, REFUSED = "left", "already", "unclear", "refused"
#: How long somebody who pressed twice waits for what becomes of the first time.
WAIT_SECONDS = 8.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Outcome:
    """What became of a mail: LEFT, ALREADY (it had left before), UNCLEAR, REFUSED."""

    what: str
    #: The mail in Sent; where it was refused, the draft.
    name: str = ""


def name_of(draft_id: str) -> str:
    """What the mail with that Message-ID is called in Sent: the same for every try to send it."""
    return sha256(f"sent {draft_id}".encode()).hexdigest()


def state(mailbox: Mailbox, mails: Mails, draft_id: str) -> Outcome | None:
    """What became of that mail before; None if it was never tried, or refused."""
    name = name_of(draft_id)
    try:
        folder = mails.folder_of(name)
        unclear = "D" in mailbox.flag(name, folder=folder)
        if unclear and folder != SENT:  # its owner put it away: another try is a new one
            return None
        return Outcome(UNCLEAR if unclear else ALREADY, name)
    except NoSuchMessage:
        return None


@dataclass(frozen=True)
class Writer:
    """Who sends: the address, and the mail of theirs."""

    address: str
    mailbox: Mailbox
    mails: Mails
    #: How much the mailbox holds, in octets; 0 is no limit.
    quota: int = 0


def send(post: Post, writer: Writer, draft: Draft, kept: str, mail: Outgoing, raw: bytes, now: int) -> Outcome:
    """Send *mail* as *raw*, which *draft* has become; *kept* is that draft's name, if it was kept.

    Raises a MessengerError where it can't be kept (MailboxFull, for one); nothing was sent then.
    """
    mailbox, mails = writer.mailbox, writer.mails
    if before := _settled(mailbox, mails, draft.id):
        return before
    name, copy = name_of(draft.id), reply_mail.write(mail).raw
    drafts.make_sure_of_room(mailbox, len(copy), writer.quota, now)
    if not mailbox.deliver(copy, name, SENT, "DS"):
        # Another try was faster. Where that one was refused, it has kept the draft.
        return _settled(mailbox, mails, draft.id) or Outcome(REFUSED, next(iter(drafts.states(mailbox, draft.id)), ""))
    try:
        post.send(raw, mail)
    except SubmissionUnclear as error:
        log.error("%s: %s", name, error)
        if not kept:  # for another try: it knows what it answers, which the mail in Sent doesn't say
            drafts.save(mailbox, draft, writer.address, post.domain, now)
        return Outcome(UNCLEAR, name)
    except MessengerError as error:
        log.error("%s: not sent: %s", name, error)
        back = drafts.save(mailbox, draft, writer.address, post.domain, now)
        mails.remove([name], SENT)  # after it is kept elsewhere
        return Outcome(REFUSED, back)
    _finish(writer, draft, kept, name)
    return Outcome(LEFT, name)


def _settled(mailbox: Mailbox, mails: Mails, draft_id: str) -> Outcome | None:
    """What became of it, after a wait if it is under way."""
    until = time.monotonic() + WAIT_SECONDS
    while (found := state(mailbox, mails, draft_id)) and found.what == UNCLEAR and time.monotonic() < until:
        time.sleep(_LOOK_SECONDS)
    return found


def _finish(writer: Writer, draft: Draft, kept: str, name: str) -> None:
    """The mail has left; what goes wrong from here on is no reason to say otherwise."""
    mails = writer.mails
    try:
        mails.flag(name, remove="D")
        mails.remove({kept, *drafts.states(writer.mailbox, draft.id)} - {""}, DRAFTS)
        if draft.original and draft.kind != NEW:
            with suppress(NoSuchMessage):
                mails.flag(draft.original, add="P" if draft.kind == FORWARD else "R")
    except MessengerError as error:
        log.error("%s: sent, but not tidied up: %s", name, error)
