"""The read receipt, read as a mail program reads it (RFC 8098): it says what happened, and nothing of the mail."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from messenger.letterhead import Site
from messenger.message.origin import origin
from messenger.notice_texts import NoticeError
from messenger.receipt import OPENED, PASSWORD, Asked, Receipt, asked_for, check_templates, letter

OPENED_AT = datetime(2026, 11, 24, 6, 31, tzinfo=UTC)
SITE = Site("Example Bank", "https://portal.example.org:8443", "notice@portal.example.org", time_zone="Europe/Berlin")
ASKED = Asked("sam@example.org", "<1@x.example>")
BY_SITE = ("notice@portal.example.org", "ann@example.net via Example Bank", "ann@example.net")
RECEIPT = Receipt(OPENED, ASKED, "ann@example.net", BY_SITE, "ABCD-EFGH", "<r@portal.example.org>")
TRACE = b"Return-Path: <Sam@example.org>\r\nX-Webmail-Options: read-receipt\r\nDelivered-To: ann@example.net\r\n"
ORIGINAL = b"From: sam@example.org\r\nMessage-ID: <1@x.example>\r\nSubject: Salaries\r\n\r\nSecret\r\n"
OWN = ("example.org",)


def received(given=RECEIPT, site=SITE):
    return email.message_from_bytes(letter(given, site, OPENED_AT), policy=email.policy.default)


def text_of(mail):
    return mail.get_body(("plain",)).get_content().replace("\r\n", "\n")


def for_programs(mail):
    (part,) = [part for part in mail.walk() if part.get_content_type().endswith("disposition-notification")]
    (block,) = part.get_payload()
    return dict(block.items())


def test_it_is_a_report_that_programs_understand():
    mail = received()

    assert mail.defects == []
    assert (mail.get_content_type(), mail.get_param("report-type")) == ("multipart/report", "disposition-notification")
    # No third part: it would hold the subject.
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "message/disposition-notification"]
    assert for_programs(mail) == {
        "Reporting-UA": "portal.example.org; Webmail Messenger",
        "Final-Recipient": "rfc822; ann@example.net",
        "Original-Message-ID": "<1@x.example>",
        "Disposition": "manual-action/MDN-sent-automatically; displayed",
    }


def test_it_stands_below_the_mail_answers_go_to_the_recipient_and_no_machine_answers_it():
    mail = received()

    assert mail["To"] == "sam@example.org"
    assert mail["From"].addresses[0].addr_spec == "notice@portal.example.org"
    assert mail["From"].addresses[0].display_name == "ann@example.net via Example Bank"
    assert mail["Reply-To"] == "ann@example.net"
    assert mail["In-Reply-To"] == mail["References"] == "<1@x.example>"
    assert (mail["Auto-Submitted"], mail["Message-ID"]) == ("auto-replied", "<r@portal.example.org>")
    assert "Disposition-Notification-To" not in mail
    assert origin(letter(RECEIPT, SITE, OPENED_AT)).report


def test_of_a_mail_without_a_message_id_it_says_none():
    mail = received(replace(RECEIPT, asked=Asked("sam@example.org", "")))

    assert "In-Reply-To" not in mail
    assert "Original-Message-ID" not in for_programs(mail)
    assert "Message-ID" not in text_of(mail)


def test_each_try_writes_the_same_bytes():
    assert letter(RECEIPT, SITE, OPENED_AT) == letter(RECEIPT, SITE, OPENED_AT)


@pytest.mark.parametrize(
    ("language", "kind", "subject", "words"),
    [
        ("en", OPENED, "Your protected message was opened", "opened at Example Bank, in the mailbox of this"),
        ("en", PASSWORD, "The password of your protected message was shown", "password was shown at Example Bank"),
        ("de", OPENED, "Ihre geschützte Nachricht wurde geöffnet", "wurde bei Example Bank geöffnet"),
        ("de", PASSWORD, "Das Passwort Ihrer geschützten Nachricht wurde angezeigt", "Das Passwort dazu wurde bei"),
    ],
)
def test_people_read_what_happened_in_the_language_of_the_site(language, kind, subject, words):
    mail = received(replace(RECEIPT, kind=kind), replace(SITE, language=language))

    assert mail["Subject"] == subject
    assert mail["Content-Language"] == language
    text = text_of(mail)
    assert words in " ".join(text.split())
    for shown in ("\n    ann@example.net\n", "07:31", "ABCD-EFGH", "<1@x.example>"):
        assert shown in text


def test_an_address_beyond_ascii_is_written_as_its_standard_wants_it():
    given = replace(RECEIPT, recipient="jörg@example.net")

    assert received(given).get_param("report-type") == "global-disposition-notification"  # RFC 6533
    assert "Final-Recipient: utf-8; jörg@example.net".encode() in letter(given, SITE, OPENED_AT)


def test_a_template_that_is_wrong_is_named(tmp_path):
    (tmp_path / "receipt.txt").write_text("{{ subject }}")

    with pytest.raises(NoticeError, match=r"receipt\.txt"):
        check_templates(replace(SITE, templates=tmp_path))
    check_templates(SITE)


# Who asks


def test_the_sender_whom_the_gateway_named_is_told():
    assert asked_for(TRACE + ORIGINAL, OWN) == Asked("sam@example.org", "<1@x.example>")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(TRACE.replace(b"read-receipt", b"none") + ORIGINAL, id="nobody asked"),
        pytest.param(TRACE.replace(b"Sam@example.org", b"") + ORIGINAL, id="null sender"),
        pytest.param(TRACE.replace(b"Sam@example.org", b"sam@elsewhere.example") + ORIGINAL, id="not our own"),
        pytest.param(TRACE.replace(b"Sam@example.org", b"sam@example.org\rBcc: x") + ORIGINAL, id="no address"),
        pytest.param(ORIGINAL, id="no trace"),
        pytest.param(b"Disposition-Notification-To: sam@example.org\r\n" + ORIGINAL, id="only the sender's wish"),
        pytest.param(ORIGINAL.replace(b"Subject", TRACE + b"Subject"), id="forged below"),
        pytest.param(TRACE + b"Content-Type: multipart/report; boundary=x\r\n" + ORIGINAL, id="report"),
        pytest.param(TRACE + b"List-Id: <all.example.org>\r\n" + ORIGINAL, id="list"),
    ],
)
def test_nobody_else_is_told(raw):
    assert asked_for(raw, OWN) is None


def test_a_machine_may_ask():
    assert asked_for(TRACE + b"Auto-Submitted: auto-generated\r\n" + ORIGINAL, OWN)
