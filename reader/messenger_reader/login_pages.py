"""Log in, log out. Decides nothing about rights: access.py does."""

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import TooSoon

from . import access, entry
from .context import context
from .language import gettext as _

pages = Blueprint("account", __name__)


@pages.get("/login")
def login() -> ResponseReturnValue:
    back = entry.our_path(request.args.get("next", ""))
    if g.account is not None:
        return redirect(back or url_for("mail.inbox"), 303)
    if "out" in request.args:
        return page("", note=_("You are logged out."))
    return page("", back=back)


@pages.post("/login")
def login_with() -> ResponseReturnValue:
    address = request.form.get("address", "").strip()
    back = entry.our_path(request.form.get("next", ""))
    password = request.form.get("password", "")
    try:
        account = context().accounts.verify(address, password, entry.client(), context().now())
    except TooSoon as soon:
        return entry.wait(page(address, error=entry.too_soon(soon), back=back), soon)
    if account is None:
        # One answer, whether the address is unknown or the password wrong.
        error = _("The address or the password is not right.")
        return page(address, error=error, back=back, status=403)
    return entry.let_in(account, back or url_for("mail.inbox"))


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    entry.end_session()
    response = make_response(redirect(url_for(".login", out=""), 303))
    access.drop(response)
    return response


def page(address: str, *, back: str = "", note: str = "", error: str = "", status: int = 200) -> Response:
    """The form to log in with, *address* filled in."""
    # A cookie without a session: it ended here, not in the browser. Say so once.
    ended = request.method == "GET" and access.COOKIE in request.cookies and g.account is None
    # Who comes from another site shows no session even if there is one; a link on our page brings it along.
    elsewhere = request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
    words = {"address": address, "back": back, "note": note, "error": error}
    html = render_template("login.html", **words, ended=ended and not note, elsewhere=elsewhere and not ended)
    response = make_response(html, status)
    if ended:
        access.drop(response)
    return response
