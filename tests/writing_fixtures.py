"""What tests of writing mail share: Alice at her desk, and mails to answer."""

import pytest

from messenger import message
from messenger.accounts import Accounts

from .compose_fixtures import Desk, desk
from .mail_pages_fixtures import mail
from .reader_fixtures import Portal

CROWD = mail("Offer", "Hello\nthere").replace(
    b"To: Alice <alice@example.net>",
    b"To: Alice <alice@example.net>, Carl <carl@example.org>\r\nCc: eve@elsewhere.example\r\n"
    b"Message-ID: <one@example.org>",
)
TWO = [("plan.pdf", b"%PDF-1.7\n" + bytes(range(256))), ("Größe.csv", b"1;2\r\n")]


@pytest.fixture(name="alice")
def alice_fixture(tmp_path) -> Desk:
    return desk(tmp_path)


def audit(site: Portal) -> list[tuple[str, str, str]]:
    accounts: Accounts = site.app.extensions["messenger"].accounts
    return [(one.event, one.outcome, one.detail) for one in accounts.trail() if one.event in ("reply", "draft kept")]


def files(read: message.Message, raw: bytes) -> list[tuple[str, bytes]]:
    return [(part.filename, message.part(raw, part.number)[1]) for part in read.attachments]
