"""Taking a tunnel mail in: what lies where afterwards, who was told, and what the client hears."""

from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path

import pytest

from messenger import message
from messenger.envelope import Envelope
from messenger.errors import MessengerError
from messenger.mailbox import MailboxError, mailbox_of
from messenger.tunnel import TunnelMail
from messenger_milter import intake
from messenger_milter.intake import Desk, Outcome, take_in
from messenger_milter.ledger import DELIVERED, Ledger, LedgerError

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


@pytest.fixture
def house(tmp_path):
    root = tmp_path / "mail"
    root.mkdir()
    return House(root, Ledger(tmp_path / "ledger"))


def raising(error):
    def call(*_, **__):
        raise error

    return call


# What a good mail does


def test_a_tunnel_mail_lies_in_the_mailbox_and_is_announced(house):
    outcome = take_in(ENVELOPE, b"sealed", house.desk())

    assert outcome == Outcome(intake.KEPT, ("ann@example.org",), ("ann@example.org",))
    assert house.names() == [MAIL.digest]
    assert house.notices == ["ann@example.org"]


def test_every_recipient_gets_it(house):
    take_in(ENVELOPE, b"sealed", house.desk(TWO))

    assert house.names("ann@example.org") == house.names("bob@example.org") == [MAIL.digest]
    assert house.notices == ["ann@example.org", "bob@example.org"]


def test_a_recipient_named_twice_is_served_once(house):
    mail = dataclasses.replace(MAIL, rcpt_tos=("ann@example.org", "Ann@Example.ORG"))

    outcome = take_in(ENVELOPE, b"sealed", house.desk(mail))

    assert outcome.delivered == ("ann@example.org",)
    assert house.notices == ["ann@example.org"]


def test_the_original_is_stored_byte_for_byte_below_three_trace_fields(house):
    take_in(ENVELOPE, b"sealed", house.desk())

    stored = mailbox_of(house.root, "ann@example.org").read(MAIL.digest)
    assert stored == (
        b"Return-Path: <sam@example.com>\r\nX-Webmail-Options: none\r\nDelivered-To: ann@example.org\r\n" + ORIGINAL
    )


def test_the_trace_ends_its_lines_as_the_original_does(house):
    mail = dataclasses.replace(MAIL, raw=b"Subject: x\n\nHello\n")

    take_in(ENVELOPE, b"sealed", house.desk(mail))

    assert b"\r" not in mailbox_of(house.root, "ann@example.org").read(MAIL.digest)


def test_a_wish_for_a_read_receipt_is_kept_with_the_mail(house):
    mail = dataclasses.replace(MAIL, options=frozenset({"read-receipt"}))

    take_in(ENVELOPE, b"sealed", house.desk(mail))

    stored = mailbox_of(house.root, "ann@example.org").read(MAIL.digest)
    assert message.delivered_options(stored) == {"read-receipt"}


def test_an_original_that_carries_our_fields_cannot_speak_for_us(house):
    mail = dataclasses.replace(MAIL, raw=b"X-Webmail-Options: read-receipt\r\n" + ORIGINAL)

    take_in(ENVELOPE, b"sealed", house.desk(mail))

    assert message.delivered_options(mailbox_of(house.root, "ann@example.org").read(MAIL.digest)) == set()


def test_mail_that_asks_for_a_pdf_is_ordered_as_one_and_waits_in_a_folder_of_its_own(house):
    mail = dataclasses.replace(MAIL, options=frozenset({"otp-pdf"}))

    outcome = take_in(ENVELOPE, b"sealed", house.desk(mail))

    assert outcome.verdict == intake.KEPT
    assert house.names() == []
    assert house.names(folder="PDF") == [MAIL.digest]
    assert (house.orders, house.notices) == (["ann@example.org"], [])


