"""Pages of mail: what a person sees, and what a hostile mail can't do about it."""

import re

import pytest

from messenger import link, message
from messenger.mailbox import Mailbox

from .mail_pages_fixtures import deliver, flags, logged_in, mail, mailbox_at, with_file
from .reader_fixtures import ALICE, BOB, portal
from .reading_fixtures import FACES, alice_fixture, site_fixture  # noqa: F401


@pytest.mark.parametrize("path", ["/", *(f"/message/x{face}" for face in FACES)])
def test_nobody_reads_without_logging_in(site, path):
    answer = site.get(site.browser(), path)

    assert answer.status_code == 303
    assert answer.location.startswith("/login")


def test_an_empty_inbox_says_what_will_come(site, alice):
    page = site.get(alice, "/").text

    assert "Nothing here yet" in page
    assert ALICE in page


def test_the_inbox_lists_sender_subject_and_beginning(site, alice):
    name = deliver(site, mail("The subject", "The beginning", sender="Bob Brown <bob@example.org>"))

    page = site.get(alice, "/").text

    assert f"/message/{name}" in page
    for words in ("Bob Brown", "The subject", "The beginning", "1 unread message", "Unread:"):
        assert words in page


def test_attachments_are_marked_in_the_inbox(site, alice):
    deliver(site, with_file(b"x", "application/pdf", "one.pdf"))

    assert "has attachments" in site.get(alice, "/").text


def test_a_message_shows_who_wrote_when_and_its_reference_code(site, alice):
    name = deliver(site, mail("The subject", "The text", sender="Bob Brown <bob@example.org>"))

    page = site.get(alice, f"/message/{name}").text

    for words in ("Bob Brown", "&lt;bob@example.org&gt;", "The subject", "The text", "2 January 2026, 23:30"):
        assert words in page
    assert link.reference(name) in page


def test_dates_are_in_the_readers_zone(tmp_path):
    site = portal(tmp_path, site='time_zone = "Asia/Tokyo"')
    browser = logged_in(site)
    name = deliver(site, mail())

    assert "3 January 2026, 08:30" in site.get(browser, f"/message/{name}").text


def test_opening_a_message_marks_it_as_read(site, alice):
    name = deliver(site, mail())

    site.get(alice, f"/message/{name}")

    assert flags(site, name) == "S"
    assert "unread message" not in site.get(alice, "/").text


@pytest.mark.parametrize("face", FACES[1:])
def test_another_face_of_a_message_marks_nothing(site, alice, face):
    name = deliver(site, mail())

    site.get(alice, f"/message/{name}{face}")

    assert flags(site, name) == ""


