"""The inbox list: right after every change, right without its cache, and quick where it counts."""

import os
import shutil
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messenger import cache_folder, message
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox, MailboxError, NoSuchMessage, mailbox_of
from messenger_reader import index, index_file
from messenger_reader.index import Cursor
from messenger_reader.mails import Mails

ADDRESS = "alice@example.net"


class Clock:
    """Far enough behind every file's time stamp, or ahead of it, as a test wants."""

    def __init__(self) -> None:
        self.now = 4e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    (tmp_path / "mail").mkdir()
    return mailbox_of(tmp_path / "mail", ADDRESS)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inbox(tmp_path: Path, mailbox: Mailbox, clock: Clock) -> Mails:
    return Mails(mailbox, tmp_path / "cache", ADDRESS, clock)


def deliver(mailbox: Mailbox, subject: str, received: int = 0, flags: str = "") -> str:
    raw = f"From: Bob <bob@example.org>\r\nSubject: {subject}\r\n\r\nHello {subject}\r\n".encode()
    name = sha256(raw).hexdigest()
    mailbox.deliver(raw, name, flags=flags)
    if received:
        [path] = mailbox.root.glob(f"*/{name}*")
        os.utime(path, (received, received))
    return name


def many(mailbox: Mailbox, count: int) -> list[str]:
    """Oldest first, a second apart."""
    return [deliver(mailbox, f"Number {at}", 1_700_000_000 + at) for at in range(count)]


def subjects(rows: index.Rows) -> list[str]:
    return [row.summary.subject if row.summary else "?" for row in rows.rows]


def cache_file(tmp_path: Path) -> Path:
    return cache_folder.folder_of(tmp_path / "cache", ADDRESS) / "inbox.sqlite"


def test_a_mailbox_that_never_got_mail_is_empty(inbox):
    rows = inbox.page()

    assert (rows.rows, rows.total, rows.unread) == ((), 0, 0)
    assert not rows.has_newer
    assert not rows.has_older


def test_the_newest_mail_comes_first_with_what_is_in_it(inbox, mailbox):
    deliver(mailbox, "old", 1_700_000_000)
    deliver(mailbox, "new", 1_700_000_100)

    rows = inbox.page()

    assert subjects(rows) == ["new", "old"]
    assert rows.rows[0].summary.sender.address == "bob@example.org"
    assert rows.rows[0].summary.preview == "Hello new"
    assert rows.unread == 2


def test_what_is_listed_moves_from_new_to_cur(inbox, mailbox):
    name = deliver(mailbox, "one")

    inbox.page()

    assert [path.name for path in (mailbox.root / "cur").iterdir()] == [f"{name}:2,"]
    assert not list((mailbox.root / "new").iterdir())


def test_a_second_visit_reads_no_mail(inbox, mailbox, monkeypatch):
    many(mailbox, 5)
    first = inbox.page()
    monkeypatch.setattr(Mailbox, "read", lambda *_: pytest.fail("read a mail"))
    monkeypatch.setattr(Mailbox, "changes", lambda *_: pytest.fail("listed the folder"))

    assert subjects(inbox.page()) == subjects(first)


def test_of_a_large_mail_only_the_head_is_read(inbox, mailbox, monkeypatch):
    head = b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
    mailbox.deliver(head + b"x" * 5_000_000, "large")
    sizes = []
    read = Mailbox.read

    def measured(*args, **more):
        sizes.append(len(read(*args, **more)))
        return read(*args, **more)

    monkeypatch.setattr(Mailbox, "read", measured)

    [row] = inbox.page().rows

    assert (row.summary.subject, row.summary.has_attachments) == ("large", True)
    assert sizes == [message.HEAD]


def test_new_mail_shows_at_once_and_costs_no_look_at_the_rest(inbox, mailbox, monkeypatch):
    many(mailbox, 5)
    inbox.page()
    deliver(mailbox, "fresh")
    monkeypatch.setattr(Mailbox, "changes", lambda *_: pytest.fail("listed the folder"))

    assert subjects(inbox.page())[0] == "fresh"


