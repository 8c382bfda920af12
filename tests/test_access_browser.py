"""Coming from another site, in a real Chromium and against the real server: what cookies and forms do then."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from messenger import link

from . import test_browser
from .accessibility import axe
from .reader_fixtures import ALICE, KEY, PASSWORD
from .test_browser import ARGUMENTS, CHROMIUM
from .test_service_reader import Running, reader

pytestmark = test_browser.pytestmark


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with reader(tmp_path_factory.mktemp("reader"), reader="workers = 1") as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # localhost and 127.0.0.1 are two sites to a browser.
        arguments = [f"{word}, EXCLUDE 127.0.0.1" if "host-resolver" in word else word for word in ARGUMENTS]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def elsewhere(running: Running) -> Iterator[str]:
    """Another site: somebody's webmail with a link to the portal, and forms that mean harm."""
    portal = f"http://localhost:{running.port}"
    page = f"""<!doctype html><title>elsewhere</title>
        <a id="notice" href="{portal}/l/{link.token(KEY, ALICE, int(time()))}">notice</a>
        <a id="inbox" href="{portal}/">inbox</a>
        <form method="post" action="{portal}/logout"><button id="logout">x</button></form>
        <form method="post" action="{portal}/login"><input name="address" value="{ALICE}">
        <input name="password" value="{PASSWORD}"><button id="login">x</button></form>"""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def person(chromium: Browser, elsewhere: str) -> Iterator[Page]:
    """Somebody who signed up by the link in their webmail, and is logged in."""
    page = chromium.new_context(locale="en-GB").new_page()
    page.set_default_timeout(10_000)
    page.goto(elsewhere)
    page.click("#notice")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    assert page.locator("h1").inner_text() == "Inbox"
    yield page
    page.context.close()


def test_the_session_cookie_is_kept_by_a_browser_on_this_machine_without_https(person):
    [cookie] = person.context.cookies()

    assert cookie["name"] == "__Host-session"
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")


@pytest.mark.parametrize("way", ["#notice", "#inbox"])
def test_somebody_logged_in_who_comes_from_their_webmail_is_one_click_from_the_inbox(person, elsewhere, way):
    person.goto(elsewhere)
    person.click(way)

    asked = person.locator("h1").inner_text()
    person.click("text=Open your inbox")

    assert asked == "Log in"
    assert person.locator("h1").inner_text() == "Inbox"


def test_the_address_shown_for_a_link_has_no_token(person, elsewhere):
    person.goto(elsewhere)
    person.click("#notice")

    assert person.url.endswith("/welcome")


@pytest.mark.parametrize("button", ["#logout", "#login"])
def test_a_form_of_another_site_is_refused_and_changes_nothing(person, elsewhere, running, button):
    before = person.context.cookies()
    person.goto(elsewhere)
    person.click(button)

    assert person.locator("h1").inner_text() == "That didn’t come from our page"
    assert person.context.cookies() == before
    person.goto(f"http://localhost:{running.port}/")
    assert person.locator("h1").inner_text() == "Inbox"


def test_after_the_log_out_the_back_button_shows_no_mail(chromium, running):
    page = chromium.new_context(locale="en-GB").new_page()
    page.goto(f"http://localhost:{running.port}/l/{link.token(KEY, 'carol@example.net', int(time()))}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    page.click("text=Log out")
    page.get_by_text("You are logged out.").wait_for()

    page.go_back()

    assert page.locator("h1").inner_text() == "Log in"
    page.context.close()


def test_pages_that_say_something_went_wrong_are_as_accessible_as_the_rest(chromium, running):
    page = chromium.new_context(locale="en-GB").new_page()
    portal = f"http://localhost:{running.port}"
    found = {}

    page.goto(f"{portal}/l/{link.token(KEY, 'dora@example.net', int(time()))}")
    page.fill("#password", "password1234")
    page.fill("#again", "something else")
    page.click("main button")
    found["passwords differ"] = axe(page)
    page.fill("#password", "password1234")
    page.fill("#again", "password1234")
    page.click("main button")
    found["password refused"] = axe(page)
    # The wait doubles with each failure, so it outgrows any slow machine.
    for _ in range(12):
        page.goto(f"{portal}/login")
        page.fill("#address", "dora@example.net")
        page.fill("#password", "not this one, sorry")
        page.click("main button")
        if "too many failed tries" in page.locator("main").inner_text():
            break
        found.setdefault("wrong password", axe(page))
    found["too many tries"] = axe(page)
    assert "too many failed tries" in page.locator("main").inner_text()
    page.goto(f"{portal}/nothing/here")
    found["no such page"] = axe(page)

    assert {name: result.generate_report() for name, result in found.items() if result.violations_count} == {}
    page.context.close()
