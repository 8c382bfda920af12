import pytest

from messenger import throttle
from messenger.throttle import ACCOUNT, NETWORK, OVERALL, network_of


def waits(limit: throttle.Limit, failures: int) -> list[int]:
    """The waits after each of *failures* in a row, each tried as soon as it is allowed."""
    count, now, found = 0, 1_000_000, []
    last = now
    for _ in range(failures):
        count, last = limit.counted(count, last, now), now
        found.append(limit.wait(count, last, now))
        now += found[-1]
    return found


def test_five_tries_are_free_and_each_later_failure_doubles_the_wait_up_to_a_quarter_of_an_hour():
    assert waits(ACCOUNT, 16) == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


def test_a_wait_ends():
    assert ACCOUNT.wait(7, last=1000, now=1003) == 1
    assert ACCOUNT.wait(7, last=1000, now=1004) == 0


def test_failures_are_forgotten_one_an_hour():
    assert ACCOUNT.remembered(7, last=1000, now=1000 + 3 * 3600) == 4
    assert ACCOUNT.remembered(7, last=1000, now=1000 + 9 * 3600) == 0
    assert ACCOUNT.forgotten(7, last=1000) == 1000 + 7 * 3600


def test_a_clock_that_was_set_back_makes_nobody_wait_for_it():
    assert ACCOUNT.wait(15, last=1_000_000, now=900_000) == 0


def test_requests_that_overtake_each_other_by_a_second_still_wait():
    assert ACCOUNT.wait(15, last=1001, now=1000) > 0


def test_a_storm_over_all_accounts_is_slowed_to_a_try_a_second():
    assert set(waits(OVERALL, 1000)[:299]) == {0}
    assert max(waits(OVERALL, 1000)) <= 2


def test_one_network_is_slowed_to_about_a_try_a_minute():
    found = waits(NETWORK, 200)

    assert set(found[:49]) == {0}
    assert 30 <= sum(found[-50:]) / 50 <= 64


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("local", "local"),
        ("", "local"),
        ("not an address", "local"),
    ],
)
def test_a_client_counts_for_its_network(client, network):
    assert network_of(client) == network
