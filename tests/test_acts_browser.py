"""Folders and what can be done to mails, in a real Chromium: without scripts, on a phone, by keyboard."""

import pytest
from playwright.sync_api import Page, expect

from messenger.mailbox import mailbox_of

from . import test_browser
from .accessibility import axe
from .mail_pages_fixtures import mail
from .test_browser import DESK, PHONE, Server, chromium, server, sign_up, visitor  # noqa: F401

pytestmark = test_browser.pytestmark


def subjects(page: Page) -> list[str]:
    return [text.splitlines()[-1] for text in page.locator(".mail .subject").all_inner_texts()]


def open_folder(page: Page, name: str) -> None:
    page.click(".folders summary")
    page.click(f".folders details >> text={name}")
    expect(page.locator("h1")).to_have_text(name)


def test_a_person_without_scripts_selects_deletes_undoes_stars_and_empties(server, chromium):  # noqa: F811
    address = "tidy@partner.example"
    for at in range(4):
        server.deliver(address, mail(f"Number {at}"))
    with visitor(chromium, viewport=PHONE) as context:
        page = context.new_page()
        sign_up(page, server, address)
        everything = subjects(page)
        picks, bar = page.locator(".pick input"), page.locator(".picking > .doing")

        expect(bar).to_be_hidden()
        picks.nth(0).check()
        picks.nth(2).check()
        picks.nth(2).press("Enter")  # no button is pressed by that
        assert subjects(page) == everything
        expect(bar).to_be_in_viewport()
        bar.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("status")).to_contain_text("2 messages moved to Trash.")
        assert page.title().startswith("2 messages moved to Trash.")
        assert subjects(page) == [everything[1], everything[3]]

        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("status")).to_have_text("2 messages moved back.")
        assert subjects(page) == everything

        star = page.get_by_role("button", name=f"Star: {everything[1]}")
        star.click()
        expect(star).to_have_attribute("aria-pressed", "true")
        page.locator(".mail a").nth(1).click()
        expect(page.get_by_role("button", name="Star", exact=True)).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="To archive").click()
        expect(page.get_by_role("status")).to_contain_text("1 message moved to “Archive”.")
        open_folder(page, "Archive")
        assert subjects(page) == [everything[1]]

        open_folder(page, "Inbox")
        page.click("text=Select all")
        bar.get_by_role("button", name="Delete").click()
        open_folder(page, "Trash")
        page.locator(".pick input").first.check()
        bar.get_by_role("button", name="Delete for good").click()
        expect(page.locator("h1")).to_have_text("Delete 1 message for good?")
        page.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_role("status")).to_have_text("1 message deleted for good.")
        page.click("text=Empty Trash")
        expect(page.locator("h1")).to_have_text("Delete 2 messages for good?")
        page.get_by_role("button", name="Delete for good").click()
        expect(page.get_by_text("No messages in this folder.")).to_be_visible()


def test_every_page_of_folders_is_open_to_everybody(server, chromium):  # noqa: F811
    address = "folders@partner.example"
    box = mailbox_of(server.home / "mail", address)
    for at in range(3):
        server.deliver(address, mail(f"Number {at} " + "long " * 40, sender='"boss@bank.example" <x@example.net>'))
    box.deliver(mail("Sent one"), "s1", folder="Sent", flags="S")
    box.deliver(mail("Thrown away"), "t1", folder="Trash", flags="FS")
    box.deliver(mail("Hostile"), "h1", folder="&ZeVnLIqe-." + "longword" * 20 + "<b>")
    with visitor(chromium, scripts=True) as context:
        page = context.new_page()
        sign_up(page, server, address)
        [name] = [entry.name for entry in box.list() if entry.received][:1]
        for path in ("/?all=1", "/folder/Sent", "/folder/Archive", "/folder/Trash", "/empty-trash", f"/message/{name}"):
            page.set_viewport_size(PHONE)
            page.goto(server.url + path)
            if page.locator(".more").count():
                page.locator(".more").evaluate("one => one.open = true")
            for viewport in (PHONE, DESK):
                page.set_viewport_size(viewport)
                for scheme in ("light", "dark"):
                    page.emulate_media(color_scheme=scheme)
                    results = axe(page, iframes=False)
                    assert results.violations_count == 0, f"{path} {scheme}: {results.generate_report()}"
            page.set_viewport_size({"width": 320, "height": 640})
            if page.locator(".folders details").count():
                page.locator(".folders details").evaluate("one => one.open = true")
            assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
            small = page.locator("button, a.button, nav a, .above a, .pick, select, summary").evaluate_all(
                "all => all.filter(one => one.checkVisibility() && !one.matches('[tabindex=\"-1\"]'))"
                ".map(one => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])"
                ".filter(one => one[1].height < 44 || one[1].width < 44)"
            )
            assert small == [], path


def test_the_keyboard_does_all_that_a_finger_does(server, chromium):  # noqa: F811
    address = "keys@partner.example"
    for at in range(2):
        server.deliver(address, mail(f"Number {at}"))
    with visitor(chromium, viewport=DESK) as context:
        page = context.new_page()
        sign_up(page, server, address)
        first = subjects(page)[0]
        page.locator(".pick input").first.focus()
        page.keyboard.press("Space")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # the star, behind the subject
        expect(page.get_by_role("button", name=f"Star: {first}")).to_have_attribute("aria-pressed", "true")

        page.locator(".pick input").first.focus()
        page.keyboard.press("Space")
        page.keyboard.press("Shift+Tab")
        expect(page.locator(":focus")).to_have_text("More")
        page.keyboard.press("Enter")  # more
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.locator(":focus")).to_have_text("Mark as unread")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("1 message marked as unread.")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_bar_covers_nothing_that_has_the_focus(server, chromium, width):  # noqa: F811
    address = f"focus{width}@partner.example"
    for at in range(25):
        server.deliver(address, mail(f"Number {at}"))
    with visitor(chromium, viewport={"width": width, "height": 700}, scripts=True) as context:
        page = context.new_page()
        sign_up(page, server, address)
        page.locator(".pick input").first.check()
        page.locator(".mail a").first.focus()
        for _ in range(60):
            page.keyboard.press("Tab")
            hidden = page.evaluate(
                """() => {
                    const one = document.activeElement;
                    if (!one.closest('.pick, .star')) return false;
                    const box = one.getBoundingClientRect();
                    const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                    return !(top && (one.contains(top) || top.contains(one)));
                }"""
            )
            assert not hidden
