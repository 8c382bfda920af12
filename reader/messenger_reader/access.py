"""Who may see a page: everything is closed but the short list below. Also the headers every answer carries.

Sessions live in the accounts database; the browser holds a random token in a cookie that only this host can set or
read. flask-login asks for the person of each request; its own signed cookies, which survive a log-out, stay shut.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from flask import Flask, Request, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user

from messenger.accounts import CODE, ENROL, Overtaken, Session

from . import look
from .context import context

HEALTH = "health"
#: The same for everybody: no cookie is looked at.
FILES = frozenset({"static", look.STYLE, look.LOGO})
#: The pages anybody may see. A new page is closed until its endpoint is written here.
OPEN = frozenset(
    {
        HEALTH,
        "static",
        "help.page",
        "signup.landing",
        "signup.welcome",
        "signup.sign_up",
        "signup.form_again",
        "pdfs.landing",
        "pdfs.landing_to_answer",
        "account.login",
        "account.login_with",
        "account.logout",
        "reset.forgot",
        "reset.ask",
        "reset.landing",
        "reset.form",
        "reset.choose",
        "delete.goodbye",
    }
)
#: What a session may see beyond that while a step is missing; the first one is where every other page leads.
STEPS = {
    CODE: ("account.code", "account.code_given"),
    ENROL: ("factor.overview", "factor.begin", "factor.enrol", "factor.confirm"),
}
# __Host-: browsers keep it only if Secure, with Path=/ and no Domain, so no sister site can plant one.
COOKIE = "__Host-session"
#: Ours has 43 characters; nothing longer is worth a look into the database.
TOKEN_CHARACTERS = 64
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Some browsers look up the names in links before anybody clicks, and a name can tell whose mail was opened.
    "X-DNS-Prefetch-Control": "off",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not for names below ours: they are somebody else's to serve, perhaps without HTTPS (docs/asvs.md, V3.4.1).
    "Strict-Transport-Security": "max-age=63072000",
    "Cache-Control": "no-store",
}


class Reader(UserMixin):  # type: ignore[misc]  # flask-login ships no types
    """The person of this request, as flask-login wants to see one."""

    def __init__(self, session: Session) -> None:
        self.account = session.account

    def get_id(self) -> str:
        return str(self.account.id)


@dataclass(frozen=True)
class Doorway:
    """Under which names a browser may call this portal."""

    #: As browsers write it in an Origin field (RFC 6454).
    origin: str
    #: As they write it in a Host field, with and without the port that goes without saying.
    hosts: frozenset[str]


def doorway(portal_url: str) -> Doorway:
    url = urlsplit(portal_url.lower())
    usual = {"https": 443, "http": 80}[url.scheme]
    name = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    if url.port in (None, usual):
        return Doorway(f"{url.scheme}://{name}", frozenset({f"{name}", f"{name}:{usual}"}))
    return Doorway(f"{url.scheme}://{name}:{url.port}", frozenset({f"{name}:{url.port}"}))


def install(app: Flask, portal_url: str, kept: Mapping[str, Callable[[], ResponseReturnValue | None]]) -> None:
    """Put the doorkeeper in front of every page of *app*.

    *kept*: by endpoint, what to do with a form on which somebody may have written for longer than a session lasts.
    """
    login = LoginManager()
    login.init_app(app, add_context_processor=False)
    login.request_loader(_reader_of)
    login.unauthorized_handler(ask_to_log_in)
    # No cookie can have this name: flask-login's remember-me, which no database can end, can't be asked for.
    app.config["REMEMBER_COOKIE_NAME"] = ";"
    door = doorway(portal_url)

    @app.before_request
    def let_in() -> ResponseReturnValue | None:
        g.account = g.pending_account = g.session = None
        if request.endpoint in {HEALTH, *FILES}:
            return None
        if request.headers.get("Host", "").lower() not in door.hosts:
            abort(400)
        if request.method not in SAFE_METHODS and not _is_from_our_page(door):
            abort(403)
        if current_user.is_authenticated:
            g.account = current_user.account
        elif request.endpoint is not None and request.endpoint not in OPEN:
            if request.method == "POST" and request.endpoint in kept:
                return kept[request.endpoint]()
            return way_in()
        return None

    app.register_error_handler(Overtaken, _overtaken)
    app.after_request(_seal)


def _is_from_our_page(door: Doorway) -> bool:
    """Whether a form of ours was sent, not one of another site that has our address in it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    return request.headers.get("Origin") == door.origin


def _reader_of(request: Request) -> Reader | None:
    tokens = request.cookies.getlist(COOKIE)
    # Two of a name that only we can set: an old browser let somebody plant one. Which is ours, nobody knows.
    if len(tokens) != 1 or not 0 < len(tokens[0]) <= TOKEN_CHARACTERS:
        return None
    token = tokens[0]
    g.session = session = context().accounts.session(token, context().now())
    if session and session.pending:
        # Whose it would be, for the pages of the missing step. To everybody else nobody is logged in.
        g.pending_account = session.account
        return None
    return Reader(session) if session else None


def _missing_step() -> ResponseReturnValue | None:
    """Where a session leads that isn't whole yet; None if it is there."""
    steps = STEPS[g.session.pending]
    return None if request.endpoint in steps else redirect(url_for(steps[0], next=_back()), 303)


def way_in() -> ResponseReturnValue | None:
    """Where somebody who may not see a page goes on: to the step that is missing, or to the log-in."""
    return _missing_step() if g.session else ask_to_log_in()


def ask_to_log_in() -> ResponseReturnValue:
    return redirect(url_for("account.login", next=_back()), 303)


def _overtaken(_error: Overtaken) -> ResponseReturnValue:
    """The session was ended while it asked for something: as if it had asked a moment later."""
    return ask_to_log_in()


def _back() -> str | None:
    # What a form held is gone; the page to come back to is one that can be asked for again.
    return this_page() if request.method == "GET" else None


def this_page() -> str:
    """The page's address as it was asked for, without the host."""
    query = request.query_string.decode("ascii", "ignore")
    return quote(request.path) + (f"?{query}" if query else "")


def _seal(response: Response) -> Response:
    for name, value in HEADERS.items():
        # The frame around a mail, for one, brings a policy of its own.
        response.headers.setdefault(name, value)
    if request.endpoint in FILES and "v" in request.args and response.status_code in (200, 206, 304):
        # Style sheets are the same for everybody, and their address changes with their content.
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def keep(response: Response, token: str) -> None:
    """Give the browser its session. It ends with the browser, or earlier in the database."""
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="Strict", path="/")


def drop(response: Response) -> None:
    """Take the session's cookie away."""
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="Strict", path="/")
