"""The portal as people meet it: a real Chromium, scripts switched off, against a real server."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import time
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from messenger import link
from messenger.mailbox import mailbox_of
from messenger.passwords import Hasher
from messenger_reader.app import create_app

from .accessibility import axe
from .mail_pages_fixtures import mail, with_file
from .reader_fixtures import CHEAP, KEY, PASSWORD, settings_for

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",  # nothing is asked beyond this machine
]
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
REMOTE = '<h1>Figures</h1><p>Hello <img src="https://tracker.example/seen.png" alt="logo"> <a href="https://a.example/">more</a></p>'

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: apt-get install chromium"),
]


@dataclass
class Server:
    home: Path
    url: str

    def link(self, address: str) -> str:
        return link.url(self.url, link.token(KEY, address, int(time())))

    def deliver(self, address: str, raw: bytes) -> str:
        name = sha256(raw).hexdigest()
        mailbox_of(self.home / "mail", address).deliver(raw, name)
        return name


class Quiet(WSGIRequestHandler):
    def log_request(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("portal")
    # The system chooses the port; the settings want to know it, so the app comes second.
    web = make_server("localhost", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    url = f"http://localhost:{web.server_port}"
    web.app = create_app(settings_for(home, portal=url), hasher=Hasher(CHEAP))
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield Server(home, url)
    web.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def visitor(chromium: Browser, *, scripts: bool = False, **more: object) -> BrowserContext:
    """A person with a fresh browser. Scripts are off, but for axe, which is one."""
    context = chromium.new_context(java_script_enabled=scripts, locale="en-GB", **more)
    context.set_default_timeout(10_000)
    return context


def sign_up(page: Page, server: Server, address: str) -> None:
    page.goto(server.link(address))
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    page.wait_for_url(f"{server.url}/")


def test_a_person_signs_up_reads_downloads_and_logs_out(server, chromium):
    address = "anna@partner.example"
    server.deliver(address, with_file(b"the content", "text/csv", "Überweisung.csv"))
    with visitor(chromium, viewport=PHONE) as context:
        page = context.new_page()
        sign_up(page, server, address)
        assert "1 unread message" in page.content()

        page.click("text=With a file")
        assert "See the file." in page.inner_text(".letter")
        with page.expect_download() as waiting:
            page.click(".file:has-text('Überweisung.csv') >> text=Save")
        assert waiting.value.suggested_filename == "Überweisung.csv"
        assert Path(waiting.value.path()).read_bytes() == b"the content"
        with page.expect_download() as waiting:
            page.click("text=Save original")
        assert waiting.value.suggested_filename.endswith(".eml")

        page.click("text=← Inbox")
        assert "unread" not in page.inner_text("main")
        message = page.get_attribute(".mail a", "href")
        page.click("text=Log out")
        page.goto(f"{server.url}{message}")
        assert page.url.startswith(f"{server.url}/login")

        page.fill("#address", address)
        page.fill("#password", PASSWORD)
        page.click("main button")
        assert urlsplit(page.url).path == message  # back to where the person wanted to go


def test_a_scanner_that_opens_the_link_first_spends_nothing(server, chromium):
    address = "scanned@partner.example"
    server.deliver(address, mail("Still unread"))
    for scripts in (False, True):
        with visitor(chromium, scripts=scripts) as scanner:
            page = scanner.new_page()
            page.goto(server.link(address))
            for found in page.locator("a, link").evaluate_all("all => all.map(one => one.href)") if scripts else []:
                scanner.request.head(found)
                scanner.request.get(found)
            # Some press every button they find.
            page.goto(server.link(address))
            page.click("main button")
            token = page.get_attribute("input[name=token]", "value")
            own_page = {"Sec-Fetch-Site": "same-origin"}
            scanner.request.post(f"{server.url}/signup", form={"token": token}, headers=own_page)

    with visitor(chromium) as context:
        page = context.new_page()
        sign_up(page, server, address)

        assert page.locator(".mail.unread").count() == 1


def test_reading_formatted_mail_asks_no_other_host(server, chromium):
    address = "watched@partner.example"
    name = server.deliver(address, mail("Figures", html=REMOTE))
    with visitor(chromium) as context:
        asked: list[str] = []
        page = context.new_page()
        sign_up(page, server, address)
        context.route("**/*", lambda route: (asked.append(route.request.url), route.continue_()))

        page.goto(f"{server.url}/message/{name}")
        frame = page.frame_locator("iframe")
        assert "Hello" in frame.locator("body").inner_text()
        assert {urlsplit(url).netloc for url in asked} == {urlsplit(server.url).netloc}

        page.click("text=Load pictures this time")
        page.wait_for_load_state("networkidle")
        # Only when asked, and without a word of where from. Nothing leaves this machine: the name leads nowhere.
        remote = [url for url in asked if "tracker.example" in url]
        assert remote == ["https://tracker.example/seen.png"]


def test_the_frame_can_neither_run_scripts_nor_reach_the_portal(server, chromium):
    """Were the sanitiser to let everything through, the frame alone would hold."""
    address = "framed@partner.example"
    name = server.deliver(address, mail("Figures", html=REMOTE))
    with visitor(chromium, scripts=True) as context:
        page = context.new_page()
        sign_up(page, server, address)
        evil = (
            "<script>document.title='run'</script><img src=/nothing onerror=\"document.title='run'\">"
            f'<iframe src="{server.url}/"></iframe><form action="{server.url}/logout" method="post"></form>'
            "<style>body{background:url(https://tracker.example/css)}</style>"
            '<img src="https://tracker.example/img"><link rel=stylesheet href="https://tracker.example/link">'
        )

        def hostile(route):
            answer = route.fetch()
            route.fulfill(response=answer, body=answer.text().replace("</body>", evil + "</body>"))

        asked: list[Request] = []
        page.on("request", lambda request: asked.append(request))
        page.route("**/body", hostile)
        page.goto(f"{server.url}/message/{name}")
        page.wait_for_load_state("networkidle")

        frame = page.frames[1]
        assert frame.url.endswith("/body")
        assert page.title() != "run"
        assert {request.failure for request in asked if "tracker.example" in request.url} == {"csp"}
        # With a script of the test's own, which Chromium lets in from outside: no origin, so no cookies and no parent.
        assert frame.evaluate("self.origin") == "null"


@pytest.fixture(scope="module")
def pages(server: Server, chromium: Browser) -> Iterator[dict[str, tuple[Page, str]]]:
    """Every kind of page, by name: the browser that may see it, and its address."""
    address = "axe@partner.example"
    with visitor(chromium, scripts=True) as guest, visitor(chromium, scripts=True) as person:
        outside, inside = guest.new_page(), person.new_page()
        found = {
            "help": (outside, "/help"),
            "login": (outside, "/login"),
            "dead link": (outside, "/l/forged"),
            "sign up": (outside, urlsplit(server.link("new@partner.example")).path),
        }
        sign_up(inside, server, address)
        plain = server.deliver(address, mail("Plain", "Hello https://a.example/\n\n> quoted"))
        rich = server.deliver(address, mail("Rich", html=REMOTE))
        posing = server.deliver(address, mail("Posing", sender='"boss@bank.example" <x@example.net>'))
        crowd = ", ".join(f"Person {number} <p{number}@example.com>" for number in range(99)).encode()
        crowded = server.deliver(address, mail("Word" * 100).replace(b"Alice <alice@example.net>", crowd))
        files = server.deliver(address, with_file(b"x", "text/csv", "Überweisung.csv"))
        found |= {
            "inbox": (inside, "/"),
            "plain message": (inside, f"/message/{plain}"),
            "formatted message": (inside, f"/message/{rich}"),
            "warning": (inside, f"/message/{posing}"),
            "crowd": (inside, f"/message/{crowded}"),
            "attachments": (inside, f"/message/{files}"),
            "headers": (inside, f"/message/{rich}/headers"),
            "text": (inside, f"/message/{rich}/text"),
            "print": (inside, f"/message/{rich}/print"),
            "compose": (inside, "/compose"),
            "reply": (inside, f"/message/{plain}/reply"),
            "forward": (inside, f"/message/{files}/forward"),
            "unreachable": (inside, f"/message/{posing}/reply"),
            "not found": (inside, "/nowhere"),
        }
        yield found


PAGES = [
    "help", "login", "dead link", "sign up", "inbox", "plain message", "formatted message", "warning", "crowd",
    "attachments", "headers", "text", "print", "compose", "reply", "forward", "unreachable", "not found",
]  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_open_to_everybody(pages, server, name):
    page, path = pages[name]
    page.goto(server.url + path)
    for viewport in (PHONE, DESK):
        for scheme in ("light", "dark"):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)

            results = axe(page, iframes=False)

            assert results.violations_count == 0, f"{viewport['width']} {scheme}: {results.generate_report()}"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_narrow_phone_and_a_large_type(pages, server, name):
    page, path = pages[name]
    page.set_viewport_size({"width": 320, "height": 640})  # WCAG 2.2, 1.4.10: 1280 pixels at four times the size
    page.goto(server.url + path)

    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # The site's name is not broken inside its words.
    assert page.locator(".brand").bounding_box()["height"] <= 48


def test_the_keyboard_reaches_the_content_first_and_every_message(pages, server):
    page, _ = pages["inbox"]
    page.goto(f"{server.url}/")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")  # past menu and folders
        if page.evaluate("document.activeElement.closest('.mail .subject') !== null"):
            break
    assert page.evaluate("getComputedStyle(document.activeElement, '::after').outlineStyle") == "solid"


def test_what_a_finger_hits_is_large_enough(pages, server):
    page, _ = pages["formatted message"]
    page.set_viewport_size(PHONE)
    for name in ("formatted message", "attachments", "inbox", "login"):
        page, path = pages[name]
        page.goto(server.url + path)
        # A checkbox is as large as its label.
        small = page.locator("button, a.button, nav a, a.back, input, label:has(input), summary").evaluate_all(
            "all => all.filter(one => one.checkVisibility() && !one.matches('[type=checkbox], [tabindex=\"-1\"]'))"
            ".map(one => [one.textContent, one.getBoundingClientRect().height]).filter(one => one[1] < 44)"
        )
        assert small == [], name
