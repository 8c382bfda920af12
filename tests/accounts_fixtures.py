"""Accounts in a new file, with a hasher that tests can wait for, and the people who have one."""

import sqlite3
from pathlib import Path

import pytest

from messenger import totp
from messenger.accounts import Account, Accounts
from messenger.passwords import Cost, Hasher

ALICE, BOB, CAROL = "alice@example.net", "bob@example.net", "carol@example.net"
PASSWORD = "three plain blue doors"
WRONG = "not this one, sorry"
HOME, AWAY, ELSEWHERE = "192.0.2.7", "198.51.100.9", "203.0.113.5"
NOW = 1_800_000_000
KEY = bytes(range(32))
HASHER = Hasher(Cost(memory_kib=64, passes=1, lanes=1), at_once=8, waiting=8)


@pytest.fixture(name="path")
def path_fixture(tmp_path) -> Path:
    return tmp_path / "accounts.sqlite"


@pytest.fixture(name="accounts")
def accounts_fixture(path) -> Accounts:
    return Accounts(path, site_name="Post & Co", totp_key=KEY, hasher=HASHER)


def sign_up(accounts: Accounts, address: str = ALICE) -> Account:
    return accounts.sign_up(address, PASSWORD, HOME, NOW)


def rows(path: Path, sql: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def fail(accounts: Accounts, times: int, *, address: str = ALICE, client: str = AWAY, now: int = NOW) -> None:
    for _ in range(times):
        assert accounts.verify(address, WRONG, client, now) is None


def code_at(secret: str, now: int) -> str:
    """What the authenticator app shows at *now*."""
    return totp.code(secret, totp.step_of(now))


def enrol(accounts: Accounts, account: Account, now: int = NOW) -> tuple[str, list[str]]:
    """Give *account* a second factor; return its secret and its recovery codes. The code of *now* is used up."""
    secret = accounts.begin_totp(account.id, now)
    codes = accounts.confirm_totp(account.id, code_at(secret, now), HOME, now)
    assert codes is not None
    return secret, codes
