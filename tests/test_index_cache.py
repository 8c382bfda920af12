"""The inbox list without its cache, or with a broken one: the same pages."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from messenger import cache_folder
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox, MailboxError
from messenger_reader import index_file
from messenger_reader.mails import Mails

from .index_fixtures import ADDRESS, clock_fixture, deliver, inbox_fixture, mailbox_fixture, many, subjects  # noqa: F401


def cache_file(tmp_path: Path) -> Path:
    return cache_folder.folder_of(tmp_path / "cache", ADDRESS) / "inbox.sqlite"


@pytest.mark.parametrize("damage", ["garbage", "half", "other version", "other tables"])
def test_a_broken_index_is_made_anew_without_a_word(inbox, mailbox, tmp_path, damage, caplog):
    many(mailbox, 60)
    whole = inbox.page()
    path = cache_file(tmp_path)
    if damage == "garbage":
        path.write_bytes(b"not a database at all" * 1000)
    elif damage == "half":
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\xff" * 4096)
    else:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA user_version = 999" if damage == "other version" else "DROP TABLE mail")
        connection.close()

    again = inbox.page()

    assert subjects(again) == subjects(whole)
    assert (again.total, again.unread) == (60, 60)
    assert caplog.text == ""


def test_a_cache_that_was_deleted_is_made_anew(inbox, mailbox, tmp_path):
    names = many(mailbox, 3)
    inbox.page()
    shutil.rmtree(tmp_path / "cache")

    assert [row.name for row in inbox.page().rows] == names[::-1]


LIMITS = {"a full disk": "PRAGMA max_page_count = 4", "a read-only disk": "PRAGMA query_only = 1"}


@pytest.fixture(params=["a file in its place", *LIMITS])
def no_cache(request, tmp_path, monkeypatch):
    """The cache can't be used. (Rights alone don't stop root, who may run the tests.)"""
    if request.param == "a file in its place":
        (tmp_path / "cache").write_text("in the way")
        return
    connect = index_file._connect

    def limited(path):
        connection = connect(path)
        connection.execute(LIMITS[request.param])
        return connection

    monkeypatch.setattr(index_file, "_connect", limited)


@pytest.mark.usefixtures("no_cache")
def test_without_a_cache_the_pages_are_the_same(inbox, mailbox):
    names = many(mailbox, 120)

    first = inbox.page()
    second = inbox.page(older=first.rows[-1].cursor)
    third = inbox.page(older=second.rows[-1].cursor)
    back = inbox.page(newer=third.rows[0].cursor)

    assert [row.name for page in (first, second, third) for row in page.rows] == names[::-1]
    assert subjects(first)[0] == "Number 119"
    assert back.rows == second.rows
    assert (first.total, first.unread) == (120, 120)
    assert (inbox.place(names[1]).newer.name, inbox.place(names[1]).older.name) == (names[2], names[0])


def test_without_a_cache_flags_are_set(tmp_path, inbox, mailbox):
    (tmp_path / "cache").write_text("in the way")
    name = deliver(mailbox, "one")

    inbox.flag(name, add="S")

    assert inbox.page().unread == 0


def test_the_index_is_nobody_elses_to_read(inbox, mailbox, tmp_path):
    deliver(mailbox, "one")

    previous = os.umask(0)
    try:
        inbox.page()
    finally:
        os.umask(previous)

    for path in (tmp_path / "cache").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_mail_that_cannot_be_read_leaves_the_others_shown(inbox, mailbox, monkeypatch):
    bad, good = deliver(mailbox, "bad", 1_700_000_000), deliver(mailbox, "good", 1_700_000_001)
    read = Mailbox.read

    def refuse(self, name, folder="", limit=-1):
        if name == bad:
            raise MessengerError("can't read it")
        return read(self, name, folder, limit)

    monkeypatch.setattr(Mailbox, "read", refuse)

    rows = inbox.page()

    assert [row.name for row in rows.rows] == [good, bad]
    assert rows.rows[1].summary is None


def test_mail_that_cannot_be_moved_out_of_new_is_listed_all_the_same(inbox, mailbox, monkeypatch):
    names = many(mailbox, 3)

    def refuse(*_args, **_more):
        raise MailboxError("read-only")

    monkeypatch.setattr(Mailbox, "flag", refuse)

    assert [row.name for row in inbox.page().rows] == names[::-1]
    assert [row.name for row in inbox.page().rows] == names[::-1]


def test_what_a_full_disk_kept_out_of_the_index_is_moved_once_and_shows(tmp_path, inbox, mailbox, monkeypatch):
    names = many(mailbox, 3)
    inbox.folders()
    connect = index_file._connect

    def failing(path):
        connection = connect(path)
        connection.execute("CREATE TEMP TRIGGER full BEFORE UPDATE ON main.mail BEGIN SELECT raise(ABORT, 'full'); END")
        return connection

    monkeypatch.setattr(index_file, "_connect", failing)
    assert inbox.move(names[:2], "Archive") == 2
    monkeypatch.setattr(index_file, "_connect", connect)

    assert {one.folder: one.total for one in inbox.folders() if one.total} == {"": 1, "Archive": 2}


def test_one_throws_a_broken_index_away_while_others_read(tmp_path, mailbox):
    names = many(mailbox, 40)
    path = cache_file(tmp_path)

    def visit(at):
        if at % 5 == 0 and path.exists():
            path.write_bytes(b"broken " * 500)
        return [row.name for row in Mails(mailbox, tmp_path / "cache", ADDRESS).page().rows]

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(visit, range(30)))

    assert all(one == names[::-1] for one in seen)


def test_two_people_have_two_caches(tmp_path):
    assert cache_folder.folder_of(tmp_path, ADDRESS) != cache_folder.folder_of(tmp_path, "bob@example.net")
    assert "alice" not in str(cache_folder.folder_of(tmp_path, ADDRESS))


def test_a_page_opens_the_index_once_and_one_that_breaks_under_it_is_made_anew(tmp_path, inbox, mailbox, monkeypatch):
    many(mailbox, 3)
    inbox.page()
    opened = []
    connect = index_file._connect
    monkeypatch.setattr(index_file, "_connect", lambda path: opened.append(path) or connect(path))

    with index_file.kept_open():
        assert inbox.page().total == 3
        assert inbox.folders()
        assert len(opened) == 1
        with pytest.raises(index_file.CacheUnusable):  # an error closes it, and what it had begun
            index_file.use(opened[0], lambda db: db.execute("SELECT * FROM nothing"))
        assert inbox.page().total == 3
    again = len(opened)
    inbox.page()
    inbox.page()

    assert len(opened) == again + 2
    with index_file._locked(opened[0], 2 | 4):  # LOCK_EX | LOCK_NB: nobody holds it any more
        pass
