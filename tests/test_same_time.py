"""Whether an address has an account can't be told from how long an answer takes: many tries, counted in CPU time.

The wait for other processes isn't in CPU time, so a busy machine changes nothing. The last test takes the work for
unknown addresses away, to see that the others would notice.
"""

import random
import statistics
from time import thread_time

import pytest

from messenger.accounts import Accounts
from messenger.passwords import Cost, Hasher
from tests.accounts_fixtures import HOME
from tests.reader_fixtures import ALICE, OURS, PASSWORD, PORTAL, Portal, portal

ROUNDS = 40
DAY = 24 * 3600
#: A hash that takes most of an answer's time, as the real one does.
COST = Cost(memory_kib=4096, passes=2, lanes=1)
SHUT, NOBODY = "carol@example.net", "nobody@example.net"
#: With 40 tries each, chance alone leaves this once in 10,000 times, and hardly ever by more than DROWNED as well.
LIKELY = 0.25
#: What costs less than this part more is drowned by anything between us and an attacker.
DROWNED = 1.1


@pytest.fixture
def site(tmp_path) -> Portal:
    found = portal(tmp_path, hasher=Hasher(COST), reader="trusted_proxies = 1")
    accounts: Accounts = found.app.extensions["messenger"].accounts
    for address in (ALICE, SHUT):
        accounts.sign_up(address, PASSWORD, HOME, int(found.clock.now))
    accounts.disable(accounts.find(SHUT).id, "admin:root", int(found.clock.now))
    return found


def seconds(site: Portal, path: str, address: str, number: int) -> float:
    """CPU time of one answer, to somebody who never asked before."""
    site.clock.now += DAY
    browser = site.browser()
    headers = {**OURS, "X-Forwarded-For": f"203.{number >> 8}.{number & 255}.1"}
    form = {"address": address, "password": "not this one, sorry"}
    start = thread_time()
    answer = browser.post(path, base_url=PORTAL, headers=headers, data=form)
    taken = thread_time() - start
    assert answer.status_code == {"/login": 403, "/forgot": 303}[path]
    return taken


def told_apart(site: Portal, path: str) -> list[str]:
    """The addresses whose answers take longer, or shorter, than those of an unknown address."""
    order = random.Random(1)  # no secret: the same shuffle in each run
    taken: dict[str, list[float]] = {ALICE: [], SHUT: [], NOBODY: []}
    for number in range(ROUNDS):
        for address in order.sample(sorted(taken), len(taken)):
            taken[address].append(seconds(site, path, address, number))
    return [address for address in (ALICE, SHUT) if _differ(taken[address], taken[NOBODY])]


def _differ(some: list[float], others: list[float]) -> bool:
    # Mann-Whitney: how often one of *some* takes longer than one of *others*; half of the time if nothing differs.
    longer = sum((one > other) + (one == other) / 2 for one in some for other in others) / len(some) / len(others)
    middle = sorted([statistics.median(some), statistics.median(others)])
    return abs(longer - 0.5) > LIKELY and middle[1] > middle[0] * DROWNED


@pytest.mark.parametrize("path", ["/login", "/forgot"])
def test_known_shut_and_unknown_addresses_take_the_same_time(site, path):
    assert told_apart(site, path) == []


def test_without_the_work_for_unknown_addresses_they_would_be_told_apart(site, monkeypatch):
    real = Hasher.matches
    monkeypatch.setattr(Hasher, "matches", lambda self, given, hashed: bool(hashed) and real(self, given, hashed))

    assert told_apart(site, "/login") == [ALICE, SHUT]