def test_a_pdf_that_cannot_be_ordered_is_ordered_by_the_retry_once(house):
    mail = dataclasses.replace(MAIL, options=frozenset({"otp-pdf"}))
    later = take_in(ENVELOPE, b"sealed", house.desk(mail, order_pdf=raising(NotNow("the spool is full"))))

    outcome = take_in(RETRY, b"sealed", house.desk(mail))
    again = take_in(RETRY, b"sealed", house.desk(mail))

    assert later.verdict == intake.LATER
    assert (outcome.verdict, again) == (intake.KEPT, Outcome(intake.KEPT))
    assert house.orders == ["ann@example.org"]


# Retries, replays, crashes


def test_a_retry_is_kept_again_but_announced_once(house):
    take_in(ENVELOPE, b"sealed", house.desk())

    assert take_in(RETRY, b"sealed", house.desk()) == Outcome(intake.KEPT)
    assert house.names() == [MAIL.digest]
    assert house.notices == ["ann@example.org"]


@pytest.mark.parametrize("flags", ["S", "RS", "FS", "ST"])
def test_a_replay_of_a_mail_already_read_changes_nothing(house, flags):
    take_in(ENVELOPE, b"sealed", house.desk())
    mailbox_of(house.root, "ann@example.org").flag(MAIL.digest, add=flags)

    assert take_in(RETRY, b"sealed", house.desk()) == Outcome(intake.KEPT)
    assert [entry.flags for entry in mailbox_of(house.root, "ann@example.org").list()] == [flags]
    assert house.notices == ["ann@example.org"]


def test_a_replay_of_a_mail_moved_to_the_trash_changes_nothing(house):
    take_in(ENVELOPE, b"sealed", house.desk())
    mailbox_of(house.root, "ann@example.org").move(MAIL.digest, "", "Trash")

    assert take_in(RETRY, b"sealed", house.desk()) == Outcome(intake.KEPT)
    assert house.names() == []
    assert house.notices == ["ann@example.org"]


def test_what_a_person_has_deleted_does_not_come_back(house):
    take_in(ENVELOPE, b"sealed", house.desk())
    for file in mailbox_of(house.root, "ann@example.org").root.rglob(f"{MAIL.digest}*"):
        file.unlink()

    assert take_in(RETRY, b"sealed", house.desk()) == Outcome(intake.KEPT)
    assert house.names() == []


def test_who_wants_no_notice_has_the_mail_and_is_entered_as_told(house, caplog):
    caplog.set_level(logging.INFO)

    outcome = take_in(ENVELOPE, b"sealed", house.desk(TWO, announce=lambda to, mail: to.startswith("bob")))

    assert outcome == Outcome(intake.KEPT, TWO.rcpt_tos, ("bob@example.org",), ("ann@example.org",))
    assert house.names("ann@example.org")
    assert house.ledger.has(MAIL.digest, "ann@example.org")
    assert " announced=1 " in caplog.text
    assert " unannounced=1" in caplog.text


@pytest.mark.parametrize("crash_at", ["unwrap", "deliver", "announce before", "announce after", "enter"])
def test_a_crash_at_any_point_and_a_retry_leave_one_copy_and_a_notice(house, crash_at, monkeypatch):
    class Crash(BaseException):
        """The process is gone: nothing of ours runs after this."""

    def crashing_announce(to, mail):
        if crash_at == "announce after":
            house.notices.append(to)
        raise Crash

    desk = house.desk()
    if crash_at == "unwrap":
        desk = house.desk(unwrap=raising(Crash()))
    elif crash_at.startswith("announce"):
        desk = house.desk(announce=crashing_announce)
    with monkeypatch.context() as patch:
        if crash_at == "deliver":
            patch.setattr("os.link", raising(Crash()))
        if crash_at == "enter":
            patch.setattr(Ledger, "enter", raising(Crash()))
        with pytest.raises(Crash):
            take_in(ENVELOPE, b"sealed", desk)

    outcome = take_in(RETRY, b"sealed", house.desk())

    assert outcome.verdict == intake.KEPT
    assert house.names() == [MAIL.digest]
    assert 1 <= len(house.notices) <= 2
    assert take_in(RETRY, b"sealed", house.desk()) == Outcome(intake.KEPT)


