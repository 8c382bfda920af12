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


def test_what_is_done_elsewhere_gets_a_line_of_one_line(accounts):
    account = sign_up(accounts)

    accounts.audit("download", "done", account.id, HOME, NOW + 1, "one\nline \x1b[31m" + "x" * 500)
    accounts.audit("read", "refused", None, AWAY, NOW + 2)

    last = list(accounts.trail(since=NOW + 1))
    assert [(event.event, event.address) for event in last] == [("download", ALICE), ("read", "")]
    assert last[0].detail.startswith("one line [31mxxx")
    assert len(last[0].detail) == 200


def test_a_full_disk_keeps_nobody_from_reading_and_the_line_is_in_the_log(accounts, caplog):
    account = sign_up(accounts)
    with accounts._file.reading() as db:
        db.execute("PRAGMA query_only = ON")

    accounts.audit("read", "done", account.id, HOME, NOW)

    assert f"not in the audit: read done by account 1 from {HOME}" in caplog.text


@pytest.mark.parametrize("page", [1, 3, 500])
def test_the_trail_is_cut_by_time_address_and_number_and_the_oldest_comes_first(accounts, monkeypatch, page):
    monkeypatch.setattr("messenger.accounts.trail.PAGE", page)
    people = [sign_up(accounts), sign_up(accounts, BOB)]
    for number in range(6):
        accounts.audit("read", "done", people[number % 2].id, HOME, NOW + number)

    def times(**given) -> list[int]:
        return [event.at - NOW for event in accounts.trail(**given)]

    assert times() == [0, 0, 0, 1, 2, 3, 4, 5]
    assert times(since=NOW + 3) == [3, 4, 5]
    assert times(limit=2) == [4, 5]
    assert times(address='"alice"@EXAMPLE.net') == [0, 0, 2, 4]
    assert times(address=BOB, since=NOW + 2, limit=1) == [5]
    assert times(address="nobody") == []
    assert times(since=NOW + 99) == []


def test_lines_that_come_while_the_trail_is_read_wait_for_the_next_reader(accounts):
    account = sign_up(accounts)

    for _ in accounts.trail():
        accounts.audit("read", "done", account.id, HOME, NOW)

    assert len(list(accounts.trail())) == 2
