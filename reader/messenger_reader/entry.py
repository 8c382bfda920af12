"""What pages about accounts share: let somebody in, a step further or out, and say why a password can't be taken.

Knows cookies and sessions, no page. Each step up gets a session with a new token; the one before it is over.
"""

import ipaddress
import re
from dataclasses import dataclass, replace

from flask import Response, g, make_response, request, url_for

from messenger.accounts import RECOVERY, Account, TooSoon

from . import access
from .context import context
from .language import gettext as _
from .language import ngettext

#: Carries a notice link's token to a page whose address has none in it.
LINK_COOKIE = "__Host-link"
LINK_SECONDS = 3600
#: A recovery code, with the spaces somebody may type into it, is shorter.
CODE_CHARACTERS = 100
#: A path of ours: not "//elsewhere", no backslash that a browser takes for a slash, nothing it would skip.
OUR_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")
#: Some proxies write the browser's port behind its address.
WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([\d.]+):\d+", re.ASCII)


def client() -> str:
    """The address the browser comes from; a proxy's word for it counts only where the settings name the proxy.

    An address and nothing else: what a proxy hands on may be made up, and "admin:root" is what the audit calls an
    administrator.
    """
    given = request.remote_addr or ""
    found = WITH_PORT.fullmatch(given)
    try:
        address = ipaddress.ip_address((found[1] or found[2] if found else given).partition("%")[0])
    except ValueError:
        return "unknown" if given else "local"
    return str(getattr(address, "ipv4_mapped", None) or address)


def our_path(given: str) -> str:
    """*given*, where to go afterwards, if it is a page of ours; else nothing."""
    return given if OUR_PATH.fullmatch(given) else ""


def let_in(account: Account, back: str, pending: str | None = None) -> Response:
    """Open a session, and lead to *back*, or to the step that is missing first.

    *pending* says what is missing where the page knows better than the accounts: nothing, after a code.
    """
    response = opened(account, make_response(), pending)
    steps = access.STEPS.get(g.session.pending) if g.session else None
    to = url_for(steps[0], next=back or None) if steps else back or url_for("mail.inbox")
    response.status_code, response.location = 303, to
    return response


def opened(account: Account, response: Response, pending: str | None = None) -> Response:
    """Give the browser a session with a new token; the one that was shown, if any, is over."""
    end_session()
    own = context()
    agent = request.user_agent.string
    token = own.accounts.open_session(
        account.id, client(), own.now(), agent=agent, pending=pending, epoch=account.epoch
    )
    g.session = own.accounts.session(token, own.now())
    access.keep(response, token)
    forget_short_lived(response, LINK_COOKIE)
    return response


def next_epoch(account: Account) -> Account:
    """*account* as it is after a change of ours that ended its sessions; if somebody else's came too, it isn't."""
    return replace(account, epoch=account.epoch + 1)


def end_session() -> None:
    for token in request.cookies.getlist(access.COOKIE):
        context().accounts.end_session(token, client(), context().now())


def set_short_lived(response: Response, name: str, token: str, seconds: int) -> None:
    """Keep a link's token in a cookie, so that the page it leads to has an address that may be seen."""
    # Lax: somebody who comes from their webmail brings no Strict cookie along, not even over a redirect.
    response.set_cookie(name, token, max_age=seconds, secure=True, httponly=True, samesite="Lax", path="/")


def forget_short_lived(response: Response, name: str) -> None:
    response.delete_cookie(name, secure=True, httponly=True, samesite="Lax", path="/")


@dataclass(frozen=True)
class Problem:
    """Why a form is shown again."""

    words: str
    status: int = 403
    #: How long to wait first.
    seconds: int = 0

    def answer(self, html: str) -> Response:
        response = make_response(html, self.status)
        if self.seconds:
            response.headers["Retry-After"] = str(self.seconds)
        return response


def too_soon(soon: TooSoon) -> Problem:
    minutes = -(-soon.seconds // 60)
    words = ngettext(
        "There were too many failed tries. Please wait a minute, then try again.",
        "There were too many failed tries. Please wait %(num)s minutes, then try again.",
        minutes,
    )
    return Problem(words % {"num": minutes}, 429, soon.seconds)


def password_problem() -> Problem | None:
    """Look at the field "password" before something that matters: whoever finds a page open doesn't know it."""
    own = context()
    try:
        if own.accounts.confirm(g.account.id, request.form.get("password", ""), client(), own.now()):
            return None
    except TooSoon as soon:
        return too_soon(soon)
    return Problem(_("This is not your password."))


@dataclass(frozen=True)
class Proof:
    """What became of a code: TOTP or RECOVERY, or why not."""

    way: str = ""
    problem: Problem | None = None


def prove(account: Account) -> Proof:
    """Look at the field "code", which takes the app's codes and recovery codes. One that is right is used up."""
    own = context()
    given = typed_code()
    try:
        way = own.accounts.prove(account.id, given, client(), own.now()) if given else None
    except TooSoon as soon:
        return Proof(problem=too_soon(soon))
    if way == RECOVERY:
        own.letters.send("recovery-used", account)
    return Proof(way) if way else Proof(problem=wrong_code(given))


def typed_code() -> str:
    return request.form.get("code", "").strip()[:CODE_CHARACTERS]


def wrong_code(given: str) -> Problem:
    if re.fullmatch(r"[\d\s]{1,8}", given):
        return Problem(_("This code is not right, or was used already. Your app shows a new one every 30 seconds."))
    if given:
        return Problem(_("This code is not right. Each recovery code works once."))
    return Problem(_("Please type the code that your app shows now."))


def not_the_same() -> str:
    return _("The two passwords are not the same.")


def refusal(rule: str) -> str:
    return {
        "short": _("Please use at least 12 characters. A few words in a row are easy to remember."),
        "long": _("Please use at most 128 characters."),
        "common": _("Many people use this password, so it is guessed first. Please choose another."),
        "own": _("Please use a password that isn’t made of your address or the name of this site."),
        "text": _("This password holds characters that can’t be typed everywhere. Please choose another."),
    }[rule]
