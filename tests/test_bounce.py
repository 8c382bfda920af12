"""The bounce, read as a mail program reads it (RFC 3464): it says what happened, and nothing of the mail."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from messenger import bounce
from messenger.bounce import Bounce, check_templates, letter
from messenger.letterhead import Site
from messenger.message.origin import origin
from messenger.notice_texts import NoticeError

NOW = datetime(2026, 11, 24, 6, 31, tzinfo=UTC)
SITE = Site("Example Bank", "https://portal.example.org:8443", "notice@portal.example.org", time_zone="Europe/Berlin")
BOUNCE = Bounce(
    "sam@example.com", ("ann@example.org", "bob@example.org"), "ABCD-EFGH", "<b@portal.example.org>", "<1@x.example>"
)


def received(given=BOUNCE, site=SITE):
    return email.message_from_bytes(letter(given, site, NOW), policy=email.policy.default)


def status_of(mail):
    """The blocks of the part for programs, each as its fields."""
    (part,) = [part for part in mail.walk() if part.get_content_type().endswith("delivery-status")]
    return [dict(block.items()) for block in part.get_payload()]


def test_it_is_a_report_that_programs_understand():
    mail = received()

    assert mail.defects == []
    assert (mail.get_content_type(), mail.get_param("report-type")) == ("multipart/report", "delivery-status")
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "message/delivery-status"]
    about_mail, *recipients = status_of(mail)
    assert about_mail == {
        "Reporting-MTA": "dns; portal.example.org", "Arrival-Date": "Tue, 24 Nov 2026 07:31:00 +0100"
    }  # fmt: skip
    assert recipients == [
        {"Final-Recipient": f"rfc822; {address}", "Action": "failed", "Status": "5.2.2",
         "Diagnostic-Code": "smtp; 552 5.2.2 Mailbox full"}
        for address in BOUNCE.recipients
    ]  # fmt: skip


def test_it_stands_below_what_it_is_about_and_nobody_answers_it_by_machine():
    mail = received()

    assert (mail["To"], mail["From"]) == ("sam@example.com", "Example Bank <notice@portal.example.org>")
    assert mail["In-Reply-To"] == mail["References"] == "<1@x.example>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert "In-Reply-To" not in received(replace(BOUNCE, about=""))
    assert origin(letter(BOUNCE, SITE, NOW)).automatic


@pytest.mark.parametrize(
    ("language", "too_large", "words"),
    [
        ("en", False, "There is no room for it in the mailbox."),
        ("en", True, "larger than all that a mailbox there may hold"),
        ("de", False, "Im Postfach ist kein Platz dafür."),
        ("de", True, "größer, als ein ganzes Postfach dort sein darf"),
    ],
)
def test_people_read_what_happened_and_what_to_do_in_their_language(language, too_large, words):
    mail = received(replace(BOUNCE, too_large=too_large), replace(SITE, language=language))

    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert words in " ".join(text.split())
    assert "\n    ann@example.org\n    bob@example.org\n\n" in text
    for shown in ("Example Bank", "07:31", "ABCD-EFGH", "<1@x.example>"):
        assert shown in text
    assert mail["Content-Language"] == language
    assert status_of(mail)[1]["Status"] == ("5.2.3" if too_large else "5.2.2")


def test_an_address_beyond_ascii_is_written_as_its_standard_wants_it():
    mail = received(replace(BOUNCE, recipients=("jörg@example.org",)))

    assert mail.get_param("report-type") == "global-delivery-status"  # RFC 6533
    part = mail.get_payload()[1]
    assert (part.get_content_type(), part["Content-Transfer-Encoding"]) == ("message/global-delivery-status", "8bit")
    assert "Final-Recipient: utf-8; jörg@example.org".encode() in letter(
        replace(BOUNCE, recipients=("jörg@example.org",)), SITE, NOW
    )


def test_a_template_that_is_wrong_is_named(tmp_path):
    (tmp_path / "bounce.txt").write_text("{{ subject }}")

    with pytest.raises(NoticeError, match=r"bounce\.txt"):
        check_templates(replace(SITE, templates=tmp_path))
    check_templates(SITE)
    assert bounce.TEXT == "bounce.txt"


# Where a mail comes from


@pytest.mark.parametrize(
    ("field", "automatic"),
    [
        (b"X: y", False),
        (b"Auto-Submitted: no", False),
        (b"Auto-Submitted: No (really)", False),
        (b"Auto-Submitted: auto-replied; owner-email=a@example.org", True),
        (b"auto-submitted:\r\n auto-generated", True),
        (b"Auto-Submitted:", True),
        (b"List-Id: <all.example.org>", True),
        (b"List-Unsubscribe: <mailto:off@example.org>", True),
        (b"Precedence: bulk", True),
        (b"Precedence: first-class", False),
        (b"Content-Type: multipart/report; report-type=delivery-status; boundary=x", True),
        (b"Content-Type: multipart/mixed; boundary=x", False),
        (b"Auto-Submitted: \xff\xfe", True),
    ],
)
def test_what_a_machine_or_a_list_sent_is_told_from_what_a_person_wrote(field, automatic):
    raw = b"From: sam@example.com\r\n" + field + b"\r\n\r\nAuto-Submitted: auto-generated\r\nList-Id: x\r\n"

    assert origin(raw).automatic is automatic


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        (b"Message-ID: <1@example.com>", "<1@example.com>"),
        (b"Message-Id:\r\n <1@example.com>", "<1@example.com>"),
        (b"Message-ID: <1@example.com> <2@example.com>", ""),
        (b"Message-ID: <1@example.com>\r\n X: y", ""),
        (b"Message-ID: <" + b"x" * 300 + b"@example.com>", ""),
        (b"Message-ID: 1", ""),
        (b"Message-ID: <\xc3\xa4@example.com>", ""),
        (b"X: y", ""),
    ],
)
def test_a_message_id_is_repeated_only_if_it_is_one(field, kept):
    assert origin(field + b"\r\n\r\n").message_id == kept
