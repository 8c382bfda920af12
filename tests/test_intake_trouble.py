"""Taking a tunnel mail in when something is wrong: who is served all the same, and what is said."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from messenger.mailbox import MailboxError, mailbox_of
from messenger_milter import intake
from messenger_milter.intake import Outcome, take_in
from messenger_milter.ledger import DELIVERED, Ledger, LedgerError

from .intake_fixtures import ENVELOPE, MAIL, RETRY, TWO, Never, NotNow, house_fixture, raising  # noqa: F401

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
