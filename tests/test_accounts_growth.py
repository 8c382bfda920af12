"""What one person asks for costs the same among a million others: nothing of it looks at everybody's rows."""

import sqlite3
from contextlib import closing

from messenger.accounts import Accounts
from messenger.passwords import Cost, Hasher

from .accounts_fixtures import (  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    HOME,
    KEY,
    NOW,
    PASSWORD,
    WRONG,
    accounts_fixture,
    code_at,
    enrol,
    path_fixture,
    sign_up,
)

DEARER = Hasher(Cost(memory_kib=128, passes=1, lanes=1))


def test_no_statement_about_one_person_scans_a_table(accounts, path):
    asked = traced(accounts)

    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    accounts.verify(ALICE, WRONG, AWAY, NOW)
    accounts.verify(BOB, WRONG, AWAY, NOW)
    account = accounts.verify(ALICE, PASSWORD, HOME, NOW)
    accounts.prove(account.id, code_at(secret, NOW + 60), HOME, NOW + 60)
    token = accounts.open_session(account.id, HOME, NOW)
    accounts.session(token, NOW + 90)
    accounts.sessions(account.id, NOW)
    accounts.end_session(token, HOME, NOW)
    accounts.allow("download", account.id, 9, HOME, NOW)
    _, token = accounts.ask_reset(ALICE, HOME, NOW)
    accounts.reset(token, "four plain blue doors", code_at(secret, NOW + 120), HOME, NOW + 120)
    accounts.change_password(account.id, "five plain blue doors", HOME, NOW)
    accounts.end_all(account.id, HOME, NOW)
    accounts.settle(account.id, language="de")
    accounts.change_address(account.id, BOB, "admin:root", NOW)
    list(accounts.trail(address=BOB))
    list(accounts.list_accounts(limit=1))
    accounts.delete_unused(account.id, NOW, "admin:root", NOW)
    accounts.delete(account.id, "admin:root", NOW)

    assert len(asked) > 100
    assert scans(path, asked) == []


def test_a_password_that_is_hashed_anew_is_found_by_its_account(accounts, path):
    sign_up(accounts)
    dearer = Accounts(path, hasher=DEARER)
    asked = traced(dearer)

    assert dearer.verify(ALICE, PASSWORD, HOME, NOW)

    assert any("UPDATE credential SET secret" in statement for statement in asked)
    assert scans(path, asked) == []


def test_old_lines_of_the_audit_are_found_without_the_others(accounts, path):
    sign_up(accounts)
    asked = traced(accounts)

    accounts.prune(NOW + 1, "admin:root", NOW)

    assert scans(path, asked) == []


def test_what_goes_with_an_account_is_found_by_an_index(accounts, path):
    sign_up(accounts)

    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        keys = [(table, row[3]) for table in tables for row in db.execute(f"PRAGMA foreign_key_list({table})")]
        unindexed = [key for key in keys if not is_indexed(db, *key)]

    # SQLite scans the table for each row that goes where there is none: an index with WHERE doesn't help it.
    assert len(keys) >= 5
    assert unindexed == []


def traced(accounts: Accounts) -> list[str]:
    """Every statement of this thread from now on, with its values."""
    asked: list[str] = []
    with accounts._file.reading() as db:
        db.conn.set_trace_callback(asked.append)
    return asked


def scans(path, asked) -> list[tuple[str, str]]:
    """Where SQLite would go through a whole table, or through a whole index that is no list of few."""
    found = []
    with closing(sqlite3.connect(path)) as db:
        for statement in asked:
            if statement.lstrip().partition(" ")[0] not in ("SELECT", "INSERT", "UPDATE", "DELETE"):
                continue
            plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
            found += [(step, statement) for step in plan if step.startswith("SCAN") and not is_short(step)]
    return found


def is_short(step: str) -> bool:
    """No table, the result of another search, the names of tables, or those alone who enrol just now."""
    return any(words in step for words in ("CONSTANT ROW", "(subquery", "sqlite_master", "credential_totp_new"))


def is_indexed(db: sqlite3.Connection, table: str, column: str) -> bool:
    for _, name, _, _, partial in db.execute(f"PRAGMA index_list({table})"):
        if not partial and db.execute(f"PRAGMA index_info({name})").fetchone()[2] == column:
            return True
    return False
