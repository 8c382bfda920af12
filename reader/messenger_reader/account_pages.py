"""Sign up by the link in a notice, log in, log out. Decides nothing about rights: access.py does.

A GET never changes anything, because programs open the links in mail, and some press the buttons they find. What
changes something wants a password typed.
"""

import re

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import Account, AddressTaken, TooSoon
from messenger.envelope import display
from messenger.link import LinkError, open_token
from messenger.passwords import SHORTEST, PasswordRefused, normal

from . import access
from .context import context
from .language import current as current_language
from .language import gettext as _
from .language import ngettext

pages = Blueprint("account", __name__)

#: Carries a link's token to a page whose address has none in it.
LINK_COOKIE = "__Host-link"
LINK_SECONDS = 3600
#: A path of ours: not "//elsewhere", no backslash that a browser takes for a slash, nothing it would skip.
OUR_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")


@pages.get("/l/<token>")
def landing(token: str) -> ResponseReturnValue:
    """Where a notice's link leads: to the same page under an address that may be seen."""
    if _linked_address(token) is None:
        return _dead_link()
    response = redirect(url_for(".welcome"), 303)
    # Lax: somebody who comes from their webmail brings no Strict cookie along, not even over a redirect.
    response.set_cookie(LINK_COOKIE, token, max_age=LINK_SECONDS, secure=True, httponly=True, samesite="Lax", path="/")
    return response


@pages.get("/welcome")
def welcome() -> ResponseReturnValue:
    """For whom the link was: a new account, or the one that is there."""
    token = request.cookies.get(LINK_COOKIE, "")
    address = _linked_address(token)
    if address is None:
        return _dead_link()
    account = context().accounts.find(address)
    if account is None:
        return _sign_up_page(address, token)
    if g.account == account:
        return redirect(url_for("mail.inbox"), 303)
    return _log_in_page(display(address))


@pages.get("/signup")
def signup_again() -> ResponseReturnValue:
    """Somebody who reloads, or comes back to, the form's address."""
    return redirect(url_for(".welcome"), 303)


@pages.post("/signup")
def signup() -> ResponseReturnValue:
    # The form, not the cookie, says for whom it was: another link may have been opened in another tab since.
    token = request.form.get("token", "")
    address = _linked_address(token)
    if address is None:
        return _dead_link()
    password = request.form.get("password", "")
    if normal(password) != normal(request.form.get("again", "")):
        return _sign_up_page(address, token, again=_("The two passwords are not the same."))
    site = context().config.site
    try:
        account = context().accounts.sign_up(
            address,
            password,
            _client(),
            context().now(),
            language=current_language(),
            time_zone=site.time_zone,
        )
    except PasswordRefused as refused:
        return _sign_up_page(address, token, error=_refusal(refused.rule))
    except AddressTaken:
        return _log_in_page(display(address), note=_("You have an account already. Please log in."), status=409)
    return _let_in(account, url_for("mail.inbox"))


@pages.get("/login")
def login() -> ResponseReturnValue:
    back = _our_path(request.args.get("next", ""))
    if g.account is not None:
        return redirect(back or url_for("mail.inbox"), 303)
    if "out" in request.args:
        return _log_in_page("", note=_("You are logged out."))
    return _log_in_page("", back=back)


@pages.post("/login")
def login_with() -> ResponseReturnValue:
    address = request.form.get("address", "").strip()
    back = _our_path(request.form.get("next", ""))
    try:
        account = context().accounts.verify(address, request.form.get("password", ""), _client(), context().now())
    except TooSoon as soon:
        return _too_soon(address, back, soon.seconds)
    if account is None:
        # One answer, whether the address is unknown or the password wrong.
        error = _("The address or the password is not right.")
        return _log_in_page(address, error=error, back=back, status=403)
    return _let_in(account, back or url_for("mail.inbox"))


@pages.post("/logout")
def logout() -> ResponseReturnValue:
    _end_session()
    response = make_response(redirect(url_for(".login", out=""), 303))
    access.drop(response)
    return response


def _let_in(account: Account, to: str) -> Response:
    """Open a session with a new token; the one that was shown, if any, is over."""
    _end_session()
    response = make_response(redirect(to, 303))
    access.keep(response, context().accounts.open_session(account.id, _client(), context().now()))
    response.delete_cookie(LINK_COOKIE, secure=True, httponly=True, samesite="Lax", path="/")
    return response


def _end_session() -> None:
    token = request.cookies.get(access.COOKIE, "")
    if token:
        context().accounts.end_session(token, _client(), context().now())


def _client() -> str:
    """The address the browser comes from; a proxy's word for it counts only where the settings name the proxy."""
    return request.remote_addr or "local"


def _linked_address(token: str) -> str | None:
    own = context()
    try:
        return open_token(own.link_key, token, own.now(), own.config.notice.link_days)
    except LinkError:
        return None


def _our_path(given: str) -> str:
    return given if OUR_PATH.fullmatch(given) else ""


def _dead_link() -> Response:
    return make_response(render_template("link.html"), 410)


def _sign_up_page(address: str, token: str, *, error: str = "", again: str = "") -> Response:
    status = 422 if error or again else 200
    words = {"address": display(address), "token": token, "error": error, "again": again, "shortest": SHORTEST}
    return make_response(render_template("signup.html", **words), status)


def _log_in_page(address: str, *, back: str = "", note: str = "", error: str = "", status: int = 200) -> Response:
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


def _too_soon(address: str, back: str, seconds: int) -> Response:
    minutes = -(-seconds // 60)
    error = ngettext(
        "There were too many failed tries. Please wait a minute, then try again.",
        "There were too many failed tries. Please wait %(num)s minutes, then try again.",
        minutes,
    ) % {"num": minutes}
    response = _log_in_page(address, error=error, back=back, status=429)
    response.headers["Retry-After"] = str(seconds)
    return response


def _refusal(rule: str) -> str:
    return {
        "short": _("Please use at least 12 characters. A few words in a row are easy to remember."),
        "long": _("Please use at most 128 characters."),
        "common": _("Many people use this password, so it is guessed first. Please choose another."),
        "own": _("Please use a password that isn’t made of your address or the name of this site."),
        "text": _("This password holds characters that can’t be typed everywhere. Please choose another."),
    }[rule]
