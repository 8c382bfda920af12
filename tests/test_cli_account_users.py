"""messenger account and audit by root, by the reader's user, and by somebody who may not: as real processes."""

import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from messenger import config, preferences
from messenger.accounts import Accounts
from messenger.cli import account_database
from messenger.mailbox import mailbox_of

from .account_commands_fixtures import furnish
from .accounts_fixtures import ALICE, BOB, HASHER, HOME, NOW, PASSWORD
from .cli_fixtures import made_site_fixture  # noqa: F401
from .mailbox_fixtures import NAME, RAW
from .other_user import needs_open_source

READER, OTHER = "nobody", "daemon"
#: The one that intake and reader share.
GROUP = 54321
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else"),
    needs_open_source,
]


@pytest.fixture
def folder(made_site):
    """A site in a place that other users can reach, whose accounts and mail belong to one of them."""
    base = Path(tempfile.mkdtemp(prefix="messenger-"))
    base.chmod(0o755)
    found = base / "site"
    shutil.copytree(made_site, found)
    furnish(found)
    for path in (found, found / "state"):
        path.chmod(0o755)
    for path in (found / "state" / "accounts", found / "state" / "cache", found / "mail"):
        path.mkdir(exist_ok=True)
        for one in (path, *path.rglob("*")):
            shutil.chown(one, READER)
    yield found
    shutil.rmtree(base)


def database_of(folder):
    return config.load(folder / "messenger.toml").accounts.database


# The interpreter may lie where only root can read: it starts as root, and is somebody else before the command runs.
AS_USER = """
import encodings.ascii, encodings.utf_8_sig, os, pwd, sys
from messenger.cli import main
who = pwd.getpwnam(sys.argv[1])
if who.pw_uid:
    os.setgroups([]), os.setgid(who.pw_gid), os.setuid(who.pw_uid)
main(sys.argv[2:])
"""


def run(folder, *words, user="root"):
    command = [sys.executable, "-c", AS_USER, user, *words, "--config", folder / "messenger.toml"]
    path = os.pathsep.join(filter(None, sys.path))
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path}
    return subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, check=False)


def owners(path):
    return {pwd.getpwuid(one.stat().st_uid).pw_name for one in (path, *path.rglob("*"))}


