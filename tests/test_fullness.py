"""Mail that doesn't fit: the others are served, the sender gets a bounce, the owner a letter, each once."""

import dataclasses
import email
import email.policy
import os
from datetime import UTC, datetime

import pytest

from messenger import preferences
from messenger.letterhead import Site
from messenger.mailbox import mailbox_of
from messenger.preferences import OFF, Preferences
from messenger.submission import SubmissionError
from messenger_milter.fullness import Fullness
from messenger_milter.intake import KEPT, LATER, Outcome, take_in, with_trace
from messenger_milter.ledger import Ledger, LedgerError

from .intake_fixtures import ENVELOPE, MAIL, ORIGINAL, RETRY, TWO, house_fixture, raising  # noqa: F401

ANN, BOB, SAM = "ann@example.org", "bob@example.org", "sam@example.com"
SITE = Site("Example Bank", "https://portal.example", "notices@portal.example")
QUOTA = 10_000
NOW = datetime.now(UTC)


class Queue:
    """Stands in for the mail system: keeps what it is given, or refuses it."""

    def __init__(self):
        self.sent = []
        self.refuses = False

    def submit(self, raw, mail_from, rcpt_tos):
        if self.refuses:
            raise SubmissionError("the queue is full")
        self.sent.append((mail_from, *rcpt_tos, email.message_from_bytes(raw, policy=email.policy.default)))

    def to(self, address):
        """Reverse-path and subject of what went to *address*."""
        return [(sender, str(mail["Subject"])) for sender, recipient, mail in self.sent if recipient == address]


BOUNCE = ("", "Your message was not delivered – Example Bank")
NEAR = ("notices@portal.example", "Your mailbox is nearly full – Example Bank")
FULL = ("notices@portal.example", "A message did not fit into your mailbox – Example Bank")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def queue():
    return Queue()


@pytest.fixture
def desk(house, queue):
    """A desk for *mail* where mailboxes have a quota."""

    def make(mail=MAIL, quota=QUOTA, **changes):
        fullness = Fullness(
            quota,
            frozenset({"example.com"}),
            SITE,
            queue,
            lambda: NOW,
            lambda address: preferences.read(mailbox_of(house.root, address).root.parent),
        )
        return house.desk(mail, fullness=fullness, **changes)

    return make


def numbered(number, size=1000, **changes):
    """Another mail for Ann that takes *size* octets in her mailbox."""
    mail = dataclasses.replace(MAIL, digest=f"{number:064x}", **changes)
    rest = size - len(with_trace(mail, ANN))
    return dataclasses.replace(mail, raw=mail.raw + b"x" * rest)


