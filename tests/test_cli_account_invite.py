"""`messenger account invite`: a link to an account or to another password, for whom and how often."""

import json
import re
import time

import pytest

from messenger import link, preferences
from messenger.preferences import Preferences

from .account_commands_fixtures import desk_fixture, text_of  # noqa: F401
from .account_words_fixtures import by, events
from .accounts_fixtures import ALICE, AWAY, BOB, HOME, NOW
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .mailbox_fixtures import NAME, RAW


def test_an_invitation_is_a_link_to_an_account_of_ones_own(desk):
    done = desk.account("invite", "New@Example.net")

    (letter,) = desk.letters()
    (url,) = re.findall(r"https://webmail\.example\.com/l/\S+", text_of(letter))
    key = link.load_key(desk.config().notice.link_key)
    assert link.open_token(key, url.rpartition("/")[2], int(time.time()), 30) == "new@example.net"
    assert letter["To"] == "new@example.net"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert (done.status, done.err) == (0, "")
    assert done.out == "new@example.net: sent a link to open an account, good for 30 days\n"
    assert desk.mailbox("new@example.net").exists()
    assert desk.accounts().find("new@example.net") is None
    assert events(desk, "--account", "new@example.net") == [("invite", by())]


def test_an_invitation_keeps_to_what_was_settled_beside_a_mailbox_that_is_there(desk):
    mailbox = desk.mailbox(ALICE)
    mailbox.deliver(RAW, NAME)
    preferences.write(mailbox.root.parent, Preferences(phrase="seven green herons", language="de"))

    desk.account("invite", ALICE)

    assert "seven green herons" in text_of(desk.letters()[0])
    assert desk.letters()[0]["Content-Language"] == "de"
    assert len(mailbox.list()) == 1


def test_who_has_an_account_is_sent_a_link_to_another_password(desk):
    desk.sign_up(ALICE, NOW)

    done = desk.account("invite", ALICE)

    (url,) = re.findall(r"https://webmail\.example\.com/r/\S+", text_of(desk.letters()[0]))
    assert desk.accounts().reset(url.rpartition("/")[2], "four quite other words", "", HOME, int(time.time()))
    assert done.out == f"{ALICE}: has an account; sent a link to choose a new password, good for one hour\n"
    assert events(desk)[1:] == [("reset asked", by()), ("invite", by()), ("reset", HOME)]


def test_an_invitation_for_scripts_says_which_link_was_sent(desk):
    desk.sign_up(ALICE, NOW)

    assert json.loads(desk.account("invite", ALICE, "--json").out) == {
        "address": ALICE, "act": "invite", "link": "reset", "letter": "sent",
    }  # fmt: skip
    assert json.loads(desk.account("invite", BOB, "--json").out)["link"] == "sign-up"


def test_who_is_disabled_gets_no_link(desk):
    desk.sign_up(ALICE, NOW)
    desk.account("disable", ALICE)

    done = desk.account("invite", ALICE)

    assert (done.status, done.out) == (65, "")
    assert "so no link was sent; `messenger account enable alice@example.net` opens it again" in done.err
    assert len(desk.letters()) == 1


def test_links_that_are_asked_for_too_often_have_to_wait(desk):
    desk.sign_up(ALICE, NOW)
    for _ in range(5):
        assert desk.accounts().ask_reset(ALICE, AWAY, int(time.time()) + 30)

    done = desk.account("invite", ALICE)

    assert done.status == 75
    assert "links were asked for too often, so none was sent; try again in 15 minutes at most" in done.err
    assert desk.letters() == []


@pytest.mark.parametrize("address", [ALICE, BOB])
def test_an_invitation_that_could_not_be_sent_is_none(desk, address):
    desk.sign_up(ALICE, NOW)
    desk.break_mail()

    done = desk.account("invite", address)
    desk.mend_mail()

    assert (done.status, done.out) == (75, "")
    assert f"{address}: no link was sent: " in done.err
    assert "queue file write error; mend that and run this again" in done.err
    assert ("invite", by()) not in events(desk)
    assert desk.account("invite", address).status == 0
