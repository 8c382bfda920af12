"""Mailboxes: whole, once, and seen alike by whoever else reads them."""

import os
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pytest

from messenger import mailbox_delivery
from messenger.mailbox import Entry, NoSuchMessage, mailbox_of

from .mailbox_fixtures import NAME, RAW, REPOSITORY, anna_fixture, files, names, root_fixture  # noqa: F401

# -- delivering


def test_what_was_delivered_is_there_byte_for_byte(anna):
    raw = bytes(range(256)) * 1000

    assert anna.deliver(raw, NAME) is True

    assert anna.read(NAME) == raw
    assert files(anna) == [f"new/{NAME}"]


def test_an_empty_mail_is_a_mail(anna):
    anna.deliver(b"", NAME)

    assert anna.read(NAME) == b""


def test_a_mailbox_does_not_exist_before_its_first_mail(anna):
    assert not anna.exists()
    assert anna.list() == []
    assert anna.state() == (0, 0)
    assert not anna.root.exists()

    anna.deliver(RAW, NAME)

    assert anna.exists()


def test_reading_what_is_not_there_says_so(anna):
    with pytest.raises(NoSuchMessage) as refusal:
        anna.read(NAME)
    assert not refusal.value.temporary

    anna.deliver(RAW, NAME)

    for action in (
        lambda: anna.read("other"),
        lambda: anna.read(NAME, "Sent"),
        lambda: anna.flag("other", add="S"),
        lambda: anna.move("other", "", "Trash"),
        lambda: anna.read("../cur/x"),
        lambda: anna.read("\ud800"),
        lambda: anna.read(""),
        lambda: anna.read(NAME[:-1]),
        lambda: anna.read("x" * 5000),
    ):
        with pytest.raises(NoSuchMessage):
            action()


def test_intake_and_reader_share_by_group_whatever_the_umask_is(anna):
    old = os.umask(0o077)
    try:
        anna.deliver(RAW, NAME)
        anna.move(NAME, "", "Trash")
    finally:
        os.umask(old)

    made = [anna.root.parent.parent, *anna.root.parent.parent.rglob("*")]
    directories = {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()}
    regular = {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()}
    assert (directories, regular) == ({0o2770}, {0o660})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another group")
def test_the_group_of_the_mail_root_is_handed_on(root, anna):
    os.chown(root, -1, 54321)
    root.chmod(0o2770)

    anna.deliver(RAW, NAME)

    assert {path.stat().st_gid for path in root.rglob("*")} == {54321}


def test_the_date_of_delivery_survives_flags_and_moves(anna):
    anna.deliver(RAW, NAME)
    path = anna.root / "new" / NAME
    os.utime(path, (1_600_000_000, 1_600_000_000))

    anna.flag(NAME, add="S")
    anna.move(NAME, "", "Trash")

    assert anna.list("Trash") == [Entry(NAME, "S", "Trash", 1_600_000_000, len(RAW), new=False)]


# -- twice is once


def test_the_same_mail_twice_is_once(anna):
    anna.deliver(RAW, NAME)

    assert anna.deliver(RAW, NAME) is False
    assert files(anna) == [f"new/{NAME}"]


@pytest.mark.parametrize("flags", ["".join(chosen) for count in range(7) for chosen in combinations("DFPRST", count)])
def test_a_mail_that_was_opened_and_flagged_is_not_delivered_again(anna, flags):
    anna.deliver(RAW, NAME)
    anna.flag(NAME, add=flags)

    assert anna.deliver(RAW, NAME) is False
    assert files(anna) == [f"cur/{NAME}:2,{flags}"]


def test_a_mail_in_cur_without_any_flags_part_is_not_delivered_again(anna):
    anna.deliver(RAW, NAME)
    (anna.root / "new" / NAME).rename(anna.root / "cur" / NAME)

    assert anna.deliver(RAW, NAME) is False
    assert anna.list() == [Entry(NAME, "", "", anna.list()[0].received, len(RAW), new=False)]


def test_a_mail_thrown_away_before_the_retry_is_not_delivered_again(anna):
    anna.deliver(RAW, NAME)
    anna.flag(NAME, add="S")
    anna.move(NAME, "", "Trash")

    assert anna.deliver(RAW, NAME) is False
    assert anna.list() == []


def test_a_mail_with_flags_counts_as_seen_by_a_client(anna):
    assert anna.deliver(RAW, NAME, folder="Sent", flags="S") is True
    assert anna.deliver(RAW, NAME, folder="Sent", flags="S") is False

    assert files(anna) == [f".Sent/cur/{NAME}:2,S", ".Sent/maildirfolder"]


def test_many_at_once_leave_one_copy_and_one_of_them_made_it(anna):
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: anna.deliver(RAW * 1000, NAME), range(64)))

    assert Counter(made) == {True: 1, False: 63}
    assert files(anna) == [f"new/{NAME}"]


