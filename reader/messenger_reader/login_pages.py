"""Log in: the password, then the code of a second factor where the account has one. Log out.

Decides nothing about rights: access.py does.
"""

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import FULL, RECOVERY, TooSoon

from . import access, entry
from .context import context
from .language import gettext as _

pages = Blueprint("account", __name__)


@pages.get("/login")
def login() -> ResponseReturnValue:
    back = entry.our_path(request.args.get("next", ""))
    if "reset" in request.args:
        return page("", note=_("Your password is changed. Please log in with the new one."))
    if g.account is not None:
        return redirect(back or url_for("mail.inbox"), 303)
    if "out" in request.args:
        return page("", note=_("You are logged out."))
    if "old" in request.args:
        return page("", back=back, note=_too_old())
    if "kept" in request.args:
        return page(
            "", back=back, note=_("You were logged out. What you wrote is saved as a draft: please log in to go on.")
        )
    return page("", back=back)


@pages.post("/login")
def login_with() -> ResponseReturnValue:
    address = request.form.get("address", "").strip()
    back = entry.our_path(request.form.get("next", ""))
    password = request.form.get("password", "")
    try:
        account = context().accounts.verify(address, password, entry.client(), context().now())
    except TooSoon as soon:
        return page(address, back=back, problem=entry.too_soon(soon))
    if account is None:
        # One answer, whether the address is unknown or the password wrong.
        return page(address, back=back, problem=entry.Problem(_("The address or the password is not right.")))
    return entry.let_in(account, back)


@pages.get("/login/code")
def code() -> ResponseReturnValue:
    """The second step of a log-in: the app's code, or a recovery code."""
    back = entry.our_path(request.args.get("next", ""))
    if g.account is not None:
        return redirect(back or url_for("mail.inbox"), 303)
    return _code_page(back, "recovery" in request.args)


@pages.post("/login/code")
def code_given() -> ResponseReturnValue:
    back = entry.our_path(request.form.get("next", ""))
    if g.account is not None:
        return redirect(back or url_for("mail.inbox"), 303)
    proof = entry.prove(g.pending_account)
    if proof.problem:
        return _code_page(back, "recovery" in request.form, proof.problem)
    if proof.way == RECOVERY:
        # Perhaps the phone is lost for good: the page says how many codes are left, and sets up another phone.
        back = url_for("factor.overview", used="", next=back or None)
    return entry.let_in(g.pending_account, back, FULL)


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    entry.end_session()
    response = make_response(redirect(url_for(".login", out=""), 303))
    access.drop(response)
    return response


def page(
    address: str, *, back: str = "", note: str = "", problem: entry.Problem | None = None, status: int = 200
) -> Response:
    """The form to log in with, *address* filled in."""
    # A cookie without a session: it ended here, not in the browser. Say so once.
    ended = request.method == "GET" and access.COOKIE in request.cookies and g.session is None
    # Who comes from another site shows no session even if there is one; a link on our page brings it along.
    elsewhere = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    words = {"address": address, "back": back, "note": note, "error": problem.words if problem else ""}
    html = render_template("login.html", **words, ended=ended and not note, elsewhere=elsewhere and not ended)
    response = problem.answer(html) if problem else make_response(html, status)
    if ended:
        access.drop(response)
    return response


def _too_old() -> str:
    """Of a link that opens no account any more: without it who has none would be sent round in circles."""
    return _(
        "The link is too old, or part of it got lost on the way. If you have an account, log in. If you have none yet, "
        "ask the sender to write to you again."
    )


def _code_page(back: str, recovery: bool, problem: entry.Problem | None = None) -> Response:
    html = render_template("code.html", back=back, recovery=recovery, error=problem.words if problem else "")
    return problem.answer(html) if problem else make_response(html)
