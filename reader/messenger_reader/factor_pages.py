"""The second factor of an account: set it up with an app on a phone, make recovery codes, turn it off.

What weakens an account wants the password again. The secret and the codes are on a page once, and nowhere else.
"""

import re
from datetime import UTC, datetime

import segno
from flask import Blueprint, Response, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from messenger import totp
from messenger.accounts import FULL, Account, TooSoon
from messenger.envelope import display

from . import entry
from .context import context
from .language import gettext as _

pages = Blueprint("factor", __name__)

#: What a browser posts back to get its codes as a file; nothing else comes out again.
CODES = re.compile(r"[A-Za-z0-9-]{8,64}(?: [A-Za-z0-9-]{8,64}){0,9}")


@pages.get("/account/second-factor")
def overview() -> ResponseReturnValue:
    """Whether there is one, and what can be done about it."""
    if "off" in request.args:
        return _overview(note=_("The second step is off. Your password alone logs you in."))
    return _overview(used="used" in request.args)


@pages.post("/account/second-factor/begin")
def begin() -> ResponseReturnValue:
    if context().config.accounts.require_totp != "never":
        context().accounts.begin_totp(_account().id, context().now(), g.session.id)
    return redirect(url_for(".enrol", next=_back() or None), 303)


@pages.get("/account/second-factor/enrol")
def enrol() -> ResponseReturnValue:
    """The secret to scan, and the form that shows that the app has it."""
    return _enrol_page()


@pages.post("/account/second-factor/enrol")
def confirm() -> ResponseReturnValue:
    own, account, back = context(), _account(), _back()
    # Who is enrolling during the log-in has typed it a moment ago.
    if g.account and (problem := entry.password_problem()):
        return _enrol_page(password=problem)
    given = entry.typed_code()
    here = (entry.client(), own.now(), g.session.id)
    try:
        codes = own.accounts.confirm_totp(account.id, given, *here, epoch=account.epoch) if given else None
    except TooSoon as soon:
        return _enrol_page(code=entry.too_soon(soon))
    if codes is None:
        return _enrol_page(code=entry.wrong_code(given))
    own.letters.send("totp-on", account)
    return _fresh(account, make_response(_codes_page(account, codes, back, note=_("Your second step is set up."))))


@pages.post("/account/second-factor/codes")
def new_codes() -> ResponseReturnValue:
    own, account = context(), g.account
    if not account.second_factor:
        return redirect(url_for(".overview"), 303)
    if problem := entry.password_problem():
        return _overview(problem, "codes")
    codes = own.accounts.new_recovery_codes(account.id, entry.client(), own.now(), epoch=account.epoch)
    own.letters.send("recovery-made", account)
    return make_response(_codes_page(account, codes, "", note=_("The codes you had before don’t work any more.")))


@pages.get("/account/second-factor/codes")
def codes_again() -> ResponseReturnValue:
    """Somebody who comes back to the codes' address: they are shown once."""
    return redirect(url_for(".overview"), 303)


@pages.post("/account/second-factor/codes.txt")
def codes_file() -> ResponseReturnValue:
    """The codes as a file. They come from the page, because we keep none."""
    codes = request.form.get("codes", "")
    if not CODES.fullmatch(codes):
        return redirect(url_for(".overview"), 303)
    response = make_response(_codes_text(codes.split()))
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    response.headers["Content-Disposition"] = 'attachment; filename="recovery-codes.txt"'
    return response


@pages.post("/account/second-factor/remove")
def remove() -> ResponseReturnValue:
    own, account = context(), g.account
    if not account.second_factor or own.config.accounts.require_totp == "always":
        return redirect(url_for(".overview"), 303)
    # The password first: a code that is looked at is used up.
    problem = entry.password_problem()
    if problem:
        return _overview(problem, "remove")
    if problem := entry.prove(account).problem:
        return _overview(problem, "remove-code")
    own.accounts.remove_totp(account.id, entry.client(), own.now(), epoch=account.epoch)
    own.letters.send("totp-off", account)
    return _fresh(account, make_response(redirect(url_for(".overview", off=""), 303)))


def _account() -> Account:
    """Whose pages these are: also somebody's who must enrol before anything else."""
    account: Account = g.account or g.pending_account
    return account


def _back() -> str:
    return entry.our_path(request.values.get("next", ""))


def _fresh(account: Account, response: Response) -> Response:
    """Give the browser a new session. All others are over: they were opened under other terms."""
    return entry.opened(entry.next_epoch(account), response, FULL)


def _overview(problem: entry.Problem | None = None, at: str = "", **words: object) -> Response:
    account, own = _account(), context()
    html = render_template(
        "second_factor.html",
        on=account.second_factor,
        mode=own.config.accounts.require_totp,
        left=own.accounts.recovery_left(account.id) if account.second_factor else 0,
        back=_back(),
        errors={at: problem.words} if problem else {},
        **words,
    )
    return problem.answer(html) if problem else make_response(html)


def _enrol_page(*, password: entry.Problem | None = None, code: entry.Problem | None = None) -> ResponseReturnValue:
    account = _account()
    secret = context().accounts.pending_totp(account.id, g.session.id)
    if secret is None:
        # Never begun, or too long ago, or done already.
        return redirect(url_for(".overview", next=_back() or None), 303)
    uri = totp.uri(secret, display(account.address), context().config.site.name)
    html = render_template(
        "enrol.html",
        qr=segno.make(uri, error="m").svg_data_uri(border=4, light="#fff", omitsize=True),
        uri=uri,
        secret=" ".join(re.findall(".{1,4}", secret)),
        address=display(account.address),
        back=_back(),
        password_error=password.words if password else "",
        code_error=code.words if code else "",
    )
    problem = password or code
    return problem.answer(html) if problem else make_response(html)


def _codes_page(account: Account, codes: list[str], back: str, *, note: str) -> str:
    return render_template(
        "recovery.html", codes=codes, note=note, back=back, address=display(account.address), now=context().now()
    )


def _codes_text(codes: list[str]) -> str:
    site = context().config.site
    day = datetime.fromtimestamp(context().now(), UTC).date().isoformat()
    lines = [
        _("Recovery codes for %(site)s") % {"site": site.name},
        site.portal_url,
        display(g.account.address),
        day,
        "",
        *codes,
        "",
        _("Each code works once, instead of the code of your authenticator app. Keep them where nobody else looks."),
    ]
    # Editors of every system know these line ends.
    return "\r\n".join([*lines, ""])
