"""Mails put together by hand: a mail client must see in them what was put in."""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header
from email.utils import getaddresses

import pytest

from messenger import notice_mail
from messenger.notice_mail import encoded

TEXT = "Grüße\n.\nFrom here\n" + "a very long line " * 20 + "\ntrailing \n=20 as it stands\n"
HTML = "<p>Grüße</p>\n"


def seen(**changes):
    fields = {"From": "a@example.org", "Subject": "x"} | changes
    return email.message_from_bytes(
        notice_mail.mail([*fields.items()], encoded(TEXT), encoded(HTML)), policy=email.policy.default
    )


def test_both_bodies_arrive_as_they_were():
    mail = seen()

    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == TEXT
    assert mail.get_body(("html",)).get_content().replace("\r\n", "\n") == HTML
    assert mail.defects == []


def test_a_mail_is_ascii_in_short_lines_that_end_in_crlf():
    raw = notice_mail.mail([("Subject", notice_mail.unstructured("Grüße " * 40))], encoded(TEXT), encoded(HTML))

    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert raw.count(b"\n") == raw.count(b"\r\n")


def test_the_same_mail_is_the_same_bytes():
    assert seen().as_bytes() == seen().as_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "Bank",
        "Bank, Ltd.",
        'The "Bank"',
        "back\\slash",
        "a@b",
        "Grüne Bank",
        "銀行" * 30,
        "é" * 80,
        "x" * 80,
    ],
)
def test_a_name_arrives_as_it_was(name):
    raw = notice_mail.mail(
        [("From", notice_mail.mailbox(name, "notices@portal.example"))], encoded(TEXT), encoded(HTML)
    )

    # Not by the newer parser: it puts a blank between two encoded words of a name, against RFC 2047, section 6.2.
    [(shown, address)] = getaddresses([email.message_from_bytes(raw)["From"].replace("\r\n", "")])
    assert (str(make_header(decode_header(shown))), address) == (name, "notices@portal.example")


@pytest.mark.parametrize("subject", ["A plain one", "Grüße", "日本語 " * 30, "word " * 30])
def test_a_subject_arrives_as_it_was(subject):
    assert str(seen(Subject=notice_mail.unstructured(subject.strip()))["Subject"]) == subject.strip()