def test_the_same_mail_at_the_same_moment_is_one_copy_and_one_notice(house):
    barrier = threading.Barrier(4)

    def one():
        barrier.wait()
        take_in(ENVELOPE, b"sealed", house.desk())

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert house.names() == [MAIL.digest]
    assert house.notices == ["ann@example.org"]


# Trouble


def test_a_mail_refused_for_good_leaves_nothing(house):
    outcome = take_in(ENVELOPE, b"in the clear", house.desk(unwrap=raising(Never("not CMS"))))

    assert outcome == Outcome(intake.REFUSED)
    assert [*house.root.iterdir()] == []
    assert house.notices == []


def test_a_temporary_trouble_asks_for_another_try(house):
    outcome = take_in(ENVELOPE, b"sealed", house.desk(unwrap=raising(NotNow("the key file"))))

    assert outcome == Outcome(intake.LATER)


def test_a_mail_with_one_impossible_recipient_is_refused_before_anyone_is_served(house):
    mail = dataclasses.replace(MAIL, rcpt_tos=("ann@example.org", "not an address"))

    outcome = take_in(ENVELOPE, b"sealed", house.desk(mail))

    assert outcome == Outcome(intake.REFUSED)
    assert house.names() == []


def test_a_mail_without_recipients_is_refused(house):
    outcome = take_in(ENVELOPE, b"sealed", house.desk(dataclasses.replace(MAIL, rcpt_tos=())))

    assert outcome == Outcome(intake.REFUSED)


@pytest.mark.parametrize("error", [MailboxError("no space"), OSError(28, "no space"), KeyError("a bug")])
def test_one_failing_mailbox_keeps_nobody_else_waiting(house, error):
    class Broken:
        deliver = raising(error)

    def mailbox(address):
        return Broken() if address == "ann@example.org" else mailbox_of(house.root, address)

    outcome = take_in(ENVELOPE, b"sealed", house.desk(TWO, mailbox_of=mailbox))

    assert outcome == Outcome(intake.LATER, ("bob@example.org",), ("bob@example.org",))
    assert house.names("bob@example.org") == [MAIL.digest]


def test_the_retry_after_a_failing_mailbox_serves_the_rest_and_tells_nobody_twice(house):
    class Broken:
        deliver = raising(MailboxError("no space"))

    def mailbox(address):
        return Broken() if address == "ann@example.org" else mailbox_of(house.root, address)

    take_in(ENVELOPE, b"sealed", house.desk(TWO, mailbox_of=mailbox))

    outcome = take_in(RETRY, b"sealed", house.desk(TWO))

    assert outcome == Outcome(intake.KEPT, ("ann@example.org",), ("ann@example.org",))
    assert house.notices == ["bob@example.org", "ann@example.org"]


def test_a_notice_that_could_not_be_handed_over_is_sent_by_the_retry(house):
    first = take_in(ENVELOPE, b"sealed", house.desk(announce=raising(NotNow("no Postfix"))))

    second = take_in(RETRY, b"sealed", house.desk())

    assert first == Outcome(intake.LATER, ("ann@example.org",), ())
    assert second == Outcome(intake.KEPT, (), ("ann@example.org",))
    assert house.names() == [MAIL.digest]


def test_where_nobody_takes_notices_a_mail_for_many_is_soon_given_back(house):
    mail = dataclasses.replace(MAIL, rcpt_tos=tuple(f"person{number}@example.org" for number in range(40)))
    tried = []

    def announce(to, mail):
        tried.append(to)
        raise NotNow("no Postfix")

    outcome = take_in(ENVELOPE, b"sealed", house.desk(mail, announce=announce))

    assert outcome.verdict == intake.LATER
    assert len(outcome.delivered) == 40
    assert len(tried) == intake.FAILED_NOTICES


