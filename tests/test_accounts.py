import multiprocessing
import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger.accounts import Account, Accounts, AccountsError, AddressTaken, TooSoon
from messenger.accounts.file import AccountsFile
from messenger.envelope import AddressError
from messenger.passwords import Cost, Hasher, HashingBusy, PasswordRefused

ALICE, BOB = "alice@example.net", "bob@example.net"
PASSWORD = "three plain blue doors"
HOME, AWAY = "192.0.2.7", "198.51.100.9"
NOW = 1_800_000_000
HASHER = Hasher(Cost(memory_kib=64, passes=1, lanes=1), at_once=8, waiting=8)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "accounts.sqlite"


@pytest.fixture
def accounts(path):
    return Accounts(path, site_name="Post & Co", hasher=HASHER)


def sign_up(accounts: Accounts, address: str = ALICE) -> Account:
    return accounts.sign_up(address, PASSWORD, HOME, NOW)


def rows(path, sql: str) -> list[tuple]:
    return sqlite3.connect(path).execute(sql).fetchall()


def fail(accounts: Accounts, times: int, *, address: str = ALICE, client: str = AWAY, now: int = NOW) -> None:
    for _ in range(times):
        assert accounts.verify(address, "not this one, sorry", client, now) is None


# -- accounts


def test_an_account_is_found_by_its_address_in_any_spelling(accounts):
    account = accounts.sign_up("Alice@Example.NET", PASSWORD, HOME, NOW, language="de", time_zone="Europe/Berlin")

    assert account == Account(1, ALICE, NOW, "de", "Europe/Berlin", 0)
    assert accounts.find('"alice"@EXAMPLE.net') == account
    assert accounts.find(BOB) is None
    assert accounts.find("no address") is None


def test_an_address_is_signed_up_once(accounts):
    sign_up(accounts)

    with pytest.raises(AddressTaken):
        accounts.sign_up("ALICE@example.net", "another fine password", AWAY, NOW + 1)

    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None


def test_of_many_sign_ups_at_once_one_wins_and_its_password_is_the_one(accounts):
    def attempt(number: int) -> str | None:
        try:
            accounts.sign_up(ALICE, f"{PASSWORD} {number}", HOME, NOW)
        except AddressTaken:
            return None
        return f"{PASSWORD} {number}"

    with ThreadPoolExecutor(8) as pool:
        winners = [password for password in pool.map(attempt, range(16)) if password]

    assert len(winners) == 1
    assert accounts.verify(ALICE, winners[0], HOME, NOW) is not None


def test_a_refused_password_or_address_opens_no_account(accounts, path):
    with pytest.raises(PasswordRefused):
        accounts.sign_up(ALICE, "alice@example.net", HOME, NOW)
    with pytest.raises(PasswordRefused):
        accounts.sign_up(ALICE, "post & co 123", HOME, NOW)
    with pytest.raises(AddressError):
        accounts.sign_up("alice", PASSWORD, HOME, NOW)

    assert rows(path, "SELECT count(*) FROM account") == [(0,)]


def test_a_right_password_gives_the_account_and_a_wrong_one_nothing(accounts):
    account = sign_up(accounts)

    assert accounts.verify("Alice@example.NET", PASSWORD, HOME, NOW) == account
    assert accounts.verify(ALICE, PASSWORD + "!", HOME, NOW) is None
    assert accounts.verify(BOB, PASSWORD, HOME, NOW) is None
    assert accounts.verify("' OR 1=1 --", PASSWORD, HOME, NOW) is None


def test_an_unknown_account_costs_one_check_of_a_password_like_a_known_one(path):
    class Counting(Hasher):
        checks = 0

        def matches(self, password: str, hashed: str | None) -> bool:
            self.checks += 1
            return super().matches(password, hashed)

    hasher = Counting(HASHER.cost)
    accounts = Accounts(path, hasher=hasher)
    sign_up(accounts)

    for address in (ALICE, BOB, "no address at all"):
        accounts.verify(address, "not this one, sorry", AWAY, NOW)

    assert hasher.checks == 3


def test_an_old_hash_is_renewed_by_the_next_log_in(path):
    sign_up(Accounts(path, hasher=Hasher(Cost(memory_kib=32, passes=1, lanes=1))))
    accounts = Accounts(path, hasher=HASHER)

    assert accounts.verify(ALICE, "not this one, sorry", HOME, NOW) is None
    assert rows(path, "SELECT secret FROM credential")[0][0].startswith("$argon2id$v=19$m=32,")
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None
    assert rows(path, "SELECT secret FROM credential")[0][0].startswith("$argon2id$v=19$m=64,")
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None


