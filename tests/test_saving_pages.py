"""A mail and its attachments saved: byte for byte, under bare names, and never run."""

import re

import pytest

from messenger import link

from .mail_pages_fixtures import deliver, mail, with_file
from .reading_fixtures import alice_fixture, site_fixture  # noqa: F401


def test_the_original_comes_back_byte_for_byte(site, alice):
    raw = mail("Ünïcode", "text\r\n.\r\nFrom here")
    name = deliver(site, raw)

    answer = site.get(alice, f"/message/{name}/eml")

    assert answer.data == raw
    assert answer.headers["Content-Disposition"] == f"attachment; filename={link.reference(name)}.eml"


@pytest.mark.parametrize(
    ("content_type", "sent_as"),
    [
        ("application/pdf", "application/pdf"),
        ("image/png", "image/png"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("application/javascript", "application/octet-stream"),
        ("text/plain", "application/octet-stream"),
        ("application/x-made-up", "application/octet-stream"),
    ],
)
def test_an_attachment_is_saved_and_never_run(site, alice, content_type, sent_as):
    name = deliver(site, with_file(b"\x00\xffcontent", content_type, "file.bin"))

    answer = site.get(alice, f"/message/{name}/attachment/2")

    assert answer.data == b"\x00\xffcontent"
    assert answer.headers["Content-Type"].partition(";")[0] == sent_as
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_attachments_name_travels_in_any_script(site, alice):
    name = deliver(site, with_file(b"x", "text/csv", "Überweisung 図表.csv"))

    disposition = site.get(alice, f"/message/{name}/attachment/2").headers["Content-Disposition"]

    assert "filename*=UTF-8''%C3%9Cberweisung%20%E5%9B%B3%E8%A1%A8.csv" in disposition
    assert disposition.isascii()


@pytest.mark.parametrize(
    "filename",
    [
        "../../etc/passwd",
        "..\\boot.ini",
        ".htaccess",
        'a".exe',
        "x\u202egpj.exe",
        "\u2024\u2024\uff0fetc\uff0f\uff02passwd",
    ],
)
def test_an_attachments_name_is_a_bare_name(site, alice, filename):
    name = deliver(site, with_file(b"x", "text/csv", filename))

    disposition = site.get(alice, f"/message/{name}/attachment/2").headers["Content-Disposition"]

    assert not re.search(r"[/\\]|\.\.|=\"?\.|%E2%80%AE|%2F|%5C", disposition.replace("UTF-8''", ""))


def test_blanks_do_not_push_an_attachments_extension_out_of_sight(site, alice):
    name = deliver(site, with_file(b"x", "application/pdf", "bill.pdf" + "\u00a0\u2003\u3164" * 30 + ".exe"))

    assert "bill.pdf .exe" in site.get(alice, f"/message/{name}").text


def test_an_attachment_that_is_not_there_is_not_found(site, alice):
    name = deliver(site, mail())

    for number in ("9", "1.1.1", "../1", "x" * 500, "-1"):
        assert site.get(alice, f"/message/{name}/attachment/{number}").status_code == 404


def test_headers_are_shown_as_they_came(site, alice):
    name = deliver(site, b"X-Odd: one\r\n" + mail())

    page = site.get(alice, f"/message/{name}/headers").text

    assert "X-Odd" in page
    assert "Fri, 02 Jan 2026 23:30:00 +0000" in page
