"""What somebody was writing when their session ran out: it is kept for them, and shown once they are logged in again.

The token of a session that time alone has ended is good for this one thing, for a day (docs/security.md). It lets
nobody read, change or send anything; a draft is added to those of the account whose session it was, and nothing tells
whoever added it what is there.
"""

from __future__ import annotations

import logging

from flask import g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from messenger.accounts import Account
from messenger.errors import MessengerError
from messenger.mailbox import mailbox_of

from . import access, compose_form, drafts, entry
from .compose_form import Form
from .compose_view import carried, rights
from .context import context
from .mails import Mails
from .whole_draft import merged

log = logging.getLogger(__name__)

EVENT = "draft kept"
#: So many drafts an hour: a person has one or two forms open.
PER_HOUR = 10


def keep() -> ResponseReturnValue | None:
    """Answer the form of somebody who isn't logged in any more."""
    if not rights().reply or not request.content_length:
        return access.way_in()
    account = _whose()
    post = context().post
    try:
        form = compose_form.read(post.room if account else 0, post.patience)
    except BadRequest:  # not a form of ours, so there is nothing to keep
        return access.way_in()
    if form.draft.is_empty and not form.refused:
        return access.way_in()
    if account and form.whose == account.address:
        try:
            if name := _kept(form, account):
                back = url_for("compose.draft", name=name, kept="")
                return redirect(url_for("account.login", next=back, kept=""), 303)
        except MessengerError as error:
            log.error("a draft after the session ended: %s: %s", type(error).__name__, error)
    return carried(form.draft, 403)


def _whose() -> Account | None:
    token = request.cookies.get(access.COOKIE, "")
    # Somebody who is half way in again has shown less than this wants.
    if g.session or not token or len(token) > access.TOKEN_CHARACTERS:
        return None
    return context().accounts.lapsed(token, context().now())


def _kept(form: Form, account: Account) -> str:
    own = context()
    if not own.accounts.allow(EVENT, account.id, PER_HOUR, entry.client(), own.now()):
        return ""
    mailbox = mailbox_of(own.config.mail.root, account.address)
    box = Mails(mailbox, own.config.reader.cache, account.address, own.clock)
    whole, _ = merged(form, box, mailbox, own.post.room)
    # What it was before stays beside it: nothing is taken away without a log-in.
    return drafts.save(mailbox, whole, account.address, own.post.domain, own.now(), own.config.mail.quota)