def test_the_file_holds_neither_passwords_nor_what_browsers_keep(accounts, path):
    account = sign_up(accounts)
    token = accounts.open_session(account.id, HOME, NOW)
    accounts.verify("my secret typed in the wrong field", "not this one, sorry", AWAY, NOW)
    accounts.close()

    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert PASSWORD.encode() not in stored
    assert token.encode() not in stored
    assert b"not this one" not in stored
    assert b"wrong field" not in stored


# -- throttle


def test_after_five_failures_the_next_try_waits_even_with_the_right_password(accounts):
    sign_up(accounts)
    fail(accounts, 5)

    with pytest.raises(TooSoon) as soon:
        accounts.verify(ALICE, PASSWORD, AWAY, NOW)

    assert soon.value.seconds == 1
    assert accounts.verify(ALICE, PASSWORD, AWAY, NOW + 1) is not None


def test_a_log_in_clears_what_went_before(accounts):
    sign_up(accounts)
    fail(accounts, 4)
    accounts.verify(ALICE, PASSWORD, AWAY, NOW)

    fail(accounts, 5)


def test_an_unknown_account_waits_exactly_like_a_known_one(accounts):
    sign_up(accounts)

    def answers(*spellings: str) -> list[object]:
        found: list[object] = []
        for second in range(40):
            try:
                address = spellings[second % len(spellings)]
                found.append(accounts.verify(address, "not this one, sorry", AWAY, NOW + second))
            except TooSoon as soon:
                found.append(soon.seconds)
        return found

    assert answers(ALICE, '"alice"@EXAMPLE.net', f"<{ALICE}>") == answers(BOB, '"bob"@EXAMPLE.net', f"<{BOB}>")


def test_other_networks_wait_too_but_not_the_owner_from_a_network_they_use(accounts):
    sign_up(accounts)
    fail(accounts, 5)

    with pytest.raises(TooSoon):
        accounts.verify(ALICE, PASSWORD, "203.0.113.5", NOW)
    assert accounts.verify(ALICE, PASSWORD, "192.0.2.200", NOW) is not None


def test_a_stranger_never_locks_the_owner_out(accounts):
    sign_up(accounts)
    now = NOW
    for _ in range(300):
        try:
            accounts.verify(ALICE, "not this one, sorry", AWAY, now)
        except TooSoon as soon:
            now += soon.seconds

    assert accounts.verify(ALICE, PASSWORD, HOME, now) is not None
    assert accounts.verify(ALICE, PASSWORD, "203.0.113.5", now + 900) is not None


def test_in_the_owners_own_network_failures_count_as_well(accounts):
    sign_up(accounts)
    fail(accounts, 5, client=HOME)

    with pytest.raises(TooSoon):
        accounts.verify(ALICE, PASSWORD, HOME, NOW)


def test_accounts_do_not_wait_for_each_other(accounts):
    sign_up(accounts)
    sign_up(accounts, BOB)
    fail(accounts, 5)

    assert accounts.verify(BOB, PASSWORD, AWAY, NOW) is not None


def test_a_storm_over_many_accounts_is_slowed_down_but_known_networks_are_let_in(accounts):
    sign_up(accounts)
    for number in range(300):
        fail(accounts, 1, address=f"nobody{number}@example.net", client=f"203.0.{number % 50}.1")

    with pytest.raises(TooSoon):
        accounts.verify("nobody-yet@example.net", PASSWORD, AWAY, NOW)
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None


def test_one_network_that_tries_many_accounts_waits_and_no_other_does(accounts):
    sign_up(accounts)
    for number in range(50):
        fail(accounts, 1, address=f"nobody{number}@example.net")

    with pytest.raises(TooSoon):
        accounts.verify("nobody-yet@example.net", PASSWORD, AWAY, NOW)
    assert accounts.verify(ALICE, PASSWORD, "203.0.113.5", NOW) is not None


def test_a_log_in_takes_back_what_it_counted_for_its_network(accounts):
    sign_up(accounts)
    for number in range(49):
        fail(accounts, 1, address=f"nobody{number}@example.net")

    accounts.verify(ALICE, PASSWORD, AWAY, NOW)

    fail(accounts, 1, address="nobody-yet@example.net")


def test_a_waiting_try_is_not_counted_so_nobody_can_keep_the_wait_alive(accounts):
    sign_up(accounts)
    fail(accounts, 5)
    for _ in range(50):
        with pytest.raises(TooSoon):
            accounts.verify(ALICE, PASSWORD, AWAY, NOW)

    assert accounts.verify(ALICE, PASSWORD, AWAY, NOW + 1) is not None