def test_mail_that_comes_in_the_same_tick_of_the_clock_is_not_missed(inbox, mailbox, clock):
    clock.now = (mailbox.root.parent.parent.parent).stat().st_mtime
    deliver(mailbox, "first")
    inbox.page()
    stamp = (mailbox.root / "new").stat().st_mtime_ns
    deliver(mailbox, "second")
    os.utime(mailbox.root / "new", ns=(stamp, stamp))

    assert "second" not in subjects(inbox.page())
    clock.now += 5
    assert "second" in subjects(inbox.page())


def test_a_flag_set_by_another_program_shows(inbox, mailbox):
    name = deliver(mailbox, "one")
    inbox.page()

    mailbox.flag(name, add="S")

    assert inbox.page().unread == 0
    assert inbox.page().rows[0].seen


def test_a_mail_deleted_by_another_program_goes(inbox, mailbox):
    gone, stays = deliver(mailbox, "gone"), deliver(mailbox, "stays")
    inbox.page()

    (mailbox.root / "cur" / f"{gone}:2,").unlink()

    assert [row.name for row in inbox.page().rows] == [stays]
    assert inbox.page().total == 1


def test_a_flag_of_our_own_costs_no_look_at_the_rest(inbox, mailbox, monkeypatch):
    names = many(mailbox, 5)
    inbox.page()
    monkeypatch.setattr(Mailbox, "changes", lambda *_: pytest.fail("listed the folder"))

    inbox.flag(names[0], add="S")

    assert inbox.page().unread == 4
    assert inbox.place(names[0]).row.seen


def test_what_hides_behind_a_flag_of_our_own_shows_a_minute_later(inbox, mailbox, clock):
    names = many(mailbox, 3)
    inbox.page()
    inbox.flag(names[0], add="S")
    stamp = (mailbox.root / "cur").stat().st_mtime_ns
    (mailbox.root / "cur" / f"{names[1]}:2,").unlink()
    os.utime(mailbox.root / "cur", ns=(stamp, stamp))

    assert inbox.page().total == 3
    clock.now += index.DOUBT_SECONDS
    assert inbox.page().total == 2


def test_a_flag_of_our_own_on_a_folder_that_has_changed_hides_nothing(inbox, mailbox):
    names = many(mailbox, 3)
    inbox.page()
    mailbox.flag(names[1], add="S")

    inbox.flag(names[0], add="S")

    assert inbox.page().unread == 1


def test_pages_of_fifty_hold_every_mail_once_both_ways(inbox, mailbox):
    names = many(mailbox, 120)

    first = inbox.page()
    second = inbox.page(older=first.rows[-1].cursor)
    third = inbox.page(older=second.rows[-1].cursor)
    back = inbox.page(newer=third.rows[0].cursor)

    assert [row.name for page in (first, second, third) for row in page.rows] == names[::-1]
    assert [(page.has_newer, page.has_older) for page in (first, second, third)] == [
        (False, True),
        (True, True),
        (True, False),
    ]
    assert back.rows == second.rows


def test_new_mail_moves_no_page_that_is_being_turned(inbox, mailbox):
    names = many(mailbox, 60)
    first = inbox.page()
    for at in range(10):
        deliver(mailbox, f"Later {at}", 1_800_000_000 + at)

    assert [row.name for row in inbox.page(older=first.rows[-1].cursor).rows] == names[9::-1]


def test_mails_of_the_same_second_are_all_listed(inbox, mailbox):
    names = {deliver(mailbox, f"Number {at}", 1_700_000_000) for at in range(70)}

    first = inbox.page()
    second = inbox.page(older=first.rows[-1].cursor)

    assert {row.name for row in (*first.rows, *second.rows)} == names


def test_a_cursor_that_leads_past_the_end_leads_to_the_newest(inbox, mailbox):
    names = many(mailbox, 3)

    assert [row.name for row in inbox.page(older=Cursor(1, "x")).rows] == names[::-1]
    assert [row.name for row in inbox.page(newer=Cursor(2**60, "x")).rows] == names[::-1]


