"""The inbox list: right after every change, and quick where it counts."""

import os

import pytest

from messenger import message
from messenger.mailbox import Mailbox
from messenger_reader import index
from messenger_reader.index import Cursor

from .index_fixtures import clock_fixture, deliver, inbox_fixture, mailbox_fixture, many, subjects  # noqa: F401


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
