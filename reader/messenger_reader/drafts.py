"""Drafts: what somebody is writing, kept as a mail in the folder Drafts, where any mail program finds it too.

A draft that is saved again is a new file; the one before it goes afterwards, so a crash leaves both rather than none.
All of them, and the mail that is sent in the end, have one Message-ID. Knows no pages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256

from messenger import message, reply, reply_mail
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox
from messenger.notice_mail import unstructured
from messenger.reply import Thread
from messenger.reply_mail import File, Outgoing, Sender

from .mails import DRAFTS

NEW, REPLY, REPLY_ALL, FORWARD = "new", "reply", "reply-all", "forward"
KINDS = (NEW, REPLY, REPLY_ALL, FORWARD)
ID = re.compile(r"[0-9a-f]{32}")
#: A draft's fields of ours: what it answers, and what was typed where that isn't an address yet.
ANSWER, TO, CC = "X-Messenger-Draft", "X-Messenger-To", "X-Messenger-Cc"
_QUOTE, _PLAIN = "quote", "plain"
#: More drafts than these aren't looked through for an older state of one.
LOOKED_THROUGH = 500
_HEAD = 16 * 1024
_MESSAGE_ID = re.compile(r"<([0-9a-f]{32})@[^<>\s]+>")
_ANSWER = re.compile(rf"({'|'.join(KINDS)}) ({_QUOTE}|{_PLAIN})(?: (\S{{1,200}}))?")


@dataclass(frozen=True)
class Draft:
    #: 32 hexadecimal digits: of the Message-ID, from the first form on.
    id: str
    kind: str = NEW
    #: The name of the mail that is answered or passed on.
    original: str = ""
    #: Whether its text goes below this one.
    quote: bool = False
    #: As typed.
    to: str = ""
    cc: str = ""
    subject: str = ""
    text: str = ""
    files: tuple[File, ...] = ()
    thread: Thread = field(default_factory=Thread)

    @property
    def is_empty(self) -> bool:
        """Nothing that anybody would miss."""
        return not (self.text.strip() or self.files or (self.kind == NEW and (self.subject or self.to)))

    def outgoing(self, sender: Sender, domain: str, now: int, text: str | None = None) -> Outgoing:
        """The mail it makes, dated *now*, with another text if one is given."""
        to, cc = reply.typed(self.to).addresses, reply.typed(self.cc).addresses
        return Outgoing(
            sender=sender,
            to=to,
            cc=tuple(one for one in cc if one not in to),
            subject=self.subject,
            text=self.text if text is None else text,
            files=self.files,
            message_id=f"{self.id}@{domain}",
            date=datetime.fromtimestamp(now, UTC),
            thread=self.thread,
        )


class MailboxFull(MessengerError):
    """The quota leaves no room for this."""


def save(mailbox: Mailbox, draft: Draft, own: str, domain: str, now: int, quota: int = 0) -> str:
    """Keep *draft* of the person with the address *own*; on disk when this returns its name.

    Raises MailboxFull where a *quota*, in octets, leaves no room for it.
    """
    answer = f"{draft.kind} {_QUOTE if draft.quote else _PLAIN} {draft.original}".rstrip()
    more = [(ANSWER, answer)]
    for name, typed in ((TO, draft.to), (CC, draft.cc)):
        if reply.typed(typed).unclear:
            more.append((name, unstructured(reply.one_line(typed))))
    raw = reply_mail.write(draft.outgoing(Sender(own), domain, now), more).raw
    name = sha256(raw).hexdigest()
    make_sure_of_room(mailbox, len(raw), quota, now)
    mailbox.deliver(raw, name, DRAFTS, "DS")
    return name


def make_sure_of_room(mailbox: Mailbox, octets: int, quota: int, now: int) -> None:
    """Raise MailboxFull where *quota* leaves no room for so many octets more; 0 is no quota."""
    if quota and not mailbox.usage(quota, now).has_room(octets):
        raise MailboxFull(f"{mailbox.root}: no room for {octets} octets more within {quota}")


def load(raw: bytes, name: str) -> Draft:
    """The draft that is the mail *name*, whoever wrote it."""
    read = message.read(raw)
    fields = {key.lower(): value for key, value in reversed(read.headers)}
    own = _MESSAGE_ID.fullmatch(read.message_id.strip())
    answer = _ANSWER.fullmatch(fields.get(ANSWER.lower(), ""))
    return Draft(
        id=own[1] if own else sha256(name.encode()).hexdigest()[:32],
        kind=answer[1] if answer else NEW,
        original=(answer[3] or "") if answer else "",
        quote=bool(answer) and answer[2] == _QUOTE if answer else False,
        to=_typed(fields, TO, read.to),
        cc=_typed(fields, CC, read.cc),
        subject=read.subject,
        text=read.text.rstrip("\n"),
        files=tuple(files_of(raw, read)),
        thread=reply.thread_of(read),
    )


def files_of(raw: bytes, read: message.Message) -> list[File]:
    """All that goes with a mail, pictures in its text included."""
    parts = {part.number: part for part in read.attachments}
    return [
        File(parts[part.number].filename, part.content_type, content)
        for part, content in message.contents(raw, set(parts))
    ]


def states(mailbox: Mailbox, draft_id: str) -> list[str]:
    """The names of the drafts with that Message-ID, the newest first."""
    found = []
    mark = f"<{draft_id}@".encode()
    every = sorted(mailbox.list(DRAFTS), key=lambda entry: entry.received, reverse=True)
    for entry in every[:LOOKED_THROUGH]:
        try:
            head = mailbox.read(entry.name, DRAFTS, limit=_HEAD)
        except MessengerError:  # gone this moment
            continue
        if mark in head and load_id(head) == draft_id:
            found.append(entry.name)
    return found


def load_id(head: bytes) -> str:
    own = _MESSAGE_ID.fullmatch(message.read(head).message_id.strip())
    return own[1] if own else ""


def without(draft: Draft, removed: frozenset[str]) -> Draft:
    """*draft* without the files with these keys."""
    return replace(draft, files=tuple(file for file in draft.files if file.key not in removed))


def _typed(fields: dict[str, str], name: str, people: tuple[message.Person, ...]) -> str:
    if name.lower() in fields:
        return fields_text(fields[name.lower()])
    return ", ".join(one.address for one in people)


def fields_text(value: str) -> str:
    """A field of ours that may hold encoded words."""
    return message.read(f"Subject: {value}\r\n\r\n".encode()).subject
