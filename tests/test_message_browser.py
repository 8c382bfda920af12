"""Hostile mail in a real Chromium: the sanitiser alone holds, and so does the frame alone; escaping holds around it.

proof/xss opens each mail in a frame of its own, with some layers on. What runs, the debugger hears of; what is asked
for arrives at a server of ours, because the browser finds it at every name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from messenger import message
from proof.xss.__main__ import broken, vectors
from proof.xss.layers import POLICY, SANDBOX, SANITISER
from proof.xss.looking import CHROMIUM, Seen, look
from proof.xss.site import Site, server_name, serving
from tests.hostile_html import VECTORS
from tests.hostile_webmail import CLASSES

from .accessibility import axe

pytestmark = pytest.mark.browser

MAILS = Path(__file__).parent / "mail"
ALONE = frozenset({SANITISER})
FRAME = frozenset({POLICY, SANDBOX})


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with serving(vectors(at_random_too=60)) as served:
        yield served


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    yield made
    made.close()


def test_the_vectors_are_hostile_when_nothing_stands_in_their_way(playwright, site):
    seen = look(playwright, site, frozenset())

    # Many only bite in older or other browsers; those that bite here prove that the other tests would see it.
    assert {"script", "onerror", "ontoggle", "mutate-comment-close", "mutate-title", "svg-script"} <= set(seen.ran)
    assert {"img", "srcset", "style-url", "style-escape", "iframe", "link", "meta-refresh", "video"} <= set(seen.asked)
    bitten = {*seen.ran, *seen.asked, *seen.resolved}
    assert [name for name, ones in CLASSES.items() if not bitten & set(ones)] == ["names that the page knows"]
    assert len(bitten) > len(VECTORS) // 2


def test_the_frame_alone_holds(playwright, site):
    seen = look(playwright, site, FRAME)

    assert broken(FRAME, seen) == {}


def test_the_sanitiser_alone_holds(playwright, site):
    """And what is left is on our lists, for the browser's own parser, also of what is made at random."""
    seen = look(playwright, site, ALONE)

    assert broken(ALONE, seen) == {}
    assert seen == Seen()


def test_the_name_in_the_first_words_of_https_is_read():
    name = b"v1.evil.test"
    extension = b"\0\0" + (len(name) + 5).to_bytes(2, "big") + (len(name) + 3).to_bytes(2, "big") + b"\0"
    extension += len(name).to_bytes(2, "big") + name
    hello = bytes(43) + b"\0" + b"\0\2\x13\x01" + b"\1\0" + len(extension).to_bytes(2, "big") + extension

    assert server_name(hello) == "v1.evil.test"
    assert server_name(hello[:50]) == ""
    assert server_name(b"\x16") == ""


@pytest.mark.parametrize("name", ["newsletter", "business-outlook", "order-confirmation", "long-words", "arabic"])
def test_an_ordinary_mail_fits_a_phone(browser, name):
    page = browser.new_page(viewport={"width": 390, "height": 800})

    page.set_content(message.show((MAILS / f"{name}.eml").read_bytes()).html)

    assert page.evaluate("document.querySelector('.mail').scrollWidth <= document.querySelector('.mail').clientWidth")


def test_plain_text_follows_the_dark_and_html_stays_on_its_sheet(browser):
    page = browser.new_page(color_scheme="dark")
    ground = (
        "getComputedStyle(document.documentElement).backgroundColor + getComputedStyle(document.body).backgroundColor"
    )

    page.set_content(message.show((MAILS / "plain-utf-8.eml").read_bytes()).html)
    plain = page.evaluate(ground)
    page.set_content(message.show((MAILS / "related.eml").read_bytes()).html)

    assert "rgb(22, 24, 28)" in plain
    assert page.evaluate(ground).endswith("rgb(255, 255, 255)")


@pytest.mark.parametrize("name", ["newsletter", "plain-utf-8", "related"])
def test_the_document_is_accessible_as_far_as_it_is_ours(browser, name):
    page = browser.new_page()

    page.set_content(message.show((MAILS / f"{name}.eml").read_bytes()).html)

    rules = ["html-has-lang", "html-lang-valid", "document-title", "meta-viewport"]
    found = axe(page, runOnly={"type": "rule", "values": rules})
    assert found.response["violations"] == []
