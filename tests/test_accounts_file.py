"""The accounts as a file: whole after anything, and its errors say what to do."""

import multiprocessing
import os
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlite_utils import Database

from messenger.accounts import Accounts, AccountsError
from messenger.accounts.file import AccountsFile
from messenger.passwords import Hasher

from .accounts_fixtures import (  # noqa: F401  # noqa: F401
    ALICE,
    HASHER,
    HOME,
    KEY,
    NOW,
    PASSWORD,
    accounts_fixture,
    enrol,
    path_fixture,
    rows,
    sign_up,
)


def test_the_file_is_for_its_owner_alone_whatever_the_umask(path):
    before = os.umask(0)
    try:
        sign_up(Accounts(path, hasher=HASHER))
    finally:
        os.umask(before)

    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_tables_are_strict_and_writes_survive_a_power_cut(path):
    file = AccountsFile(path)

    with file.reading() as db:
        assert all(table.strict for table in db.tables)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert db.execute("PRAGMA busy_timeout").fetchone() == (15000,)


def test_opening_again_changes_nothing(accounts, path):
    sign_up(accounts)
    before = rows(path, "SELECT sql FROM sqlite_master")

    again = Accounts(path, hasher=HASHER)

    assert again.find(ALICE) is not None
    assert rows(path, "SELECT sql FROM sqlite_master") == before


def test_a_start_waits_while_another_one_switches_the_new_file_to_wal(path):
    path.touch()
    other = sqlite3.connect(path, check_same_thread=False)
    other.execute("BEGIN")
    other.execute("SELECT * FROM sqlite_master").fetchall()
    release = threading.Timer(0.3, other.rollback)
    release.start()

    accounts = Accounts(path, hasher=HASHER)

    release.join()
    other.close()
    assert rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert accounts.find(ALICE) is None


def _open_and_sign_up(path, number: int) -> None:
    accounts = Accounts(path, hasher=Hasher(HASHER.cost))
    for count in range(10):
        accounts.sign_up(f"reader{number}.{count}@example.net", PASSWORD, HOME, NOW)