@contextmanager
def member_of_the_group(user):
    """Be *user* in this process, with the group that intake and reader share."""
    groups = os.getgroups()
    os.setgroups([GROUP])
    os.seteuid(pwd.getpwnam(user).pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setgroups(groups)


def sign_up(folder, address):
    with account_database.as_owner(database_of(folder)):
        accounts = Accounts(database_of(folder), hasher=HASHER)
        accounts.sign_up(address, PASSWORD, HOME, NOW)
        accounts.close()


def test_what_root_does_leaves_nothing_behind_that_is_not_the_readers(folder):
    sign_up(folder, ALICE)
    for words in (
        ("account", "list"),
        ("account", "disable", ALICE),
        ("account", "invite", BOB),
        ("pdf", "renew", ALICE),
        ("account", "delete", ALICE, "--yes", "--with-mail"),
        ("audit",),
    ):
        done = run(folder, *words)
        assert (done.returncode, done.stderr) == (0, ""), words

    assert owners(folder / "state" / "accounts") == owners(folder / "mail") == {READER}
    assert run(folder, "account", "invite", BOB, user=READER).returncode == 77  # the link key is root's here
    assert run(folder, "account", "list", user=READER).returncode == 0


def test_preferences_that_root_writes_belong_to_the_reader_and_to_the_group_of_the_folder(folder):
    sign_up(folder, ALICE)
    mailbox_of(folder / "mail", ALICE).ensure()
    for path in (folder / "mail", *(folder / "mail").rglob("*")):
        shutil.chown(path, READER, GROUP)
        path.chmod(0o2770 if path.is_dir() else 0o660)

    for user in ("root", READER):
        done = run(folder, "pdf", "renew", ALICE, user=user)
        assert (done.returncode, done.stderr) == (0, "")

    file = folder / "mail" / "example.net" / "alice" / "preferences.json"
    found = file.stat()
    assert "generation 2" in done.stdout
    assert [path.name for path in file.parent.iterdir() if path.is_file()] == [file.name]
    assert (pwd.getpwuid(found.st_uid).pw_name, found.st_gid, stat.S_IMODE(found.st_mode)) == (READER, GROUP, 0o640)
    # The milter is somebody else in that group: it reads the file, and could put another one in its place.
    with member_of_the_group(OTHER):
        assert preferences.change(file.parent, lambda before: before).generation == 2
    assert owners(file) == {OTHER}


def test_files_beside_an_open_database_are_the_readers_too(folder):
    sign_up(folder, ALICE)
    settings = config.load(folder / "messenger.toml")

    with account_database.opened(settings) as accounts:
        accounts.disable(accounts.find(ALICE).id, "admin:x", NOW)
        beside = {path.name for path in database_of(folder).parent.iterdir()}
        found = owners(database_of(folder).parent)

    assert beside == {"accounts.sqlite", "accounts.sqlite-wal", "accounts.sqlite-shm"}
    assert found == {READER}
    assert (os.geteuid(), os.getegid()) == (0, 0)


def test_root_is_root_again_whatever_goes_wrong_inside(folder):
    before = os.getgroups()

    def fail():
        with account_database.as_owner(database_of(folder)):
            raise ZeroDivisionError(pwd.getpwuid(os.geteuid()).pw_name)

    with pytest.raises(ZeroDivisionError, match=READER):
        fail()

    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, before)


def test_mail_that_root_deletes_is_deleted_with_the_readers_rights_alone(folder):
    sign_up(folder, ALICE)
    mailbox = folder / "mail" / "example.net" / "alice" / "Maildir"
    for name in ("tmp", "new", "cur"):
        (mailbox / name).mkdir(parents=True)
    (mailbox / "new" / NAME).write_bytes(RAW)  # all of it is root's, so the reader can't remove it

    done = run(folder, "account", "delete", ALICE, "--with-mail", "--yes")

    assert done.returncode != 0
    assert (mailbox / "new" / NAME).exists()


@pytest.mark.parametrize("words", [("account", "list"), ("account", "disable", ALICE), ("audit",)], ids=" ".join)
def test_somebody_else_is_told_as_whom_to_run_it(folder, words):
    sign_up(folder, ALICE)

    done = run(folder, *words, user=OTHER)

    assert (done.returncode, done.stdout) == (77, "")
    assert f"for {READER} alone; run it as root, or: sudo -u {READER} messenger" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_even_the_folder_is_shut_the_readers_own_user_is_named(folder):
    (folder / "state").chmod(0o700)

    done = run(folder, "account", "list", user=OTHER)

    assert done.returncode == 77
    assert "sudo -u messenger-reader messenger" in done.stderr


def test_where_root_is_the_owner_nobody_is_told_to_become_root_in_two_ways(folder):
    os.chown(database_of(folder).parent, 0, 0)
    database_of(folder).parent.chmod(0o700)

    done = run(folder, "account", "list", user=OTHER)

    assert done.returncode == 77
    assert done.stderr.endswith(": for root alone; run it as root\n")


def test_an_owner_without_the_right_to_write_is_told_to_give_it_back(folder):
    database_of(folder).parent.chmod(0o500)

    done = run(folder, "account", "list")

    assert done.returncode == 77
    assert f"its owner, {READER}, can't write it or its folder; give back that right" in done.stderr


def test_the_readers_own_user_may_do_all_of_it(folder):
    sign_up(folder, ALICE)

    done = run(folder, "account", "end-sessions", ALICE, user=READER)
    audit = run(folder, "audit", "--account", ALICE, user=READER)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"admin:{READER}" in audit.stdout