def test_processes_that_deliver_the_same_mails_make_each_once(root, anna):
    code = (
        "import sys; from pathlib import Path; from messenger.mailbox import mailbox_of\n"
        "anna = mailbox_of(Path(sys.argv[1]), 'anna@example.org')\n"
        "print(sum(anna.deliver(b'x' * 1000, f'{number:064x}') for number in range(50)))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(root)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    made = [int(process.communicate(timeout=60)[0]) for process in started]

    assert sum(made) == 50
    assert files(anna) == [f"new/{number:064x}" for number in range(50)]


def test_many_at_once_while_a_reader_opens_and_flags_leave_one_copy(anna):
    stop = threading.Event()

    def read():
        flags = "SFR"
        while not stop.is_set():
            for entry in anna.list():
                anna.flag(entry.name, add=flags[0])
                flags = flags[1:] + flags[0]

    reader = threading.Thread(target=read)
    reader.start()
    delivered = Counter()  # more than once only where the reader's rename put one copy in the place of the other
    try:
        for number in range(30):
            name = f"{number:064x}"
            with ThreadPoolExecutor(6) as pool:
                delivered[name] += sum(pool.map(lambda _, name=name: anna.deliver(RAW, name), range(6)))
    finally:
        stop.set()
        reader.join()

    assert len(files(anna)) == 30
    assert min(delivered.values()) >= 1


@pytest.fixture
def twice_there(anna):
    """What two deliveries of one mail leave when the first is opened while the second looks for it."""
    anna.deliver(RAW, "other")
    (anna.root / "cur" / f"{NAME}:2,F").write_bytes(RAW)
    (anna.root / "new" / NAME).write_bytes(RAW)
    return anna


def test_two_copies_of_one_mail_become_one_when_it_is_opened(twice_there):
    twice_there.flag(NAME, add="S")

    assert [file for file in files(twice_there) if NAME in file] == [f"cur/{NAME}:2,FS"]


def test_two_copies_of_one_mail_become_one_when_it_is_moved(twice_there):
    twice_there.move(NAME, "", "Archive")

    assert [entry.name for entry in twice_there.list()] == ["other"]
    assert [entry.flags for entry in twice_there.list("Archive")] == ["F"]


def test_a_copy_is_taken_back_when_another_was_first_and_has_been_opened(anna, monkeypatch):
    anna.deliver(b"", "other")
    os.utime(anna.root / "cur", (1_700_000_000, 1_700_000_000))  # nobody has been here for long
    real = mailbox_delivery.link

    def late(temporary, tmp, file_name, target):
        # The other delivery and its reader run between our look and our link.
        monkeypatch.setattr(mailbox_delivery, "link", real)
        assert anna.deliver(RAW, NAME) is True
        anna.flag(NAME, add="S")
        return real(temporary, tmp, file_name, target)

    monkeypatch.setattr(mailbox_delivery, "link", late)

    assert anna.deliver(RAW, NAME) is False
    assert [entry.flags for entry in anna.list() if entry.name == NAME] == ["S"]
    assert files(anna) == [f"cur/{NAME}:2,S", "new/other"]


def test_our_own_copy_opened_at_once_is_not_taken_for_another(anna, monkeypatch):
    anna.deliver(b"", "other")
    real = mailbox_delivery.link

    def opened_at_once(temporary, tmp, file_name, target):
        linked = real(temporary, tmp, file_name, target)
        anna.flag(NAME, add="S")
        return linked

    monkeypatch.setattr(mailbox_delivery, "link", opened_at_once)

    assert anna.deliver(RAW, NAME) is True
    assert anna.read(NAME) == RAW


# -- reading, flags, folders


def test_flags_are_added_and_removed(anna):
    anna.deliver(RAW, NAME)

    assert anna.flag(NAME) == ""
    assert anna.list()[0].new is False
    assert anna.flag(NAME, add="S") == "S"
    assert anna.flag(NAME, add="RF") == "FRS"
    assert anna.flag(NAME, remove="F", add="S") == "RS"
    assert files(anna) == [f"cur/{NAME}:2,RS"]


def test_keywords_of_an_imap_server_survive_our_flags(anna):
    anna.deliver(RAW, NAME)
    (anna.root / "new" / NAME).rename(anna.root / "cur" / f"{NAME}:2,Sac")

    assert anna.read(NAME) == RAW
    assert anna.flag(NAME, add="R") == "RSac"
    assert files(anna) == [f"cur/{NAME}:2,RSac"]


def test_a_message_moves_to_a_folder_of_maildir_plus_plus_and_back(anna):
    anna.deliver(RAW, NAME)
    anna.flag(NAME, add="FS")

    anna.move(NAME, "", "Trash")

    assert files(anna) == [f".Trash/cur/{NAME}:2,FS", ".Trash/maildirfolder"]
    assert anna.read(NAME, "Trash") == RAW
    assert anna.list() == []

    anna.move(NAME, "Trash", "")

    assert files(anna) == [".Trash/maildirfolder", f"cur/{NAME}:2,FS"]


def test_names_of_other_programs_are_listed_and_read(anna):
    anna.deliver(RAW, NAME)
    other = "1700000000.M123P4.host,S=33,W=34"
    (anna.root / "cur" / f"{other}:2,S").write_bytes(RAW)

    assert names(anna.list()) == sorted([NAME, other])
    assert anna.read(other) == RAW


def test_files_that_are_no_messages_are_left_out(anna):
    anna.deliver(RAW, NAME)
    for name in (b".hidden", b"caf\xe9:2,", "ü:2,S".encode(), b"a b:2,", b"a\nb:2,"):
        Path(os.fsdecode(os.fsencode(anna.root / "cur") + b"/" + name)).write_bytes(b"")

    assert names(anna.list()) == [NAME]


def test_new_mail_can_be_listed_alone(anna):
    anna.deliver(RAW, NAME)
    anna.deliver(RAW, "seen", flags="S")

    assert names(anna.list(new_only=True)) == [NAME]
    assert names(anna.list()) == sorted([NAME, "seen"])


def test_the_beginning_of_a_message_can_be_read_alone(anna):
    anna.deliver(b"Subject: x\r\n\r\nbody", NAME)

    assert anna.read(NAME, limit=10) == b"Subject: x"
    assert anna.read(NAME, limit=1000) == b"Subject: x\r\n\r\nbody"


def test_who_knows_a_folder_is_told_what_has_changed_in_it(anna):
    for name in ("same", "flagged", "gone", "fresh"):
        anna.deliver(RAW, name, flags="S")
    anna.flag("flagged", add="R")
    anna.deliver(RAW, "new")
    (anna.root / "cur" / "gone:2,S").unlink()

    found, gone = anna.changes({"same": "S", "flagged": "S", "gone": "S"})

    assert {(entry.name, entry.flags, entry.size, entry.new) for entry in found} == {
        ("flagged", "RS", len(RAW), False),
        ("fresh", "S", len(RAW), False),
    }
    assert gone == {"gone"}


def test_in_a_folder_that_is_not_there_everything_is_gone(anna):
    assert anna.changes({"one": "", "two": "S"}) == ([], {"one", "two"})


def test_reading_goes_on_while_another_program_renames(anna):
    anna.deliver(RAW, NAME)
    stop = threading.Event()

    def rename():
        while not stop.is_set():
            anna.flag(NAME, add="S")
            anna.flag(NAME, remove="S")

    other = threading.Thread(target=rename)
    other.start()
    try:
        assert {anna.read(NAME) for _ in range(500)} == {RAW}
    finally:
        stop.set()
        other.join()


def test_the_state_changes_with_every_change(anna):
    anna.deliver(RAW, NAME)
    states = [anna.state()]
    for change in (
        lambda: anna.deliver(RAW, "another"),
        lambda: anna.flag(NAME, add="S"),
        lambda: anna.flag(NAME, add="R"),
        lambda: anna.move(NAME, "", "Trash"),
    ):
        time.sleep(0.02)  # longer than the clock of the file system ticks
        change()
        states.append(anna.state())

    assert len(set(states)) == 5


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_no_descriptor_stays_open(anna):
    anna.deliver(RAW, NAME)
    before = descriptors()

    for number in range(20):
        anna.deliver(RAW, f"{number}")
        anna.list()
        anna.read(NAME)
        anna.flag(NAME, add="S")
        anna.state()
        anna.exists()
        anna.list("Nowhere")
        with pytest.raises(NoSuchMessage):
            anna.read("gone")

    assert descriptors() == before


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A mailbox of 100,000 messages, seen and flagged in turn."""
    root = tmp_path_factory.mktemp("large")
    mailbox = mailbox_of(root, "anna@example.org")
    mailbox.deliver(RAW, NAME)
    cur = mailbox.root / "cur"
    (cur / "0").write_bytes(RAW)
    for number in range(99_999):
        # Links of one file, 30,000 each: this is about names, not about inodes.
        if number % 30_000 == 0:
            source = cur / f"{number:064x}:2,"
            source.write_bytes(RAW)
        else:
            os.link(source, cur / f"{number:064x}:2,{'S' if number % 3 else ''}")
    (cur / "0").unlink()
    return mailbox


def test_a_hundred_thousand_messages_are_listed_in_seconds(large):
    start = time.process_time()

    entries = large.list()

    assert len(entries) == 100_000
    assert time.process_time() - start < 5  # about half a second on an idle machine


def test_one_message_among_a_hundred_thousand_is_found_at_once(large):
    start = time.process_time()

    for number in range(100):
        assert large.read(f"{number * 7:064x}") == RAW
        large.deliver(RAW, f"{number * 7:064x}")

    assert time.process_time() - start < 1
