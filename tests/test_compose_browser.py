"""An answer from a real Chromium, scripts switched off, through a real Postfix: what arrives is what was written."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from demo.postfix import CATCH, PrivatePostfix
from messenger.mailbox import mailbox_of
from messenger.message import read
from messenger.passwords import Hasher
from messenger_reader.app import create_app

from . import cms_makers as make
from .accessibility import axe
from .mail_pages_fixtures import mail
from .reader_fixtures import CHEAP, settings_for
from .test_browser import CHROMIUM, DESK, PHONE, Quiet, Server, sign_up, visitor
from .test_browser import chromium as chromium  # a fixture
from .tunnel_fixtures import gateway, messenger

pytestmark = [
    pytest.mark.browser,
    pytest.mark.postfix,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"no Chromium at {CHROMIUM}: apt-get install chromium"),
]

ANNA = "anna@partner.example"
ORIGINAL = mail("Offer", "Will you come?\n\nBob").replace(b"To: Alice", b"Message-ID: <offer@example.org>\r\nTo: Alice")
WORDS = "Grüße,\n\nyes. A line that is long enough to be broken by whoever breaks lines, and is not: " + "word " * 40
FILES = {"plan.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 4000, "Größe 図.csv": b"1;2\r\n3;4\n.\r\n"}


@dataclass
class Place:
    server: Server
    postfix: PrivatePostfix


@pytest.fixture(scope="module")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivatePostfix]:
    with PrivatePostfix(tmp_path_factory.mktemp("postfix"), transport=CATCH) as instance:
        yield instance


def open_portal(home: Path, postfix: PrivatePostfix, reply: str) -> Iterator[Place]:
    web = make_server("localhost", 0, lambda *_: [], threaded=True, request_handler=Quiet)
    url = f"http://localhost:{web.server_port}"
    command = '", "'.join(postfix.sendmail)
    settings = settings_for(home, portal=url, sendmail=command, reader=f"[reply]\n{reply}")
    web.app = create_app(settings, hasher=Hasher(CHEAP))
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield Place(Server(home, url), postfix)
    web.shutdown()
    thread.join()


@pytest.fixture
def plain(tmp_path: Path, postfix: PrivatePostfix) -> Iterator[Place]:
    yield from open_portal(tmp_path, postfix, "")


@pytest.fixture
def sealed(tmp_path: Path, postfix: PrivatePostfix) -> Iterator[Place]:
    messenger().write(tmp_path, "inside")
    gateway("p256").write(tmp_path, "sign")
    reply = 'encrypt_to = ["inside.pem"]\nsign_certificate = "sign.pem"\nsign_key = "sign.key"'
    yield from open_portal(tmp_path, postfix, reply)


def write(page: Page, folder: Path, button: str) -> None:
    """Fill in the form, with the files."""
    page.fill("#text", WORDS)
    paths = []
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    page.set_input_files("#files", paths)
    page.click(f".compose .tools >> text={button}")


def check(page: Page) -> None:
    """No barrier, and nothing wider than a phone."""
    for viewport in (PHONE, DESK):
        for scheme in ("light", "dark"):
            page.set_viewport_size(viewport)
            page.emulate_media(color_scheme=scheme)
            found = axe(page)
            assert found.violations_count == 0, f"{page.url} {viewport['width']} {scheme}: {found.generate_report()}"
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def arrived(place: Place, before: int) -> bytes:
    found = place.postfix.wait_caught(before + 1)
    assert len(found) == before + 1
    assert (found[-1].mail_from, found[-1].rcpt_to) == ("webmail@example.org", "bob@example.org")
    return found[-1].raw


def test_an_answer_with_two_files_arrives_byte_for_byte(plain: Place, chromium: Browser, tmp_path: Path) -> None:
    name = plain.server.deliver(ANNA, ORIGINAL)
    before = len(plain.postfix.caught())
    with visitor(chromium, viewport=PHONE) as context, visitor(chromium, scripts=True) as checking:
        page = context.new_page()
        sign_up(page, plain.server, ANNA)
        page.goto(f"{plain.server.url}/message/{name}")
        page.locator("text=Reply").first.click()
        page.locator("#subject").press("Enter")
        assert page.url.endswith("/reply")  # nothing is sent by mistake
        write(page, tmp_path, "Save draft")
        checking.add_cookies(context.cookies())
        checked = checking.new_page()
        for path in (page.url, page.url.replace("saved", "try")):
            checked.goto(path)
            check(checked)

        page.click(".compose .tools >> text=Send")

        assert "on its way" in page.inner_text("main")
        assert "bob@example.org" in page.inner_text("main")
        checked.goto(page.url)
        check(checked)
        page.go_back()
        page.go_back()
    raw = arrived(plain, before)
    found = message_from_bytes(raw, policy=policy.default)
    assert {part.get_filename(): part.get_payload(decode=True) for part in found.iter_attachments()} == FILES
    text = found.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text == f"{WORDS.rstrip()}\n\nOn 2 January 2026, 23:30, Bob wrote:\n> Will you come?\n>\n> Bob\n"
    assert found["Subject"] == "Re: Offer"
    assert found["In-Reply-To"] == found["References"] == "<offer@example.org>"
    assert found["From"].addresses[0].addr_spec == "webmail@example.org"
    assert found["Reply-To"] == ANNA
    assert found["Bcc"] is None
    mailbox = mailbox_of(plain.server.home / "mail", ANNA)
    [kept] = mailbox.list("Sent")
    assert kept.flags == "S"
    assert mailbox.list("Drafts") == []


def test_a_sealed_answer_is_opened_by_openssl(sealed: Place, chromium: Browser, tmp_path: Path) -> None:
    name = sealed.server.deliver(ANNA, ORIGINAL)
    before = len(sealed.postfix.caught())
    with visitor(chromium) as context:
        page = context.new_page()
        sign_up(page, sealed.server, ANNA)
        page.goto(f"{sealed.server.url}/message/{name}/reply")
        write(page, tmp_path, "Send")
        assert "on its way" in page.inner_text("main")

    raw = arrived(sealed, before)
    inside, key = messenger().write(tmp_path, "opens")
    signer, _ = gateway("p256").write(tmp_path, "verifies")
    signed = make.openssl("cms", "-decrypt", "-recip", inside, "-inkey", key, stdin=raw)
    entity = make.openssl("cms", "-verify", "-CAfile", signer, "-purpose", "any", stdin=signed)

    outside, opened = message_from_bytes(raw, policy=policy.default), read(entity)
    mailbox = mailbox_of(sealed.server.home / "mail", ANNA)
    [kept] = mailbox.list("Sent")
    copy = mailbox.read(kept.name, "Sent")
    assert outside.get_content_type() == "application/pkcs7-mime"
    assert (outside["Subject"], outside["In-Reply-To"]) == ("Re: Offer", "<offer@example.org>")
    assert copy.endswith(entity)  # what was sealed and what is kept are the same bytes
    assert opened.text.startswith("Grüße,")
