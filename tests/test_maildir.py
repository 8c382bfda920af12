"""One Maildir folder: names and flags that are none, and hostile neighbours in the tree."""

import os

import pytest

from messenger import maildir
from messenger.mailbox import MailboxError, NoSuchMessage

from .mailbox_fixtures import NAME, RAW, anna_fixture, files, names, root_fixture  # noqa: F401


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


@pytest.mark.parametrize("others", [0, 2, maildir.FEW, maildir.FEW + 3])
@pytest.mark.parametrize("flags", ["", "S", "FRS", "DFPRST"])
def test_a_message_is_found_whatever_its_flags_and_however_many_lie_beside_it(anna, others, flags):
    anna.deliver(RAW, NAME)
    (anna.root / "new" / NAME).rename(anna.root / "cur" / f"{NAME}:2,{flags}")
    for number in range(others):
        (anna.root / "cur" / f"{NAME}{number}:2,S").touch()

    assert anna.has(NAME)
    assert not anna.deliver(RAW, NAME)
    assert not anna.has(NAME[:-1])


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


def test_all_combinations_of_flags_are_known():
    assert len(set(maildir.INFOS)) == 65
