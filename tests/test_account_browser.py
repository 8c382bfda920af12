"""My account in a real Chromium and against the real server: settings, log-ins, all mail as a file, and goodbye."""

from collections.abc import Iterator
from hashlib import sha256
from time import time
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from messenger import link
from messenger.mailbox import mailbox_of

from . import test_browser
from .mail_pages_fixtures import mail
from .reader_fixtures import KEY, PASSWORD
from .test_browser import ARGUMENTS, CHROMIUM, DESK, PHONE
from .test_second_factor_browser import Looking, heading
from .test_service_reader import Running, reader

pytestmark = test_browser.pytestmark

DORA = "dora@example.net"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def running(home) -> Iterator[Running]:
    with reader(home, reader="workers = 1") as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def visit(chromium: Browser, viewport: dict[str, int]) -> Page:
    page = chromium.new_context(locale="en-GB", viewport=viewport).new_page()
    page.set_default_timeout(10_000)
    return page


def log_in(page: Page, portal: str) -> None:
    page.goto(f"{portal}/login")
    page.fill("#address", DORA)
    page.fill("#password", PASSWORD)
    page.click("main button")


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_somebody_settles_in_looks_around_takes_their_mail_along_and_leaves(
    chromium, running, home, tmp_path, viewport
):
    portal, mailbox = f"http://localhost:{running.port}", mailbox_of(home / "mail", DORA)
    page = visit(chromium, viewport)
    looking = Looking(page)
    page.goto(f"{portal}/l/{link.token(KEY, DORA, int(time()))}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    for number in range(3):
        raw = mail(f"Number {number}")
        mailbox.deliver(raw, sha256(raw).hexdigest())

    page.click("nav >> text=Account")
    looking.at("account")
    page.select_option("#time_zone", "Asia/Tokyo")
    page.check("text=At most one an hour")
    page.fill("#phrase", "blue heron")
    page.click("main button")
    assert page.locator("[role=status]").inner_text() == "Your settings are saved."
    assert page.input_value("#phrase") == "blue heron"
    looking.at("saved")
    page.evaluate("document.getElementById('phrase').removeAttribute('maxlength')")
    page.fill("#phrase", "x" * 61)
    page.click("main button")
    looking.at("refused")

    other = visit(chromium, DESK)
    log_in(other, portal)
    page.click("nav >> text=Account")
    page.click("text=Where you are logged in")
    assert page.locator(".devices h2").all_inner_texts() == ["Chrome on Linux this device", "Chrome on Linux"]
    looking.at("log-ins")
    page.click("text=Log out everywhere else")
    assert heading(page) == "Log out everywhere else"
    looking.at("log-out from afar")
    page.fill("#password", PASSWORD)
    page.keyboard.press("Enter")
    assert page.locator("[role=status]").inner_text() == "One log-in is ended."
    looking.at("only here")
    other.reload()
    assert heading(other) == "Log in"
    other.context.close()

    page.click("text=Stay logged in")
    assert page.url == f"{portal}/account/sessions?ended=1"

    page.click("text=← Your account")
    with page.expect_download() as download:
        page.click("text=Save all messages")
    assert download.value.suggested_filename.startswith("messages ")
    download.value.save_as(tmp_path / "all.zip")
    with ZipFile(tmp_path / "all.zip") as file:
        assert len(file.namelist()) == 3
        assert file.testzip() is None

    page.click("text=Delete account and messages")
    looking.at("delete")
    page.check("#sure")
    page.fill("#password", "not this one, sorry")
    page.click("main button")
    assert page.locator("[role=alert]").inner_text() == "This is not your password."
    looking.at("delete refused")
    page.fill("#password", PASSWORD)
    page.click("main button")
    assert heading(page) == "Goodbye"
    looking.at("goodbye")
    assert not mailbox.exists()
    page.goto(f"{portal}/account")
    assert heading(page) == "Log in"
    assert looking.found == {}
    page.context.close()


def test_no_page_of_the_account_is_wider_than_a_narrow_phone(chromium, running, home):
    portal = f"http://localhost:{running.port}"
    page = visit(chromium, {"width": 320, "height": 640})
    page.goto(f"{portal}/l/{link.token(KEY, 'eva@example.net', int(time()))}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")

    widths = {}
    for path in ("", "/sessions", "/delete", "/password", "/second-factor"):
        page.goto(f"{portal}/account{path}")
        widths[path] = page.evaluate("document.documentElement.scrollWidth")

    assert max(widths.values()) <= 320, widths
    page.context.close()
