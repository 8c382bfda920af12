"""What tests of the inbox list share: a mailbox, its list, and a clock to turn."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from messenger.mailbox import Mailbox, mailbox_of
from messenger_reader import index
from messenger_reader.mails import Mails

ADDRESS = "alice@example.net"


class Clock:
    """Far enough behind every file's time stamp, or ahead of it, as a test wants."""

    def __init__(self) -> None:
        self.now = 4e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="mailbox")
def mailbox_fixture(tmp_path: Path) -> Mailbox:
    (tmp_path / "mail").mkdir()
    return mailbox_of(tmp_path / "mail", ADDRESS)


@pytest.fixture(name="clock")
def clock_fixture() -> Clock:
    return Clock()


@pytest.fixture(name="inbox")
def inbox_fixture(tmp_path: Path, mailbox: Mailbox, clock: Clock) -> Mails:
    return Mails(mailbox, tmp_path / "cache", ADDRESS, clock)


def deliver(mailbox: Mailbox, subject: str, received: int = 0, flags: str = "") -> str:
    raw = f"From: Bob <bob@example.org>\r\nSubject: {subject}\r\n\r\nHello {subject}\r\n".encode()
    name = sha256(raw).hexdigest()
    mailbox.deliver(raw, name, flags=flags)
    if received:
        [path] = mailbox.root.glob(f"*/{name}*")
        os.utime(path, (received, received))
    return name


def many(mailbox: Mailbox, count: int) -> list[str]:
    """Oldest first, a second apart."""
    return [deliver(mailbox, f"Number {at}", 1_700_000_000 + at) for at in range(count)]


def subjects(rows: index.Rows) -> list[str]:
    return [row.summary.subject if row.summary else "?" for row in rows.rows]
