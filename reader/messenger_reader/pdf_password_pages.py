"""Passwords of the PDFs that were sent to whoever is logged in.

A password is derived each time it is shown; nothing secret is stored. Somebody else's PDF and one that doesn't exist
get the same answer, because only what lies beside one's own mail is ever looked at.
"""

import logging
from pathlib import Path
from secrets import token_urlsafe
from typing import NamedTuple

from flask import Blueprint, abort, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger import message, pdf_password, pdf_record, receipt
from messenger.accounts import DONE
from messenger.errors import MessengerError
from messenger.link import DAY_SECONDS, LinkError, open_token
from messenger.mailbox import NoSuchMessage, mailbox_of
from messenger.pdf_password import PdfPasswordError
from messenger.pdf_record import Record

from . import access, entry, own_receipts
from .context import context
from .marking import is_read_by_a_person
from .receipt_spool import Owed

log = logging.getLogger(__name__)

pages = Blueprint("pdfs", __name__)

#: The audit's word for a password that was shown.
SHOWN = "pdf password"
#: So many are listed; older ones are found by their ids.
LISTED = 200
#: What the field for an id takes: an id, with whatever somebody types between its groups.
TYPED_CHARACTERS = 60
#: What is wrong with an id: it is nobody's here, or none at all.
UNKNOWN, MALFORMED = "unknown", "malformed"


class Row(NamedTuple):
    record: Record
    #: None where the message was deleted.
    subject: str | None
    expired: bool


@pages.app_template_global()
def has_pdfs() -> bool:
    """Whether the person of this request was ever sent one: a link to the passwords is shown then."""
    return (_folder() / pdf_record.FOLDER).is_dir()


@pages.app_template_global()
def shows_pdf_passwords(path: str) -> bool:
    """Whether *path* is a page with a password of a PDF, or the list: who is held up on the way there is told so."""
    overview = url_for("pdfs.overview")
    return path == overview or (path.startswith(f"{overview}/") and not path.endswith("/answer"))


@pages.get("/l/<token>/<pdf_id>")
def landing(token: str, pdf_id: str) -> ResponseReturnValue:
    """Where the link in a PDF's mail leads: to its password, by way of the log-in or a new account."""
    try:
        return _lead(token, url_for(".show", pdf_id=pdf_password.canonical_id(pdf_id)))
    except PdfPasswordError:
        # A mail program has cut the link: the list has the PDF.
        return _lead(token, url_for(".overview"))


@pages.get("/l/<token>/<pdf_id>/answer")
def landing_to_answer(token: str, pdf_id: str) -> ResponseReturnValue:
    """Where the button in a PDF leads: to the form for an answer, for as long as the site says."""
    own = context()
    try:
        known = pdf_password.canonical_id(pdf_id)
    except PdfPasswordError:
        abort(404)
    try:
        open_token(own.link_key, token, own.now(), own.config.pdf.reply_days)
    except LinkError:
        return redirect(url_for(".show", pdf_id=known, late=""), 303)
    return _lead(token, url_for(".answer", pdf_id=known))


@pages.get("/pdfs")
def overview() -> ResponseReturnValue:
    """The list; also where an id is typed."""
    typed = request.args.get("id", "").strip()
    if typed:
        try:
            return redirect(url_for(".show", pdf_id=pdf_password.canonical_id(typed)), 303)
        except PdfPasswordError:
            return _overview(422, MALFORMED, typed[:TYPED_CHARACTERS])
    return _overview()


@pages.get("/pdfs/<pdf_id>")
def show(pdf_id: str) -> ResponseReturnValue:
    """One password, large. Who fetches the page ahead of its reader is told nothing."""
    if not is_read_by_a_person():
        abort(404)
    record = _record(pdf_id)
    if record is None:
        return _not_found(pdf_id)
    row = _row(record)
    if row.expired:
        return make_response(render_template("pdf_password.html", row=row, words="", late=False), 410)
    own = context()
    words = pdf_password.password(
        pdf_password.load_key(own.config.pdf.key),
        g.account.address,
        record.generation,
        record.pdf_id,
        own.config.pdf.password_symbols,
    )
    _note(record)
    told = _tell_sender(record)
    nonce = token_urlsafe(16)
    given = {"row": row, "words": words, "nonce": nonce, "late": "late" in request.args, "receipt": told}
    response = make_response(render_template("pdf_password.html", **given))
    # The only script there is: it copies. Without it the field is marked as a whole by one click.
    policy = access.HEADERS["Content-Security-Policy"]
    response.headers["Content-Security-Policy"] = f"{policy}; script-src 'nonce-{nonce}'"
    return response


@pages.get("/pdfs/<pdf_id>/answer")
def answer(pdf_id: str) -> ResponseReturnValue:
    """The form to answer the mail that the PDF was made of."""
    record = _record(pdf_id)
    if record is None:
        return _not_found(pdf_id)
    return redirect(url_for("compose.reply_to", name=record.name), 303)


def _lead(token: str, page: str) -> ResponseReturnValue:
    own = context()
    try:
        open_token(own.link_key, token, own.now(), own.config.notice.link_days)
    except LinkError:
        # Too old for a new account; who has one logs in, and finds old passwords too.
        return redirect(url_for("account.login", next=page, old=""), 303)
    response = make_response(redirect(url_for("signup.welcome", next=page), 303))
    entry.set_short_lived(response, entry.LINK_COOKIE, token, entry.LINK_SECONDS)
    return response


def _record(pdf_id: str) -> Record | None:
    try:
        return pdf_record.find(_folder(), pdf_password.canonical_id(pdf_id))
    except PdfPasswordError:
        return None


def _folder() -> Path:
    return mailbox_of(context().config.mail.root, g.account.address).root.parent


def _not_found(given: str) -> ResponseReturnValue:
    """What is no id comes from somebody's address line: it isn't put into the field."""
    try:
        return _overview(404, UNKNOWN, pdf_password.canonical_id(given))
    except PdfPasswordError:
        return _overview(404, MALFORMED)


def _overview(status: int = 200, problem: str = "", typed: str = "") -> ResponseReturnValue:
    rows = [_row(record) for record in pdf_record.every(_folder())[:LISTED]]
    given = {"rows": rows, "problem": problem, "typed": typed, "characters": TYPED_CHARACTERS}
    return make_response(render_template("pdfs.html", **given), status)


def _row(record: Record) -> Row:
    own = context()
    days = own.config.pdf.password_days
    expired = bool(days) and own.now() - record.created > days * DAY_SECONDS
    return Row(record, _subject(record), expired)


def _subject(record: Record) -> str | None:
    """The mail's subject, as long as the mail is kept."""
    mailbox = mailbox_of(context().config.mail.root, g.account.address)
    try:
        head = mailbox.read(record.name, pdf_record.MAIL_FOLDER, limit=message.HEAD)
    except NoSuchMessage:
        return None
    except MessengerError as error:
        log.warning("a subject is not shown: %s", error)
        return ""
    return message.summary(head, len(head)).subject


def _tell_sender(record: Record) -> Owed | None:
    """Have the sender told who asked for a read receipt; return what they know."""
    try:
        return own_receipts.owe(record.name, receipt.PASSWORD)
    except NoSuchMessage:  # deleted, and with it what its gateway asked for
        return None


def _note(record: Record) -> None:
    own = context()
    own.accounts.audit(SHOWN, DONE, g.account.id, entry.client(), own.now(), record.pdf_id)
    try:
        pdf_record.note_shown(_folder(), record, own.now(), entry.client())
    except MessengerError as error:  # a full disk keeps nobody from a password
        log.warning("first showing not noted: %s", error)
