"""The pages people write on: answer, pass on, write anew, drafts, and what became of a mail.

GET changes nothing. Every button of the form leads to a draft that is kept, or to the mail that left, so that a page
may be loaded again and nothing that was typed is lost. Who may be written to is in rights.py, how a mail leaves in
sending.py.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger import reply
from messenger.accounts import DONE, REFUSED
from messenger.errors import MessengerError
from messenger.link import reference
from messenger.mailbox import Mailbox, mailbox_of

from . import answering, compose_form, compose_words, drafts, entry, sending
from .answering import Original
from .compose_form import QUOTE, SEND, UNQUOTE, Form
from .compose_view import answers, carried, note, page, rights
from .context import context
from .drafts import FORWARD, NEW, REPLY, REPLY_ALL, Draft
from .language import gettext as _
from .mails import DRAFTS, SENT
from .opened import audit, checked, opened
from .own_mails import mails
from .whole_draft import answerable, kept, merged, original_of

log = logging.getLogger(__name__)

pages = Blueprint("compose", __name__)

#: Where a form is posted to; access.py hands it to rescue.py where the session has run out.
POSTED = "compose.given"


@pages.app_context_processor
def _for_other_pages() -> dict[str, object]:
    """What the buttons beside a mail and above a list need to know."""
    inside = bool(g.get("account"))
    return {"answers": answers, "may_answer": inside and rights().reply, "may_write": inside and rights().write}


@pages.get("/compose")
def new() -> ResponseReturnValue:
    _need(rights().write)
    return page(answering.begun(NEW, None, g.account.address, rights()))


@pages.get("/message/<name>/reply")
def reply_to(name: str) -> ResponseReturnValue:
    return _answer(REPLY, name)


@pages.get("/message/<name>/reply-all")
def reply_all(name: str) -> ResponseReturnValue:
    _need(rights().reply_all)
    return _answer(REPLY_ALL, name)


@pages.get("/message/<name>/forward")
def forward(name: str) -> ResponseReturnValue:
    _need(rights().write)
    return _answer(FORWARD, name)


@pages.get("/draft/<name>")
def draft(name: str) -> ResponseReturnValue:
    """Go on writing."""
    _need(rights().reply)
    found = kept(checked(name), mails())
    if found is None:
        abort(404)
    if (before := sending.state(_mailbox(), mails(), found.id)) and before.what == sending.ALREADY:
        return redirect(url_for(".sent", name=before.name, again=""), 303)
    return page(found, name, note=note(found), tried="try" in request.args)


@pages.post("/compose")
def given() -> ResponseReturnValue:
    """The form, whatever button was pressed."""
    _need(rights().reply)
    form = compose_form.read(context().post.room, context().post.patience)
    if form.whose != g.account.address:
        # Somebody else logged in by now, in another tab.
        return carried(form.draft, 409)
    try:
        return _given(form)
    except drafts.MailboxFull:
        words = _(
            "Your mailbox is full, so nothing was saved or sent. What you wrote is still here: "
            "please delete messages in another tab, then try again."
        )
        return _as_it_was(form, words, 507)
    except MessengerError as error:
        log.error("a mail that was written: %s: %s", type(error).__name__, error)
        words = _("This doesn’t work right now, and nothing was sent. What you wrote is still here; please try again.")
        return _as_it_was(form, words, 503)


def _as_it_was(form: Form, words: str, status: int) -> ResponseReturnValue:
    """The form with what was typed, where not even a draft could be kept."""
    lost = [_("Please choose the files again.")] if form.draft.files else []
    before = kept(form.name, mails()) if form.name else None
    shown = replace(form.draft, files=before.files if before else ())
    return page(shown, form.name, problems=[" ".join([words, *lost])], status=status)


@pages.post("/draft/<name>/delete")
def delete(name: str) -> ResponseReturnValue:
    _need(rights().reply)
    found = kept(checked(name), mails())
    if found:
        mails().remove(drafts.states(_mailbox(), found.id) or [name], DRAFTS)
    return redirect(url_for("mail.folder", folder=DRAFTS), 303)


@pages.get("/sent/<name>")
def sent(name: str) -> ResponseReturnValue:
    """What became of a mail."""
    _need(rights().reply)
    mail = opened(name)
    found = sending.state(_mailbox(), mails(), drafts.load_id(mail.raw))
    if found is None or found.name != name:
        abort(404)
    return render_template(
        "sent.html",
        name=name,
        message=mail.message,
        unclear=found.what == sending.UNCLEAR,
        again="again" in request.args,
    )


@pages.post("/sent/<name>/arrived")
def arrived(name: str) -> ResponseReturnValue:
    """Its owner has found out that it left."""
    _need(rights().reply)
    found = drafts.load_id(opened(name).raw)
    state = sending.state(_mailbox(), mails(), found)
    if state and state.what == sending.UNCLEAR and state.name == name:
        mails().flag(name, remove="D")
        mails().remove(drafts.states(_mailbox(), found), DRAFTS)
    return redirect(url_for(".sent", name=name), 303)


@pages.post("/sent/<name>/again")
def again(name: str) -> ResponseReturnValue:
    """Make a draft of a mail of which nobody knows whether it left, for who wants to send it once more."""
    _need(rights().reply)
    mail, own = opened(name), context()
    found = drafts.load(mail.raw, name)
    state = sending.state(_mailbox(), mails(), found.id)
    if state is None or state.what != sending.UNCLEAR or state.name != name:
        return redirect(url_for(".sent", name=name), 303)
    # The one it was made of knows more: what it answers, and what is quoted.
    older = next(iter(drafts.states(_mailbox(), found.id)), "")
    name_again = older or drafts.save(_mailbox(), found, g.account.address, own.post.domain, own.now())
    mails().remove([name], SENT)
    return _to_draft(name_again, "unclear")


def _need(right: bool) -> None:
    if not right:
        abort(404)


def _answer(kind: str, name: str) -> ResponseReturnValue:
    _need(rights().reply)
    original = answerable(checked(name), mails())
    if original is None:
        abort(404)
    begun = answering.begun(kind, original, g.account.address, rights())
    if kind != FORWARD and not begun.to:
        outside = answering.recipients(kind, original, g.account.address, rights()).outside
        words = compose_words.unreachable(outside, rights()) if outside else _("This message doesn’t say who sent it.")
        return render_template("unreachable.html", name=name, words=words)
    audit("read", name, kind)
    return page(begun)


def _given(form: Form) -> ResponseReturnValue:
    if (before := sending.state(_mailbox(), mails(), form.draft.id)) and before.what == sending.ALREADY:
        return redirect(url_for(".sent", name=before.name, again=""), 303)
    box = mails()
    whole, fits = merged(form, box, _mailbox(), context().post.room)
    original = original_of(whole, box)
    if form.refused or not fits:
        name = _save(whole, form.name) if not whole.is_empty else form.name
        names = form.refused or tuple(file.name for file in form.draft.files)
        problem = compose_words.too_much(names, context().post.room)
        return page(whole, name, problems=[problem], at={"files"}, status=413)
    if form.do == SEND:
        return _send(whole, form.name, original)
    if form.do == QUOTE and whole.quote:
        words = f"{whole.text.rstrip()}\n\n{answering.quotation(whole.kind, original)}\n".lstrip("\n")
        whole = replace(whole, text=words, quote=False)
    if form.do == UNQUOTE:
        whole = replace(whole, text=reply.unquoted(whole.text))
    said = {QUOTE: "quoted", UNQUOTE: "unquoted"}.get(form.do, "saved")
    return _to_draft(_save(whole, form.name), said)


def _send(whole: Draft, name: str, original: Original | None) -> ResponseReturnValue:
    own, account = context(), g.account
    found = answering.recipients(whole.kind, original, account.address, rights())
    if rights().faults(whole, (*found.to, *found.cc)):
        return _to_draft(_save(whole, name), "try")
    below = answering.quotation(whole.kind, original) if whole.quote else ""
    words = f"{whole.text.rstrip()}\n\n{below}".strip("\n") if below else whole.text
    mail = whole.outgoing(own.post.sender(account.address), own.post.domain, own.now(), words)
    raw = own.post.sealed(mail)
    if len(raw) > own.post.size_limit:
        return _to_draft(_save(whole, name), "large")
    detail = f"{reference(sending.name_of(whole.id))} {whole.kind} to {len(mail.recipients)}"
    per_hour = own.config.reply.per_hour
    if not own.accounts.allow("reply", account.id, per_hour, entry.client(), own.now(), detail):
        return _to_draft(_save(whole, name), "often")
    writer = sending.Writer(account.address, _mailbox(), mails(), own.config.mail.quota)
    outcome = sending.send(own.post, writer, whole, name, mail, raw, own.now())
    if outcome.what != sending.ALREADY:
        ended = DONE if outcome.what == sending.LEFT else REFUSED
        words = f"{detail} {outcome.what}" if outcome.what == sending.UNCLEAR else detail
        own.accounts.audit("reply", ended, account.id, entry.client(), own.now(), words)
    if outcome.what == sending.REFUSED:
        return _to_draft(outcome.name or _save(whole, name), "refused")
    again = "" if outcome.what == sending.ALREADY else None
    return redirect(url_for(".sent", name=outcome.name, again=again), 303)


def _save(whole: Draft, before: str) -> str:
    """Keep the draft, then let go of its older states; its name."""
    own, mailbox = context(), _mailbox()
    # Looked for before: of two forms at once, neither takes away what the other has just kept.
    older = {before, *drafts.states(mailbox, whole.id)} - {""}
    name = drafts.save(mailbox, whole, g.account.address, own.post.domain, own.now(), own.config.mail.quota)
    mails().remove(older - {name}, DRAFTS)
    return name


def _mailbox() -> Mailbox:
    return mailbox_of(context().config.mail.root, g.account.address)


def _to_draft(name: str, note: str) -> ResponseReturnValue:
    query: dict[str, Any] = {note: ""}
    return redirect(url_for(".draft", name=name, **query), 303)
