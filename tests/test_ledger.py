"""The ledger: who was told of which mail, across crashes, replays and other processes."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from messenger_milter import ledger as ledger_module
from messenger_milter.ledger import Ledger, LedgerError

DIGEST = "ab" * 32
OTHER = "cd" * 32


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger")


def test_nobody_has_been_told_of_anything_at_first(ledger):
    assert not ledger.has(DIGEST, "ann@example.org")


def test_an_entry_stands_for_one_mail_and_one_recipient(ledger):
    ledger.enter(DIGEST, "ann@example.org")

    assert ledger.has(DIGEST, "ann@example.org")
    assert not ledger.has(DIGEST, "bob@example.org")
    assert not ledger.has(OTHER, "ann@example.org")


def test_an_address_is_the_same_in_any_spelling(ledger):
    ledger.enter(DIGEST, "Ann@EXAMPLE.org")

    assert ledger.has(DIGEST, "<ann@example.org>")


def test_another_process_sees_the_entry(ledger):
    ledger.enter(DIGEST, "ann@example.org")

    assert Ledger(ledger.root).has(DIGEST, "ann@example.org")


def test_entering_twice_is_entering_once(ledger):
    ledger.enter(DIGEST, "ann@example.org")
    ledger.enter(DIGEST, "ann@example.org")

    assert len([*ledger.root.rglob(f"{DIGEST}*")]) == 1


def test_an_entry_takes_the_place_of_the_step_before_it(ledger):
    ledger.begin(DIGEST, "ann@example.org", ledger_module.DELIVERED)
    ledger.begin(DIGEST, "ann@example.org", ledger_module.DELIVERED)

    assert ledger.has(DIGEST, "ann@example.org", ledger_module.DELIVERED)
    assert not ledger.has(DIGEST, "ann@example.org")
    assert not ledger.has(DIGEST, "ann@example.org", ledger_module.FULL)

    ledger.enter(DIGEST, "ann@example.org", ledger_module.DELIVERED)

    assert ledger.has(DIGEST, "ann@example.org")
    assert len([*ledger.root.rglob(f"{DIGEST}*")]) == 1


def test_a_step_takes_the_place_of_the_one_before(ledger):
    ledger.begin(DIGEST, "ann@example.org", ledger_module.BEGUN)
    ledger.begin(DIGEST, "ann@example.org", ledger_module.DELIVERED, ledger_module.BEGUN)

    assert ledger.has(DIGEST, "ann@example.org", ledger_module.DELIVERED)
    assert len([*ledger.root.rglob(f"{DIGEST}*")]) == 1


def test_an_entry_whose_step_was_pruned_meanwhile_is_made(ledger):
    ledger.enter(DIGEST, "ann@example.org", ledger_module.DELIVERED)

    assert ledger.has(DIGEST, "ann@example.org")


def test_no_address_can_be_read_off_the_ledger(ledger):
    ledger.enter(DIGEST, "ann@example.org")

    assert not any("ann" in path.name for path in ledger.root.rglob("*"))


def test_the_longest_address_fits(ledger):
    address = "a" * 64 + "@" + ".".join(["b" * 60] * 3)

    ledger.enter(DIGEST, address)

    assert ledger.has(DIGEST, address)


def test_a_ledger_that_cannot_be_written_is_a_temporary_trouble(tmp_path):
    (tmp_path / "ledger").write_text("a file in the way")

    with pytest.raises(LedgerError, match="cannot write to the ledger") as caught:
        Ledger(tmp_path / "ledger").enter(DIGEST, "ann@example.org")

    assert caught.value.temporary


def test_the_check_names_the_folder_and_the_mend(tmp_path):
    (tmp_path / "ledger").write_text("a file in the way")

    with pytest.raises(LedgerError, match=r"ledger: .*give it to the user of messenger-milter"):
        Ledger(tmp_path / "ledger").check()


def test_the_check_makes_no_folder_that_the_milter_then_could_not_write_to(ledger):
    ledger.check()

    assert not ledger.root.exists()


def test_pruning_forgets_the_old_and_keeps_the_new(ledger):
    Ledger(ledger.root).enter(DIGEST, "ann@example.org")  # another run: entries of one run and day share a date
    ledger.enter(OTHER, "ann@example.org")
    [old] = ledger.root.rglob(f"{DIGEST}*")
    os.utime(old, (1_000, 1_000))

    assert ledger.prune(older_than=time.time() - 60) == 1

    assert not ledger.has(DIGEST, "ann@example.org")
    assert ledger.has(OTHER, "ann@example.org")


def test_pruning_sweeps_the_stamps_of_earlier_runs_and_keeps_their_entries(ledger):
    Ledger(ledger.root).enter(DIGEST, "ann@example.org")
    [stamp] = ledger.root.glob(".stamp-*")
    three_days_ago = time.time() - 3 * 86_400
    os.utime(stamp, (three_days_ago, three_days_ago))

    ledger.prune(older_than=time.time() - 30 * 86_400)

    assert not stamp.exists()
    assert ledger.has(DIGEST, "ann@example.org")


def test_pruning_a_ledger_that_was_never_used_is_nothing(ledger):
    assert ledger.prune(older_than=time.time()) == 0


def test_a_step_that_is_followed_by_its_entry_after_a_sync_goes_to_the_disk_again(ledger, monkeypatch):
    synced = []
    ledger.begin(DIGEST, "ann@example.org", ledger_module.DELIVERED)
    ledger.sync()
    monkeypatch.setattr(ledger_module, "_sync_folder", lambda folder: synced.append(folder.name))

    ledger.enter(DIGEST, "ann@example.org", ledger_module.DELIVERED)
    ledger.sync()

    assert synced == ["ab"]


def test_what_a_full_disk_kept_from_being_synced_is_tried_again(ledger, monkeypatch):
    synced = []

    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    ledger.enter(DIGEST, "ann@example.org")
    monkeypatch.setattr(ledger_module, "_sync_folder", full)
    with pytest.raises(LedgerError):
        ledger.sync()
    monkeypatch.setattr(ledger_module, "_sync_folder", lambda folder: synced.append(folder.name))

    ledger.sync()

    assert synced == ["ab"]


def test_syncing_puts_each_touched_folder_on_disk_once(ledger, monkeypatch):
    synced = []
    ledger.enter(DIGEST, "ann@example.org")
    ledger.enter(DIGEST, "bob@example.org")
    ledger.enter(OTHER, "ann@example.org")
    monkeypatch.setattr(ledger_module, "_sync_folder", lambda folder: synced.append(folder.name))

    ledger.sync()
    ledger.sync()

    assert sorted(synced) == ["ab", "cd"]


def folders(ledger: Ledger) -> set[Path]:
    return {path for path in ledger.root.iterdir() if path.is_dir()}


def test_preparing_makes_all_folders_that_entries_can_lie_in(ledger):
    ledger.prepare()
    before = folders(ledger)

    ledger.enter(DIGEST, "ann@example.org")

    assert len(before) == 256
    assert folders(ledger) == before


def test_each_folder_can_be_entered_whatever_the_umask_is(ledger):
    before = os.umask(0o177)
    try:
        ledger.enter(DIGEST, "ann@example.org")
        ledger.prepare()
    finally:
        os.umask(before)

    assert {shard.stat().st_mode & 0o777 for shard in folders(ledger)} == {0o700}


def test_a_folder_that_an_earlier_umask_closed_is_opened_again(ledger):
    ledger.enter(DIGEST, "ann@example.org")
    (ledger.root / DIGEST[:2]).chmod(0o600)

    ledger.prepare()

    assert (ledger.root / DIGEST[:2]).stat().st_mode & 0o777 == 0o700


def test_the_check_names_a_folder_of_another_user(ledger, monkeypatch):
    ledger.prepare()
    monkeypatch.setattr(ledger_module.os, "access", lambda path, mode: path.name != "ab")  # as root all is open

    with pytest.raises(LedgerError, match="ledger/ab in the ledger: give it to messenger-milter, mode 700"):
        ledger.check()


def test_two_with_the_same_mail_take_turns(ledger):
    order = []

    def second():
        with ledger.turn(DIGEST):
            order.append("second")

    thread = threading.Thread(target=second)
    with ledger.turn(DIGEST):
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_two_with_different_mails_do_not_wait_for_each_other(ledger):
    with ledger.turn(DIGEST), ledger.turn(OTHER):
        pass


def test_waiting_for_a_turn_has_an_end(ledger, monkeypatch):
    monkeypatch.setattr(ledger_module, "TURN_SECONDS", 0.01)
    caught = []

    def second():
        with pytest.raises(LedgerError) as error, ledger.turn(DIGEST):
            pass
        caught.append(error.value.temporary)

    with ledger.turn(DIGEST):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    assert caught == [True]


def test_turns_leave_nothing_behind(ledger):
    with ledger.turn(DIGEST):
        pass

    assert not ledger._turns
