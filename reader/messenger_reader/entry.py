"""What pages about accounts share: let somebody in, a step further or out, and say why a password can't be taken.

Knows cookies and sessions, no page. Each step up gets a session with a new token; the one before it is over.
"""

import re

from flask import Response, make_response, redirect, request

from messenger.accounts import Account, TooSoon

from . import access
from .context import context
from .language import gettext as _
from .language import ngettext

#: Carries a notice link's token to a page whose address has none in it.
LINK_COOKIE = "__Host-link"
#: A path of ours: not "//elsewhere", no backslash that a browser takes for a slash, nothing it would skip.
OUR_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")


def client() -> str:
    """The address the browser comes from; a proxy's word for it counts only where the settings name the proxy."""
    return request.remote_addr or "local"


def our_path(given: str) -> str:
    """*given*, where to go afterwards, if it is a page of ours; else nothing."""
    return given if OUR_PATH.fullmatch(given) else ""


def let_in(account: Account, to: str) -> Response:
    """Open a session with a new token; the one that was shown, if any, is over."""
    end_session()
    response = make_response(redirect(to, 303))
    access.keep(response, context().accounts.open_session(account.id, client(), context().now()))
    forget_short_lived(response, LINK_COOKIE)
    return response


def end_session() -> None:
    token = request.cookies.get(access.COOKIE, "")
    if token:
        context().accounts.end_session(token, client(), context().now())


def set_short_lived(response: Response, name: str, token: str, seconds: int) -> None:
    """Keep a link's token in a cookie, so that the page it leads to has an address that may be seen."""
    # Lax: somebody who comes from their webmail brings no Strict cookie along, not even over a redirect.
    response.set_cookie(name, token, max_age=seconds, secure=True, httponly=True, samesite="Lax", path="/")


def forget_short_lived(response: Response, name: str) -> None:
    response.delete_cookie(name, secure=True, httponly=True, samesite="Lax", path="/")


def wait(response: Response, soon: TooSoon) -> Response:
    """Make *response* the answer to one try too many."""
    response.status_code = 429
    response.headers["Retry-After"] = str(soon.seconds)
    return response


def too_soon(soon: TooSoon) -> str:
    minutes = -(-soon.seconds // 60)
    return ngettext(
        "There were too many failed tries. Please wait a minute, then try again.",
        "There were too many failed tries. Please wait %(num)s minutes, then try again.",
        minutes,
    ) % {"num": minutes}


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
