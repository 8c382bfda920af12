"""A forgotten password: ask for a link by mail, choose another password with it. Never around the second factor.

Asking has one answer, whether there is such an account or not. Opening the link changes and spends nothing, because
programs open the links in mail.
"""

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import RECOVERY, Account, ProofMissing, TooSoon
from messenger.envelope import display
from messenger.passwords import SHORTEST, PasswordRefused, normal

from . import access, entry
from .context import context

pages = Blueprint("reset", __name__)

#: Carries a reset link's token to a page whose address has none in it.
RESET_COOKIE = "__Host-reset"
RESET_SECONDS = 3600


@pages.get("/forgot")
def forgot() -> ResponseReturnValue:
    return render_template("forgot.html", sent="sent" in request.args)


@pages.post("/forgot")
def ask() -> ResponseReturnValue:
    own = context()
    found = own.accounts.ask_reset(request.form.get("address", "").strip(), entry.client(), own.now())
    if found:
        account, token = found
        link = own.config.site.portal_url + url_for(".landing", token=token)
        own.letters.send("reset", account, link)
    return redirect(url_for(".forgot", sent=""), 303)


@pages.get("/r/<token>")
def landing(token: str) -> ResponseReturnValue:
    """Where the link in the letter leads: to a page under an address that may be seen."""
    if _whose(token) is None:
        return _dead_link()
    response = make_response(redirect(url_for(".form"), 303))
    entry.set_short_lived(response, RESET_COOKIE, token, RESET_SECONDS)
    return response


@pages.get("/reset")
def form() -> ResponseReturnValue:
    token = request.cookies.get(RESET_COOKIE, "")
    account = _whose(token)
    return _page(account, token) if account else _dead_link()


@pages.post("/reset")
def choose() -> ResponseReturnValue:
    own = context()
    # The form, not the cookie, says for whom it was: another link may have been opened in another tab since.
    token = request.form.get("token", "")
    account = _whose(token)
    if account is None:
        return _dead_link()
    password, code = request.form.get("new", ""), entry.typed_code()
    if normal(password) != normal(request.form.get("again", "")):
        return _page(account, token, again=entry.Problem(entry.not_the_same(), 422))
    try:
        done = own.accounts.reset(token, password, code, entry.client(), own.now())
    except PasswordRefused as refused:
        return _page(account, token, new=entry.Problem(entry.refusal(refused.rule), 422))
    except ProofMissing:
        return _page(account, token, code=entry.wrong_code(code))
    except TooSoon as soon:
        return _page(account, token, code=entry.too_soon(soon))
    if done is None:  # spent since we looked
        return _dead_link()
    own.letters.send("password-changed", done.account)
    if done.way == RECOVERY:
        own.letters.send("recovery-used", done.account)
    response = make_response(redirect(url_for("account.login", reset=""), 303))
    entry.forget_short_lived(response, RESET_COOKIE)
    access.drop(response)
    return response


def _whose(token: str) -> Account | None:
    if not token or len(token) > access.TOKEN_CHARACTERS:
        return None
    return context().accounts.reset_of(token, context().now())


def _dead_link() -> Response:
    response = make_response(render_template("reset_link.html"), 410)
    entry.forget_short_lived(response, RESET_COOKIE)
    return response


def _page(account: Account, token: str, **problems: entry.Problem) -> Response:
    html = render_template(
        "reset.html",
        address=display(account.address),
        token=token,
        second_factor=account.second_factor,
        shortest=SHORTEST,
        errors={field: problem.words for field, problem in problems.items()},
    )
    for problem in problems.values():
        return problem.answer(html)
    return make_response(html)
