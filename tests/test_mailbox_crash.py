"""Mailboxes when a delivery is killed, and when the disk will not."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from messenger import mailbox_delivery
from messenger.mailbox import MailboxError, mailbox_of

from .mailbox_fixtures import NAME, RAW, REPOSITORY, anna_fixture, files, names, root_fixture  # noqa: F401


def directory_of(descriptor):
    return Path(f"/proc/self/fd/{descriptor}").readlink()


KILLED = """
import os, signal, sys
from pathlib import Path
from messenger import mailbox, mailbox_delivery

def kill(name, after):
    real = getattr(os, name)
    def killed(*args, **kwargs):
        if not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(os, name, killed)

anna = mailbox.mailbox_of(Path(sys.argv[1]), "anna@example.org")
if sys.argv[4] == "second":
    anna.deliver(b"", "first")
if sys.argv[2] == "write":
    mailbox_delivery.memoryview = lambda raw: os.kill(os.getpid(), signal.SIGKILL)
else:
    kill(sys.argv[2], sys.argv[3] == "after")
anna.deliver(b"x" * 100_000, "a" * 64)
"""


MOMENTS = [
    ("write", "before", False),
    ("fsync", "before", False),
    ("fsync", "after", False),
    ("fchmod", "before", False),
    ("link", "before", False),
    ("link", "after", True),
    ("unlink", "before", True),
    ("unlink", "after", True),
]


@pytest.mark.parametrize(
    ("mailbox", "call", "when", "there"),
    [
        ("fresh", "mkdir", "before", False),
        ("fresh", "mkdir", "after", False),
        *(("fresh", *moment) for moment in MOMENTS),
        *(("second", *moment) for moment in MOMENTS),
    ],
)
def test_a_delivery_killed_anywhere_is_made_whole_by_the_retry(root, anna, call, when, there, mailbox):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(root), call, when, mailbox], cwd=REPOSITORY, capture_output=True, timeout=20
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    seen = {entry.name: entry.size for entry in anna.list()}
    assert seen.get("a" * 64) == (100_000 if there else None)  # whole or not at all

    assert anna.deliver(b"x" * 100_000, "a" * 64) is not there

    assert anna.read("a" * 64) == b"x" * 100_000
    assert names(anna.list()).count("a" * 64) == 1
    directories = [path for path in anna.root.parent.parent.rglob("*") if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o2770}


def test_everything_is_on_disk_before_the_mail_is_called_delivered(anna, monkeypatch):
    events = []
    real_fsync, real_link = os.fsync, os.link

    def fsync(descriptor):
        events.append(("fsync", directory_of(descriptor).name.split(".")[0]))
        real_fsync(descriptor)

    def link(*args, **kwargs):
        events.append(("link", ""))
        real_link(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)

    anna.deliver(RAW, NAME)

    assert events == [
        ("fsync", "mail"),
        ("fsync", "example"),
        ("fsync", "anna"),
        ("fsync", "Maildir"),
        ("fsync", NAME),
        ("link", ""),
        ("fsync", "new"),
    ]


def test_a_retry_syncs_what_a_killed_delivery_may_not_have_synced(anna, monkeypatch):
    anna.deliver(RAW, NAME)
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(directory_of(descriptor)))

    anna.deliver(RAW, NAME)

    assert synced == [anna.root / "new"]


def test_leftovers_of_crashes_go_after_36_hours(anna):
    anna.deliver(RAW, NAME)
    old, young = anna.root / "tmp" / "old", anna.root / "tmp" / "young"
    for path, age in ((old, 37), (young, 35)):
        path.write_bytes(b"half a ma")
        os.utime(path, (time.time() - age * 3600,) * 2)
    os.utime(anna.root / "tmp", (time.time() - 3600,) * 2)

    anna.deliver(RAW, "another")

    assert files(anna, "tmp") == ["young"]


def test_leftovers_of_crashes_are_looked_for_once_an_hour(anna, monkeypatch):
    looked = []
    monkeypatch.setattr(mailbox_delivery, "remove_leftovers", lambda tmp, now: looked.append(now))
    real = os.fstat

    def fstat(descriptor):
        """As if the clock stood still a second before the hour."""
        found = real(descriptor)
        return SimpleNamespace(st_mtime=3599.0, st_mtime_ns=found.st_mtime_ns, st_ino=found.st_ino)

    anna.deliver(RAW, "first")
    looked.clear()
    monkeypatch.setattr(os, "fstat", fstat)
    anna.deliver(RAW, "second")
    assert looked == []
    monkeypatch.setattr(os, "fstat", real)
    os.utime(anna.root / "tmp", (time.time() - 3600,) * 2)

    anna.deliver(RAW, "third")

    assert len(looked) == 1


def test_a_maildir_restored_without_its_empty_folders_works_again(anna):
    anna.deliver(RAW, NAME)
    (anna.root / "tmp").rmdir()
    (anna.root / "cur").rmdir()

    assert names(anna.list()) == [NAME]
    assert anna.flag(NAME, add="S") == "S"
    assert anna.deliver(RAW, "another") is True


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    root = tmp_path / "disk"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(root)], check=True)
    yield root
    subprocess.run(["umount", str(root)], check=True)


def test_a_full_disk_is_temporary_and_leaves_nothing_half(small_disk):
    anna = mailbox_of(small_disk, "anna@example.org")
    anna.deliver(RAW, NAME)

    with pytest.raises(MailboxError, match="make room") as refusal:
        anna.deliver(b"x" * 500_000, "large")

    assert refusal.value.temporary
    assert files(anna) == [f"new/{NAME}"]
    assert anna.deliver(RAW, "small") is True


def test_a_disk_without_room_for_another_folder_is_temporary(small_disk):
    (small_disk / "filler").write_bytes(b"x" * 262_144)

    with pytest.raises(MailboxError, match="make room"):
        mailbox_of(small_disk, "anna@example.org").deliver(RAW, NAME)


def test_a_disk_mounted_read_only_is_temporary_and_can_still_be_read(small_disk):
    anna = mailbox_of(small_disk, "anna@example.org")
    anna.deliver(RAW, NAME)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    for action in (
        lambda: anna.deliver(RAW, "another"),
        lambda: mailbox_of(small_disk, "eva@example.org").deliver(RAW, NAME),
        lambda: anna.flag(NAME, add="S"),
    ):
        with pytest.raises(MailboxError, match="mount it for writing") as refusal:
            action()
        assert refusal.value.temporary
    assert anna.read(NAME) == RAW
    assert anna.deliver(RAW, NAME) is False


def test_a_write_that_fails_half_way_leaves_nothing(anna, monkeypatch):
    anna.deliver(b"", "first")

    def failing(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)

    with pytest.raises(MailboxError, match="Input/output error"):
        anna.deliver(RAW, NAME)
    assert files(anna) == ["new/first"]


@pytest.mark.parametrize("action", ["deliver", "list", "read", "state", "exists"])
def test_a_missing_mail_root_is_named_and_never_made(tmp_path, action):
    root = tmp_path / "not-mounted"
    anna = mailbox_of(root, "anna@example.org")
    arguments = {"deliver": (RAW, NAME), "read": (NAME,)}.get(action, ())

    with pytest.raises(MailboxError, match=r"no mail root there; mount its disk, or let `messenger setup`") as refusal:
        getattr(anna, action)(*arguments)

    assert refusal.value.temporary
    assert str(root) in str(refusal.value)
    assert not root.exists()


def test_a_file_in_the_place_of_the_mail_root_is_temporary(tmp_path):
    (tmp_path / "mail").write_bytes(b"")

    with pytest.raises(MailboxError, match="stands in the way"):
        mailbox_of(tmp_path / "mail", "anna@example.org").deliver(RAW, NAME)


def test_folders_that_may_not_be_written_are_named_with_their_mend(root):
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    for path in [root, *list(root.parents)[:2]]:
        path.chmod(0o755)
    code = (
        "import os, sys; from pathlib import Path; from messenger.mailbox import *\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: mailbox_of(Path(sys.argv[1]), 'anna@example.org').deliver(b'', 'a')\n"
        "except MailboxError as error: print(error.temporary, error)\n"
    )

    done = subprocess.run([sys.executable, "-c", code, str(root)], cwd=REPOSITORY, capture_output=True, text=True)

    assert done.stdout.startswith("True ") or "Permission denied" in done.stderr, done.stderr
    assert "2770" in done.stdout
