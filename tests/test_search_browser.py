"""Searching and reading a conversation in a real Chromium: by keyboard, on a phone, open to everybody."""

import os
from hashlib import sha256

import pytest

from messenger.mailbox import mailbox_of

from .accessibility import axe
from .mail_pages_fixtures import mail, with_file
from .test_browser import DESK, PHONE, chromium, pytestmark, server, sign_up, visitor

__all__ = ["chromium", "pytestmark", "server"]

ADDRESS = "searcher@partner.example"


def answer(number: int) -> bytes:
    fields = f"Message-ID: <{number}@x>\r\n" + ("References: <1@x>\r\n" if number > 1 else "")
    return fields.encode() + mail(
        "Re: The plan", f"Answer {number} about the plan.\n\n> quoted", sender="Bob <bob@x.org>"
    )


@pytest.fixture(scope="module")
def page(server, chromium):
    mailbox = mailbox_of(server.home / "mail", ADDRESS)
    for number in range(1, 11):
        raw = answer(number)
        name = sha256(raw).hexdigest()
        folder, flags = ("Sent", "S") if number % 4 == 0 else ("", "")
        mailbox.deliver(raw, name, folder=folder, flags=flags)
        root = mailbox.root / f".{folder}" if folder else mailbox.root
        os.utime(next(root.glob(f"*/{name}*")), (1_700_000_000 + number, 1_700_000_000 + number))
    server.deliver(ADDRESS, with_file(b"x", "text/csv", "plan of action.csv"))
    with visitor(chromium, scripts=True, viewport=PHONE) as person:
        page = person.new_page()
        sign_up(page, server, ADDRESS)
        yield page


def is_open_to_everybody(page):
    for viewport in (PHONE, DESK):
        for scheme in ("light", "dark"):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)
            results = axe(page)
            assert results.violations_count == 0, f"{viewport['width']} {scheme}: {results.generate_report()}"
    small = page.locator("main a.button, main button, main ol a, main dl a, summary, input[type=search]").evaluate_all(
        "all => all.map(one => [one.textContent, one.getBoundingClientRect().height])"
        ".filter(one => one[1] && one[1] < 44 && !one[0].includes('The plan') && !one[0].includes('With a file'))"
    )
    assert small == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.set_viewport_size(PHONE)


def test_a_person_searches_by_keyboard_and_reads_a_conversation(page, server):
    page.goto(f"{server.url}/")
    page.locator("#q").focus()
    page.keyboard.type("plan from:bob@x.org")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=plan*")
    assert page.locator(".mail").count() == 10
    assert page.locator(".mail mark").count() > 10
    is_open_to_everybody(page)

    page.locator(".mail .subject a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/message/*")
    assert "10 messages in this conversation" in page.inner_text("main")
    is_open_to_everybody(page)

    page.click("text=Show the whole conversation")
    page.wait_for_url("**/thread/*")
    assert page.locator(".talk article").count() == 3
    assert page.locator(".talk li").count() == 10
    is_open_to_everybody(page)


def test_what_is_not_understood_is_explained_and_every_example_leads_somewhere(page, server):
    page.goto(f"{server.url}/search?q=befor:2026-01-01 xyzzy")
    assert "Did you mean “before:”?" in page.inner_text(".note")
    is_open_to_everybody(page)

    for link in page.locator(".examples a").evaluate_all("all => all.map(one => one.href)"):
        assert page.goto(link).status == 200
        assert page.locator(".note").count() == 0, link
