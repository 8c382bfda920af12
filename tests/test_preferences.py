"""What a person wants of our mail: kept whole, read without trust."""

from __future__ import annotations

import json
import logging
import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger import preferences
from messenger.mailbox import mailbox_of
from messenger.preferences import FILE, PHRASE_CHARACTERS, Preferences, PreferencesError, read, write

ALL = Preferences("Blue hippo & Söhne", "hourly", "de_AT", "Europe/Vienna")


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
        b'{"phrase": 7}',
        b'{"notices": "never"}',
        b'{"notices": null}',
        b'{"language": "../../etc"}',
        b'{"language": "DE"}',
        b'{"time_zone": "../../etc/passwd"}',
        b'{"time_zone": "/etc/localtime"}',
        b'{"time_zone": "Europe"}',
        b'{"time_zone": "Europe/Nowhere"}',
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
