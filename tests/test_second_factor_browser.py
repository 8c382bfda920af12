"""The second step in a real Chromium and against the real server: set up, log in with a code, with a recovery code."""

from collections.abc import Iterator
from time import sleep, time

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from messenger import link, totp

from . import test_browser
from .accessibility import axe
from .reader_fixtures import KEY, PASSWORD
from .test_browser import ARGUMENTS, CHROMIUM
from .test_service_reader import Running, reader

pytestmark = test_browser.pytestmark

CAROL = "carol@example.net"
#: How long a page may take to bring a code to the server.
SLOW_SECONDS = 6


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with reader(tmp_path_factory.mktemp("reader"), reader="workers = 1") as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Looking:
    """Collects what axe finds on each page, light and dark."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: dict[str, str] = {}

    def at(self, name: str) -> None:
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            result = axe(self.page)
            if result.violations_count:
                self.found[f"{name}, {scheme}"] = result.generate_report()


def heading(page: Page) -> str:
    return page.locator("h1").inner_text()


def next_code(secret: str, used: int) -> tuple[str, int]:
    """The oldest code that still counts and isn't used up: the next one counts then, without half a minute's wait."""
    if time() % totp.STEP_SECONDS > totp.STEP_SECONDS - SLOW_SECONDS:
        sleep(SLOW_SECONDS)  # the step would be over before its code is typed
    step = max(totp.step_of(int(time())) + totp.WINDOW[0], used + 1)
    return totp.code(secret, step), step


def log_in(page: Page, portal: str) -> None:
    page.goto(f"{portal}/login")
    page.fill("#address", CAROL)
    page.fill("#password", PASSWORD)
    page.click("main button")


def test_somebody_sets_up_a_second_step_and_logs_in_with_it_and_with_a_recovery_code(chromium, running, tmp_path):
    page = chromium.new_context(locale="en-GB", viewport={"width": 390, "height": 844}).new_page()
    page.set_default_timeout(10_000)
    portal, looking = f"http://localhost:{running.port}", Looking(page)
    page.goto(f"{portal}/l/{link.token(KEY, CAROL, int(time()))}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")

    page.goto(f"{portal}/account/second-factor")
    looking.at("off")
    page.click("text=Set it up")
    secret = (page.locator(".key .code").text_content() or "").replace(" ", "")
    page.click("summary")
    looking.at("enrol")
    assert page.locator(".qr").evaluate("image => image.complete && image.naturalWidth > 0")
    page.fill("#password", PASSWORD)
    page.fill("#code", "000000")
    page.click("main button")
    looking.at("wrong code while setting up")
    code, used = next_code(secret, -1)
    page.fill("#password", PASSWORD)
    page.fill("#code", code)
    page.click("main button")
    assert heading(page) == "Keep these recovery codes"
    looking.at("recovery codes")
    codes = page.locator(".codes .code").all_inner_texts()
    with page.expect_download() as download:
        page.click("text=Download as a file")
    download.value.save_as(tmp_path / "codes.txt")
    assert set(codes) <= set((tmp_path / "codes.txt").read_text().splitlines())
    page.click("text=I have kept them")
    assert heading(page) == "Inbox"
    page.goto(f"{portal}/account/second-factor")
    looking.at("on")

    page.click("text=Log out")
    log_in(page, portal)
    assert heading(page) == "Enter your code"
    looking.at("code")
    page.fill("#code", "000000")
    page.click("main button")
    looking.at("wrong code")
    code, used = next_code(secret, used)
    page.fill("#code", code)
    page.click("main button")
    assert heading(page) == "Inbox"

    page.click("text=Log out")
    log_in(page, portal)
    page.click("text=Use a recovery code")
    looking.at("recovery")
    page.fill("#code", codes[4])
    page.click("main button")
    assert "You have 9 recovery codes left" in page.locator("main").inner_text()
    looking.at("recovery code used")
    page.click("text=Go on")
    assert heading(page) == "Inbox"
    assert looking.found == {}
    page.context.close()


def test_the_pages_for_a_forgotten_password_are_as_accessible_as_the_rest(chromium, running):
    page = chromium.new_context(locale="en-GB").new_page()
    page.set_default_timeout(10_000)
    portal, looking = f"http://localhost:{running.port}", Looking(page)

    page.goto(f"{portal}/login")
    page.click("text=Forgotten your password?")
    looking.at("forgot")
    page.fill("#address", "nobody@example.net")
    page.click("main button")
    assert heading(page) == "Look into your mail"
    looking.at("sent")
    page.goto(f"{portal}/r/made-up")
    looking.at("dead link")
    page.click("text=Send a new link")
    assert heading(page) == "Forgotten your password?"
    page.goto(f"{portal}/help#lost")
    looking.at("help")

    assert looking.found == {}
    page.context.close()


def test_the_recovery_codes_are_alone_on_paper(chromium, running):
    page = chromium.new_context(locale="en-GB").new_page()
    page.set_default_timeout(10_000)
    portal = f"http://localhost:{running.port}"
    page.goto(f"{portal}/l/{link.token(KEY, 'dora@example.net', int(time()))}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    page.goto(f"{portal}/account/second-factor")
    page.click("text=Set it up")
    secret = (page.locator(".key .code").text_content() or "").replace(" ", "")
    page.fill("#password", PASSWORD)
    page.fill("#code", next_code(secret, -1)[0])
    page.click("main button")

    page.emulate_media(media="print")

    shown = page.locator("body").inner_text()
    assert "dora@example.net" in shown
    assert page.locator(".codes .code").first.is_visible()
    for hidden in ("Download as a file", "I have kept them", "Log out", "Messages stay on this site"):
        assert hidden not in shown
    page.context.close()
