"""messenger setup, by root for the users of the services, and by anybody else."""

import os
import stat
from types import SimpleNamespace
from typing import ClassVar

import pytest

from messenger.cli import places

from .cli_fixtures import messenger_fixture, setup_words  # noqa: F401
from .setup_fixtures import assert_complete, no_users_fixture, nobody_fixture  # noqa: F401


def test_without_root_it_works_in_any_folder(messenger, nobody):
    done = messenger(*setup_words(nobody))

    assert done.status == 0, done.err
    assert_complete(nobody)
    assert {path.stat().st_uid for path in nobody.rglob("*")} == {os.geteuid()}


def test_what_an_ordinary_user_may_not_write_is_a_sentence(messenger, nobody):
    done = messenger(*setup_words(nobody, config="/etc/webmail-messenger-test/messenger.toml"))

    assert done.status == 77
    assert (
        done.err
        == "messenger: /etc/webmail-messenger-test: Permission denied; run it as a user who may, such as root\n"
    )


class Users:
    """A machine that has the services' users: all of them are nobody here, each group another one."""

    NAMES = ("root", "messenger", "messenger-pdf", "messenger-milter", "messenger-reader", "postfix")
    GROUPS: ClassVar = {name: 60_000 + number if number else 0 for number, name in enumerate(NAMES)}

    def getpwnam(self, name):
        return SimpleNamespace(pw_uid=0 if name == "root" else 65534)

    def getgrnam(self, name):
        return SimpleNamespace(gr_gid=self.GROUPS[name])


@pytest.fixture
def users(monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")

    def come():
        monkeypatch.setattr(places, "pwd", Users())
        monkeypatch.setattr(places, "grp", Users())

    return come


def ownership(folder, name):
    found = (folder / name).stat()
    groups = {number: group for group, number in Users.GROUPS.items()}
    return "root" if found.st_uid == 0 else "service", groups[found.st_gid], oct(stat.S_IMODE(found.st_mode))


OWNERSHIP = {
    "keys": ("root", "messenger", "0o751"),
    "keys/link.key": ("root", "root", "0o600"),
    "keys/totp.key": ("root", "root", "0o600"),
    "keys/pdf.key": ("root", "root", "0o600"),
    "keys/webmail-recipient.key": ("root", "root", "0o600"),
    "keys/webmail-sender.key": ("root", "root", "0o600"),
    "mail": ("service", "messenger", "0o2770"),
    "state/ledger": ("service", "messenger-milter", "0o700"),
    "state/accounts": ("service", "messenger-reader", "0o700"),
    "state/cache": ("service", "messenger-reader", "0o700"),
    "state/milter": ("service", "postfix", "0o2750"),
}


def test_secrets_are_for_root_alone_and_folders_for_the_services_users(messenger, tmp_path, users):
    users()

    messenger(*setup_words(tmp_path))

    assert {name: ownership(tmp_path, name) for name in OWNERSHIP} == OWNERSHIP


def test_users_that_come_later_are_given_what_is_theirs(messenger, tmp_path, users):
    messenger(*setup_words(tmp_path))
    users()

    given, again = messenger(*setup_words(tmp_path)), messenger(*setup_words(tmp_path))

    assert given.status == 0
    assert {name: ownership(tmp_path, name) for name in OWNERSHIP} == OWNERSHIP
    assert "nothing to change" in again.out


def test_keys_of_an_older_site_become_reachable_for_who_reads_one_of_them(messenger, tmp_path, users):
    users()
    messenger(*setup_words(tmp_path))
    (tmp_path / "keys").chmod(0o750)

    done = messenger(*setup_words(tmp_path))

    assert f"let services pass through {tmp_path}/keys" in done.out
    assert ownership(tmp_path, "keys") == OWNERSHIP["keys"]


def test_a_folder_that_somebody_arranged_is_left_and_talked_about(messenger, tmp_path, users):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "theirs").write_text("")
    users()

    done = messenger(*setup_words(tmp_path))

    assert (tmp_path / "mail").stat().st_uid == 0
    assert f"chown messenger-milter:messenger {tmp_path}/mail; chmod 2770 {tmp_path}/mail" in done.out
