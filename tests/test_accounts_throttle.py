"""Failed log-ins make wait; nobody is locked out, and nobody learns who has an account."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger.accounts import Accounts, TooSoon
from messenger.passwords import Hasher, HashingBusy

from .accounts_fixtures import (  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    ELSEWHERE,
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
                found.append(accounts.verify(address, WRONG, AWAY, NOW + second))
            except TooSoon as soon:
                found.append(soon.seconds)
        return found

    assert answers(ALICE, '"alice"@EXAMPLE.net', f"<{ALICE}>") == answers(BOB, '"bob"@EXAMPLE.net', f"<{BOB}>")


def test_other_networks_wait_too_but_not_the_owner_from_a_network_they_use(accounts):
    sign_up(accounts)
    fail(accounts, 5)

    with pytest.raises(TooSoon):
        accounts.verify(ALICE, PASSWORD, ELSEWHERE, NOW)
    assert accounts.verify(ALICE, PASSWORD, "192.0.2.200", NOW) is not None


def test_a_stranger_never_locks_the_owner_out(accounts):
    sign_up(accounts)
    now = NOW
    for _ in range(300):
        try:
            accounts.verify(ALICE, WRONG, AWAY, now)
        except TooSoon as soon:
            now += soon.seconds

    assert accounts.verify(ALICE, PASSWORD, HOME, now) is not None
    assert accounts.verify(ALICE, PASSWORD, ELSEWHERE, now + 900) is not None


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
    assert accounts.verify(ALICE, PASSWORD, ELSEWHERE, NOW) is not None


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
            return accounts.verify(ALICE, WRONG, AWAY, NOW) is None
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
