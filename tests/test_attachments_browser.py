"""Attachments in a real Chromium with scripts on: what is shown, that nothing in it runs, that everybody can use it."""

import io
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image
from playwright.sync_api import Page

from . import pdf_makers, test_browser
from .accessibility import axe
from .attachment_fixtures import with_files
from .test_browser import DESK, PHONE, chromium, server, sign_up, visitor  # noqa: F401
from .test_calendars import INVITATION
from .test_contacts import VERSION_3
from .test_message_nested import around

pytestmark = test_browser.pytestmark

RUN = "<script>document.title='run'</script><img src=x onerror=\"document.title='run'\">"


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (900, 300), "teal").save(out, kind)
    return out.getvalue()


#: A picture to whoever goes by the first bytes, a page to whoever goes by the rest.
BOTH = picture("GIF") + f"<html>{RUN}".encode()
FILES = with_files(
    ("photo.png", "image/png", picture("PNG")),
    ("both.gif", "image/gif", BOTH),
    ("notes.txt", "text/plain", f"one line\n{RUN}\n".encode() + b"word " * 2000),
    ("report.pdf", "application/pdf", pdf_makers.pages("The first page", "The second page")),
    ("script.pdf", "application/pdf", pdf_makers.with_script()),
    ("invite.ics", "text/calendar", INVITATION.replace("Raum 2", RUN).encode()),
    ("erika.vcf", "text/vcard", VERSION_3.encode()),
    ("page.html", "text/html", RUN.encode()),
    ("broken.pdf", "application/pdf", b"%PDF-1.7"),
)


def fits(page: Page, name: str) -> None:
    """Clean to axe, nothing beyond the edge of a small phone, nothing too small for a finger."""
    for viewport, scheme in ((PHONE, "light"), (DESK, "dark")):
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        results = axe(page, iframes=False)
        assert results.violations_count == 0, f"{name}: {results.generate_report()}"
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, name
    small = page.locator("a.button, nav a, a.back, summary").evaluate_all(
        "all => all.filter(one => one.checkVisibility())"
        ".map(one => [one.textContent, one.getBoundingClientRect().height]).filter(one => one[1] < 44)"
    )
    assert small == [], name


@pytest.fixture(scope="module")
def opened(server, chromium):  # noqa: F811
    """Somebody who looks at the mail with the files."""
    address = "files@partner.example"
    name = server.deliver(address, around(FILES))
    with visitor(chromium, scripts=True) as context:
        page = context.new_page()
        sign_up(page, server, address)
        yield page, f"{server.url}/message/{name}"


def test_a_person_looks_at_each_file_and_nothing_in_it_runs(opened):
    page, message = opened
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(message)
    fits(page, "list outside")
    page.click("main >> text=Open")
    assert page.url == f"{message}/part/2"
    fits(page, "list")

    titles = {}
    for label in (
        "photo.png",
        "both.gif",
        "notes.txt",
        "report.pdf",
        "script.pdf",
        "invite.ics",
        "erika.vcf",
        "broken.pdf",
    ):
        page.goto(f"{message}/part/2")
        page.click(f".file:has-text('{label}') >> text=View")
        page.wait_for_load_state("networkidle")
        titles[label] = page.title()
        if label.endswith((".png", ".gif")) or label in ("report.pdf", "script.pdf"):
            assert page.locator(".sheet img").evaluate("one => one.naturalWidth") >= 900, label
        if label == "notes.txt":
            frame = page.frames[1]
            assert "<script>document.title" in frame.locator("body").inner_text()
            assert frame.evaluate("self.origin") == "null"
        if label in ("notes.txt", "both.gif"):  # alone in a tab, it has no origin either
            alone = page.context.new_page()
            alone.goto(f"{page.url}/content")
            assert alone.evaluate("self.origin") == "null"
            assert "run" not in (alone.title(), page.title())
            alone.close()
        if label not in ("both.gif", "script.pdf"):
            fits(page, label)

    assert set(titles.values()) == {f"{label} · Webmail Messenger" for label in titles}
    assert all(url.startswith(message.partition("/message")[0]) for url in asked)


def test_a_pdf_is_leafed_through_by_keyboard_and_all_files_come_at_once(opened):
    page, message = opened
    page.goto(f"{message}/preview/2-5")
    page.get_by_text("Next page").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**page=2")
    page.click("summary")
    assert page.inner_text("details .text") == "The second page"

    page.goto(f"{message}/part/2")
    with page.expect_download() as waiting:
        page.click("text=Save all as one zip file")
    file = ZipFile(Path(waiting.value.path()))

    assert len(file.namelist()) == 9
    assert file.read("both.gif") == BOTH
