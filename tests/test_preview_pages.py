"""Attachments looked at: pictures, texts, PDFs, invitations and contacts."""

import re

import pytest

from messenger_reader import previews

from . import pdf_makers
from .attachment_fixtures import PNG, alice_fixture, site_fixture, with_files, words  # noqa: F401
from .mail_pages_fixtures import deliver, logged_in, with_file
from .reader_fixtures import portal
from .test_calendars import INVITATION
from .test_contacts import VERSION_3
from .test_message_nested import MAILS, around

PDF = pdf_makers.pages("The first page", "The second page")
EVIL = "<script>alert(1)</script>"


# -- previews


def test_a_picture_is_shown_by_an_answer_that_may_do_nothing(site, alice):
    name = deliver(site, with_file(PNG, "image/png", "Bild ü.png"))

    page = site.get(alice, f"/message/{name}/preview/2")
    answer = site.get(alice, f"/message/{name}/preview/2/content")

    assert f'<img src="/message/{name}/preview/2/content" alt="Bild ü.png">' in page.text
    assert "Picture, 58 B" in words(page.text)
    assert answer.data == PNG
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"].startswith("inline; filename=")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; sandbox")


@pytest.mark.parametrize(
    ("content", "content_type", "filename"),
    [
        (b"<svg onload='alert(1)'/>", "image/png", "a.png"),
        (PNG, "image/svg+xml", "a.svg"),
        (PNG, "text/html", "a.png"),
        (b"<html>" + PNG, "image/png", "a.png"),
        (EVIL.encode(), "text/html", "a.txt"),
        (EVIL.encode(), "application/xhtml+xml", "a.txt"),
        (EVIL.encode(), "application/pdf", "a.pdf"),
        (b"MZ", "application/octet-stream", "a.exe"),
        (b"BM" + bytes(50), "image/bmp", "a.bmp"),
        (PNG + bytes(previews.PICTURE_BYTES), "image/png", "large.png"),
    ],
    ids=range(10),
)
def test_what_is_not_what_it_claims_or_nothing_we_show_is_only_saved(site, alice, content, content_type, filename):
    name = deliver(site, with_file(content, content_type, filename))

    page = site.get(alice, f"/message/{name}/preview/2")
    answer = site.get(alice, f"/message/{name}/preview/2/content")

    assert page.status_code == 200
    assert "note warn" in page.text
    assert "<img" not in page.text
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("content", "content_type", "shown"),
    [
        ("Grüße".encode(), 'text/plain; charset="utf-8"', "Grüße"),
        ("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", "Grüße"),
        ("Привет".encode("koi8-r"), "text/plain; charset=koi8-r", "Привет"),
        ("a;b\r\nü;1".encode("utf-16"), "text/csv", "a;b\nü;1"),
        (EVIL.encode(), "text/plain", EVIL),
        (b"+ADw-script+AD4-", "text/plain; charset=utf-7", "+ADw-script+AD4-"),
    ],
    ids=range(6),
)
def test_a_text_of_any_charset_is_shown_as_plain_text(site, alice, content, content_type, shown):
    raw = with_file(content, "application/x-test", "a.txt").replace(b"application/x-test", content_type.encode())
    name = deliver(site, raw)

    page = site.get(alice, f"/message/{name}/preview/2").text
    answer = site.get(alice, f"/message/{name}/preview/2/content")

    [frame] = re.findall("<iframe[^>]*>", page)
    assert " sandbox " in frame
    assert f'src="/message/{name}/preview/2/content"' in frame
    assert answer.text == shown
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].endswith("; sandbox")


def test_of_a_long_text_the_beginning_is_shown(site, alice):
    name = deliver(site, with_file(b"word " * 200_000, "text/plain", "long.txt"))

    assert "This is the beginning" in site.get(alice, f"/message/{name}/preview/2").text
    assert len(site.get(alice, f"/message/{name}/preview/2/content").text) == previews.TEXT_CHARACTERS


def test_a_pdf_is_shown_page_by_page_as_pictures(site, alice):
    name = deliver(site, with_file(PDF, "application/pdf", "a.pdf"))

    first = site.get(alice, f"/message/{name}/preview/2").text
    second = site.get(alice, f"/message/{name}/preview/2?page=2").text
    answer = site.get(alice, f"/message/{name}/preview/2/content?page=2")

    assert "Page 1 of 2" in first
    assert f'href="/message/{name}/preview/2?page=2">Next page' in first
    assert "The second page" in second
    assert "Next page" not in second
    assert answer.data.startswith(b"\xff\xd8\xff")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Security-Policy"].endswith("; sandbox")
    for odd in ("0", "-1", "9", "99999999", "x", "²", ""):
        assert re.search("Page [12] of 2", site.get(alice, f"/message/{name}/preview/2?page={odd}").text)


