"""What each main page costs a browser, and whom it shuts out: requests, bytes, scripts, axe-core, narrow screens.

The pages are asked for in German, whose words are longer than English ones, and by people whose system asks for dark
or for high contrast.
"""

import gzip
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Response

from . import test_browser
from .accessibility import axe
from .mail_pages_fixtures import mail
from .test_browser import PHONE, REMOTE, Server, sign_up

pytestmark = test_browser.pytestmark
server = test_browser.server
chromium = test_browser.chromium

REQUESTS, BYTES = 4, 30_000
ADDRESS = "budget@partner.example"
LONG = "Rechtsschutzversicherungsgesellschaftsangelegenheiten" * 3
#: Name of the page: who may see it, and where it is. {message} and {landing} are filled in.
PAGES = {
    "log-in": ("guest", "/login"),
    "sign-up": ("guest", "{landing}"),
    "help": ("guest", "/help"),
    "inbox": ("person", "/"),
    "message": ("person", "/message/{message}"),
    "search": ("person", "/search?q=words"),
    "compose": ("person", "/compose"),
    "account": ("person", "/account"),
}
LOOKS = (
    {"color_scheme": "light"},
    {"color_scheme": "dark"},
    {"color_scheme": "light", "contrast": "more"},
    {"color_scheme": "dark", "contrast": "more"},
)


@pytest.fixture(scope="module")
def visitors(server: Server, chromium: Browser) -> Iterator[dict[str, tuple[BrowserContext, dict[str, str]]]]:
    """A guest, and a person with two pages of mail; what their addresses are filled in with."""
    names = [server.deliver(ADDRESS, mail(f"{LONG} {at}", "Some words of it. " * 20, html=REMOTE)) for at in range(60)]
    server.deliver(ADDRESS, mail("الفاتورة رقم ١٢٣ " * 9, "من اليمين إلى اليسار", sender="مكتب <b@example.org>"))
    values = {"message": names[0], "landing": urlsplit(server.link("new@partner.example")).path}
    options = {"locale": "de-DE", "viewport": PHONE}
    with chromium.new_context(**options) as guest, chromium.new_context(**options) as person:
        page = person.new_page()
        sign_up(page, server, ADDRESS)
        page.close()
        yield {"guest": (guest, values), "person": (person, values)}


@pytest.fixture
def page(request: pytest.FixtureRequest, visitors, server: Server) -> Iterator[Page]:
    """The page that the test is about, open."""
    who, path = PAGES[request.param]
    context, values = visitors[who]
    page = context.new_page()
    page.set_default_timeout(10_000)
    weigh(page)
    page.goto(server.url + path.format_map(values))
    page.wait_for_load_state("networkidle")
    yield page
    page.close()


#: What was answered for each page, by address.
answers: dict[Page, dict[str, bytes]] = {}


def weigh(page: Page) -> None:
    answers[page] = {}

    def note(answer: Response) -> None:
        if answer.ok and page in answers:  # what comes after the counting isn't counted
            answers[page][answer.url] = answer.body()

    page.on("response", note)


every_page = pytest.mark.parametrize("page", PAGES, indirect=True)


@every_page
def test_a_page_takes_four_requests_thirty_kilobytes_and_no_script(page):
    found = dict(answers.pop(page))
    for file in page.locator("link[href], img[src]").evaluate_all("all => all.map(one => one.href || one.src)"):
        # What the browser kept from an earlier page costs whoever comes here first; icons it may not ask for at once.
        found.setdefault(file, page.context.request.get(file).body())

    assert len(found) <= REQUESTS, sorted(found)
    assert sum(len(gzip.compress(body)) for body in found.values()) <= BYTES
    assert [frame.locator("script").count() for frame in page.frames] == [0] * len(page.frames)


@every_page
def test_a_page_is_open_to_everybody_in_german_and_in_every_look(page):
    for look in LOOKS:
        page.emulate_media(**{"contrast": "no-preference"} | look)

        results = axe(page, iframes=False)

        assert results.violations_count == 0, f"{look}: {results.generate_report()}"


@every_page
def test_a_page_fits_320_pixels_and_shows_what_has_the_focus(page):
    page.set_viewport_size({"width": 320, "height": 640})  # WCAG 2.2, 1.4.10

    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    unseen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, seen = page.evaluate(FOCUSED)
        if name == "body":
            break
        unseen += [] if seen else [name]
    assert unseen == []


#: What has the focus, and whether an outline shows it: its own, or the one of what covers a row of a list.
FOCUSED = """() => {
  const one = document.activeElement, outlined = (part) => getComputedStyle(one, part).outlineStyle !== "none";
  const name = one.tagName.toLowerCase();
  return [name, name === "iframe" || outlined(null) || outlined("::after")];
}"""


@every_page
def test_a_page_on_paper_is_black_on_white_and_has_no_buttons(page):
    page.emulate_media(media="print", color_scheme="dark")

    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(0, 0, 0)"
    assert not page.locator(".top").is_visible()
    assert not page.locator(".tools, .doing, .search, .folders").locator("visible=true").count()
