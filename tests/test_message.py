"""Reading a mail: bytes to plain values."""

from email.message import EmailMessage

import pytest

from messenger import message


def mail(**fields: str) -> EmailMessage:
    made = EmailMessage()
    for name, value in {"From": "Anna <anna@example.org>", "To": "b@example.com", **fields}.items():
        made[name.replace("_", "-")] = value
    return made


def test_a_text_mail_is_read():
    made = mail(Subject="Grüße", Date="Tue, 24 Nov 2026 06:31:21 +0100")
    made.set_content("Guten Tag\n")

    read = message.read(made.as_bytes())

    assert read.subject == "Grüße"
    assert read.senders == (message.Person("Anna", "anna@example.org"),)
    assert read.text == "Guten Tag"
    assert read.html is None
    assert read.date is not None
    assert read.date.isoformat() == "2026-11-24T06:31:21+01:00"


def test_a_part_is_fetched_by_the_number_it_is_listed_with():
    made = mail()
    made.set_content("see the file")
    made.add_attachment(b"%PDF-1.4", maintype="application", subtype="pdf", filename="a.pdf")
    raw = made.as_bytes()

    (listed,) = message.read(raw).attachments

    assert message.part(raw, listed.number) == (listed, b"%PDF-1.4")


def test_a_part_that_is_not_there_is_an_error_of_ours():
    with pytest.raises(message.NoSuchPart, match="7"):
        message.part(mail().as_bytes(), "7")
