"""Mails inside mails: found by a path that stays the same, in bounded time."""

import time
import tracemalloc
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from messenger import message
from messenger.message import NoSuchPart
from messenger.message.nested import LEVELS

from .mail_pages_fixtures import mail, with_file

MAILS = Path(__file__).parent / "mail"


def around(raw: bytes, filename: str = "inner.eml") -> bytes:
    """A mail that has *raw* as its part 2."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["Subject"] = "carol@example.org", "Fwd"
    made.set_content("See below.\n")
    made.add_attachment(raw, maintype="application", subtype="octet-stream", filename=filename)
    return made.as_bytes()


def test_a_mail_inside_a_mail_is_read_by_its_path():
    innermost = with_file(b"the content", "text/csv", "table.csv")
    raw = around(around(innermost))

    assert message.inner(raw, "2-2") == innermost
    part, content = message.part(raw, "2-2-2")
    assert (part.number, part.filename, content) == ("2", "table.csv", b"the content")


@pytest.mark.parametrize("sample", ["nested-message", "nested-message-base64"])
def test_it_is_found_by_its_type(sample):
    raw = (MAILS / f"{sample}.eml").read_bytes()
    [part] = [one for one in message.read(raw).attachments if message.is_mail(one)]

    assert message.read(message.inner(raw, part.number)).subject


@pytest.mark.parametrize("path", ["", "-", "1", "2", "2-", "-2", "2-9", "9", "2.1", "x" * 5000, "-".join(["2"] * 5000)])
def test_what_is_no_mail_inside_is_not_found(path):
    with pytest.raises(NoSuchPart):
        message.inner(with_file(b"x", "text/csv", "table.csv"), path)


def test_there_is_an_end_to_mails_in_mails():
    raw = mail("Innermost")
    for _ in range(LEVELS + 1):
        raw = around(raw)

    assert message.read(message.inner(raw, "-".join(["2"] * LEVELS))).subject == "Fwd"
    with pytest.raises(NoSuchPart):
        message.inner(raw, "-".join(["2"] * (LEVELS + 1)))


def test_many_parts_are_read_in_one_pass_and_one_is_in_memory():
    piece = b"--b\r\nContent-Type: application/x-one\r\n\r\n" + bytes(50_000) + b"\r\n"
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + piece * 900 + b"--b--\r\n"
    numbers = {part.number for part in message.read(raw).attachments}
    tracemalloc.start()
    begun = time.process_time()

    sizes = [len(content) for _, content in message.contents(raw, numbers)]

    seconds, peak = time.process_time() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sizes == [50_000] * 900
    assert peak < 5_000_000
    assert seconds < 5
