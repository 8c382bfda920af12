"""A draft as a whole: what came in with a form, together with what was kept before.

Knows whose mail it may look into by what it is given, and no form fields.
"""

from __future__ import annotations

from dataclasses import replace

from messenger import message, reply
from messenger.mailbox import Mailbox, NoSuchMessage

from . import compose_form, drafts
from .answering import Original
from .compose_form import Form
from .drafts import NEW, Draft
from .mails import DRAFTS, Mails


def merged(form: Form, box: Mails, mailbox: Mailbox, room: int) -> tuple[Draft, bool]:
    """The whole draft: with the files that were with it before, and the thread of what it answers.

    False: the new files don't fit beside those, and aren't in it.
    """
    before = _before(form, box, mailbox)
    original = original_of(form.draft, box)
    if before:
        kept, thread = before.files, before.thread
    elif original and compose_form.takes_files_of_original(form.draft, form.name):
        kept, thread = tuple(drafts.files_of(original.raw, original.message)), reply.Thread()
    else:
        kept, thread = (), reply.Thread()
    if original:
        thread = reply.thread(original.message)
    kept = tuple(file for file in kept if file.key not in form.removed)
    new = tuple(file for file in form.draft.files if file.key not in {one.key for one in kept})
    fits = sum(len(file.content) for file in (*kept, *new)) <= room
    return replace(form.draft, files=(*kept, *(new if fits else ())), thread=thread), fits or not new


def _before(form: Form, box: Mails, mailbox: Mailbox) -> Draft | None:
    """The draft as it was kept last; also where the form is of a state before that."""
    for name in [form.name, *drafts.states(mailbox, form.draft.id)] if form.name else []:
        try:
            found = drafts.load(box.read(name), name)
        except NoSuchMessage:
            continue
        if found.id == form.draft.id:
            return found
    return None


def original_of(draft: Draft, box: Mails) -> Original | None:
    """What *draft* answers, if it is still there."""
    return None if not draft.original or draft.kind == NEW else answerable(draft.original, box)


def answerable(name: str, box: Mails) -> Original | None:
    """The mail *name*, to be answered or passed on. Never a draft: its owner may have written any recipient into it."""
    row = box.place(name).row
    if row is None or "D" in row.flags:
        return None
    try:
        raw = box.read(name)
    except NoSuchMessage:
        return None
    return Original(name, raw, message.read(raw))


def kept(name: str, box: Mails) -> Draft | None:
    """The draft that is kept under *name*, if there is one."""
    try:
        return drafts.load(box.read(name), name) if box.folder_of(name) == DRAFTS else None
    except NoSuchMessage:
        return None
