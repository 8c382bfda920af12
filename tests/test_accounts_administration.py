"""What an administrator does about accounts, and what is left of one that is deleted."""

import pytest

from messenger.accounts import Accounts

from .accounts_fixtures import (  # noqa: F401  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    HOME,
    NOW,
    PASSWORD,
    accounts_fixture,
    code_at,
    enrol,
    path_fixture,
    rows,
    sign_up,
)

BY = "admin:root"
LATER = NOW + 60


def addresses(accounts: Accounts, **given) -> list[str]:
    return [row.account.address for row in accounts.list_accounts(**given)]


# -- shutting


def test_a_disabled_account_lets_nobody_in_by_any_way(accounts):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    session = accounts.open_session(account.id, HOME, NOW, pending="")

    accounts.disable(account.id, BY, NOW)

    assert accounts.find(ALICE).disabled == NOW
    assert accounts.session(session, NOW) is None
    assert accounts.verify(ALICE, PASSWORD, HOME, LATER) is None
    assert not accounts.confirm(account.id, PASSWORD, HOME, LATER)
    assert accounts.prove(account.id, code_at(secret, LATER), HOME, LATER) is None
    assert accounts.prove(account.id, codes[0], HOME, LATER) is None
    assert accounts.session(accounts.open_session(account.id, HOME, LATER), LATER) is None


def test_enabled_again_it_is_as_it_was_and_old_sessions_stay_ended(accounts):
    account = sign_up(accounts)
    session = accounts.open_session(account.id, HOME, NOW)
    accounts.disable(account.id, BY, NOW)
    while_shut = accounts.open_session(account.id, HOME, NOW)

    accounts.enable(account.id, BY, LATER)

    assert accounts.verify(ALICE, PASSWORD, HOME, LATER) == accounts.find(ALICE)
    assert accounts.session(session, LATER) is None
    assert accounts.session(while_shut, LATER) is None


def test_a_disabled_account_is_refused_like_a_wrong_password_and_counts_like_one(accounts):
    shut, open_ = sign_up(accounts), sign_up(accounts, BOB)
    accounts.disable(shut.id, BY, NOW)

    def answers(address: str, password: str) -> list[object]:
        found: list[object] = []
        for second in range(20):
            try:
                found.append(accounts.verify(address, password, AWAY, NOW + second))
            except Exception as error:
                found.append(str(error))
        return found

    assert answers(ALICE, PASSWORD) == answers(open_.address, "not this one, sorry")


def test_disabling_twice_is_disabling_once(accounts):
    account = sign_up(accounts)

    for now in (NOW, LATER):
        accounts.disable(account.id, BY, now)
    for now in (LATER, LATER):
        accounts.enable(account.id, BY, now)
    accounts.disable(99, BY, NOW)

    assert [event.event for event in accounts.trail()] == ["sign-up", "disable", "enable"]


def test_an_account_shut_while_its_password_is_looked_at_lets_nobody_in(accounts, monkeypatch):
    account = sign_up(accounts)
    real = accounts._hasher.matches

    def matches(password, hashed):
        accounts.disable(account.id, BY, NOW)
        return real(password, hashed)

    monkeypatch.setattr(accounts._hasher, "matches", matches)

    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is None


# -- a lost phone


def test_a_second_factor_taken_off_is_gone_and_sessions_end(accounts):
    account = sign_up(accounts)
    _, codes = enrol(accounts, account)
    session = accounts.open_session(account.id, HOME, NOW, pending="")
    accounts.begin_totp(account.id, NOW)

    accounts.reset_totp(account.id, BY, LATER)

    assert not accounts.find(ALICE).second_factor
    assert accounts.pending_totp(account.id) is None
    assert accounts.prove(account.id, codes[0], HOME, LATER) is None
    assert accounts.session(session, LATER) is None


# -- listing


def test_accounts_are_listed_by_address_page_by_page(accounts):
    for number in (3, 1, 2, 5, 4):
        sign_up(accounts, f"reader{number}@example.net")
    everybody = [f"reader{number}@example.net" for number in range(1, 6)]

    assert addresses(accounts) == everybody
    assert addresses(accounts, limit=2) == everybody[:2]
    assert addresses(accounts, after=everybody[1], limit=2) == everybody[2:4]
    assert addresses(accounts, after=everybody[4]) == []


def test_a_line_tells_the_last_log_in_and_what_is_set(accounts):
    account = sign_up(accounts)
    enrol(accounts, account)
    accounts.verify(ALICE, PASSWORD, AWAY, LATER)
    accounts.disable(account.id, BY, LATER)

    (row,) = accounts.list_accounts()

    assert (row.account.second_factor, row.account.disabled, row.last, row.recovery_left) == (True, LATER, LATER, 10)


@pytest.mark.parametrize("page", [1, 2, 3])
def test_more_accounts_than_are_fetched_at_a_time_are_all_listed(accounts, monkeypatch, page):
    monkeypatch.setattr("messenger.accounts.administration.PAGE", page)
    for number in range(6):
        sign_up(accounts, f"reader{number}@example.net")

    assert len(addresses(accounts)) == 6
    assert len(addresses(accounts, limit=4)) == 4


def test_a_list_may_be_changed_while_it_is_read(accounts, monkeypatch):
    monkeypatch.setattr("messenger.accounts.administration.PAGE", 2)
    for number in range(5):
        sign_up(accounts, f"reader{number}@example.net")

    for row in accounts.list_accounts():
        accounts.delete(row.account.id, BY, NOW)

    assert addresses(accounts) == []


# -- deleting


def test_a_deleted_account_leaves_its_lines_in_the_audit_and_nothing_else(accounts, path):
    account = sign_up(accounts)
    enrol(accounts, account)
    session = accounts.open_session(account.id, HOME, NOW)
    accounts.ask_reset(ALICE, HOME, NOW)

    accounts.delete(account.id, HOME, LATER)

    assert accounts.find(ALICE) is None
    assert accounts.session(session, LATER) is None
    for table in ("account", "address", "credential", "session", "token", "known_network"):
        assert rows(path, f"SELECT count(*) FROM {table}") == [(0,)]
    assert [event.event for event in accounts.trail(address=ALICE)] == ["sign-up", "totp on", "reset asked", "delete"]


def test_who_signs_up_after_a_deletion_is_somebody_else(accounts):
    first = sign_up(accounts)
    accounts.delete(first.id, HOME, NOW)

    second = sign_up(accounts)

    assert second.id != first.id
    accounts.delete(first.id, HOME, NOW)
    assert accounts.find(ALICE) == second


def test_who_did_it_is_in_the_audit(accounts):
    account = sign_up(accounts)
    accounts.disable(account.id, BY, NOW)
    accounts.enable(account.id, BY, NOW)
    accounts.reset_totp(account.id, BY, NOW)
    accounts.end_all(account.id, BY, NOW)
    accounts.delete(account.id, BY, NOW)

    assert [(e.event, e.client) for e in accounts.trail()][1:] == [
        ("disable", BY),
        ("enable", BY),
        ("reset-totp", BY),
        ("end-sessions", BY),
        ("delete", BY),
    ]
