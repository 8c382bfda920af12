"""Sites without a tunnel for tests, and the MTA's side towards them."""

from __future__ import annotations

import struct
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from miltertest import constants as words

from messenger_milter.service import main

from .milter_fixtures import ORIGINAL, Answer, Mta, Site

NOTICES = "notices@portal.example"
OWN = "colleague@example.com"
UNDELIVERABLE = Answer("reject", "550 5.1.3 A recipient's address can't be used for webmail")
LATER = Answer("tempfail", "451 4.3.0 Please try again later")
REPORT = (
    b"From: MAILER-DAEMON@example.com\r\nTo: ann@example.org\r\nSubject: Undelivered\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="b"\r\n\r\n--b--\r\n'
)


class StandaloneSite(Site):
    """A site without any key of the tunnel."""

    def __init__(self, home: Path, **more) -> None:
        super().__init__(home, intake={"mode": '"standalone"'}, **more)
        for name in ("recipient.pem", "recipient.key", "sender.pem", "sender.key"):
            (self.home / "keys" / name).unlink()

    def write(self, **tunnel: str) -> None:
        super().write(fields='{ outer_otp = ["X-OTP", "X-PDF"], outer_receipt = ["X-Receipt"] }', **tunnel)


class Client(Mta):
    """The MTA's side, that says who its client and the mail's sender are."""

    def __init__(self, site: Site, client: str = "192.0.2.7", **more) -> None:
        super().__init__(site.socket, **more)
        family = b"6" if ":" in client else b"4"
        payload = b"client.example.com\0" + family + struct.pack("!H", 4711) + client.encode() + b"\0"
        self.command(words.SMFIC_CONNECT, payload, words.SMFIP_NR_CONN, words.SMFIP_NOCONNECT)

    def hand_in(
        self, raw: bytes, *rcpt_tos: bytes | str, mail_from: bytes = b"<sam@example.com>", queue_id: str = "4bXq7y1Z"
    ) -> Answer:
        self.envelope(*rcpt_tos, mail_from=mail_from)
        answer = self.data(queue_id)
        return Answer(answer) if answer != "continue" else self.content(raw) or self.end()


numbers = count(1)


@pytest.fixture(name="to")
def to_fixture():
    """A recipient nobody else has."""
    return f"person{next(numbers)}@example.org"


@pytest.fixture(name="mail")
def mail_fixture():
    """A mail nobody else sends."""
    return ORIGINAL.replace(b"<1@", b"<%d@" % next(numbers))


def checked(site, **postconf):
    return CliRunner().invoke(main, ["--config", str(site.settings), "--check"])