def test_a_mail_knows_its_neighbours(inbox, mailbox):
    oldest, middle, newest = many(mailbox, 3)

    place = inbox.place(middle)

    assert (place.newer.name, place.row.name, place.older.name) == (newest, middle, oldest)
    assert inbox.place(newest).newer is None
    assert inbox.place(oldest).older is None
    assert inbox.place("unheard-of").row is None


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


STEPS = [
    "deliver",
    "read",
    "unread",
    "foreign",
    "delete",
    "look",
    "archive",
    "back",
    "remove",
    "foreign move",
    "look there",
]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 9)), max_size=25))
def test_whatever_happens_the_list_is_what_the_folder_holds(tmp_path_factory, steps):
    home = tmp_path_factory.mktemp("any")
    (home / "mail").mkdir()
    mailbox, clock = mailbox_of(home / "mail", ADDRESS), Clock()
    clock.now = time.time()  # stamps are fresh, and so not to be trusted
    inbox = Mails(mailbox, home / "cache", ADDRESS, clock)
    serial = iter(range(1000))
    for step, which in steps:
        entries = sorted(mailbox.list(), key=lambda entry: entry.name)
        name = entries[which % len(entries)].name if entries else ""
        archived = sorted(entry.name for entry in mailbox.list("Archive"))
        if step == "deliver":
            deliver(mailbox, f"Number {next(serial)}")
        elif step == "look":
            inbox.page()
        elif step == "look there":
            inbox.page("Archive")
        elif archived and step == "back":
            assert inbox.move([*archived[:which], "gone"], "", "Archive") == len(archived[:which])
        elif not name:
            continue
        elif step in ("read", "unread"):
            inbox.flag(name, add="S" if step == "read" else "", remove="S" if step == "unread" else "")
        elif step == "foreign":
            mailbox.flag(name, add="FS")
        elif step == "foreign move":
            mailbox.move(name, "", "Archive")
        elif step == "archive":
            assert inbox.move([name, "gone"], "Archive") == 1
        elif step == "remove":
            assert inbox.remove([name, "gone"]) == 1
        elif step == "delete":
            next(mailbox.root.glob(f"*/{name}*")).unlink()

    inbox.folders()
    clock.now += index.DOUBT_SECONDS + 1  # the longest that anything may hide

    counts = {one.folder: (one.total, one.unread) for one in inbox.folders()}
    for folder in ("", "Archive"):
        rows = inbox.page(folder)
        truth = {entry.name: entry.flags for entry in mailbox.list(folder)}
        assert {row.name: row.flags for row in rows.rows} == truth
        assert all(row.summary for row in rows.rows)
        assert rows.total == len(truth)
        assert rows.unread == sum("S" not in flags for flags in truth.values())
        assert counts[folder] == (rows.total, rows.unread)


def test_moves_of_our_own_cost_no_look_at_either_folder(inbox, mailbox, monkeypatch):
    names = many(mailbox, 60)
    mailbox.deliver(b"Subject: before\r\n\r\n", "before", folder="Archive", flags="S")
    mailbox.deliver(b"Subject: before\r\n\r\n", "before", folder="Trash", flags="S")
    inbox.folders()
    inbox.page()
    for call in ("changes", "list"):
        monkeypatch.setattr(Mailbox, call, lambda *_, **__: pytest.fail("listed a folder"))

    assert inbox.move(names[:50], "Archive") == 50
    assert inbox.move(names[10:20], "Trash", "Archive") == 10
    assert inbox.remove(names[:5], "Archive") == 5
    assert inbox.move(names[10:12], "", "Trash") == 2
    assert len(inbox.flagged(names[50:], "FS", "", "")) == 10

    counts = {one.folder: (one.total, one.unread) for one in inbox.folders()}
    assert (counts[""], counts["Archive"], counts["Trash"]) == ((12, 2), (36, 35), (9, 8))
    assert [row.name for row in inbox.page("Trash").rows] == ["before", *names[19:11:-1]]


