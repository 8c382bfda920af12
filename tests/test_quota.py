"""How full a mailbox is: maildirsize is right whoever delivers, moves and removes, and cheap to keep so."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from messenger import quota
from messenger.mailbox import Usage

from .mailbox_fixtures import NAME, RAW, REPOSITORY, anna_fixture, root_fixture  # noqa: F401

LIMIT = 1_000_000
NOW = 1_800_000_000


def now() -> float:
    return time.time()


def used(mailbox, limit=LIMIT) -> tuple[int, int]:
    found = mailbox.usage(limit, now())
    return found.octets, found.messages


def truth(mailbox) -> tuple[int, int]:
    """What lies there, trash apart."""
    sizes = [
        file.stat().st_size
        for directory in ("new", "cur")
        for file in mailbox.root.rglob(f"{directory}/*")
        if ".Trash" not in file.parts
    ]
    return sum(sizes), len(sizes)


def lines(mailbox) -> list[str]:
    return (mailbox.root / "maildirsize").read_text().splitlines()


@pytest.fixture
def counted(monkeypatch):
    """How often all messages were counted."""
    calls = []
    real = quota._sum
    monkeypatch.setattr(quota, "_sum", lambda root: calls.append(root) or real(root))
    return calls


# What is used


def test_a_mailbox_that_is_not_there_is_empty_and_is_not_made(anna):
    assert anna.usage(LIMIT, NOW) == Usage(0, 0, LIMIT)
    assert not anna.root.exists()


def test_each_change_is_one_line_in_the_file_of_maildir_plus_plus(anna, counted):
    anna.deliver(b"x" * 100, "first")
    assert used(anna) == (100, 1)
    assert lines(anna) == ["1000000S", "100 1"]

    anna.deliver(b"x" * 200, "second")
    anna.deliver(b"x" * 200, "second")
    anna.deliver(b"x" * 400, "sent", "Sent", flags="S")
    anna.flag("first", add="S")
    anna.move("first", "", "Archive")
    anna.remove("second", "")

    assert lines(anna) == ["1000000S", "100 1", "200 1", "400 1", "-200 -1"]
    assert used(anna) == truth(anna) == (500, 2)
    assert len(counted) == 1


def test_what_is_thrown_away_makes_room_and_takes_it_again_when_it_is_taken_back(anna):
    for name in ("first", "second"):
        anna.deliver(b"x" * 100, name)
    used(anna)

    anna.move_all(["first", "second"], "", "Trash")
    assert used(anna) == (0, 0)
    anna.remove("first", "Trash")
    anna.move("second", "Trash", "")
    assert used(anna) == truth(anna) == (100, 1)
    anna.move("second", "", "Trash")
    anna.empty("Trash")

    assert used(anna) == truth(anna) == (0, 0)


def test_emptying_a_folder_and_moving_onto_a_copy_keep_the_sum_right(anna):
    anna.deliver(RAW, NAME)
    anna.deliver(RAW, NAME, "Archive", flags="S")
    anna.deliver(RAW, "other", "Drafts", flags="D")
    used(anna)

    anna.move(NAME, "", "Archive")
    assert used(anna) == truth(anna) == (2 * len(RAW), 2)
    anna.move(NAME, "Archive", "Archive")
    anna.empty("Drafts")

    assert used(anna) == truth(anna) == (len(RAW), 1)


def test_a_copy_that_two_deliveries_left_counts_once_it_is_gone(anna):
    anna.deliver(RAW, NAME)
    anna.flag(NAME, add="S")
    (anna.root / "new" / NAME).write_bytes(RAW)
    assert used(anna) == (2 * len(RAW), 2)

    anna.flag(NAME, add="F")

    assert used(anna) == truth(anna) == (len(RAW), 1)


def test_a_size_in_a_name_counts_as_other_programs_take_it(anna):
    anna.deliver(RAW, NAME)
    (anna.root / "cur" / "1700000000.M1.host,S=5000,W=5100:2,S").write_bytes(b"compressed")

    assert used(anna) == (5000 + len(RAW), 2)
    anna.remove("1700000000.M1.host,S=5000,W=5100", "")

    assert used(anna) == (len(RAW), 1)


@pytest.mark.parametrize(
    ("usage", "fits", "percent"),
    [(Usage(90, 1, 100), True, 90), (Usage(91, 1, 100), False, 91), (Usage(10**12, 1, 0), True, 0)],
)
def test_a_message_fits_up_to_the_last_octet(usage, fits, percent):
    assert usage.has_room(10) is fits
    assert usage.percent == percent


# When all messages are counted


@pytest.mark.parametrize(
    "content",
    [b"", b"1000000S\n", b"999S\n5 1\n", b"1000000S,10C\n5 1\n", b"1000000S\n5 1", b"1000000S\n5 x\n", b"1000000S\n5\n",
     b"1000000S\n5 1 1\n", b"1000000S\n-5 1\n", b"1000000S\n5 -1\n", b"\0" * 100, b"1000000S\n" + b"0 0\n" * 1300],
)  # fmt: skip
def test_a_file_that_cannot_be_believed_is_made_anew(anna, content):
    anna.deliver(RAW, NAME)
    (anna.root / "maildirsize").write_bytes(content)

    assert used(anna) == (len(RAW), 1)
    assert lines(anna) == ["1000000S", f"{len(RAW)} 1"]


def test_a_sum_that_says_full_is_believed_for_a_quarter_of_an_hour(anna, counted):
    anna.deliver(b"x" * 300, "first")
    anna.deliver(b"x" * 300, "second")
    assert used(anna, limit=500) == (600, 2)
    (anna.root / "new" / "second").unlink()  # by another program, which says nothing

    assert used(anna, limit=500) == (600, 2)
    assert len(counted) == 1
    assert anna.usage(500, now() + quota.STALE_SECONDS + 1) == Usage(300, 1, 500)


def test_a_sum_of_several_lines_that_says_full_is_counted_anew(anna, counted):
    anna.deliver(b"x" * 300, "first")
    used(anna, limit=500)
    anna.deliver(b"x" * 300, "second")
    (anna.root / "new" / "second").unlink()

    assert used(anna, limit=500) == (300, 1)
    assert len(counted) == 2


def test_several_hundred_deliveries_count_once_more(anna, counted, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    anna.deliver(b"x", "m0")
    used(anna)

    for number in range(1, 1400):
        anna.deliver(b"x", f"m{number}")
        anna.usage(LIMIT, NOW)

    assert used(anna) == (1400, 1400)
    assert len(counted) == 2
    assert (anna.root / "maildirsize").stat().st_size < quota.FILE_OCTETS


def test_a_file_that_nobody_reads_does_not_grow_without_end(anna):
    anna.deliver(RAW, NAME)
    used(anna)
    with (anna.root / "maildirsize").open("ab") as file:
        file.write(b"0 0\n" * (quota.UNREAD_OCTETS // 4))

    anna.deliver(RAW, "another")

    assert not (anna.root / "maildirsize").exists()


def test_without_the_file_a_delivery_writes_none(anna):
    anna.deliver(RAW, NAME)

    assert not (anna.root / "maildirsize").exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_stands_in_place_of_the_file_keeps_no_mail_back(anna, tmp_path, kind):
    anna.deliver(RAW, NAME)
    target = tmp_path / "elsewhere"
    target.write_bytes(b"mine")
    place = anna.root / "maildirsize"
    {"link": lambda: place.symlink_to(target), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()

    assert anna.deliver(RAW, "another")
    assert used(anna) == (2 * len(RAW), 2)

    assert target.read_bytes() == b"mine"


def test_a_line_that_was_not_written_whole_takes_the_file_along(anna, monkeypatch):
    anna.deliver(RAW, NAME)
    used(anna)
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, line: real(file, line[:1]) if line == b"1 1\n" else real(file, line))

    assert anna.deliver(b"x", "another")

    assert not (anna.root / "maildirsize").exists()
    assert used(anna) == (len(RAW) + 1, 2)


# Several at once, and crashes

WORK = """
import os, sys, threading, time
from pathlib import Path
from messenger.mailbox import mailbox_of
os.fsync = lambda descriptor: None
anna = mailbox_of(Path(sys.argv[1]), "anna@example.org")

