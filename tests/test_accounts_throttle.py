"""Failed log-ins make wait; nobody is locked out, and nobody learns who has an account."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger.accounts import Accounts, TooSoon
from messenger.passwords import Hasher, HashingBusy
from messenger.throttle import Limit

from .accounts_fixtures import (  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    CAROL,
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


def put_off(path) -> list[tuple]:
    return rows(path, "SELECT at, address, client, detail FROM audit WHERE detail LIKE 'too many tries%'")


def test_of_all_tries_that_one_wait_puts_off_the_first_is_in_the_audit(accounts, path):
    sign_up(accounts)
    fail(accounts, 5)
    for second in (1, 3, 7):
        fail(accounts, 1, now=NOW + second)
    for second in range(8, 15):
        for _ in range(9):
            with pytest.raises(TooSoon):
                accounts.verify(ALICE, PASSWORD, AWAY, NOW + second)
    fail(accounts, 1, now=NOW + 15)
    with pytest.raises(TooSoon):
        accounts.verify(ALICE, PASSWORD, AWAY, NOW + 16)

    words = "too many tries: put off for {} s, and all until then"
    first, second = (NOW + 8, ALICE, AWAY, words.format(7)), (NOW + 16, ALICE, AWAY, words.format(15))
    assert put_off(path) == [first, second]


def test_an_account_that_is_not_there_has_the_same_lines_without_its_address(accounts, path):
    fail(accounts, 5, address="not.a.person@example.net")
    for _ in range(3):
        with pytest.raises(TooSoon):
            accounts.verify("not.a.person@example.net", PASSWORD, AWAY, NOW)

    assert put_off(path) == [(NOW, "", AWAY, "too many tries: put off for 1 s, and all until then")]


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


def test_after_a_thousand_wrong_guesses_the_owner_logs_in_from_elsewhere(accounts):
    sign_up(accounts)
    now = NOW
    for number in range(1000):
        try:
            accounts.verify(ALICE, WRONG, f"198.51.{number % 200}.9", now)
        except TooSoon as soon:
            now += min(soon.seconds, 2)

    assert accounts.verify(ALICE, PASSWORD, HOME, now) is not None
    assert accounts.verify(ALICE, PASSWORD, ELSEWHERE, now + 900) is not None


def answers(accounts: Accounts, address: str, client: str, password: str = WRONG, seconds: int = 30) -> list[object]:
    """What somebody sees who tries once a second."""
    found: list[object] = []
    for second in range(seconds):
        try:
            found.append(accounts.verify(address, password, client, NOW + second))
        except TooSoon as soon:
            found.append(soon.seconds)
    return found


FEW = 20


@pytest.fixture
def low_limits(monkeypatch):
    """Networks and the site are full sooner than in earnest, so that filling them doesn't take long."""
    monkeypatch.setattr("messenger.throttle.NETWORK", Limit(free=FEW, forgets=60))
    monkeypatch.setattr("messenger.throttle.OVERALL", Limit(free=2 * FEW, forgets=1))


def _nothing(accounts: Accounts) -> None:
    """The network, the addresses and the site are fresh."""


def _network_full(accounts: Accounts) -> None:
    for number in range(FEW):
        fail(accounts, 1, address=f"nobody{number}@example.net", client=HOME)


def _account_full(accounts: Accounts) -> None:
    for address in (ALICE, BOB, CAROL):
        fail(accounts, 5, address=address, client=AWAY)


def _site_full(accounts: Accounts) -> None:
    for number in range(2 * FEW):
        fail(accounts, 1, address=f"nobody{number}@example.net", client=f"203.0.{number}.1")


@pytest.mark.parametrize("before", [_nothing, _network_full, _account_full, _site_full])
@pytest.mark.parametrize("client", ["192.0.2.200", ELSEWHERE])
def test_a_neighbour_of_the_owner_learns_no_more_than_others_who_has_an_account(low_limits, path, before, client):
    """Alice is known in this network, Carol has an account and was never here, Bob has none."""
    seen = []
    for address in (ALICE, BOB, CAROL):
        accounts = Accounts(path.with_name(address), hasher=HASHER)
        sign_up(accounts)
        accounts.sign_up(CAROL, PASSWORD, "100.64.0.1", NOW)
        before(accounts)
        seen.append(answers(accounts, address, client))

    assert seen[0] == seen[1] == seen[2]


@pytest.mark.parametrize("before", [_network_full, _account_full, _site_full])
def test_where_strangers_wait_the_owner_gets_in_from_a_network_they_use_and_nobody_else(low_limits, accounts, before):
    sign_up(accounts)
    accounts.sign_up(CAROL, PASSWORD, "100.64.0.1", NOW)
    before(accounts)

    assert accounts.verify(ALICE, PASSWORD, HOME, NOW) is not None
    with pytest.raises(TooSoon):
        accounts.verify(CAROL, PASSWORD, HOME, NOW)


def test_where_strangers_wait_each_refusal_from_a_used_network_costs_one_check_of_a_password(low_limits, path):
    class Counting(Hasher):
        checks = 0

        def matches(self, password: str, hashed: str | None) -> bool:
            self.checks += 1
            return super().matches(password, hashed)

    hasher = Counting(HASHER.cost)
    accounts = Accounts(path, hasher=hasher)
    sign_up(accounts)
    _network_full(accounts)
    hasher.checks = 0

    costs = []
    for address in (ALICE, BOB, "no address at all"):
        with pytest.raises(TooSoon):
            accounts.verify(address, WRONG, HOME, NOW)
        costs.append(hasher.checks)

    assert costs == [1, 2, 3]


def test_where_strangers_wait_nobody_from_an_unused_network_costs_a_check(low_limits, path):
    hasher = Hasher(HASHER.cost)
    hasher.matches = lambda *_: pytest.fail("looked at a password")
    accounts = Accounts(path, hasher=hasher)
    sign_up(accounts)
    _site_full(Accounts(path, hasher=HASHER))

    with pytest.raises(TooSoon):
        accounts.verify(ALICE, PASSWORD, ELSEWHERE, NOW)


def test_a_neighbours_tries_are_counted_where_strangers_wait_too(low_limits, accounts):
    sign_up(accounts)
    _network_full(accounts)
    for _ in range(5):
        with pytest.raises(TooSoon):
            accounts.verify(ALICE, WRONG, HOME, NOW)

    with pytest.raises(TooSoon) as soon:
        accounts.verify(ALICE, PASSWORD, HOME, NOW)
    assert soon.value.seconds == 1
