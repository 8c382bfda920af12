"""The inbox list beside others that deliver, move and read: what the folder holds is what is shown."""

import shutil
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messenger.mailbox import Mailbox, NoSuchMessage, mailbox_of
from messenger_reader import index
from messenger_reader.mails import Mails

from .index_fixtures import ADDRESS, Clock, clock_fixture, deliver, inbox_fixture, mailbox_fixture, many  # noqa: F401

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


def test_many_at_once_all_see_every_mail_once(tmp_path, mailbox):
    names = many(mailbox, 40)

    def visit(_):
        return [row.name for row in Mails(mailbox, tmp_path / "cache", ADDRESS).page().rows]

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(visit, range(24)))

    assert all(one == names[::-1] for one in seen)