@pytest.mark.parametrize("field", ["Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "X-Moz: prefetch"])
def test_a_page_fetched_ahead_marks_nothing(site, alice, field):
    name = deliver(site, mail())
    key, _, value = field.partition(": ")

    alice.get(f"/message/{name}", base_url=site.base, headers={**site.headers, key: value})

    assert flags(site, name) == ""


def test_asking_for_the_headers_of_a_page_marks_nothing(site, alice):
    name = deliver(site, mail())

    assert alice.head(f"/message/{name}", base_url=site.base, headers=site.headers).status_code == 200
    assert flags(site, name) == ""


def test_a_message_that_cannot_be_marked_is_read_all_the_same(site, alice, monkeypatch):
    name = deliver(site, mail(text="The text"))

    def refuse(*_args, **_more):
        raise message.NoSuchPart("read-only")

    monkeypatch.setattr(Mailbox, "flag", refuse)

    assert "The text" in site.get(alice, f"/message/{name}").text


@pytest.mark.parametrize("face", FACES)
def test_nobody_sees_another_persons_mail(site, alice, face):
    name = deliver(site, with_file(b"secret", "text/plain", "secret.txt"), BOB)

    answer = site.get(alice, f"/message/{name}{face}")

    assert answer.status_code == 404
    assert b"secret" not in answer.data


@pytest.mark.parametrize(
    "name", ["..", ".", ".hidden", "a:2,S", "%2e%2e%2fcur", "..%2f..%2fx", "a%00b", "ä", "x" * 300, "a%0ab"]
)
@pytest.mark.parametrize("face", FACES)
def test_a_name_that_is_no_name_is_not_found(site, alice, name, face):
    assert site.get(alice, f"/message/{name}{face}").status_code in (303, 308, 404)


def test_what_a_mail_says_is_drawn_as_text(site, alice):
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    raw = (
        with_file(b"x", "text/plain", "a.txt")
        .replace(b"a.txt", b"a&lt;<script>.txt")
        .replace(b"With a file", evil.encode())
    )
    raw = raw.replace(b"From: bob@example.org", b'From: "<script>Bob</script>" <bob@example.org>')
    raw = raw.replace(b"See the file.", evil.encode())
    name = deliver(site, raw)

    for path in ("/", *(f"/message/{name}{face}" for face in FACES[:5])):
        page = site.get(alice, path).text
        assert "<script" not in page, path
        assert "<img" not in page, path


def test_the_body_is_in_a_frame_that_may_do_nothing_but_open_links(site, alice):
    name = deliver(site, mail(html="<p>Formatted</p>"))

    page = site.get(alice, f"/message/{name}").text
    body = site.get(alice, f"/message/{name}/body")

    [frame] = re.findall("<iframe[^>]*>", page)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame
    assert "title=" in frame
    assert "Formatted" not in page
    assert "Formatted" in body.text
    policy = body.headers["Content-Security-Policy"]
    for words in ("default-src 'none'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'self'"):
        assert words in policy
    assert policy.endswith("sandbox allow-popups allow-popups-to-escape-sandbox")
    assert "img-src data:;" in policy
    assert "script" not in policy


def test_remote_pictures_load_only_when_asked_for(site, alice):
    name = deliver(site, mail(html='<p>Hi <img src="https://elsewhere.example/seen.png"></p>'))

    page = site.get(alice, f"/message/{name}").text
    body = site.get(alice, f"/message/{name}/body").text
    asked_page = site.get(alice, f"/message/{name}?pictures=1").text
    asked = site.get(alice, f"/message/{name}/body?pictures=1")

    assert "Load pictures this time" in page
    assert "elsewhere.example" not in body
    assert "Load pictures this time" not in asked_page
    assert f"/message/{name}/body?pictures=1" in asked_page
    assert "https://elsewhere.example/seen.png" in asked.text
    assert "img-src data: https:;" in asked.headers["Content-Security-Policy"]


def test_a_body_that_is_too_much_is_shown_as_text_with_the_reason(site, alice):
    name = deliver(site, mail(text="The plain words", html="<b>" * 600 + "deep"))

    assert "too intricate" in site.get(alice, f"/message/{name}").text
    assert "The plain words" in site.get(alice, f"/message/{name}/body").text


def test_a_very_long_plain_text_gets_the_frame(site, alice):
    name = deliver(site, mail(text="word " * 50_000))

    assert "<iframe" in site.get(alice, f"/message/{name}").text


def test_neighbours_are_one_click_away(site, alice):
    names = [deliver(site, mail(f"Number {at}")) for at in range(3)]
    inbox = site.get(alice, "/").text
    newest, middle, oldest = re.findall(r'href="/message/([0-9a-f]{64})"', inbox)

    page = site.get(alice, f"/message/{middle}").text

    assert {newest, middle, oldest} == set(names)
    assert f'href="/message/{newest}">← Newer' in page
    assert f'href="/message/{oldest}">Older' in page


def test_pages_lead_on_and_back(site, alice):
    for at in range(60):
        deliver(site, mail(f"Number {at}"))

    first = site.get(alice, "/").text
    [older] = re.findall(r'href="(/\?older=[^"]+)">Older', first)
    second = site.get(alice, older).text
    [newer] = re.findall(r'href="(/\?newer=[^"]+)">Newer', second)

    assert (first.count('<li id="m-'), second.count('<li id="m-')) == (50, 10)
    assert re.findall('href="/message/[^"]+"', site.get(alice, newer).text) == re.findall(
        'href="/message/[^"]+"', first
    )


@pytest.mark.parametrize(
    "query", ["older=", "older=x", "newer=-1-x", "older=9999999999999999999999-x", "older=%00", "newer=1-"]
)
def test_a_cursor_made_by_hand_leads_to_the_inbox(site, alice, query):
    deliver(site, mail())

    assert "Good morning" in site.get(alice, f"/?{query}").text


def test_a_mail_folder_out_of_reach_says_that_mail_is_safe(site, alice, monkeypatch):
    def broken(*_args):
        raise message.NoSuchPart("anything")

    monkeypatch.setattr(Mailbox, "state", broken)

    answer = site.get(alice, "/")

    assert answer.status_code >= 500
    assert "Your messages are safe" in answer.text


def test_a_mailbox_that_must_be_mended_is_named_in_the_log_alone(site, alice, caplog):
    name = deliver(site, mail())
    cur = mailbox_at(site).root / "cur"
    cur.rename(cur.with_name("was-cur"))
    cur.write_text("in the way")

    answer = site.get(alice, f"/message/{name}")

    assert answer.status_code == 503
    assert str(cur.parent) in caplog.text
    assert "stands in the way" in caplog.text
    assert "Maildir" not in answer.text
    assert ALICE not in answer.text


def test_help_is_open_to_everybody_and_names_what_is_genuine(site):
    page = site.get(site.browser(), "/help").text

    for words in ("https://mail.example.org/", "webmail@example.org", "reference code", "30 days"):
        assert words in page


def test_no_page_holds_a_script_or_a_style_of_its_own(site, alice):
    name = deliver(site, mail(html="<p>x</p>"))

    for path in ("/", "/help", "/nowhere", *(f"/message/{name}{face}" for face in ("", "/text", "/print", "/headers"))):
        page = site.get(alice, path).text
        assert not re.search(r"<script|<style|\son\w+=|\sstyle=", page), path