def test_several_processes_start_on_a_new_file_at_once_and_lose_nothing(path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open_and_sign_up, args=(path, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * 4
    assert rows(path, "SELECT count(*) FROM account") == [(40,)]
    assert rows(path, "SELECT count(*) FROM audit") == [(40,)]


def test_each_thread_has_a_connection_and_a_fork_gets_a_new_one(accounts):
    sign_up(accounts)
    with accounts._file.reading() as here:
        seen: list[object] = []
        thread = threading.Thread(target=lambda: seen.append(accounts._file._database()))
        thread.start()
        thread.join()
        child = os.fork()
        if child == 0:
            fine = accounts._file._database() is not here and accounts.find(ALICE) is not None
            os._exit(0 if fine else 1)

        assert os.waitpid(child, 0)[1] == 0
        assert seen[0] is not here
        assert accounts._file._database() is here


def test_a_failed_write_leaves_nothing_behind_and_the_next_one_works(accounts, path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            "messenger.accounts.guard.remember_network", lambda *_: (_ for _ in ()).throw(RuntimeError("power cut"))
        )
        with pytest.raises(RuntimeError):
            sign_up(accounts)

    assert rows(path, "SELECT count(*) FROM account") == [(0,)]
    assert sign_up(accounts).address == ALICE


def test_a_full_disk_stops_log_ins_and_not_those_who_read(accounts, path, caplog):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)
    with accounts._file.reading() as db:
        db.execute("PRAGMA query_only = ON")  # as SQLite answers when it can't write

    with pytest.raises(AccountsError):
        accounts.open_session(1, HOME, NOW)
    found = accounts.session(token, NOW + 120)

    assert found is not None
    assert "was not written down" in caplog.text


def test_a_file_that_is_no_database_is_named_with_what_to_do(path):
    path.write_bytes(b"something else " * 100)

    with pytest.raises(AccountsError, match=f"{path}.*must be a SQLite file") as error:
        Accounts(path, hasher=HASHER)

    assert error.value.temporary


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(AccountsError, match="nowhere"):
        Accounts(tmp_path / "nowhere" / "accounts.sqlite", hasher=HASHER)


def test_a_file_that_vanishes_is_an_error_and_not_an_empty_start(accounts, path):
    sign_up(accounts)
    accounts.close()
    for file in path.parent.iterdir():
        file.unlink()

    with pytest.raises(AccountsError):
        accounts.find(ALICE)

    assert not path.exists()


def test_a_database_locked_for_too_long_is_a_temporary_error(accounts, path, monkeypatch):
    sign_up(accounts)
    accounts.close()
    monkeypatch.setattr("messenger.accounts.file.BUSY_SECONDS", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(AccountsError) as error:
        accounts.open_session(1, HOME, NOW)

    assert error.value.temporary
    assert accounts.find(ALICE) is not None


# -- older files

#: Made by the release before second factors: Alice and Bob, a session of Alice's, a failed log-in.
OLDER = Path(__file__).parent / "accounts-m004.sql"
OLD_SESSION = "a" * 43


@pytest.fixture
def older(path):
    connection = sqlite3.connect(path)
    connection.executescript(OLDER.read_text())
    connection.close()
    return path


def test_an_older_file_is_brought_up_to_date_and_everybody_is_still_in_it(older):
    accounts = Accounts(older, totp_key=KEY, hasher=HASHER)

    alice = accounts.find(ALICE)
    assert (alice.language, alice.time_zone, alice.second_factor, alice.disabled) == ("de", "Europe/Berlin", False, 0)
    session = accounts.session(OLD_SESSION, NOW + 60)
    assert (session.account, session.pending, session.agent) == (alice, "", "")
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW + 60) == alice
    assert [row.account.address for row in accounts.list_accounts()] == [ALICE, "bob@example.net"]
    assert [(event.event, event.address) for event in accounts.trail()][:4] == [
        ("sign-up", ALICE),
        ("sign-up", "bob@example.net"),
        ("log-in", ALICE),
        ("log-in", ""),
    ]
    assert enrol(accounts, alice)[1]
    assert accounts.ask_reset(ALICE, HOME, NOW) is not None


def test_an_older_file_brought_up_to_date_is_like_a_new_one(older, tmp_path):
    AccountsFile(older)
    AccountsFile(tmp_path / "new.sqlite")
    sql = "SELECT type, name, tbl_name FROM sqlite_master ORDER BY type, name"

    assert rows(older, sql) == rows(tmp_path / "new.sqlite", sql)
    for (table,) in rows(older, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite%'"):
        columns = f"SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('{table}')"
        assert rows(older, columns) == rows(tmp_path / "new.sqlite", columns)
    assert rows(older, "PRAGMA integrity_check") == [("ok",)]
    assert rows(older, "PRAGMA foreign_key_check") == []


def test_the_audit_of_an_older_file_only_grows_from_then_on(older):
    AccountsFile(older)
    connection = sqlite3.connect(older, isolation_level=None)

    for sql in ("DELETE FROM audit", "UPDATE audit SET address = ''"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            connection.execute(sql)
    connection.close()


def test_an_update_that_fails_half_way_leaves_the_older_file_as_it_was(older, monkeypatch):
    before = rows(older, "SELECT sql FROM sqlite_master")
    real = Database.execute

    def execute(self, sql, *given):
        if "audit_address" in sql:
            raise sqlite3.OperationalError("database or disk is full")
        return real(self, sql, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "execute", execute)
        with pytest.raises(AccountsError, match="disk is full"):
            AccountsFile(older)

    assert rows(older, "SELECT sql FROM sqlite_master") == before
    assert Accounts(older, hasher=HASHER).session(OLD_SESSION, NOW + 60) is not None


def _open(path) -> None:
    AccountsFile(path)


def test_several_processes_bring_an_older_file_up_to_date_at_once(older):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open, args=(older,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0] * 4
    assert Accounts(older, hasher=HASHER).session(OLD_SESSION, NOW + 60) is not None


@pytest.mark.parametrize("call", [
    lambda a: a.change_password(1, "four plain red windows", HOME, NOW),
    lambda a: a.confirm(1, PASSWORD, HOME, NOW),
    lambda a: a.begin_totp(1, NOW),
    lambda a: a.settle(1, language="de"),
    lambda a: a.disable(1, "admin:root", NOW),
    lambda a: a.delete(1, HOME, NOW),
])  # fmt: skip
def test_on_a_full_disk_each_change_is_refused_as_temporary_and_leaves_everything_as_it_was(accounts, path, call):
    sign_up(accounts)
    tables = [f"SELECT * FROM {table}" for table in ("account", "credential", "session", "throttle", "audit")]
    before = [rows(path, sql) for sql in tables]
    with accounts._file.reading() as db:
        db.execute("PRAGMA query_only = ON")

    with pytest.raises(AccountsError) as error:
        call(accounts)

    assert error.value.temporary
    assert [rows(path, sql) for sql in tables] == before
