"""Finding old mail and mailboxes nobody needs, and removing them without ever taking new mail along."""

import os
import subprocess
import sys
import threading
import time

import pytest

from messenger import mailbox_delivery, mailbox_upkeep
from messenger.mailbox import MailboxError, finish_removals, mailbox_of, mailboxes

from .mailbox_fixtures import NAME, RAW, REPOSITORY, anna_fixture, root_fixture  # noqa: F401

FUTURE = time.time() + 86_400


def test_every_mailbox_is_found_and_nothing_else(root):
    people = ["anna@example.org", "a.b+c@example.org", "用户@example.net", "-x@[192.0.2.1]"]
    for address in people:
        mailbox_of(root, address).ensure()
    (root / "example.org" / ".removed.0123").mkdir()
    (root / "example.org" / "Anna").mkdir()
    (root / "example.org" / "file").touch()
    (root / "lost+found").mkdir()
    (root / "example.org" / "link").symlink_to(root / "example.org" / "anna")

    assert sorted(mailboxes(root)) == sorted(people)


def test_a_mail_root_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MailboxError, match="mount it"):
        list(mailboxes(tmp_path / "none"))


def test_old_mail_is_told_by_its_delivery_and_in_the_trash_by_when_it_was_thrown_away(anna):
    for name in ("old", "new", "kept"):
        anna.deliver(RAW, name)
    os.utime(anna.root / "new" / "old", (1, 1))
    anna.flag("kept", add="S")
    os.utime(anna.root / "cur" / "kept:2,S", (1, 1))

    assert sorted(anna.older("", 2)) == ["kept", "old"]
    anna.move("old", "", "Trash")
    assert anna.older("Trash", time.time() - 60, by_move=True) == []
    assert anna.older("Trash", FUTURE, by_move=True) == ["old"]
    assert anna.older("Nowhere", FUTURE) == []


def test_an_empty_mailbox_goes_with_all_that_belongs_to_it(root, anna):
    anna.deliver(RAW, NAME)
    anna.move(NAME, "", "Trash")
    anna.remove(NAME, "Trash")
    anna.usage(1000, time.time())
    (anna.root / "dovecot-uidlist").touch()
    (anna.root / "tmp" / "left.by.a.crash").touch()
    os.utime(anna.root / "tmp" / "left.by.a.crash", (1, 1))
    (anna.root.parent / "preferences.json").write_text("{}")
    (anna.root.parent / "pdfs").mkdir()

    assert anna.remove_if_empty(FUTURE, time.time())

    assert list((root / "example.org").iterdir()) == []
    assert not anna.remove_if_empty(FUTURE, time.time())
    assert anna.deliver(RAW, NAME)


@pytest.mark.parametrize(
    "place",
    ["new/mail", "cur/mail:2,S", "tmp/half", ".Sent/cur/mail:2,S", ".Trash/new/mail", "other/file", "../pdfs/one"],
)
def test_a_mailbox_with_anything_in_it_stays_as_it_is(anna, place):
    anna.ensure()
    anna.deliver(RAW, "x", "Sent", flags="S")
    anna.remove("x", "Sent")
    file = anna.root / place
    for folder in ("new", "cur", "tmp") if place.startswith(".") and not place.startswith("..") else ():
        (anna.root / place.split("/")[0] / folder).mkdir(parents=True, exist_ok=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(RAW)
    before = sorted(anna.root.parent.rglob("*"))

    assert not anna.remove_if_empty(FUTURE, time.time())

    assert sorted(anna.root.parent.rglob("*")) == before


@pytest.mark.parametrize("touched", ["", "new", "cur", "tmp", ".Sent/new", ".."])
def test_a_mailbox_that_was_used_lately_stays(anna, touched):
    anna.ensure()
    anna.deliver(RAW, "x", "Sent", flags="S")
    anna.remove("x", "Sent")
    folders = [anna.root.parent, *(path for path in anna.root.parent.rglob("*") if path.is_dir())]
    for folder in folders:
        os.utime(folder, (1, 1))
    os.utime(anna.root / touched, (1000, 1000))

    assert not anna.remove_if_empty(500, time.time())
    assert anna.remove_if_empty(1001, time.time())


@pytest.mark.parametrize("moment", ["before the file", "after the file", "after the link"])
def test_mail_that_comes_while_a_mailbox_is_removed_is_kept_or_comes_again(root, anna, monkeypatch, moment):
    """The delivery has the folders open and is held up, the mailbox is removed meanwhile."""
    anna.ensure()
    removed = []

    def remove():
        removed.append(anna.remove_if_empty(FUTURE, time.time()))

    write, link = mailbox_delivery.write, mailbox_delivery.link

    def slow_write(*given):
        if moment == "before the file":
            remove()
        return write(*given)

    def slow_link(*given):
        if moment == "after the file":
            remove()
        done = link(*given)
        if moment == "after the link":
            remove()
        return done

    monkeypatch.setattr(mailbox_delivery, "write", slow_write)
    monkeypatch.setattr(mailbox_delivery, "link", slow_link)

    try:
        anna.deliver(RAW, NAME)
        came = True
    except MailboxError:  # the sender's queue tries again
        came = False

    assert removed == [moment == "before the file"]
    assert came is not removed[0]
    monkeypatch.undo()
    assert anna.deliver(RAW, NAME) is not came
    assert anna.read(NAME) == RAW


def test_mail_that_comes_between_two_steps_of_the_removal_stops_it(anna, monkeypatch):
    anna.ensure()
    rmdir = os.rmdir

    def after(name, **given):
        rmdir(name, **given)
        if name == "tmp":
            anna.deliver(RAW, NAME)

    monkeypatch.setattr(os, "rmdir", after)

    assert not anna.remove_if_empty(FUTURE, time.time())
    assert anna.read(NAME) == RAW


def test_deliveries_and_removals_at_once_lose_nothing(root):
    code = (
        "import os, sys, time; from pathlib import Path; from messenger.mailbox import *\n"
        "os.fsync = lambda descriptor: None\n"
        "anna = mailbox_of(Path(sys.argv[1]), 'anna@example.org')\n"
        "end = time.time() + 3\n"
        "while time.time() < end: anna.remove_if_empty(time.time() + 60, time.time())\n"
    )
    remover = subprocess.Popen([sys.executable, "-c", code, str(root)], cwd=REPOSITORY)
    anna = mailbox_of(root, "anna@example.org")
    again, got = 0, []

    def deliver(who):
        nonlocal again
        for number in range(60):
            name = f"{who}.{number}"
            while True:
                try:
                    anna.deliver(RAW, name)
                    break
                except MailboxError:
                    again += 1
            got.append(anna.read(name) == RAW)
            anna.remove(name, "")

    threads = [threading.Thread(target=deliver, args=(who,)) for who in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert remover.wait(30) == 0
    assert got == [True] * 120


def test_what_a_crash_left_of_a_removal_is_removed(root, anna):
    anna.deliver(RAW, NAME)
    left = root / "example.org" / ".removed.0123456789abcdef"
    (left / "Maildir" / "new").mkdir(parents=True)
    (left / "Maildir" / "new" / "mail").touch()

    assert finish_removals(root) == 1

    assert not left.exists()
    assert anna.read(NAME) == RAW
    assert finish_removals(root) == 0
    assert mailbox_upkeep.MAILDIR == "Maildir"
