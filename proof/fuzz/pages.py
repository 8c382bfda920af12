"""The portal's pages: any address, field, header and cookie, asked by somebody who is logged in, is answered.

An input is a request as people write them down: ``GET /path``, headers as ``Name: value``, an empty line, a form's
fields as ``name=value``. An answer of 500 is a finding; so is one that has no policy for its content.
"""

# ruff: noqa: E501, SIM905 (words of a format are read best side by side)

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from flask.testing import FlaskClient

from tests.hostile_html import VECTORS
from tests.mail_pages_fixtures import deliver, logged_in, mail, with_file
from tests.reader_fixtures import PORTAL, Portal, portal

from .target import Broken, Feed, Target

_MAILS = (
    mail("Plain", "See https://x.test/ and\n> this\n"),
    mail("Rich", html="".join(one for one in VECTORS.values() if len(one) < 300)),
    with_file(b"a,b\n1,2\n", "text/csv", "list.csv"),
    with_file(mail("Inside"), "application/octet-stream", "inside.eml"),
)
_AT = b"{mail}"
_HEADERS = ("accept", "accept-language", "range", "if-none-match", "user-agent", "cookie", "origin", "sec-fetch-mode")


def _start(home: Path) -> Feed:
    site = portal(home)
    browser = logged_in(site)
    names = [deliver(site, one) for one in _MAILS]
    # Seen as it is raised, with its place, not as the page that people get.
    site.app.error_handler_spec[None][None][Exception] = _raise
    fed = 0

    def feed(data: bytes) -> None:
        nonlocal browser, fed
        fed += 1
        name = names[fed % len(names)] if fed > 500 else names[len(data) % len(names)]
        method, path, headers, form = _request(data.replace(_AT, name.encode()))
        site.clock.now += 1
        answer = browser.open(path, method=method, base_url=PORTAL, headers={**site.headers, **headers}, data=form)
        answer.close()
        if answer.status_code >= 500 and answer.status_code != 503:
            raise Broken(f"{answer.status_code}")
        if "Content-Security-Policy" not in answer.headers and answer.status_code < 300:
            raise Broken("a page without a policy")
        if "/login" in (answer.location or "") or fed % 500 == 0:
            browser = _again(site)
            for one in _MAILS:
                deliver(site, one)

    return feed


def _raise(error: Exception) -> NoReturn:
    raise error


def _again(site: Portal) -> FlaskClient:
    """Logged in anew: what was sent may have logged the person out, or changed the password."""
    site.clock.now += 10_000
    browser = site.browser()
    if site.log_in(browser).status_code != 303:
        raise Broken("no log-in any more")
    return browser


def _request(data: bytes) -> tuple[str, str, dict[str, str], dict[str, str]]:
    head, _, body = data.partition(b"\n\n")
    first, *rest = head.decode("latin-1").split("\n")
    method, _, path = first.partition(" ")
    headers = {}
    for line in rest:
        name, _, value = line.partition(":")
        if name.strip().lower() in _HEADERS and value.isprintable():
            headers[name.strip()] = value.strip()
    fields = (one.partition("=") for one in body.decode("utf-8", "surrogateescape").split("\n") if one)
    path = "/" + "".join(one for one in path.lstrip("/") if " " < one < "\x7f")
    form = {
        name.encode("utf-8", "replace").decode(): value.encode("utf-8", "replace").decode() for name, _, value in fields
    }
    return method if method in ("GET", "POST", "HEAD") else "GET", path, headers, form


def _seeds() -> list[bytes]:
    gets = (
        "/ /?page=2 /?folder=Sent /folder/Archive /search?q=plain+from%3Abob&older=1 /message/{mail} /message/{mail}/body"
        " /message/{mail}/text /message/{mail}/print /message/{mail}/headers /message/{mail}/eml /message/{mail}/reply"
        " /message/{mail}/forward /message/{mail}/attachment/1 /message/{mail}/attachment/2 /message/{mail}/preview/2?page=1"
        " /message/{mail}/preview/2/content /message/{mail}/attachments.zip?of=2 /message/{mail}/part/2 /thread/{mail}"
        " /message/{mail}/part/2/body /compose /contacts /account /account/sessions /account/password /pdfs?id=x"
        " /account/second-factor /account/export /remove/x /empty-trash /l/x /l/x/y /r/x /help /login /healthz /static/x"
    ).split()
    posts = (
        ("/act", "do=move\nname={mail}\nto=Archive\nfolder=Inbox\nback=/"),
        ("/act", "do=seen\nname={mail}"),
        ("/undo", "token=x"),
        ("/compose", "to=bob@example.org\nsubject=Hello\ntext=Hi\nsend=1"),
        ("/message/{mail}/reply", "to=bob@example.org\nsubject=Re: x\ntext=Hi\nsend=1"),
        ("/account", "language=de\ntime_zone=Europe/Berlin\nnotices=all\nphrase=blue"),
        ("/search", "q=x"),
        ("/login", "address=alice@example.net\npassword=x\nnext=/account"),
        ("/forgot", "address=alice@example.net"),
        ("/empty-trash", "count=0"),
    )
    return [
        *(f"GET {path}\nAccept-Language: de".encode() for path in gets),
        *(f"POST {path}\n\n{form}".encode() for path, form in posts),
    ]


PAGES = Target(
    _start,
    _seeds,
    (
        *(
            _AT,
            b"/",
            b"?",
            b"&",
            b"=",
            b"%",
            b"%00",
            b"%0d%0a",
            b"%2f",
            b"%2e%2e",
            b"..",
            b"%ff",
            b"%ed%a0%80",
            b"%F0%9F",
        ),
        *(
            b"page=",
            b"older=",
            b"folder=",
            b"next=//evil.test",
            b"back=",
            b"name=",
            b"do=",
            b"to=",
            b"of=",
            b"id=",
            b"q=",
        ),
        *(
            b"99999999999999999999",
            b"-1",
            b"0",
            b"1.1.1",
            b"NaN",
            b"\xd9\xa1",
            b"\xff",
            b"\x00",
            b"\xed\xa0\x80",
            b"\n",
        ),
        *(b"\n\n", b"Cookie: __Host-session=x", b"Range: bytes=0-1", b"Accept-Language: x;q=9", b"POST ", b"HEAD "),
    ),
    size=4000,
    followed=10,
)
