"""What a person wants of our mail: kept whole, read without trust."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from errno import EBADF
from multiprocessing import get_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger import preferences
from messenger.mailbox import mailbox_of
from messenger.preferences import FILE, PHRASE_CHARACTERS, Preferences, PreferencesError, change, read, write

ALL = Preferences("Blue hippo & Söhne", "hourly", "de_AT", "Europe/Vienna", 3)


def test_what_is_written_is_read(tmp_path):
    write(tmp_path, ALL)

    assert read(tmp_path) == ALL


def test_later_wishes_replace_earlier_ones_and_leave_nothing_behind(tmp_path):
    write(tmp_path, ALL)
    write(tmp_path, Preferences(phrase="Green hippo"))

    assert read(tmp_path) == Preferences(phrase="Green hippo")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_they_lie_beside_the_maildir_of_somebody_who_never_got_mail(tmp_path):
    mailbox = mailbox_of(tmp_path, "ann@example.org")
    mailbox.ensure()
    mailbox.ensure()

    write(mailbox.root.parent, ALL)

    assert read(tmp_path / "example.org" / "ann") == ALL
    assert mailbox.exists()
    assert mailbox.list() == []


def test_the_group_may_read_them_whatever_the_umask_is(tmp_path):
    before = os.umask(0o077)
    try:
        write(tmp_path, ALL)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o640


def test_who_has_said_nothing_gets_the_defaults_and_no_log_line(tmp_path, caplog):
    assert read(tmp_path) == Preferences("", "each", "", "")
    assert read(tmp_path / "nobody") == Preferences()
    assert caplog.records == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not json",
        b"[]",
        b"7",
        b'"phrase"',
        b"\xff\xfe",
        b"[" * 8000,
        b'{"phrase": "x"}' + b" " * 10_000,
    ],
)
def test_a_broken_file_means_the_defaults_and_is_logged(tmp_path, content, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / FILE).write_bytes(content)

    assert read(tmp_path) == Preferences()
    assert FILE in caplog.text
    assert "the defaults hold" in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"phrase": 7},
        {"notices": "never"},
        {"notices": None},
        {"language": "../../etc"},
        {"language": "DE"},
        {"language": "de" + "_AA" * 2000},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "/etc/localtime"},
        {"time_zone": "Europe"},
        {"time_zone": "Europe/Nowhere"},
        {"generation": "3"},
        {"generation": True},
        {"generation": -1},
        {"generation": 2**32},
        {"notices": [], "generation": 0.5},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_of_a_field_that_cannot_be_meant_the_default_holds_and_the_others_stay(tmp_path, wrong, caplog):
    caplog.set_level(logging.WARNING)
    write(tmp_path, ALL)
    (tmp_path / FILE).write_text(json.dumps(json.loads((tmp_path / FILE).read_text()) | wrong))

    found = read(tmp_path)

    assert found == replace(ALL, **{name: getattr(Preferences(), name) for name in wrong})
    assert [record.getMessage().split(": ")[1] for record in caplog.records] == list(wrong)
    assert all("its default holds" in record.getMessage() for record in caplog.records)


def test_what_a_later_version_has_added_is_passed_over(tmp_path):
    (tmp_path / FILE).write_text(json.dumps({"phrase": "hippo", "colour": "green"}))

    assert read(tmp_path) == Preferences(phrase="hippo")


def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path, caplog):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path, ALL)
    (tmp_path / "a" / FILE).symlink_to(tmp_path / FILE)
    os.mkfifo(tmp_path / "b" / FILE)

    assert read(tmp_path / "a") == read(tmp_path / "b") == Preferences()
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Blue\t hippo ", "Blue hippo"),
        ("Blue\r\nBcc: eve@example.org", "Blue Bcc: eve@example.org"),
        ("\u202eoppih eulB", "oppih eulB"),
        ("\ud800hippo\u2028", "hippo"),
        ("<b>hippo</b>", "<b>hippo</b>"),
        ("\u200b\u200b", ""),
        ("x" * 100_000, "x" * (PHRASE_CHARACTERS - 1) + "…"),
    ],
)
def test_a_phrase_is_one_line_that_can_be_seen(given, kept):
    assert Preferences(phrase=given).phrase == kept


@given(st.text())
def test_any_phrase_is_read_as_it_was_shown(tmp_path_factory, phrase):
    folder = tmp_path_factory.mktemp("person")
    wanted = Preferences(phrase=phrase)

    write(folder, wanted)

    assert read(folder) == wanted
    assert len(wanted.phrase) <= PHRASE_CHARACTERS


@pytest.mark.parametrize("wrong", [{"notices": "weekly"}, {"language": "de/../x"}, {"time_zone": "Mars/Olympus"}])
def test_what_cannot_be_meant_cannot_be_written(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Preferences(**wrong)


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(PreferencesError, match=r"preferences\.json: can't write it: No such file") as refusal:
        write(tmp_path / "nobody", ALL)
    assert refusal.value.temporary


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    write(tmp_path, ALL)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(preferences.os, "fsync", full)
    with pytest.raises(PreferencesError, match="No space left"):
        write(tmp_path, Preferences())

    assert read(tmp_path) == ALL
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def grow(folder) -> None:
    """What one of several at once does, in a process of its own."""
    for _ in range(20):
        change(folder, lambda before: replace(before, generation=before.generation + 1))


def test_of_changes_at_the_same_time_none_is_lost(tmp_path):
    write(tmp_path, replace(ALL, generation=0))

    with ProcessPoolExecutor(4, get_context("fork")) as workers:
        for done in [workers.submit(grow, tmp_path) for _ in range(4)]:
            done.result()

    assert read(tmp_path) == replace(ALL, generation=80)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_lock_that_nobody_gives_back_is_not_waited_for_without_end(tmp_path, monkeypatch):
    write(tmp_path, ALL)
    monkeypatch.setattr(preferences, "LOCK_SECONDS", 0.05)
    held = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(PreferencesError, match=r"locked for 0\.05 s") as refusal:
            write(tmp_path, Preferences())
        assert read(tmp_path) == ALL
    finally:
        os.close(held)

    assert refusal.value.temporary
    write(tmp_path, Preferences())


def test_where_the_file_system_knows_no_locks_people_settle_things_all_the_same(tmp_path, monkeypatch):
    def unknown(descriptor, how):
        raise OSError(EBADF, "Bad file descriptor")

    monkeypatch.setattr(preferences.fcntl, "flock", unknown)

    assert change(tmp_path, lambda before: replace(before, phrase="hippo")) == Preferences("hippo") == read(tmp_path)


def test_a_file_that_is_there_and_cannot_be_read_is_not_written_over(tmp_path, monkeypatch):
    write(tmp_path, ALL)

    def refused(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(preferences.os, "read", refused)
    with pytest.raises(PreferencesError, match="Input/output error"):
        change(tmp_path, lambda before: replace(before, phrase="hippo"))
    monkeypatch.undo()

    assert read(tmp_path) == ALL


def test_what_somebody_has_deleted_meanwhile_is_not_made_anew(tmp_path):
    folder = tmp_path / "ann"
    folder.mkdir()

    def delete(before):
        folder.rmdir()
        folder.mkdir()
        return ALL

    with pytest.raises(PreferencesError, match="No such file"):
        change(folder, delete)

    assert list(folder.iterdir()) == []