def test_a_broken_pdf_is_a_sentence(site, alice):
    name = deliver(site, with_file(b"%PDF-1.7 and no more", "application/pdf", "a.pdf"))

    assert "damaged, locked" in site.get(alice, f"/message/{name}/preview/2").text
    assert site.get(alice, f"/message/{name}/preview/2/content").status_code == 404


def test_where_many_pdfs_are_looked_at_one_has_to_come_again(site, alice, monkeypatch):
    name = deliver(site, with_file(PDF, "application/pdf", "busy.pdf"))

    def busy(*_args):
        raise previews.pdf_pages.Busy("busy")

    monkeypatch.setattr(previews.pdf_pages, "read", busy)
    monkeypatch.setattr(previews.pdf_pages, "draw", busy)

    assert "try again in a moment" in site.get(alice, f"/message/{name}/preview/2").text
    assert site.get(alice, f"/message/{name}/preview/2/content").status_code == 503


def test_an_invitation_is_readable_in_the_readers_zone(tmp_path):
    site = portal(tmp_path, site='time_zone = "America/New_York"')
    alice = logged_in(site)
    name = deliver(site, with_file(INVITATION.encode(), "text/calendar", "invite.ics"))

    page = words(site.get(alice, f"/message/{name}/preview/2").text)

    for said in (
        "Invitation",
        "Besprechung",
        "Monday, 2 March 2026, 04:00 – 05:30",
        "Your time zone: America/New_York",
        "There: 10:00, time zone W. Europe Standard Time",
        "every 2 weeks on Monday and Thursday, until 1 May 2026",
        "Raum 2",
        "Erika Mustermann &lt;erika@example.org&gt;",
        "(no answer yet)",
        "Nothing is answered",
    ):
        assert said in page, page
    assert "<form" not in page


def test_an_invitation_is_read_where_the_message_is(site, alice):
    raw = (MAILS / "alternative-calendar.eml").read_bytes()
    raw = re.sub(rb"BEGIN:VCALENDAR.*END:VCALENDAR", INVITATION.encode().replace(b"\\", b"\\\\"), raw, flags=re.DOTALL)
    name, forwarded = deliver(site, raw), deliver(site, around(raw))

    for page in (f"/message/{name}", f"/message/{forwarded}/part/2"):
        assert "<dt>When</dt>" in site.get(alice, page).text
    assert "<dt>When</dt>" not in site.get(alice, f"/message/{forwarded}").text


def test_an_invitation_that_can_not_be_read_is_one_of_the_files(site, alice):
    name = deliver(site, with_file(b"BEGIN:VCALENDAR", "text/calendar", "invite.ics"))

    page = site.get(alice, f"/message/{name}").text

    assert "invite.ics" in page
    assert "<dt>When</dt>" not in page


def test_a_contact_is_readable(site, alice):
    name = deliver(site, with_file(VERSION_3.encode(), "text/vcard", "erika.vcf"))

    page = words(site.get(alice, f"/message/{name}/preview/2").text)

    for said in ("Dr. Erika Maria Mustermann", "+49 170 1234 (mobile)", "Am Weg 1, Berlin, 10115, Germany (private)"):
        assert said in page


@pytest.mark.parametrize(("content_type", "filename"), [("text/calendar", "a.ics"), ("text/vcard", "a.vcf")])
def test_what_can_not_be_read_is_a_sentence(site, alice, content_type, filename):
    name = deliver(site, with_file(b"rubbish\xff", content_type, filename))

    assert "can’t be shown" in site.get(alice, f"/message/{name}/preview/2").text


def test_what_files_say_is_drawn_as_text(site, alice):
    calendar = INVITATION.replace("Besprechung", EVIL).replace("Raum 2", EVIL).replace("Erika", EVIL)
    contact = VERSION_3.replace("Erika", EVIL).replace("+49", EVIL)
    raw = with_files(
        (f"{EVIL}.ics", "text/calendar", calendar.encode()),
        (f"{EVIL}.vcf", "text/vcard", contact.encode()),
        (f"{EVIL}.pdf", "application/pdf", pdf_makers.pages("<script>alert")),
    )
    name = deliver(site, raw)

    for path in ("", "/preview/2", "/preview/3", "/preview/4"):
        assert "<script" not in site.get(alice, f"/message/{name}{path}").text, path
