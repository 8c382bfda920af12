"""A forgotten password: a link that works once, for an hour, and tells nobody who has an account."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger.accounts import RECOVERY, TOTP, Accounts, AccountsError, ProofMissing, Reset, TooSoon
from messenger.passwords import Hasher, HashingBusy, PasswordRefused

from .accounts_fixtures import (  # noqa: F401
    ALICE,
    AWAY,
    BOB,
    ELSEWHERE,
    HASHER,
    HOME,
    KEY,
    NOW,
    PASSWORD,
    accounts_fixture,
    code_at,
    enrol,
    path_fixture,
    rows,
    sign_up,
)

NEW = "four plain red windows"
LATER = NOW + 60


def ask(accounts: Accounts, address: str = ALICE, now: int = NOW, client: str = AWAY) -> str:
    asked = accounts.ask_reset(address, client, now)
    assert asked is not None
    return asked[1]


def test_a_link_sets_another_password_once_and_ends_every_session(accounts):
    account = sign_up(accounts)
    session = accounts.open_session(account.id, HOME, NOW)
    token = ask(accounts, '"alice"@EXAMPLE.net')

    assert accounts.reset(token, NEW, "", AWAY, LATER) == Reset(account, "")

    assert accounts.session(session, LATER) is None
    assert accounts.verify(ALICE, PASSWORD, HOME, LATER) is None
    assert accounts.verify(ALICE, NEW, HOME, LATER) == accounts.find(ALICE)
    assert accounts.reset(token, PASSWORD, "", AWAY, LATER) is None
    assert accounts.reset_of(token, LATER) is None


def test_a_look_at_a_link_uses_nothing_up(accounts):
    account = sign_up(accounts)
    token = ask(accounts)

    assert [accounts.reset_of(token, LATER) for _ in range(3)] == [account] * 3
    assert accounts.reset(token, NEW, "", AWAY, LATER) == Reset(account, "")


def test_a_link_works_for_an_hour(accounts):
    account = sign_up(accounts)
    token = ask(accounts)

    assert accounts.reset_of(token, NOW + 3599) == account
    assert accounts.reset_of(token, NOW + 3600) is None
    assert accounts.reset(token, NEW, "", AWAY, NOW + 3600) is None


def test_nothing_but_the_token_opens_it(accounts, path):
    sign_up(accounts)
    token = ask(accounts)
    (kept,) = rows(path, "SELECT id FROM token")[0]

    for other in ("", token[:-1], token + "A", token.swapcase(), kept, "\x00", "\ud800"):
        assert accounts.reset_of(other, NOW) is None
        assert accounts.reset(other, NEW, "", AWAY, NOW) is None
    assert len(token) >= 43
    accounts.close()
    assert token.encode() not in b"".join(file.read_bytes() for file in path.parent.iterdir())


def test_a_refused_password_leaves_the_link_good(accounts):
    account = sign_up(accounts)
    token = ask(accounts)

    for refused in ("short", "alice@example.net", "post & co 123"):
        with pytest.raises(PasswordRefused):
            accounts.reset(token, refused, "", AWAY, LATER)

    assert accounts.reset(token, NEW, "", AWAY, LATER) == Reset(account, "")


def test_one_reset_ends_all_links_and_so_does_a_changed_password(accounts):
    account = sign_up(accounts)
    first, second = ask(accounts), ask(accounts)
    accounts.reset(first, NEW, "", AWAY, LATER)
    third = ask(accounts)
    accounts.change_password(account.id, PASSWORD, HOME, LATER)

    assert accounts.reset_of(second, LATER) is None
    assert accounts.reset_of(third, LATER) is None


# -- a second factor


def test_a_second_factor_set_up_or_turned_off_ends_all_links_and_asking_again_ends_none(accounts):
    account = sign_up(accounts)
    first, second = ask(accounts), ask(accounts)
    assert accounts.reset_of(first, LATER) == accounts.reset_of(second, LATER) == account

    enrol(accounts, account)
    with_it = ask(accounts)
    accounts.remove_totp(account.id, HOME, NOW)

    assert [accounts.reset_of(token, LATER) for token in (first, second, with_it)] == [None] * 3


def test_mail_alone_does_not_get_past_a_second_factor(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    token = ask(accounts)

    for code in ("", "000000"):
        with pytest.raises(ProofMissing):
            accounts.reset(token, NEW, code, AWAY, LATER)
    assert accounts.verify(ALICE, PASSWORD, HOME, LATER) is not None
    assert accounts.reset(token, NEW, code_at(secret, LATER), AWAY, LATER).way == TOTP
    assert accounts.verify(ALICE, NEW, HOME, LATER) is not None


def test_a_recovery_code_gets_past_it_and_is_used_up(accounts):
    account = sign_up(accounts)
    _, codes = enrol(accounts, account)

    assert accounts.reset(ask(accounts), NEW, codes[0], AWAY, LATER).way == RECOVERY
    with pytest.raises(ProofMissing):
        accounts.reset(ask(accounts), PASSWORD, codes[0], AWAY, LATER)
    assert accounts.recovery_left(account.id) == 9


def test_wrong_codes_make_wait_and_who_knows_the_password_cannot_stretch_that(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    token = ask(accounts)
    for _ in range(5):
        with pytest.raises(ProofMissing):
            accounts.reset(token, NEW, "000000", AWAY, LATER)
    with pytest.raises(TooSoon):
        accounts.reset(token, NEW, code_at(secret, LATER), AWAY, LATER)
    for _ in range(5):
        accounts.prove(account.id, "000000", ELSEWHERE, LATER)

    assert accounts.reset(token, NEW, code_at(secret, LATER), AWAY, LATER + 1) is not None


# -- who has an account


def test_an_unknown_a_disabled_and_a_known_address_cost_the_same_work(accounts, path):
    sign_up(accounts)
    accounts.disable(sign_up(accounts, BOB).id, "admin:root", NOW)
    statements: list[str] = []
    with accounts._file.reading() as db:
        db.conn.set_trace_callback(statements.append)

    def cost(address: str) -> list[str]:
        statements.clear()
        accounts.ask_reset(address, AWAY, NOW)
        # What is done to which table; savepoints have random names.
        return [" ".join(line.split()[:3]) for line in statements if "SAVEPOINT" not in line]

    assert cost(ALICE) == cost(BOB) == cost("nobody@example.net")
    assert rows(path, "SELECT count(*), count(account) FROM token") == [(3, 1)]


def test_a_token_of_nobody_opens_nothing_and_goes_after_an_hour(accounts, path):
    assert accounts.ask_reset("nobody@example.net", AWAY, NOW) is None
    assert accounts.ask_reset("no address at all", AWAY, NOW) is None
    sign_up(accounts)
    ask(accounts, now=NOW + 3600)

    assert rows(path, "SELECT account FROM token") == [(1,)]


def test_asking_too_often_gives_nothing_for_a_while_whoever_asks(accounts):
    sign_up(accounts)
    for address in (ALICE, "nobody@example.net"):
        for client in (HOME, AWAY, ELSEWHERE, HOME, AWAY):
            accounts.ask_reset(address, client, NOW)

    assert accounts.ask_reset(ALICE, HOME, NOW) is None
    assert accounts.ask_reset(ALICE, HOME, NOW + 1) is not None


def test_a_mailbox_gets_a_few_mails_an_hour_however_often_somebody_asks(accounts, path):
    sign_up(accounts)

    mails = [second for second in range(0, 7200, 30) if accounts.ask_reset(ALICE, AWAY, NOW + second)]

    assert len(mails) < 25
    lines = rows(path, "SELECT outcome, count(*) FROM audit WHERE event = 'reset asked' GROUP BY outcome")
    assert dict(lines)["done"] == len(mails)
    assert dict(lines)["refused"] <= len(mails)


def test_one_network_that_asks_for_many_addresses_gets_no_more_and_others_do(accounts):
    sign_up(accounts)
    for number in range(50):
        accounts.ask_reset(f"nobody{number}@example.net", AWAY, NOW)

    assert accounts.ask_reset(ALICE, AWAY, NOW) is None
    assert accounts.ask_reset(ALICE, HOME, NOW) is not None


def test_a_disabled_account_gets_no_link_and_its_old_ones_are_dead(accounts):
    account = sign_up(accounts)
    token = ask(accounts)

    accounts.disable(account.id, "admin:root", NOW)

    assert accounts.ask_reset(ALICE, AWAY, NOW) is None
    assert accounts.reset_of(token, NOW) is None
    assert accounts.reset(token, NEW, "", AWAY, NOW) is None


def test_what_was_asked_and_done_is_in_the_audit_but_not_what_was_typed(accounts, path):
    sign_up(accounts)
    accounts.ask_reset("my secret typed in the wrong field", AWAY, NOW + 1)
    accounts.reset(ask(accounts, now=NOW + 1), NEW, "", AWAY, NOW + 2)

    assert [(e.event, e.outcome, e.address) for e in accounts.trail(since=NOW + 1)] == [
        ("reset asked", "refused", ""),
        ("reset asked", "done", ALICE),
        ("reset", "done", ALICE),
    ]
    accounts.close()
    assert b"wrong field" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


# -- two at once, and trouble


def test_of_many_threads_with_one_link_one_wins_and_its_password_is_the_one(accounts):
    sign_up(accounts)
    token = ask(accounts)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: accounts.reset(token, f"{NEW} {n}", "", AWAY, LATER), range(8)))

    (winner,) = [number for number, account in enumerate(found) if account]
    assert accounts.verify(ALICE, f"{NEW} {winner}", HOME, LATER) is not None


def _reset(path, token: str, number: int, ready, results) -> None:
    accounts = Accounts(path, totp_key=KEY, hasher=Hasher(HASHER.cost))
    ready.wait()
    results.put(number if accounts.reset(token, f"{NEW} {number}", "", AWAY, LATER) else None)


def test_of_several_processes_with_one_link_one_wins(accounts, path):
    sign_up(accounts)
    token = ask(accounts)
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_reset, args=(path, token, n, ready, results)) for n in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)

    (winner,) = [number for number in found if number is not None]
    assert accounts.verify(ALICE, f"{NEW} {winner}", HOME, LATER) is not None


def test_on_a_full_disk_nothing_is_set_and_neither_link_nor_code_is_used_up(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    token = ask(accounts)
    with accounts._file.reading() as db:
        db.execute("PRAGMA query_only = ON")
    with pytest.raises(AccountsError):
        accounts.reset(token, NEW, code_at(secret, LATER), AWAY, LATER)
    with pytest.raises(AccountsError):
        accounts.ask_reset(ALICE, AWAY, LATER)
    with accounts._file.reading() as db:
        db.execute("PRAGMA query_only = OFF")

    assert accounts.reset(token, NEW, code_at(secret, LATER), AWAY, LATER) is not None


def test_a_server_too_busy_to_hash_uses_nothing_up(path):
    hasher = Hasher(HASHER.cost, at_once=1, patience=0.01)
    accounts = Accounts(path, hasher=hasher)
    sign_up(accounts)
    token = ask(accounts)
    with hasher._turn(), ThreadPoolExecutor(1) as pool, pytest.raises(HashingBusy):
        pool.submit(accounts.reset, token, NEW, "", AWAY, LATER).result()

    assert accounts.reset(token, NEW, "", AWAY, LATER) is not None
