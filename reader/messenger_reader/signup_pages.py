"""Where a notice's link leads: to a new account, or to the log-in of the one that is there.

A GET never changes anything, because programs open the links in mail, and some press the buttons they find. What
changes something wants a password typed.
"""

from collections.abc import Mapping

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import AddressTaken
from messenger.envelope import display
from messenger.link import LinkError, open_token
from messenger.passwords import SHORTEST, PasswordRefused, normal

from . import entry, login_pages
from .context import context
from .language import current as current_language
from .language import gettext as _

pages = Blueprint("signup", __name__)


@pages.get("/l/<token>")
def landing(token: str) -> ResponseReturnValue:
    """Where a notice's link leads: to the same page under an address that may be seen."""
    if _linked_address(token) is None:
        return _dead_link()
    response = make_response(redirect(url_for(".welcome"), 303))
    entry.set_short_lived(response, entry.LINK_COOKIE, token, entry.LINK_SECONDS)
    return response


@pages.get("/welcome")
def welcome() -> ResponseReturnValue:
    """For whom the link was: a new account, or the one that is there."""
    token = request.cookies.get(entry.LINK_COOKIE, "")
    address = _linked_address(token)
    if address is None:
        return _dead_link()
    account = context().accounts.find(address)
    if account is None:
        return _sign_up_page(address, token, back=_back(request.args))
    if g.account == account:
        return redirect(_back(request.args) or url_for("mail.inbox"), 303)
    return login_pages.page(display(address), back=_back(request.args))


@pages.get("/signup")
def form_again() -> ResponseReturnValue:
    """Somebody who reloads, or comes back to, the form's address."""
    return redirect(url_for(".welcome"), 303)


@pages.post("/signup")
def sign_up() -> ResponseReturnValue:
    # The form, not the cookie, says for whom it was: another link may have been opened in another tab since.
    token = request.form.get("token", "")
    address = _linked_address(token)
    if address is None:
        return _dead_link()
    password = request.form.get("password", "")
    back = _back(request.form)
    if normal(password) != normal(request.form.get("again", "")):
        return _sign_up_page(address, token, back=back, again=entry.not_the_same())
    site = context().config.site
    try:
        account = context().accounts.sign_up(
            address,
            password,
            entry.client(),
            context().now(),
            language=current_language(),
            time_zone=site.time_zone,
        )
    except PasswordRefused as refused:
        return _sign_up_page(address, token, back=back, error=entry.refusal(refused.rule))
    except AddressTaken:
        note = _("You have an account already. Please log in.")
        return login_pages.page(display(address), back=back, note=note, status=409)
    return entry.let_in(account, back)


def _back(given: Mapping[str, str]) -> str:
    """Where the link led, if it was more than to the inbox."""
    return entry.our_path(given.get("next", ""))


def _linked_address(token: str) -> str | None:
    own = context()
    try:
        return open_token(own.link_key, token, own.now(), own.config.notice.link_days)
    except LinkError:
        return None


def _dead_link() -> Response:
    return make_response(render_template("link.html"), 410)


def _sign_up_page(address: str, token: str, *, back: str = "", error: str = "", again: str = "") -> Response:
    status = 422 if error or again else 200
    words = {"address": display(address), "token": token, "back": back, "error": error, "again": again}
    return make_response(render_template("signup.html", **words, shortest=SHORTEST), status)
