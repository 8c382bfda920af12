"""Mailboxes: durable, once, whole, and where they belong."""

import errno
import hashlib
import os
import signal
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
from hypothesis import given, settings

from messenger import mailbox as mailbox_module
from messenger import maildir
from messenger.envelope import AddressError, normal
from messenger.mailbox import Entry, Mailbox, MailboxError, NoSuchMessage, address_of, mailbox_of, path_of
from tests.test_envelope import ADDRESSES

RAW = b"From: eva@example.org\r\n\r\nHello\r\n"
NAME = hashlib.sha256(RAW).hexdigest()
REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "mail"
    root.mkdir()
    return root


@pytest.fixture
def anna(root):
    return mailbox_of(root, "anna@example.org")


def files(mailbox, folder=""):
    """All files below the Maildir or one folder of it, as paths from there."""
    base = mailbox.root / folder
    return sorted(str(path.relative_to(base)) for path in base.rglob("*") if not path.is_dir())


def directory_of(descriptor):
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def names(entries):
    return sorted(entry.name for entry in entries)


# -- where a mailbox lives


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("anna@example.org", "example.org/anna/Maildir"),
        ("ANNA@Example.ORG", "example.org/anna/Maildir"),
        ("anna.b+c_d=e-f@example.org", "example.org/anna.b+c_d=e-f/Maildir"),
        ("anna@BÜCHER.example", "xn--bcher-kva.example/anna/Maildir"),
        (
            '"../../etc"@example.org',
            "example.org/%2e.%2f..%2fetc/Maildir",
        ),
        ('".."@example.org', "example.org/%2e./Maildir"),
        ('"."@example.org', "example.org/%2e/Maildir"),
        ("/@example.org", "example.org/%2f/Maildir"),
        ("-rf@example.org", "example.org/%2drf/Maildir"),
        ("%2f@example.org", "example.org/%252f/Maildir"),
        ("ä@example.org", "example.org/%c3%a4/Maildir"),
        ('"a b"@example.org', "example.org/a%20b/Maildir"),
        ("a@[192.0.2.1]", "%5b192.0.2.1%5d/a/Maildir"),
        ("a@[IPv6:::1]", "%5bipv6%3a%3a%3a1%5d/a/Maildir"),
    ],
)
def test_a_mailbox_lives_where_a_sysadmin_looks_for_it(address, path):
    assert path_of(Path("/mail"), address) == Path("/mail") / path


@settings(max_examples=300, deadline=None)
@given(ADDRESSES)
def test_every_address_has_a_safe_path_that_leads_back_to_it(address):
    try:
        meant = normal(address)
    except AddressError:
        return

    path = path_of(Path("/mail"), address)

    assert address_of(Path("/mail"), path) == meant
    assert path.parts[:2] == ("/", "mail")
    assert len(path.parts) == 5
    assert str(path) == os.path.normpath(path)
    for part in path.parts[2:4]:
        assert part.isascii()
        assert part == part.lower()
        assert part[0] not in ".-"
        assert len(part) <= 255


@settings(deadline=None)
@given(ADDRESSES, ADDRESSES)
def test_two_addresses_never_share_a_path(one, another):
    try:
        same = normal(one) == normal(another)
    except AddressError:
        return

    assert (path_of(Path("/mail"), one) == path_of(Path("/mail"), another)) is same


def test_the_longest_local_part_still_fits_a_file_name():
    path = path_of(Path("/mail"), "ä" * 32 + "@example.org")

    assert len(path.parent.name) == 192


@pytest.mark.parametrize(
    "path",
    [
        "/mail/example.org/Anna/Maildir",
        "/mail/example.org/anna",
        "/mail/example.org/anna/Maildir/new",
        "/mail/example.org/anna/Mail",
        "/elsewhere/example.org/anna/Maildir",
        "/mail/example.org/%41nna/Maildir",
        "/mail/example.org/%ff/Maildir",
        "/mail/example.org/%2F/Maildir",
        "/mail/example.org/a%/Maildir",
        "/mail/example.org/a b/Maildir",
        "/mail/exa_mple/a/Maildir",
        "/mail/lost+found/a/Maildir",
        "/mail",
    ],
)
def test_a_path_that_no_address_has_is_nobodys(path):
    with pytest.raises(AddressError, match="expected"):
        address_of(Path("/mail"), Path(path))


def test_what_is_no_address_has_no_mailbox(root):
    with pytest.raises(AddressError):
        mailbox_of(root, "../../etc/passwd")


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