def test_of_a_hundred_tries_at_once_five_are_looked_at(accounts):
    sign_up(accounts)

    def attempt(_: int) -> bool:
        try:
            return accounts.verify(ALICE, "not this one, sorry", AWAY, NOW) is None
        except TooSoon:
            return False

    with ThreadPoolExecutor(8) as pool:
        looked_at = sum(pool.map(attempt, range(100)))

    assert looked_at == 5


def test_a_server_too_busy_to_check_counts_no_failure(path):
    hasher = Hasher(HASHER.cost, at_once=1, patience=0.01)
    accounts = Accounts(path, hasher=hasher)
    sign_up(accounts)
    with hasher._turn(), ThreadPoolExecutor(1) as pool:
        for _ in range(9):
            with pytest.raises(HashingBusy):
                pool.submit(accounts.verify, ALICE, PASSWORD, AWAY, NOW).result()

    assert accounts.verify(ALICE, PASSWORD, AWAY, NOW) is not None


def test_what_is_forgotten_is_thrown_away(accounts, path):
    fail(accounts, 1, address="one@example.net")
    fail(accounts, 1, address="two@example.net", now=NOW + 7200)

    assert rows(path, "SELECT count(*) FROM throttle WHERE forgotten <= 1800007200") == [(0,)]


# -- sessions


def test_a_session_is_known_by_its_token_alone(accounts):
    account = sign_up(accounts)

    token = accounts.open_session(account.id, HOME, NOW)

    found = accounts.session(token, NOW)
    assert found is not None
    assert found.account == account
    assert len(token) >= 43
    for other in ("", token[:-1], token + "A", token.swapcase(), "\x00", "é" * 43):
        assert accounts.session(other, NOW) is None


def test_every_session_has_a_token_of_its_own(accounts):
    account = sign_up(accounts)

    assert len({accounts.open_session(account.id, HOME, NOW) for _ in range(20)}) == 20


def test_a_session_left_alone_for_a_quarter_of_an_hour_is_over(accounts):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)

    assert accounts.session(token, NOW + 899) is not None
    assert accounts.session(token, NOW + 899 + 900) is None


def test_a_session_in_use_lasts_eight_hours_and_not_longer(accounts):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)
    minutes = [minute for minute in range(0, 600, 10) if accounts.session(token, NOW + minute * 60)]

    assert minutes[-1] == 470


def test_reading_writes_at_most_once_a_minute(accounts, path):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)

    accounts.session(token, NOW + 59)
    before = rows(path, "SELECT seen FROM session")
    accounts.session(token, NOW + 60)

    assert before == [(NOW,)]
    assert rows(path, "SELECT seen FROM session") == [(NOW + 60,)]


def test_a_late_request_does_not_turn_a_session_back(accounts, path):
    token = accounts.open_session(sign_up(accounts).id, HOME, NOW)

    accounts.session(token, NOW + 500)
    accounts.session(token, NOW + 400)

    assert rows(path, "SELECT seen FROM session") == [(NOW + 500,)]


def test_a_log_out_ends_that_session_and_no_other(accounts):
    account = sign_up(accounts)
    here, there = (accounts.open_session(account.id, HOME, NOW) for _ in range(2))

    accounts.end_session(here, HOME, NOW)
    accounts.end_session(here, HOME, NOW)
    accounts.end_session("no such token", HOME, NOW)

    assert accounts.session(here, NOW) is None
    assert accounts.session(there, NOW) is not None


def test_all_sessions_of_one_account_end_at_once(accounts):
    alice, bob = sign_up(accounts), sign_up(accounts, BOB)
    tokens = [accounts.open_session(alice.id, HOME, NOW) for _ in range(3)]
    other = accounts.open_session(bob.id, HOME, NOW)

    assert accounts.end_all(alice.id, HOME, NOW) == 3

    assert [accounts.session(token, NOW) for token in tokens] == [None] * 3
    assert accounts.session(other, NOW) is not None


def test_sessions_that_are_over_are_thrown_away(accounts, path):
    account = sign_up(accounts)
    accounts.open_session(account.id, HOME, NOW)

    accounts.open_session(account.id, HOME, NOW + 3600)

    assert rows(path, "SELECT opened FROM session") == [(NOW + 3600,)]


# -- audit


def test_the_audit_tells_who_did_what_when_and_from_where(accounts, path):
    account = sign_up(accounts)
    accounts.verify(ALICE, "not this one, sorry", AWAY, NOW + 1)
    accounts.verify(BOB, "not this one, sorry", AWAY, NOW + 2)
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


# -- the file


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