def test_a_ledger_that_cannot_be_written_asks_for_another_try(house, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "enter", raising(LedgerError("read-only")))
        outcome = take_in(ENVELOPE, b"sealed", house.desk())

    assert outcome.verdict == intake.LATER
    assert take_in(RETRY, b"sealed", house.desk()).verdict == intake.KEPT


def test_whoever_cannot_write_the_ledger_tells_nobody_however_often_the_mail_comes(house, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "begin", raising(LedgerError("read-only")))
        for _ in range(5):
            assert take_in(RETRY, b"sealed", house.desk()).verdict == intake.LATER
        assert house.notices == house.names() == []

    assert take_in(RETRY, b"sealed", house.desk()).verdict == intake.KEPT
    assert house.notices == ["ann@example.org"]
    assert len(house.names()) == 1


@pytest.mark.parametrize("step", ["", DELIVERED])
def test_what_a_person_moves_before_the_retry_is_not_delivered_again(house, step, monkeypatch):
    mailbox = mailbox_of(house.root, "ann@example.org")
    real = Ledger.begin

    def begin(ledger, digest, address, to, before=""):
        if to == step:
            raise LedgerError("read-only from now on")
        real(ledger, digest, address, to, before)

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "begin", begin)
        take_in(ENVELOPE, b"sealed", house.desk(announce=raising(NotNow("no Postfix"))))
    mailbox.move_all(house.names(), "", "Archive")

    outcome = take_in(RETRY, b"sealed", house.desk())

    assert outcome == Outcome(intake.KEPT, (), ("ann@example.org",))
    assert (house.names(), house.names(folder="Archive")) == ([], [MAIL.digest])


def test_a_missing_mail_root_asks_for_another_try_and_is_not_made(house):
    house.root.rmdir()

    outcome = take_in(ENVELOPE, b"sealed", house.desk())

    assert outcome == Outcome(intake.LATER)
    assert not house.root.exists()


def test_postfix_is_asked_for_patience_between_the_steps(house):
    calls = []

    take_in(ENVELOPE, b"sealed", house.desk(TWO), progress=lambda: calls.append(1))

    assert len(calls) == 4


# What is said, and what isn't


@pytest.mark.parametrize("error", [Never("CMS broken"), NotNow("disk /srv full")])
def test_the_reply_never_tells_why(house, error):
    reply = take_in(ENVELOPE, b"x", house.desk(unwrap=raising(error))).verdict.reply

    assert "CMS" not in reply
    assert "disk" not in reply


def test_a_log_line_begins_with_the_queue_id_and_holds_no_content(house, caplog):
    caplog.set_level(logging.INFO)

    take_in(ENVELOPE, b"sealed", house.desk())

    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("4bXq7y1Z: kept: from=<sam@example.com> to=[<ann@example.org>]")
    assert "secret plan" not in line
    assert "Hello" not in line


def test_the_reason_of_a_refusal_is_in_the_log(house, caplog):
    take_in(ENVELOPE, b"x", house.desk(unwrap=raising(Never("signed by somebody else"))))

    assert "4bXq7y1Z: Never: signed by somebody else" in caplog.text


def test_a_hostile_mail_cannot_write_log_lines_of_its_own(house, caplog):
    take_in(ENVELOPE, b"x", house.desk(unwrap=raising(Never("bad\n4bXq7y1Z: kept: all is well\x1b[2J"))))

    [record] = caplog.records
    assert "\n" not in record.getMessage()
    assert "\x1b" not in record.getMessage()


def test_a_mail_for_many_has_a_short_log_line(house, caplog):
    caplog.set_level(logging.INFO)
    mail = dataclasses.replace(MAIL, rcpt_tos=tuple(f"person{number}@example.org" for number in range(40)))

    take_in(ENVELOPE, b"sealed", house.desk(mail))

    assert "delivered=40" in caplog.text
    assert len(caplog.records[0].getMessage()) < 700
