"""Mails that leave the portal, as bytes: read back by the standard library and by ourselves."""

import email
import re
from dataclasses import replace
from datetime import UTC, datetime
from email import policy

import pytest

from messenger import message, reply_mail
from messenger.reply import Thread
from messenger.reply_mail import File, Outgoing, Sender

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SITE = reply_mail.sender("alice@example.net", site_address="webmail@example.org", site_name="Example Messages")
MAIL = Outgoing(SITE, ("bob@example.org",), (), "Re: Größe", "Grüße\r\n.\r\nFrom here\r\n", (), "1@example.org", NOW)
NAMES = [
    "plan.pdf",
    "Überweisung 図表.csv",
    'a"b\\c;d.txt',
    "x" * 150,
    "ж" * 140 + ".doc",
    "it's 100%.txt",
    "a\u202egpj.exe",
    "line\r\nBcc: eve@example.org",
]


def parsed(raw: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(raw, policy=policy.default)


def test_from_is_the_site_and_answers_go_to_the_person():
    found = parsed(reply_mail.write(MAIL).raw)

    [author] = found["From"].addresses
    assert author.addr_spec == "webmail@example.org"
    assert author.display_name == "alice@example.net via Example Messages"
    assert found["Reply-To"] == "alice@example.net"


def test_from_is_the_person_where_the_site_wants_that():
    found = parsed(reply_mail.write(replace(MAIL, sender=Sender("alice@example.net"))).raw)

    assert found["From"] == "alice@example.net"
    assert found["Reply-To"] is None


def test_text_and_subject_arrive_as_they_were_written():
    found = parsed(reply_mail.write(MAIL).raw)

    assert found["Subject"] == "Re: Größe"
    assert found.get_content_type() == "text/plain"
    assert found.get_content().replace("\r\n", "\n") == "Grüße\n.\nFrom here\n"


def test_a_mail_is_seven_bits_and_its_lines_are_short():
    ids = tuple(f"<{number}{'x' * 200}@example.org>" for number in range(20))
    files = tuple(File(name, "text/plain", bytes(range(256)) * 9) for name in NAMES)
    crowd = tuple(f"person{number}@example.org" for number in range(50))
    mail = replace(MAIL, text="word " * 5000, files=files, to=crowd, thread=Thread(ids[-1], ids), subject="Ü" * 300)

    raw = reply_mail.write(mail).raw

    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 250
    assert parsed(raw)["References"].split() == list(ids)
    assert len(parsed(raw)["To"].addresses) == 50


@pytest.mark.parametrize("name", NAMES)
def test_a_file_arrives_byte_for_byte_with_its_name(name):
    content = bytes(range(256)) * 300

    raw = reply_mail.write(replace(MAIL, files=(File(name, "application/pdf", content),))).raw

    [part] = parsed(raw).iter_attachments()
    [own] = message.read(raw).attachments
    assert part.get_content() == content
    assert part.get_filename() == re.sub(r"[\r\n]+", "", name) or part.get_filename() == name
    assert message.part(raw, own.number)[1] == content
    assert parsed(raw)["Bcc"] is None


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("image/png", "image/png"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
        ("text/html; charset=x", "application/octet-stream"),
        ("x", "application/octet-stream"),
        ("a/b\r\nBcc: eve@example.org", "application/octet-stream"),
    ],
)
def test_a_files_type_is_no_way_into_the_header(given, sent):
    raw = reply_mail.write(replace(MAIL, files=(File("f.bin", given, b"x"),))).raw

    [part] = parsed(raw).iter_attachments()
    assert part.get_content_type() == sent


def test_what_is_typed_cannot_add_fields():
    mail = replace(MAIL, subject="x\r\nBcc: eve@example.org\r\n\r\nbody", text="\x00\x07text")

    found = parsed(reply_mail.write(mail).raw)

    assert found["Bcc"] is None
    assert found.get_content() == "text\r\n"


def test_a_hidden_subject_is_inside_and_a_fixed_one_outside():
    for files in ((), (File("a.txt", "text/plain", b"x"),)):
        written = reply_mail.write_hidden(replace(MAIL, files=files))

        outside, inside = parsed(written.fields), parsed(written.entity)
        assert b"Gr" not in written.fields
        assert outside.get_all("Subject") == ["Protected message"]
        assert inside["Subject"] == "Re: Größe"
        assert inside["Content-Type"].params["hp"] == "cipher"
        assert "Subject: Protected message" in inside.get_all("HP-Outer")
        text = next(part for part in inside.walk() if part.get_content_type() == "text/plain")
        assert text["Content-Type"].params["hp-legacy-display"] == "1"
        assert text.get_content().startswith("Subject: Re: Größe\r\n\r\nGrüße\r\n")
        assert written.entity.isascii()


def test_a_local_part_beyond_ascii_stays_outside_the_seven_bits():
    written = reply_mail.write_hidden(replace(MAIL, to=("用户@example.org",)))

    assert "用户@example.org".encode() in written.fields
    assert written.entity.isascii()