def test_a_copy_is_taken_back_when_another_was_first_and_has_been_opened(anna, monkeypatch):
    anna.deliver(b"", "other")
    real = mailbox_module._link

    def late(temporary, tmp, file_name, target):
        # The other delivery and its reader run between our look and our link.
        monkeypatch.setattr(mailbox_module, "_link", real)
        assert anna.deliver(RAW, NAME) is True
        anna.flag(NAME, add="S")
        return real(temporary, tmp, file_name, target)

    monkeypatch.setattr(mailbox_module, "_link", late)

    assert anna.deliver(RAW, NAME) is False
    assert [entry.flags for entry in anna.list() if entry.name == NAME] == ["S"]
    assert files(anna) == [f"cur/{NAME}:2,S", "new/other"]


def test_our_own_copy_opened_at_once_is_not_taken_for_another(anna, monkeypatch):
    anna.deliver(b"", "other")
    real = mailbox_module._link

    def opened_at_once(temporary, tmp, file_name, target):
        linked = real(temporary, tmp, file_name, target)
        anna.flag(NAME, add="S")
        return linked

    monkeypatch.setattr(mailbox_module, "_link", opened_at_once)

    assert anna.deliver(RAW, NAME) is True
    assert anna.read(NAME) == RAW


# -- crashes

KILLED = """
import os, signal, sys
from pathlib import Path
from messenger import mailbox

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
    mailbox.memoryview = lambda raw: os.kill(os.getpid(), signal.SIGKILL)
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

    anna.deliver(RAW, "another")

    assert files(anna, "tmp") == ["young"]


def test_a_maildir_restored_without_its_empty_folders_works_again(anna):
    anna.deliver(RAW, NAME)
    (anna.root / "tmp").rmdir()
    (anna.root / "cur").rmdir()

    assert names(anna.list()) == [NAME]
    assert anna.flag(NAME, add="S") == "S"
    assert anna.deliver(RAW, "another") is True


# -- when the disk will not


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


# -- hostile neighbours in the tree


@pytest.mark.parametrize(
    "level", ["example.org", "example.org/anna", "example.org/anna/Maildir", "example.org/anna/Maildir/new"]
)
def test_no_symbolic_link_leads_out_of_the_mail_root(root, anna, tmp_path, level):
    outside = tmp_path / "outside"
    outside.mkdir()
    place = root / level
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside)

    with pytest.raises(MailboxError, match="bind mount"):
        anna.deliver(RAW, NAME)

    assert list(outside.rglob("*")) == []


def test_a_message_that_is_a_symbolic_link_or_a_pipe_is_none(anna, tmp_path):
    anna.deliver(RAW, NAME)
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (anna.root / "cur" / "link:2,").symlink_to(secret)
    os.mkfifo(anna.root / "cur" / "pipe:2,")
    (anna.root / "cur" / "folder:2,").mkdir()

    assert names(anna.list()) == [NAME]
    with pytest.raises(MailboxError):
        anna.read("link")
    for name in ("pipe", "folder"):
        with pytest.raises((NoSuchMessage, MailboxError)):
            anna.read(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a:2,S", ".hidden", "a\n", "a\x00", "ä", "a" * 201, "a b"]
)
def test_a_name_that_is_no_maildir_name_is_a_mistake_of_the_caller(anna, name):
    with pytest.raises(ValueError, match="Maildir name"):
        anna.deliver(RAW, name)


@pytest.mark.parametrize("folder", [".", "..", "../x", "a/b", ".Sent", "Sent.", "a..b", "\x00", "a\n", "x" * 201])
def test_a_folder_that_is_none_is_a_mistake_of_the_caller(anna, folder):
    anna.deliver(RAW, NAME)

    for action in (
        lambda: anna.deliver(RAW, NAME, folder),
        lambda: anna.list(folder),
        lambda: anna.move(NAME, "", folder),
    ):
        with pytest.raises(ValueError, match="folder"):
            action()
    assert files(anna) == [f"new/{NAME}"]


@pytest.mark.parametrize("flags", ["a", "s", "2", ":", "S,", "/"])
def test_a_flag_that_is_none_is_a_mistake_of_the_caller(anna, flags):
    anna.deliver(RAW, NAME)

    for action in (lambda: anna.deliver(RAW, "b", flags=flags), lambda: anna.flag(NAME, add=flags)):
        with pytest.raises(ValueError, match="flags"):
            action()


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


def test_mailbox_takes_what_path_of_gives(root):
    assert mailbox_of(root, "A@b.c") == Mailbox(path_of(root, "a@b.c"))


def test_all_combinations_of_flags_are_known():
    assert len(set(maildir.INFOS)) == 65