def work(who):
    for number in range(100):
        name = f"{who}.{number}"
        anna.deliver(b"x" * (number + 1), name)
        if number % 5 == 0:
            anna.move(name, "", "Trash" if number % 10 else "Archive")
        if number % 7 == 0:
            anna.flag(name, add="S", folder=anna.find(name, ["", "Archive", "Trash"]))
        if number % 11 == 0:
            anna.remove(name, anna.find(name, ["", "Archive", "Trash"]))
        if number % 20 == 0:
            if sys.argv[3] == "lost":
                (anna.root / "maildirsize").unlink(missing_ok=True)
            anna.usage(10_000_000, time.time())

threads = [threading.Thread(target=work, args=(f"{sys.argv[2]}{number}",)) for number in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


@pytest.mark.parametrize("meanwhile", ["read", "lost"])
def test_eight_at_once_keep_the_file_equal_to_the_truth(root, anna, meanwhile):
    """Two processes of four threads, while the file is read and counted anew all the time."""
    anna.ensure()
    anna.usage(10_000_000, now())
    started = [
        subprocess.Popen([sys.executable, "-c", WORK, str(root), who, meanwhile], cwd=REPOSITORY) for who in "ab"
    ]

    assert [process.wait(100) for process in started] == [0, 0]

    stated = [tuple(map(int, line.split())) for line in lines(anna)[1:]]
    assert tuple(map(sum, zip(*stated, strict=True))) == truth(anna)
    assert used(anna, 10_000_000) == truth(anna)


def test_whoever_delivers_waits_for_the_count_and_is_in_it_or_after_it(anna, monkeypatch):
    anna.deliver(RAW, "first")
    real = quota._sum
    delivery = threading.Thread(target=anna.deliver, args=(RAW, "second"))

    def slow(root):
        delivery.start()
        delivery.join(0.3)  # it can't end before the count does
        return real(root)

    monkeypatch.setattr(quota, "_sum", slow)

    assert used(anna) == (len(RAW), 1)
    delivery.join(10)

    assert used(anna) == truth(anna) == (2 * len(RAW), 2)


KILLED = """
import os, signal, sys, time
from pathlib import Path
from messenger import quota
from messenger.mailbox import mailbox_of
anna = mailbox_of(Path(sys.argv[1]), "anna@example.org")
where, name = sys.argv[2].split(".")
place = {"os": os, "quota": quota}[where]
setattr(place, name, lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
anna.usage(1_000_000, time.time())
"""


@pytest.mark.parametrize("step", ["quota._sum", "os.write", "os.fchmod", "os.rename"])
def test_a_count_killed_anywhere_leaves_a_mailbox_that_works(root, anna, step):
    anna.deliver(RAW, NAME)
    (anna.root / "maildirsize").write_bytes(b"7S\n1 1\n")

    done = subprocess.run([sys.executable, "-c", KILLED, str(root), step], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert anna.deliver(RAW, "another")

    assert used(anna) == truth(anna) == (2 * len(RAW), 2)
    assert lines(anna)[0] == "1000000S"


def test_on_a_file_system_without_locks_it_works_all_the_same(anna, monkeypatch):
    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(quota.fcntl, "flock", none)
    anna.deliver(RAW, NAME)
    used(anna)
    anna.deliver(RAW, "another")

    assert used(anna) == truth(anna) == (2 * len(RAW), 2)


def test_a_folder_that_is_shut_to_us_is_not_counted_and_keeps_no_mail_back(anna, monkeypatch):
    anna.deliver(RAW, NAME)
    anna.deliver(RAW, "theirs", "Shut", flags="S")
    real = os.open

    def shut(path, *given, **more):
        if path == ".Shut":
            raise PermissionError(13, "Permission denied")
        return real(path, *given, **more)

    monkeypatch.setattr(os, "open", shut)

    assert used(anna) == (len(RAW), 1)


def test_whoever_may_not_write_the_file_counts_each_time(root, anna):
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    anna.deliver(RAW, NAME)
    for path in (root, *list(root.parents)[:2]):
        path.chmod(0o755)
    for path in (*anna.root.parents[:2], anna.root, *anna.root.glob("*")):
        path.chmod(0o755)
    code = (
        "import os, sys, time; from pathlib import Path; from messenger.mailbox import mailbox_of\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "print(mailbox_of(Path(sys.argv[1]), 'anna@example.org').usage(1000, time.time()).octets)\n"
    )

    done = subprocess.run([sys.executable, "-c", code, str(root)], cwd=REPOSITORY, capture_output=True, text=True)

    assert done.stdout == f"{len(RAW)}\n" or "Permission denied" in done.stderr, done.stderr
    assert not Path(anna.root / "maildirsize").exists()
