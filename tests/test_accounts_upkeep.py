"""What `messenger cleanup` does about accounts: it takes only what is old, and says so in the audit."""

import sqlite3
import threading

import pytest

from messenger.accounts import upkeep

from .accounts_fixtures import (  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    CAROL,
    HOME,
    NOW,
    PASSWORD,
    accounts_fixture,
    fail,
    path_fixture,
    rows,
    sign_up,
)

BY = "admin:cleanup"
DAY = 86_400
YEAR = 365 * DAY


# -- accounts that nobody uses


def test_an_account_is_unused_when_nobody_has_logged_in_for_long(accounts):
    never, used, shut = (sign_up(accounts, address) for address in (ALICE, BOB, CAROL))
    accounts.verify(BOB, PASSWORD, AWAY, NOW + YEAR)
    accounts.disable(shut.id, BY, NOW)

    assert list(accounts.unused(NOW)) == []
    assert list(accounts.unused(NOW + YEAR)) == [never]
    assert list(accounts.unused(NOW + YEAR + 1)) == [never, accounts.find(BOB)]
    assert used.id == accounts.find(BOB).id


def test_an_account_that_is_open_in_a_browser_is_used(accounts):
    account = sign_up(accounts)
    token = accounts.open_session(account.id, HOME, NOW + YEAR)

    assert list(accounts.unused(NOW + YEAR)) == []
    accounts.end_session(token, HOME, NOW + YEAR)
    assert list(accounts.unused(NOW + YEAR)) == [account]


def test_an_unused_account_is_deleted_and_the_audit_says_so(accounts):
    account = sign_up(accounts)

    assert accounts.delete_unused(account.id, NOW + 1, BY, NOW + YEAR)

    assert accounts.find(ALICE) is None
    last = list(accounts.trail())[-1]
    assert (last.event, last.address, last.client, last.detail) == ("delete", ALICE, BY, "unused")
    assert not accounts.delete_unused(account.id, NOW + 1, BY, NOW + YEAR)


def test_an_account_that_is_used_in_the_last_moment_stays(accounts):
    first, second = sign_up(accounts), sign_up(accounts, BOB)
    assert list(accounts.unused(NOW + 1)) == [first, second]
    accounts.verify(ALICE, PASSWORD, HOME, NOW + YEAR)

    assert not accounts.delete_unused(first.id, NOW + 1, BY, NOW + YEAR)

    assert accounts.find(ALICE)
    assert accounts.find(BOB)


def test_long_lists_come_in_pages(accounts, monkeypatch):
    monkeypatch.setattr(upkeep, "PAGE", 2)
    for number in range(5):
        sign_up(accounts, f"p{number}@example.net")

    assert len(list(accounts.unused(NOW + 1))) == 5
    assert list(accounts.addresses()) == [f"p{number}@example.net" for number in range(5)]


# -- the audit


@pytest.mark.parametrize("lines", [10_000, 1, 2])
def test_old_lines_go_and_that_is_a_new_line(accounts, path, monkeypatch, lines):
    monkeypatch.setattr(upkeep, "LINES", lines)
    account = sign_up(accounts)
    for number in range(4):
        accounts.audit("read", "done", account.id, HOME, NOW + number)

    assert accounts.prunable(NOW + 2) == 3
    assert accounts.prune(NOW + 2, BY, NOW + YEAR) == 3

    left = list(accounts.trail())
    assert [event.at for event in left if event.event == "read"] == [NOW + 2, NOW + 3]
    pruned = [event for event in left if event.event == "prune-audit"]
    assert {(event.client, event.at) for event in pruned} == {(BY, NOW + YEAR)}
    assert sum(int(event.detail.split()[0]) for event in pruned) == 3
    assert accounts.prune(NOW + 2, BY, NOW + YEAR) == 0
    assert len(list(accounts.trail())) == len(left)


def test_the_audit_is_shut_again_afterwards_also_after_a_failure(accounts, path, monkeypatch):
    sign_up(accounts)
    accounts.prune(NOW + 1, BY, NOW)
    monkeypatch.setattr(upkeep.rows, "audit", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        accounts.prune(NOW + 1, BY, NOW)

    assert rows(path, "SELECT event FROM audit") == [("prune-audit",)]
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        sqlite3.connect(path).execute("DELETE FROM audit")


def test_lines_are_added_while_old_ones_go(accounts, monkeypatch):
    monkeypatch.setattr(upkeep, "LINES", 5)
    account = sign_up(accounts)
    for number in range(50):
        accounts.audit("read", "done", account.id, HOME, NOW + number)

    def write():
        for number in range(20):
            accounts.audit("download", "done", account.id, HOME, NOW + YEAR + number)

    writer = threading.Thread(target=write)
    writer.start()
    accounts.prune(NOW + 100, BY, NOW + YEAR)
    writer.join()

    assert [event.event for event in accounts.trail()].count("download") == 20
    assert [event.event for event in accounts.trail()].count("read") == 0


# -- what has expired


def test_what_counts_for_nothing_any_more_goes_and_the_rest_stays(accounts, path):
    account = sign_up(accounts)
    other = sign_up(accounts, BOB)
    accounts.verify(ALICE, PASSWORD, AWAY, NOW + YEAR)
    accounts.open_session(account.id, HOME, NOW)
    accounts.ask_reset(BOB, HOME, NOW)
    accounts.begin_totp(other.id, NOW)
    fail(accounts, 2, address=BOB, now=NOW)
    later = NOW + 2 * YEAR
    live = accounts.open_session(account.id, HOME, later)
    accounts.ask_reset(ALICE, HOME, later)
    fail(accounts, 1, now=later)

    expected = accounts.expired(later)
    assert accounts.forget_expired(later) == expected > 0

    assert accounts.expired(later) == 0
    assert accounts.session(live, later)
    assert rows(path, "SELECT account FROM token") == [(account.id,)]
    assert rows(path, "SELECT count(*) FROM credential WHERE kind = 'totp-new'") == [(0,)]
    assert rows(path, "SELECT min(forgotten) > 0 FROM throttle")[0][0] == 1
    # The last network of each stays: it says when its owner was here.
    assert rows(path, "SELECT account, last FROM known_network ORDER BY account") == [
        (account.id, NOW + YEAR),
        (other.id, NOW),
    ]
