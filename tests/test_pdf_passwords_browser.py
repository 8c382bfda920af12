"""Passwords of PDFs in a real Chromium and against the real server: light and dark, with the script and without it."""

from collections.abc import Iterator
from hashlib import sha256
from time import time

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from messenger import link, pdf_password, pdf_record
from messenger.mailbox import mailbox_of
from messenger.pdf_record import Record

from . import test_browser
from .pdf_fixtures import mail
from .reader_fixtures import KEY, PASSWORD
from .test_browser import ARGUMENTS, CHROMIUM
from .test_second_factor_browser import Looking, heading
from .test_service_reader import Running, reader

pytestmark = test_browser.pytestmark

FAY = "fay@example.net"
NARROW = {"width": 320, "height": 640}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("reader")
    (home / "keys").mkdir()
    (home / "keys" / "pdf.key").write_text(KEY.hex() + "\n")
    with reader(home, reader="workers = 1") as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def sent(running: Running) -> str:
    """What the milter leaves behind when it orders a PDF."""
    raw = mail(Subject="A plan")
    digest, mailbox = sha256(raw).hexdigest(), mailbox_of(running.home / "mail", FAY)
    mailbox.deliver(raw, digest, "PDF", "S")
    pdf_id = pdf_password.id_of(digest, FAY)
    pdf_record.keep(mailbox.root.parent, Record(pdf_id, digest, 0, int(time()), "bob@example.com"))
    return pdf_id


def at_log_in(page: Page, portal: str, pdf_id: str) -> None:
    page.set_default_timeout(10_000)
    page.goto(f"{portal}/pdfs/{pdf_id}")
    page.fill("#address", FAY)
    page.fill("#password", PASSWORD)
    page.click("main button")


def test_who_scans_the_code_on_a_phone_copies_the_password_and_reads_it_without_scripts_too(chromium, running):
    portal, pdf_id = f"http://localhost:{running.port}", sent(running)
    words = pdf_password.password(KEY, FAY, 0, pdf_id)
    context = chromium.new_context(locale="en-GB", viewport=NARROW)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=portal)
    page, blocked = context.new_page(), []
    page.on("console", lambda message: blocked.append(message.text))
    page.set_default_timeout(10_000)
    looking = Looking(page)

    page.goto(f"{portal}/l/{link.token(KEY, FAY, int(time()))}/{pdf_id}")
    page.fill("#password", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main button")
    assert (heading(page), page.locator("output").inner_text()) == ("Password of a PDF", words)
    page.click("text=Copy")
    page.wait_for_selector("button:has-text('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == words
    assert blocked == []  # the policy lets this script run, and axe's own is told of later
    widths = [page.evaluate("document.documentElement.scrollWidth")]
    looking.at("password")
    page.click("text=← PDF passwords")
    assert pdf_id in page.locator("ol").inner_text()
    widths.append(page.evaluate("document.documentElement.scrollWidth"))
    looking.at("list")
    page.fill("#id", "2222 2222 2222 2222")
    page.click("main button")
    assert page.locator("[role=alert]").inner_text().startswith("No PDF of this name was sent to fay@example.net.")
    looking.at("another's")
    page.fill("#id", pdf_id.upper().replace("-", " "))
    page.keyboard.press("Enter")
    assert page.locator("output").inner_text() == words
    context.close()

    plain = chromium.new_context(locale="en-GB", viewport=NARROW, java_script_enabled=False)
    page = plain.new_page()
    at_log_in(page, portal, pdf_id)
    assert page.locator("output").inner_text() == words
    assert not page.locator("#copy").is_visible()
    plain.close()

    assert looking.found == {}
    assert max(widths) <= 320
