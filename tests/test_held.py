"""Notices that wait for their hour: one at a time, none lost."""

from __future__ import annotations

import dataclasses
import logging
import os
import stat
from pathlib import Path

import pytest

from messenger.errors import MessengerError
from messenger_milter import held as held_module
from messenger_milter.held import HOUR_SECONDS, RETRY_SECONDS, Held, HeldError

from .held_fixtures import ANN, LATER, NOW, folder_fixture, given_out, held_fixture, raising  # noqa: F401

BOB = dataclasses.replace(ANN, to="bob@example.org")
HOSTILE = dataclasses.replace(ANN, sender_name='\ud800"\n\u202e{}', sender_address="")


class NotNow(MessengerError):
    temporary = True


def kinds(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir() if path.name != ".lock")


@pytest.mark.parametrize("notice", [ANN, HOSTILE])
def test_a_notice_comes_out_as_it_was_and_once(held, notice):
    held.keep(notice)

    assert given_out(held) == [notice]
    assert given_out(held, NOW + HOUR_SECONDS) == []


def test_a_second_one_waits_until_the_hour_is_over(held):
    held.keep(ANN)
    given_out(held)
    held.keep(LATER)

    assert given_out(held, NOW + HOUR_SECONDS - 1) == []
    assert given_out(held, NOW + HOUR_SECONDS) == [LATER]


def test_of_many_in_one_hour_the_latest_is_sent(held):
    held.keep(ANN)
    given_out(held)
    for number in range(5):
        held.keep(dataclasses.replace(ANN, reference=str(number)))

    assert [notice.reference for notice in given_out(held, NOW + HOUR_SECONDS)] == ["4"]


def test_nobody_waits_for_somebody_elses_hour(held):
    held.keep(ANN)
    given_out(held)
    held.keep(BOB)
    held.keep(LATER)

    assert given_out(held, NOW + 1) == [BOB]


def test_another_spelling_of_the_address_is_the_same_person(held):
    held.keep(ANN)
    held.keep(dataclasses.replace(LATER, to="Ann@EXAMPLE.org"))

    assert [notice.sender_name for notice in given_out(held)] == ["Eve"]


def test_what_is_held_outlives_the_process(folder):
    Held(folder).keep(ANN)

    assert given_out(Held(folder)) == [ANN]


def test_nobody_else_may_look_whatever_the_umask_is(held, folder):
    before = os.umask(0)
    try:
        held.keep(ANN)
    finally:
        os.umask(before)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert "ann" not in "".join(path.name for path in folder.iterdir())


def test_a_notice_that_fails_is_tried_again_and_the_others_go_on(held, caplog):
    held.keep(ANN)
    held.keep(BOB)
    told = []

    def tell(notice):
        if notice == ANN:
            raise NotNow("no Postfix")
        told.append(notice)

    assert held.give_out(NOW, tell) == 1
    assert told == [BOB]
    assert "no Postfix" in caplog.text
    assert given_out(held, NOW + 5) == []
    assert given_out(held, NOW + RETRY_SECONDS) == [ANN]


def test_when_nobody_takes_notices_a_round_ends_early_and_none_is_lost(held):
    people = {f"p{number}@example.org" for number in range(8)}
    for address in people:
        held.keep(dataclasses.replace(ANN, to=address))
    tried = []

    def tell(notice):
        tried.append(notice.to)
        raise NotNow("no Postfix")

    held.give_out(NOW, tell)

    assert len(tried) == held_module.FAILURES
    assert {notice.to for notice in given_out(held, NOW + 1)} == people - set(tried)  # who failed blocks nobody
    assert {notice.to for notice in given_out(held, NOW + RETRY_SECONDS)} == set(tried)


def test_a_failed_notice_does_not_replace_a_later_one(held):
    held.keep(ANN)

    def tell(notice):
        held.keep(LATER)
        raise NotNow("no Postfix")

    held.give_out(NOW, tell)

    assert given_out(held, NOW + RETRY_SECONDS) == [LATER]


def test_one_that_comes_while_another_is_being_sent_is_sent_an_hour_later(held):
    held.keep(ANN)

    held.give_out(NOW, lambda notice: held.keep(LATER))

    assert given_out(held, NOW + 5) == []
    assert given_out(held, NOW + HOUR_SECONDS) == [LATER]


def test_a_date_that_cannot_be_written_does_not_send_a_notice_each_round(held, monkeypatch):
    held.keep(ANN)
    sent = []
    monkeypatch.setattr(held, "_done", raising(OSError(28, "No space left on device")))

    for minute in range(59):
        held.give_out(NOW + 60 * minute, sent.append)

    assert sent == [ANN]


def test_dates_are_forgotten_when_they_say_nothing_any_more(held, folder):
    held.keep(ANN)
    given_out(held)

    given_out(held, NOW + HOUR_SECONDS)
    kept = kinds(folder)
    given_out(held, NOW + 2 * HOUR_SECONDS)

    assert (kept, kinds(folder)) == ([".told"], [])


def test_a_clock_that_was_put_back_holds_nothing_back_for_ever(held):
    held.keep(ANN)
    given_out(held, NOW + 30 * HOUR_SECONDS)
    held.keep(LATER)

    assert given_out(held) == [LATER]


def test_a_broken_file_is_put_aside_and_named(held, folder, caplog):
    held.keep(ANN)
    [path] = folder.glob("*.kept")
    path.write_bytes(b"\xff{")

    assert given_out(held) == []
    assert given_out(held, NOW + RETRY_SECONDS) == []
    assert kinds(folder) == [".broken"]
    assert ".broken: no notice can be made of it" in caplog.text


def test_a_folder_that_was_never_used_is_nothing(held, folder):
    assert given_out(held) == []
    assert not folder.exists()


def test_a_notice_that_cannot_be_kept_is_temporary_trouble(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(HeldError, match="give the ledger to messenger-milter") as refusal:
        Held(tmp_path / "file" / "held").keep(ANN)
    assert refusal.value.temporary


def test_log_lines_of_held_notices_name_no_content(held, caplog):
    caplog.set_level(logging.DEBUG)
    held.keep(ANN)
    held.give_out(NOW, raising(NotNow("no Postfix")))

    assert "sam@example.com" not in caplog.text