def fill(house, desk, percent):
    """Let mail come, and go, until Ann's mailbox is so full."""
    ann = mailbox_of(house.root, ANN)
    while ann.usage(QUOTA, NOW.timestamp()).percent > percent:
        ann.remove(min(entry.name for entry in ann.list()), "")
    number = max((int(entry.name, 16) for entry in ann.list()), default=0)
    while ann.usage(QUOTA, NOW.timestamp()).percent < percent:
        number += 1
        assert take_in(ENVELOPE, b"", desk(numbered(number, size=QUOTA // 20))).verdict == KEPT


def test_a_mail_that_fits_is_nobodys_concern(house, desk, queue):
    assert take_in(ENVELOPE, b"", desk()) == Outcome(KEPT, delivered=(ANN,), announced=(ANN,))

    assert queue.sent == []


def test_a_mail_that_does_not_fit_is_bounced_for_one_and_delivered_to_the_other(house, desk, queue, caplog):
    caplog.set_level("INFO")
    mailbox_of(house.root, ANN).deliver(b"x" * QUOTA, "a" * 64)

    assert take_in(ENVELOPE, b"", desk(TWO)) == Outcome(KEPT, delivered=(BOB,), announced=(BOB,), full=(ANN,))

    assert (house.names(ANN), house.names(BOB)) == (["a" * 64], [MAIL.digest])
    assert house.notices == [BOB]
    assert queue.to(SAM) == [BOUNCE]
    assert queue.to(ANN) == [FULL]
    assert queue.to(BOB) == []
    report = queue.sent[0][-1].as_string()
    assert "Final-Recipient: rfc822; ann@example.org" in report
    assert BOB not in report
    assert all(b"secret plan" not in mail.as_bytes() and b"Hello" not in mail.as_bytes() for *_, mail in queue.sent)
    assert " full=1" in caplog.text


def test_a_retry_bounces_nothing_twice_and_delivers_nothing_later(house, desk, queue):
    ann = mailbox_of(house.root, ANN)
    ann.deliver(b"x" * QUOTA, "a" * 64)
    take_in(ENVELOPE, b"", desk())
    ann.remove("a" * 64, "")

    assert take_in(RETRY, b"", desk()) == Outcome(KEPT)

    assert len(queue.sent) == 2
    assert house.names() == []


def test_a_bounce_that_the_queue_refuses_is_tried_again(house, desk, queue):
    mailbox_of(house.root, ANN).deliver(b"x" * QUOTA, "a" * 64)
    queue.refuses = True

    assert take_in(ENVELOPE, b"", desk(TWO)) == Outcome(LATER, delivered=(BOB,), announced=(BOB,), full=(ANN,))
    queue.refuses = False
    assert take_in(RETRY, b"", desk(TWO)) == Outcome(KEPT, full=(ANN,))

    assert queue.to(SAM) == [BOUNCE]


def test_a_mail_that_cannot_be_entered_bounces_once_however_often_it_comes(house, desk, queue, monkeypatch):
    mailbox_of(house.root, ANN).deliver(b"x" * QUOTA, "a" * 64)
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "begin", raising(LedgerError("read-only")))
        for _ in range(3):
            assert take_in(RETRY, b"", desk()).verdict == LATER

    assert queue.to(SAM) == []
    assert take_in(RETRY, b"", desk()) == Outcome(KEPT, full=(ANN,))
    assert queue.to(SAM) == [BOUNCE]


def test_all_whose_mailboxes_are_full_stand_in_one_bounce(house, desk, queue):
    for address in (ANN, BOB):
        mailbox_of(house.root, address).deliver(b"x" * QUOTA, "a" * 64)

    assert take_in(ENVELOPE, b"", desk(TWO)).full == (ANN, BOB)

    assert queue.to(SAM) == [BOUNCE]
    assert (queue.to(ANN), queue.to(BOB)) == ([FULL], [FULL])


def test_a_mail_larger_than_the_whole_quota_bounces_too_and_says_so(house, desk, queue):
    mail = dataclasses.replace(MAIL, raw=ORIGINAL + b"x" * QUOTA)

    assert take_in(ENVELOPE, b"", desk(mail)) == Outcome(KEPT, full=(ANN,))

    assert "Status: 5.2.3" in queue.sent[0][-1].as_string()
    assert queue.to(ANN) == [FULL]


@pytest.mark.parametrize(
    "changes",
    [
        {"mail_from": ""},
        {"mail_from": "sam@elsewhere.example"},
        {"mail_from": "sam@sub.example.com"},
        {"raw": b"Auto-Submitted: auto-generated\r\n" + ORIGINAL},
        {"raw": b"List-Id: <all.example.com>\r\n" + ORIGINAL},
    ],
    ids=["null", "foreign", "subdomain", "automatic", "list"],
)
def test_some_senders_get_no_bounce_and_the_owner_hears_of_it_all_the_same(house, desk, queue, changes):
    mailbox_of(house.root, ANN).deliver(b"x" * QUOTA, "a" * 64)

    assert take_in(ENVELOPE, b"", desk(dataclasses.replace(MAIL, **changes))) == Outcome(KEPT, full=(ANN,))

    assert [recipient for _, recipient, _ in queue.sent] == [ANN]
    assert take_in(RETRY, b"", desk(dataclasses.replace(MAIL, **changes))) == Outcome(KEPT)


def test_the_retry_of_the_mail_that_filled_the_mailbox_is_no_news(house, desk, queue):
    mail = numbered(1, size=QUOTA)
    mailbox_of(house.root, ANN).deliver(with_trace(mail, ANN), mail.digest)  # killed before the ledger had it

    assert take_in(RETRY, b"", desk(mail)) == Outcome(KEPT, announced=(ANN,))
    assert queue.sent == []


def test_mail_that_leaves_as_a_pdf_keeps_to_the_quota_as_well(house, desk, queue):
    mailbox_of(house.root, ANN).deliver(b"x" * QUOTA, "a" * 64)
    mail = dataclasses.replace(MAIL, options=frozenset({"otp-pdf"}))

    assert take_in(ENVELOPE, b"", desk(mail)) == Outcome(KEPT, full=(ANN,))
    assert house.orders == []


# What the owner hears


def test_the_owner_hears_once_that_the_mailbox_fills_up_and_again_when_it_has_been_emptied(house, desk, queue):
    fill(house, desk, 75)
    assert queue.to(ANN) == []
    fill(house, desk, 80)
    assert queue.to(ANN) == [NEAR]
    fill(house, desk, 75)
    fill(house, desk, 95)
    assert queue.to(ANN) == [NEAR]

    fill(house, desk, 70)
    fill(house, desk, 90)

    assert queue.to(ANN) == [NEAR, NEAR]
    assert "9 KB of 10 KB" not in queue.sent[0][-1].as_string()
    assert "8 KB of 10 KB" in queue.sent[0][-1].get_body(("plain",)).get_content()


def test_the_owner_hears_once_that_mail_is_turned_away(house, desk, queue):
    fill(house, desk, 95)

    for number in (100, 101):
        assert take_in(ENVELOPE, b"", desk(numbered(number))).full == (ANN,)

    assert queue.to(ANN) == [NEAR, FULL]
    assert queue.to(SAM) == [BOUNCE, BOUNCE]
    assert len({mail["Message-ID"] for *_, mail in queue.sent}) == 4


def test_who_wants_no_notices_is_told_only_of_mail_that_is_turned_away_in_their_own_words(house, desk, queue):
    mailbox = mailbox_of(house.root, ANN)
    mailbox.ensure()
    preferences.write(mailbox.root.parent, Preferences("Blue hippo", OFF, "de"))
    fill(house, desk, 95)
    assert queue.sent == []

    take_in(ENVELOPE, b"", desk(numbered(100)))

    (_, _, letter) = queue.sent[-1]
    assert letter["Subject"] == "Eine Nachricht passte nicht in Ihr Postfach – Example Bank"
    assert "Blue hippo" in letter.get_body(("plain",)).get_content()


def test_a_letter_that_is_not_taken_keeps_no_mail_back_and_is_sent_with_the_next(house, desk, queue):
    fill(house, desk, 75)
    queue.refuses = True
    fill(house, desk, 80)
    queue.refuses = False

    fill(house, desk, 85)

    assert queue.to(ANN) == [NEAR]


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_stands_in_place_of_the_note_keeps_no_mail_back(house, desk, queue, tmp_path, kind):
    mailbox = mailbox_of(house.root, ANN)
    mailbox.ensure()
    place = mailbox.root.parent / "quota-told"
    {"link": lambda: place.symlink_to(tmp_path), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()

    fill(house, desk, 85)

    assert len(house.names()) == 17
