"""From a desk in the company to the recipient's phone and back: two Postfix, every service, a real Chromium."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from email.utils import parseaddr

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from demo import mails
from demo.postfix import free_port
from demo.site import SENDER, DemoSite

from . import test_browser
from .test_browser import ARGUMENTS, CHROMIUM

pytestmark = [*test_browser.pytestmark, pytest.mark.postfix]

ANNA = parseaddr(mails.RECIPIENT)[1]
PASSWORD = "a long walk by the sea"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def site() -> Iterator[DemoSite]:
    with DemoSite(free_port()) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


def signed_up(site: DemoSite, page: Page, notice: bytes) -> None:
    page.goto(site.link_in(notice))
    page.fill("input[name=password]", PASSWORD)
    page.fill("input[name=again]", PASSWORD)
    page.click("main button")


def test_a_secret_mail_goes_out_is_read_on_a_phone_and_the_answer_reaches_its_sender(site, chromium):
    site.send(mails.secret(mails.plain(datetime.now(UTC))), [ANNA, "boss@example.com"])

    [notice] = site.notices(1)
    page = chromium.new_page(viewport=PHONE)
    signed_up(site, page, notice)
    page.click("a[href*='/message/']")
    assert "4711-0815" in page.inner_text("main")
    assert "[secure]" not in page.inner_text("main")
    page.click("a[href$='/reply']")
    page.fill("textarea[name=text]", "Thank you, that was quick.")
    page.click("button[value=send]")

    arrived = message_from_bytes(site.left(SENDER, b"In-Reply-To:"), policy=default)
    assert "that was quick" in arrived.get_body(("plain",)).get_content()
    assert b"4711-0815" in site.left("boss@example.com", b"Subject: Your contract is ready")
    outside = [one for one in site.company.caught() if one.rcpt_to == ANNA]
    assert outside == [], "nothing left in clear"
    page.close()


def test_with_otp_enabled_the_mail_leaves_as_a_pdf_and_the_phone_shows_its_password(site, chromium):
    site.gateway("set", "otp_enabled", "true", "--domain", "*.example")
    site.gateway("set", "read_receipt", "true", "--global")
    page = chromium.new_page(viewport=PHONE)
    carl = "carl@post.example"

    site.send(mails.secret(mails.with_attachments(datetime.now(UTC))), [carl])

    cover = message_from_bytes(site.left(carl, b"application/pdf", seconds=60), policy=default)
    link = site.link_in(cover.get_body(("plain",)).get_content().encode())
    page.goto(link)
    page.fill("input[name=password]", PASSWORD)
    page.fill("input[name=again]", PASSWORD)
    page.click("main button")
    assert len(page.inner_text("output.secret")) == 24
    assert b"attachments." in site.left(SENDER, b"disposition-notification")
    page.close()
