"""What a mail says of itself stands on pages of ours, outside of any frame: there, escaping alone must hold.

Each field of a hostile mail holds markup; every page that shows it is opened in a real Chromium with the pages' policy
taken off, so that whatever came through as markup would run or load.
"""

from __future__ import annotations

import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from email.header import Header
from hashlib import sha256
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, sync_playwright
from werkzeug.serving import make_server

from messenger.mailbox import mailbox_of
from messenger.passwords import Hasher
from messenger_reader.app import create_app
from proof.xss.looking import CHROMIUM

from .reader_fixtures import CHEAP, settings_for
from .test_browser import ARGUMENTS, Quiet, Server, sign_up

pytestmark = pytest.mark.browser

ADDRESS = "anna@partner.example"
#: Out of text, of either kind of attribute, of a title, a comment and a style, and into an element that nobody has.
MARKUP = (
    "x\"'><x-mark id=m></x-mark><script>hostile()</script><img src=http://evil.test/i onerror=hostile()>"
    "</title></textarea></style>--><svg onload=hostile()>{{7*7}}%3Cx-mark%3E"
)
FIELDS = ("From", "To", "Cc", "Reply-To", "Subject", "Message-ID", "In-Reply-To", "List-Id", "X-Odd", "Date")
PARTS = (
    ("text/csv", MARKUP + ".csv", f"{MARKUP},b\n1,2\n".encode()),
    ("text/html", "page.html", f"<p>{MARKUP}".encode()),
    ("image/svg+xml", MARKUP + ".svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="hostile()"/>'),
    ("application/x-" + "a" * 20, "../" + MARKUP, b"x"),
    (
        "text/calendar; method=REQUEST",
        "a.ics",
        "\r\n".join(
            [
                *("BEGIN:VCALENDAR", "VERSION:2.0", "METHOD:REQUEST", "BEGIN:VEVENT", "DTSTART:20270101T100000Z"),
                *(f"{name}:{MARKUP}" for name in ("SUMMARY", "LOCATION", "DESCRIPTION", "URL", "UID", "STATUS")),
                f'ORGANIZER;CN="{MARKUP.replace(chr(34), "")}":mailto:{MARKUP}',
                f"ATTENDEE;PARTSTAT={MARKUP.split('>')[0]}:mailto:{MARKUP}",
                *("END:VEVENT", "END:VCALENDAR", ""),
            ]
        ).encode(),
    ),
    ("message/rfc822", MARKUP, f"From: {MARKUP} <a@b>\nSubject: {MARKUP}\n\n{MARKUP}\n".encode()),
)  # fmt: skip


def hostile(form: str) -> bytes:
    """A mail whose fields hold markup: as it stands, or in encoded words."""

    def field(value: str) -> str:
        return value if form == "raw" else Header(value, "utf-8", maxlinelen=2000).encode()

    address = f"{field(MARKUP)} <{MARKUP.split(' ')[0]}@evil.test>"
    given = dict.fromkeys(FIELDS, field(MARKUP)) | dict.fromkeys(("From", "To", "Cc", "Reply-To"), address)
    lines = [f"{name}: {value}" for name, value in given.items()]
    lines += [
        "MIME-Version: 1.0",
        'Content-Type: multipart/mixed; boundary="b"',
        "",
        "--b",
        "",
        f"{MARKUP} http://x/{MARKUP}",
    ]
    for kind, name, content in PARTS:
        lines += ["--b", f"Content-Type: {kind}", "Content-Transfer-Encoding: base64", f"Content-ID: <{MARKUP}>"]
        lines += [f"Content-Disposition: attachment; filename*=utf-8''{quote(name)}", "", b64encode(content).decode()]
    return "\r\n".join([*lines, "--b--", ""]).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("portal")
    web = make_server("localhost", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    url = f"http://localhost:{web.server_port}"
    app = create_app(settings_for(home, portal=url), hasher=Hasher(CHEAP))

    def without_policy(environ, start_response):
        def start(status, headers, *more):
            return start_response(status, [one for one in headers if one[0] != "Content-Security-Policy"], *more)

        return app(environ, start)

    web.app = without_policy
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield Server(home, url)
    web.shutdown()
    thread.join()


def delivered(server: Server) -> list[str]:
    box = mailbox_of(server.home / "mail", ADDRESS)
    raws = [hostile("raw"), hostile("encoded")]
    names = [sha256(raw).hexdigest() for raw in raws]
    for raw, name in zip(raws, names, strict=True):
        box.deliver(raw, name)
    box.deliver(raws[0], "0" * 64, folder=re.sub("[./]", "", MARKUP)[:60])
    return names


def pages_of(names: list[str]) -> list[str]:
    one_mail = [
        *("", "/text", "/print", "/headers", "/reply", "/reply-all", "/forward"),
        *(f"/preview/{number}" for number in range(2, 8)),
        "/part/7",
    ]
    folder = quote(re.sub("[./]", "", MARKUP)[:60])
    return [
        *(
            "/",
            f"/folder/{folder}",
            f"/search?q={quote(MARKUP)}",
            f"/search?q=from:{quote(MARKUP)}+hostile",
            "/contacts",
        ),
        *(
            f"/compose?to={quote(MARKUP)}&subject={quote(MARKUP)}",
            f"/login?next={quote(MARKUP)}",
            f"/pdfs?id={quote(MARKUP)}",
        ),
        *(f"/message/{name}{what}" for name in names for what in one_mail),
        f"/thread/{names[0]}",
    ]


def test_whatever_a_mail_says_of_itself_is_text_on_every_page(server):
    names = delivered(server)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(30_000)
        sign_up(page, server, ADDRESS)
        seen = Watch(page)

        found = {path: seen.open(server.url + path) for path in pages_of(names)}
        # What it would look like, if something came through.
        page.set_content(f"<p>{MARKUP}")
        control = seen.gone_wrong()
        browser.close()

    assert {path: wrong for path, (_, wrong) in found.items() if wrong} == {}
    assert len([path for path, (shown, _) in found.items() if "x-mark" in shown]) >= len(found) - 8, found
    assert control == ["an element", "a script", "evil.test"]


class Watch:
    """A page, and what ran and was asked for on it."""

    def __init__(self, page: Page) -> None:
        self.page, self.scripts, self.asked = page, [], []
        debugger = page.context.new_cdp_session(page)
        debugger.on("Debugger.scriptParsed", self._script)
        debugger.send("Debugger.enable")
        page.on("request", lambda request: self.asked.append(request.url))

    def _script(self, event) -> None:
        # What drives the browser has no address, and stands in no page.
        if event.get("executionContextAuxData", {}).get("isDefault") and event["url"].startswith(("http", "about")):
            self.scripts.append(event["url"])

    def open(self, url: str) -> tuple[str, list[str]]:
        """The text of a page with all its fields' values, and what went wrong on it."""
        self.scripts.clear()
        self.asked.clear()
        answer = self.page.goto(url)
        assert answer is not None
        assert answer.status < 500, url
        return self.page.content(), self.gone_wrong()

    def gone_wrong(self) -> list[str]:
        wrong = ["an element"] * self.page.evaluate("document.querySelector('x-mark, [onload], [onerror]') !== null")
        self.page.wait_for_timeout(50)
        return (
            wrong
            + ["a script"] * bool(self.scripts)
            + ["evil.test"] * any(urlsplit(one).hostname == "evil.test" for one in self.asked)
        )
