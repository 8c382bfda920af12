"""A mail root, a ledger, and whoever is told: what taking a mail in needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from messenger.envelope import Envelope
from messenger.errors import MessengerError
from messenger.mailbox import mailbox_of
from messenger.tunnel import TunnelMail
from messenger_milter.intake import Desk
from messenger_milter.ledger import Ledger

ENVELOPE = Envelope("gateway@example.com", ("tunnel@portal.example",), "4bXq7y1Z")
RETRY = dataclasses.replace(ENVELOPE, queue_id="4bXq8a2A")
ORIGINAL = b"From: Sam <sam@example.com>\r\nTo: ann@example.org\r\nSubject: A secret plan\r\n\r\nHello\r\n"
MAIL = TunnelMail(
    raw=ORIGINAL,
    mail_from="sam@example.com",
    rcpt_tos=("ann@example.org",),
    options=frozenset(),
    digest="1f" * 32,
    profile="wrapped",
    signer="5e" * 32,
)
TWO = dataclasses.replace(MAIL, rcpt_tos=("ann@example.org", "bob@example.org"))


class NotNow(MessengerError):
    temporary = True


class Never(MessengerError):
    temporary = False


@dataclasses.dataclass
class House:
    """A mail root, a ledger, and a record of the notices."""

    root: Path
    ledger: Ledger
    notices: list[str] = dataclasses.field(default_factory=list)
    orders: list[str] = dataclasses.field(default_factory=list)

    def desk(self, mail: TunnelMail = MAIL, **changes) -> Desk:
        desk = Desk(
            unwrap=lambda envelope, raw: mail,
            mailbox_of=lambda address: mailbox_of(self.root, address),
            announce=self.announce,
            order_pdf=self.order_pdf,
            ledger=self.ledger,
        )
        return dataclasses.replace(desk, **changes)

    def announce(self, to: str, mail: TunnelMail) -> bool:
        self.notices.append(to)
        return True

    def order_pdf(self, to: str, mail: TunnelMail) -> bool:
        self.orders.append(to)
        return True

    def names(self, address: str = "ann@example.org", folder: str = "") -> list[str]:
        return [entry.name for entry in mailbox_of(self.root, address).list(folder)]


@pytest.fixture(name="house")
def house_fixture(tmp_path):
    root = tmp_path / "mail"
    root.mkdir()
    return House(root, Ledger(tmp_path / "ledger"))


def raising(error):
    def call(*_, **__):
        raise error

    return call
