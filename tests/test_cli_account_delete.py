"""`messenger account delete`: an account goes, and its mail where that was asked for."""

import json

import pytest

from messenger import cache_folder, preferences
from messenger.cli import account_acts
from messenger.mailbox import Mailbox, MailboxError
from messenger.preferences import Preferences

from .account_commands_fixtures import desk_fixture, text_of  # noqa: F401
from .account_words_fixtures import by, events
from .accounts_fixtures import ALICE, BOB, HOME, NOW
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .mailbox_fixtures import NAME, RAW


def test_a_deleted_account_leaves_its_mail_and_says_where(desk):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(ALICE).deliver(RAW, NAME)

    done = desk.account("delete", ALICE, "--yes")

    root = desk.mailbox(ALICE).root
    assert (done.status, done.err) == (0, "")
    assert f"account deleted; the mailbox with 1 message stays at {root}, and a later sign-up finds it" in done.out
    assert desk.accounts().find(ALICE) is None
    assert len(desk.mailbox(ALICE).list()) == 1
    assert "was deleted" in text_of(desk.letters()[0])
    assert events(desk, "--account", ALICE) == [("sign-up", HOME), ("delete", by())]


def test_mail_goes_with_its_account_when_asked_for_and_all_the_reader_kept_of_it(desk):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(ALICE).deliver(RAW, NAME)
    preferences.write(desk.mailbox(ALICE).root.parent, Preferences(phrase="seven green herons"))
    desk.mailbox(BOB).deliver(RAW, NAME)
    kept = cache_folder.folder_of(desk.config().reader.cache, ALICE)
    cache_folder.make(kept)

    done = desk.account("delete", ALICE, "--with-mail", "--yes")

    assert done.out == f"{ALICE}: account deleted, and the mailbox with 1 message. A letter tells the owner.\n"
    assert not desk.mailbox(ALICE).root.parent.exists()
    assert not kept.exists()
    assert desk.accounts().find(ALICE) is None
    assert len(desk.mailbox(BOB).list()) == 1
    assert "seven green herons" in text_of(desk.letters()[0])
    assert [event for event, _ in events(desk, "--account", ALICE)] == ["sign-up", "delete", "delete-mail"]


def test_where_there_is_no_mail_none_is_said_to_be_deleted(desk):
    desk.sign_up(ALICE, NOW)

    done = desk.account("delete", ALICE, "--with-mail", "--yes")

    assert done.out == f"{ALICE}: account deleted; there was no mailbox. A letter tells the owner.\n"
    assert [event for event, _ in events(desk, "--account", ALICE)] == ["sign-up", "delete"]


def test_mail_that_an_account_left_can_be_deleted_later(desk):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(ALICE).deliver(RAW, NAME)
    desk.account("delete", ALICE, "--yes")

    done = desk.account("delete", ALICE, "--with-mail", "--yes", "--json")

    assert json.loads(done.out) == {
        "address": ALICE, "act": "delete", "changed": True, "letter": "none",
        "account": "none", "mailbox": "deleted", "messages": 1,
    }  # fmt: skip
    assert not desk.mailbox(ALICE).exists()
    assert len(desk.letters()) == 1


def test_mail_that_can_not_be_deleted_keeps_the_account_so_that_the_same_command_goes_on(desk, monkeypatch):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(ALICE).deliver(RAW, NAME)
    with monkeypatch.context() as patched:
        patched.setattr(Mailbox, "delete", lambda self: (_ for _ in ()).throw(MailboxError("the disk is gone")))
        done = desk.account("delete", ALICE, "--with-mail", "--yes")

    assert (done.status, done.out) == (75, "")
    assert "the mail is not, or not all, deleted: the disk is gone; then run this again" in done.err
    assert desk.accounts().find(ALICE)
    assert desk.account("delete", ALICE, "--with-mail", "--yes").status == 0


def test_nothing_is_deleted_unasked_where_nobody_can_be_asked(desk):
    desk.sign_up(ALICE, NOW)

    done = desk.account("delete", ALICE)

    assert done.status == 64
    assert "say --yes: this can't be undone, and there is no terminal to ask on" in done.err
    assert desk.accounts().find(ALICE)


@pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"\n", 130), (b"n\n", 130), (b"", 130)])
def test_on_a_terminal_deleting_is_asked_about(desk, monkeypatch, answer, status):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(ALICE).deliver(RAW, NAME)
    monkeypatch.setattr(account_acts, "_on_terminal", lambda: True)

    done = desk.account("delete", ALICE, "--with-mail", given=answer)

    assert done.status == status
    assert f"{ALICE}: delete the account and the mailbox with 1 message for good? [y/N]" in done.err
    assert (desk.accounts().find(ALICE) is None) == (status == 0)
    assert desk.mailbox(ALICE).exists() == (status != 0)