def test_a_mail_is_found_whatever_its_folder(inbox, mailbox):
    name = deliver(mailbox, "one")

    for folder in ("", "Archive", "Sent", "Drafts", "Trash", "Taxes.2025"):
        if folder:
            inbox.move([name], folder)
        assert (inbox.folder_of(name), inbox.place(name).folder) == (folder, folder)
        assert inbox.read(name).startswith(b"From: Bob")
        inbox.flag(name, add="F")
    with pytest.raises(NoSuchMessage):
        inbox.read("unheard-of")


def test_a_mail_that_moves_while_it_is_looked_for_is_found(inbox, mailbox, monkeypatch):
    name = deliver(mailbox, "one")
    find = Mailbox.find

    def late(*args):
        found = find(*args)
        monkeypatch.setattr(Mailbox, "find", find)
        mailbox.move(name, "", "Archive")
        return found

    monkeypatch.setattr(Mailbox, "find", late)

    assert inbox.read(name).startswith(b"From: Bob")


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


def test_a_folder_that_was_removed_is_forgotten(inbox, mailbox):
    mailbox.deliver(b"Subject: x\r\n\r\n", "x", folder="Old")
    assert "Old" in [one.folder for one in inbox.folders()]

    shutil.rmtree(mailbox.root / ".Old")

    assert "Old" not in [one.folder for one in inbox.folders()]
    assert inbox.page("Old").total == 0


def in_a_process(home: Path, kind: str) -> str:
    """What one of several processes does to one mailbox; module level, for multiprocessing."""
    mailbox = mailbox_of(home / "mail", ADDRESS)
    inbox = Mails(mailbox, home / "cache", ADDRESS)
    for at in range(40):
        if kind == "deliver":
            deliver(mailbox, f"Number {at}")
        elif kind == "read":
            for row in inbox.page().rows[at % 5 :: 5]:
                inbox.flag(row.name, add="S")
        else:
            rows = inbox.page()
            assert len({row.name for row in rows.rows}) == len(rows.rows)
    return "done"


def test_processes_that_deliver_read_and_list_at_once_agree(tmp_path):
    (tmp_path / "mail").mkdir()
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        kinds = ["deliver", "read", "list", "read"]
        assert list(pool.map(in_a_process, [tmp_path] * 4, kinds)) == ["done"] * 4
    mailbox = mailbox_of(tmp_path / "mail", ADDRESS)

    rows = Mails(mailbox, tmp_path / "cache", ADDRESS, lambda: time.time() + 100).page()

    assert {row.name: row.flags for row in rows.rows} == {entry.name: entry.flags for entry in mailbox.list()}
    assert len(rows.rows) == 40


def test_the_index_knows_mails_by_the_same_names_as_the_mailbox(inbox, mailbox):
    deliver(mailbox, "one")
    inbox.page()
    odd = [
        "plain",
        "b:2,",
        "c:2,S",
        "d:2,TS",
        "e:2,SSab",
        "f:1,x",
        "g:",
        "h:2",
        ".hidden",
        "ä",
        "sp ace",
        "n" * 200,
        "n" * 201,
    ]
    for at, name in enumerate(odd):
        path = mailbox.root / "cur" / name
        path.write_bytes(b"Subject: x\r\n\r\n")
        os.utime(path, (at, at))
    (mailbox.root / "cur" / "folder:2,").mkdir()
    (mailbox.root / "cur" / "link:2,").symlink_to("b:2,")

    found = {(row.name, row.flags, row.received, row.size) for row in inbox.page().rows}

    assert found == {(entry.name, entry.flags, entry.received, entry.size) for entry in mailbox.list()}
    assert found == {(row.name, row.flags, row.received, row.size) for row in inbox.page().rows}


def test_many_at_once_all_see_every_mail_once(tmp_path, mailbox):
    names = many(mailbox, 40)

    def visit(_):
        return [row.name for row in Mails(mailbox, tmp_path / "cache", ADDRESS).page().rows]

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(visit, range(24)))

    assert all(one == names[::-1] for one in seen)


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
