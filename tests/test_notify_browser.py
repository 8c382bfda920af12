"""The HTML notice in a real browser: on a phone and a desk, light and dark, for everybody, loading nothing."""

import email
import email.policy
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from messenger import account_letter, link
from messenger.notify import Notice, Site, letter

from .accessibility import axe

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LONGEST = "a" * 60 + "@" + ".".join(["b" * 60] * 3) + ".example"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: apt-get install chromium"),
]


def site_in(language):
    return Site("Example Bank", "https://portal.example.org", "notice@portal.example.org", language)


def html_of(raw):
    return email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",)).get_content()


def page_of(language, name="Eva Example", address="eva@example.com"):
    site = site_in(language)
    url = link.url(site.portal_url, link.token(bytes(32), "anna@example.org", 1_800_000_000))
    notice = Notice("anna@example.org", name, address, "K7QF-M2XA", url, "a@b", phrase="Blue hippo" * 6)
    return html_of(letter(notice, site, datetime.now(UTC)))


def account_page_of(language):
    site = site_in(language)
    return html_of(
        account_letter.letter(
            "reset",
            "anna@example.org",
            site,
            datetime.now(UTC),
            "a@b",
            link=f"{site.portal_url}/r/{'x' * 43}",
            client="2001:db8:1234:5678:9abc:def0:1234:5678",
            phrase="Blue hippo" * 6,
        )
    )


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1100])
@pytest.mark.parametrize("kind", ["notice", "account"])
def test_a_mail_of_ours_can_be_read_by_everybody(chromium, tmp_path, language, scheme, width, kind):
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    (tmp_path / "notice.html").write_text(
        page_of(language, "Eva " * 30, LONGEST) if kind == "notice" else account_page_of(language)
    )

    page.goto((tmp_path / "notice.html").as_uri())

    assert len(asked) == 1  # the page itself and nothing else
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe(page, runOnly=RULES).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
    assert page.get_by_role("link").bounding_box()["height"] >= 44  # a thumb hits it
    context.close()
