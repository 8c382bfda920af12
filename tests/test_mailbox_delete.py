"""All of a person's mail goes, nobody else's; what comes meanwhile is kept or gone, never half."""

import errno
import os
import threading

import pytest

from messenger import mailbox_removal
from messenger.envelope import AddressError
from messenger.mailbox import MailboxError, NoSuchMessage, address_of, mailbox_of

from .mailbox_fixtures import NAME, RAW, anna_fixture, names, root_fixture

__all__ = ["anna_fixture", "root_fixture"]


@pytest.fixture(name="full")
def full_fixture(anna):
    """Anna's mailbox with mail in two folders, and a file beside it."""
    anna.deliver(RAW, NAME)
    anna.deliver(RAW, "sent", folder="Sent", flags="S")
    (anna.root.parent / "preferences.json").write_text("{}")
    return anna


def beside(root):
    return sorted(path.name for path in (root / "example.org").iterdir())


def test_everything_of_the_person_goes_and_nothing_of_anybody_else(root, full):
    ben = mailbox_of(root, "ben@example.org")
    ben.deliver(RAW, NAME)

    full.delete()

    assert beside(root) == ["ben"]
    assert not full.exists()
    assert full.list() == full.folders() == []
    assert ben.read(NAME) == RAW


def test_deleting_twice_is_deleting_once(root, full):
    full.delete()
    full.delete()

    assert beside(root) == []


def test_deleting_what_never_was_does_nothing(root, anna):
    anna.delete()

    assert list(root.iterdir()) == []


def test_mail_that_comes_later_opens_a_new_mailbox(full):
    full.delete()

    assert full.deliver(RAW, NAME)
    assert names(full.list()) == [NAME]
    assert full.folders() == [""]


def test_a_missing_mail_root_is_not_taken_for_an_empty_one(root, anna):
    root.rmdir()

    with pytest.raises(MailboxError, match="no mail root"):
        anna.delete()


@pytest.mark.parametrize("step", range(1, 12))
def test_a_crash_at_any_step_leaves_nothing_to_read_and_is_ended_by_the_next_try(root, full, monkeypatch, step):
    class Crash(BaseException):
        pass

    steps = 0

    def stumble(name):
        real = getattr(os, name)

        def crash(*given, **more):
            nonlocal steps
            steps += 1
            if steps == step:
                raise Crash
            return real(*given, **more)

        return crash

    for name in ("rename", "unlink", "rmdir"):
        monkeypatch.setattr(mailbox_removal.os, name, stumble(name))
    with pytest.raises(Crash):
        full.delete()
    monkeypatch.undo()

    assert full.exists() == (step == 1)
    full.delete()
    assert beside(root) == []


def test_a_removal_looks_through_no_other_mailboxes_of_the_domain(root, full, monkeypatch):
    monkeypatch.setattr(mailbox_removal, "_begun", lambda _: pytest.fail("listed the domain"))

    full.delete()

    assert beside(root) == []


def test_no_address_has_the_folder_that_a_crash_leaves(root):
    left = root / "example.org" / f"{mailbox_removal.PREFIX}00" / "Maildir"

    with pytest.raises(AddressError, match="expected"):
        address_of(root, left)


def test_a_symbolic_link_is_removed_and_what_it_leads_to_stays(tmp_path, root, full):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("stays")
    (full.root / ".Linked").symlink_to(tmp_path / "elsewhere")
    (full.root / "cur" / "linked").symlink_to(tmp_path / "elsewhere" / "file")

    full.delete()

    assert beside(root) == []
    assert (tmp_path / "elsewhere" / "file").read_text() == "stays"


def test_a_folder_with_something_mounted_on_it_is_emptied_and_stays(root, full, monkeypatch):
    def busy(call, name):
        def refuse(given, *more, **where):
            if given == name:
                raise OSError(errno.EBUSY, "busy")
            return call(given, *more, **where)

        return refuse

    monkeypatch.setattr(mailbox_removal.os, "rename", busy(os.rename, "anna"))
    monkeypatch.setattr(mailbox_removal.os, "rmdir", busy(os.rmdir, "anna"))
    full.delete()

    assert beside(root) == ["anna"]
    assert list(full.root.parent.iterdir()) == []


def test_a_maildir_that_is_a_mount_point_is_emptied_and_keeps_its_place(root, full, monkeypatch):
    real = os.rmdir

    def busy(name, **where):
        if name == "Maildir":
            raise OSError(errno.EBUSY, "busy")
        real(name, **where)

    monkeypatch.setattr(mailbox_removal.os, "rmdir", busy)
    full.delete()

    assert beside(root) == ["anna"]
    assert list(full.root.parent.iterdir()) == [full.root]
    assert list(full.root.iterdir()) == []


def test_of_deliveries_and_removals_at_once_each_mail_is_whole_or_gone(root, anna):
    trouble = []

    def deliver(of):
        for number in range(60):
            try:
                anna.deliver(RAW, f"{of}-{number}")
            except MailboxError:  # the sender's queue tries again
                pass
            except BaseException as error:
                trouble.append(error)

    def delete():
        for _ in range(30):
            try:
                anna.delete()
            except BaseException as error:
                trouble.append(error)

    threads = [threading.Thread(target=deliver, args=(of,)) for of in "ab"]
    threads += [threading.Thread(target=delete) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert trouble == []
    for entry in anna.list():
        try:
            assert anna.read(entry.name) == RAW
        except NoSuchMessage:
            pytest.fail("listed and not there")
    anna.delete()
    assert beside(root) == []


def test_folders_are_the_inbox_and_those_below_it_without_what_is_no_folder(full, tmp_path):
    full.deliver(RAW, "x", folder="Work.2026")
    (full.root / ".file").write_text("")
    (full.root / ".Elsewhere").symlink_to(tmp_path)

    assert full.folders() == ["", "Sent", "Work.2026"]
