"""Signing up, and proving it by a password."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger.accounts import Account, Accounts, AddressTaken, TooSoon
from messenger.envelope import AddressError
from messenger.passwords import Cost, Hasher, PasswordRefused

from .accounts_fixtures import (  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    HASHER,
    HOME,
    NOW,
    PASSWORD,
    WRONG,
    accounts_fixture,
    fail,
    path_fixture,
    rows,
    sign_up,
)


def test_an_account_is_found_by_its_address_in_any_spelling(accounts):
    account = accounts.sign_up("Alice@Example.NET", PASSWORD, HOME, NOW, language="de", time_zone="Europe/Berlin")

    assert account == Account(1, ALICE, NOW, "de", "Europe/Berlin")
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
        accounts.verify(address, WRONG, AWAY, NOW)

    assert hasher.checks == 3


def test_an_old_hash_is_renewed_by_the_next_log_in(path):
    sign_up(Accounts(path, hasher=Hasher(Cost(memory_kib=32, passes=1, lanes=1))))
    accounts = Accounts(path, hasher=HASHER)

    assert accounts.verify(ALICE, WRONG, HOME, NOW) is None
    assert rows(path, "SELECT secret FROM credential")[0][0].startswith("$argon2id$v=19$m=32,")
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None
    assert rows(path, "SELECT secret FROM credential")[0][0].startswith("$argon2id$v=19$m=64,")
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None


def test_the_file_holds_neither_passwords_nor_what_browsers_keep(accounts, path):
    account = sign_up(accounts)
    token = accounts.open_session(account.id, HOME, NOW)
    accounts.verify("my secret typed in the wrong field", WRONG, AWAY, NOW)
    accounts.close()

    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert PASSWORD.encode() not in stored
    assert token.encode() not in stored
    assert b"not this one" not in stored
    assert b"wrong field" not in stored


# -- the password again


def test_the_password_asked_again_is_told_right_from_wrong(accounts):
    account = sign_up(accounts)

    assert accounts.confirm(account.id, PASSWORD, HOME, NOW)
    assert not accounts.confirm(account.id, WRONG, HOME, NOW)
    assert not accounts.confirm(99, PASSWORD, HOME, NOW)


def test_a_stolen_session_gives_no_more_tries_than_the_log_in(accounts):
    account = sign_up(accounts)
    for _ in range(3):
        accounts.confirm(account.id, WRONG, AWAY, NOW)
    fail(accounts, 2)

    with pytest.raises(TooSoon):
        accounts.confirm(account.id, PASSWORD, AWAY, NOW)
    with pytest.raises(TooSoon):
        accounts.verify(ALICE, PASSWORD, AWAY, NOW)
    assert accounts.confirm(account.id, PASSWORD, AWAY, NOW + 1)


def test_only_a_wrong_password_asked_again_is_in_the_audit_and_apart_from_log_ins(accounts):
    account = sign_up(accounts)
    accounts.confirm(account.id, PASSWORD, HOME, NOW)
    accounts.confirm(account.id, WRONG, HOME, NOW)

    assert [(e.event, e.outcome, e.detail) for e in accounts.trail()][1:] == [("log-in", "refused", "password again")]


# -- another password


def test_another_password_replaces_the_old_one_and_ends_every_session(accounts):
    account = sign_up(accounts)
    tokens = [accounts.open_session(account.id, HOME, NOW) for _ in range(2)]

    accounts.change_password(account.id, "four plain red windows", HOME, NOW)

    assert [accounts.session(token, NOW) for token in tokens] == [None, None]
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is None
    assert accounts.verify(ALICE, "four plain red windows", HOME, NOW) == accounts.find(ALICE)


def test_a_refused_password_changes_nothing(accounts):
    account = sign_up(accounts)
    token = accounts.open_session(account.id, HOME, NOW)

    for refused in ("short", "alice@example.net", "post & co 123"):
        with pytest.raises(PasswordRefused):
            accounts.change_password(account.id, refused, HOME, NOW)

    assert accounts.session(token, NOW) is not None
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None


def test_a_password_changed_while_the_old_one_is_looked_at_lets_nobody_in(accounts, monkeypatch):
    account = sign_up(accounts)
    real = accounts._hasher.matches

    def matches(password, hashed):
        accounts.change_password(account.id, "four plain red windows", HOME, NOW)
        return real(password, hashed)

    with monkeypatch.context() as patch:
        patch.setattr(accounts._hasher, "matches", matches)
        found = accounts.verify(ALICE, PASSWORD, HOME, NOW)

    assert found is None
    assert accounts.verify(ALICE, "four plain red windows", HOME, NOW) is not None


def test_language_and_time_zone_are_set_each_by_itself(accounts):
    account = sign_up(accounts)

    accounts.settle(account.id, language="de")
    accounts.settle(account.id, time_zone="Europe/Berlin")
    accounts.settle(account.id)
    accounts.settle(99, language="de")

    found = accounts.find(ALICE)
    assert (found.language, found.time_zone) == ("de", "Europe/Berlin")
