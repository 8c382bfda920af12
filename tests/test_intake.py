"""Taking a tunnel mail in: what lies where afterwards, who was told, and what the client hears."""

from __future__ import annotations

import dataclasses
import logging
import threading

import pytest

from messenger import message
from messenger.mailbox import mailbox_of
from messenger_milter import intake
from messenger_milter.intake import Outcome, take_in
from messenger_milter.ledger import Ledger

from .intake_fixtures import ENVELOPE, MAIL, ORIGINAL, RETRY, TWO, NotNow, house_fixture, raising  # noqa: F401

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
