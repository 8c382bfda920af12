"""Change the password of an account that is logged in."""

from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger.accounts import FULL
from messenger.envelope import display
from messenger.passwords import SHORTEST, PasswordRefused, normal

from . import entry
from .context import context

pages = Blueprint("password", __name__)


@pages.get("/account/password")
def form() -> ResponseReturnValue:
    return _page(done="changed" in request.args)


@pages.post("/account/password")
def change() -> ResponseReturnValue:
    own, account = context(), g.account
    password = request.form.get("new", "")
    if normal(password) != normal(request.form.get("again", "")):
        return _page(again=entry.Problem(entry.not_the_same(), 422))
    if problem := entry.password_problem():
        return _page(current=problem)
    try:
        own.accounts.change_password(account.id, password, entry.client(), own.now(), epoch=account.epoch)
    except PasswordRefused as refused:
        return _page(new=entry.Problem(entry.refusal(refused.rule), 422))
    own.letters.send("password-changed", account)
    # Every session is over, also one that somebody else had. This browser gets a new one.
    account = entry.next_epoch(account)
    return entry.opened(account, make_response(redirect(url_for(".form", changed=""), 303)), FULL)


def _page(*, done: bool = False, **problems: entry.Problem) -> Response:
    html = render_template(
        "password.html",
        address=display(g.account.address),
        done=done,
        shortest=SHORTEST,
        errors={field: problem.words for field, problem in problems.items()},
    )
    for problem in problems.values():
        return problem.answer(html)
    return make_response(html)
