"""The audit only grows, and tells who did what."""

import sqlite3

import pytest

from .accounts_fixtures import (  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    HOME,
    NOW,
    PASSWORD,
    WRONG,
    accounts_fixture,
    path_fixture,
    rows,
    sign_up,
)


def test_the_audit_tells_who_did_what_when_and_from_where(accounts, path):
    account = sign_up(accounts)
    accounts.verify(ALICE, WRONG, AWAY, NOW + 1)
    accounts.verify(BOB, WRONG, AWAY, NOW + 2)
    accounts.verify(ALICE, PASSWORD, HOME, NOW + 3)
    accounts.end_session(accounts.open_session(account.id, HOME, NOW + 3), HOME, NOW + 4)
    accounts.end_all(account.id, HOME, NOW + 5)

    assert rows(path, "SELECT at, event, outcome, account, client FROM audit ORDER BY id") == [
        (NOW, "sign-up", "done", 1, HOME),
        (NOW + 1, "log-in", "refused", 1, AWAY),
        (NOW + 2, "log-in", "refused", None, AWAY),
        (NOW + 3, "log-in", "done", 1, HOME),
        (NOW + 4, "log-out", "done", 1, HOME),
        (NOW + 5, "log-out everywhere", "done", 1, HOME),
    ]


@pytest.mark.parametrize("sql", ["DELETE FROM audit", "UPDATE audit SET client = ''"])
def test_the_audit_only_grows(accounts, path, sql):
    sign_up(accounts)

    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        sqlite3.connect(path).execute(sql)
