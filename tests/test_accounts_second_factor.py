"""A second factor: enrolled by one of its codes, each code used once, recovery codes for when the phone is gone."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger import totp
from messenger.accounts import CODE, ENROL, FULL, Accounts, AccountsError, EnrolmentOff, TooSoon
from messenger.passwords import Hasher
from messenger.totp import TotpError

from .accounts_fixtures import (  # noqa: F401  # noqa: F401
    ALICE,
    AWAY,
    BOB,
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

LATER = NOW + 60


def outcomes(found: list[object]) -> list[object]:
    return sorted(found, key=str)


# -- enrolling


def test_a_secret_counts_once_a_code_of_it_was_typed(accounts):
    account = sign_up(accounts)
    secret = accounts.begin_totp(account.id, NOW)
    before = accounts.find(ALICE)

    codes = accounts.confirm_totp(account.id, code_at(secret, NOW), HOME, NOW)

    assert before is not None
    assert not before.second_factor
    assert accounts.find(ALICE).second_factor
    assert codes is not None
    assert len(set(codes)) == 10
    assert accounts.pending_totp(account.id) is None


def test_beginning_again_within_an_hour_gives_the_same_secret_and_later_another(accounts):
    account = sign_up(accounts)
    first = accounts.begin_totp(account.id, NOW)

    assert accounts.begin_totp(account.id, NOW + 3599) == first == accounts.pending_totp(account.id)
    assert accounts.begin_totp(account.id, NOW + 3600) != first


def test_a_wrong_code_enrols_nothing_and_the_right_one_still_does(accounts):
    account = sign_up(accounts)
    secret = accounts.begin_totp(account.id, NOW)

    assert accounts.confirm_totp(account.id, "000000", HOME, NOW) is None
    assert not accounts.find(ALICE).second_factor
    assert accounts.confirm_totp(account.id, code_at(secret, NOW), HOME, NOW)


def test_nothing_begun_is_nothing_to_confirm(accounts):
    account = sign_up(accounts)

    assert accounts.confirm_totp(account.id, "000000", HOME, NOW) is None
    assert accounts.confirm_totp(99, "000000", HOME, NOW) is None
    assert accounts.pending_totp(account.id) is None


def test_wrong_codes_while_enrolling_make_wait(accounts):
    account = sign_up(accounts)
    secret = accounts.begin_totp(account.id, NOW)
    for _ in range(5):
        accounts.confirm_totp(account.id, "000000", HOME, NOW)

    with pytest.raises(TooSoon):
        accounts.confirm_totp(account.id, code_at(secret, NOW), HOME, NOW)
    assert accounts.confirm_totp(account.id, code_at(secret, NOW), HOME, NOW + 1)


def test_the_code_that_enrolled_is_used_up(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)

    assert accounts.prove(account.id, code_at(secret, NOW), HOME, NOW) is None


def test_a_new_phone_replaces_the_old_one_and_the_recovery_codes(accounts):
    account = sign_up(accounts)
    old, old_codes = enrol(accounts, account)
    new, new_codes = enrol(accounts, account, LATER)

    assert new != old
    assert accounts.prove(account.id, code_at(old, LATER), HOME, LATER) is None
    assert accounts.prove(account.id, old_codes[0], HOME, LATER) is None
    assert accounts.prove(account.id, new_codes[0], HOME, LATER) == "recovery"


def test_until_the_new_phone_is_confirmed_the_old_one_counts(accounts):
    account = sign_up(accounts)
    old, _ = enrol(accounts, account)
    new = accounts.begin_totp(account.id, LATER)

    assert accounts.prove(account.id, code_at(new, LATER), HOME, LATER) is None
    assert accounts.prove(account.id, code_at(old, LATER), HOME, LATER) == "totp"


def test_where_the_site_wants_none_nobody_enrols_and_who_has_one_is_still_asked(accounts, path):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    other = sign_up(accounts, BOB)
    never = Accounts(path, require_totp="never", totp_key=KEY, hasher=HASHER)

    with pytest.raises(EnrolmentOff, match="never"):
        never.begin_totp(other.id, NOW)
    assert never.session(never.open_session(account.id, HOME, NOW), NOW).pending == CODE
    assert never.prove(account.id, code_at(secret, LATER), HOME, LATER) == "totp"


def test_without_a_key_nobody_enrols_and_the_sentence_says_why(path):
    accounts = Accounts(path, hasher=HASHER)

    with pytest.raises(TotpError, match="0 bytes"):
        accounts.begin_totp(sign_up(accounts).id, NOW)


def test_the_file_holds_neither_secrets_nor_recovery_codes(accounts, path):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    pending = accounts.begin_totp(account.id, LATER)
    accounts.close()

    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())

    for hidden in (secret, pending, *codes, *(code.replace("-", "") for code in codes)):
        assert hidden.encode() not in stored


def test_a_secret_moved_to_another_account_proves_nothing(accounts, path):
    alice, bob = sign_up(accounts), sign_up(accounts, BOB)
    secret, _ = enrol(accounts, alice)
    enrol(accounts, bob)
    with accounts._file.writing() as db:
        sql = "UPDATE credential SET secret = (SELECT secret FROM credential WHERE account = 1 AND kind = 'totp')"
        db.execute(sql + " WHERE account = 2 AND kind = 'totp'")

    assert accounts.prove(bob.id, code_at(secret, LATER), HOME, LATER) is None


# -- what a session lacks


def test_a_session_says_what_it_still_lacks(accounts, path):
    alice, bob = sign_up(accounts), sign_up(accounts, BOB)
    enrol(accounts, alice)
    always = Accounts(path, require_totp="always", totp_key=KEY, hasher=HASHER)

    def pending(where: Accounts, number: int, given: str | None = None) -> str:
        return where.session(where.open_session(number, HOME, NOW, pending=given), NOW).pending

    assert (pending(accounts, alice.id), pending(accounts, bob.id)) == (CODE, FULL)
    assert (pending(always, alice.id), pending(always, bob.id)) == (CODE, ENROL)
    assert pending(always, alice.id, FULL) == FULL


# -- proving


def test_a_code_proves_once_and_never_again(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    code = code_at(secret, LATER)

    assert accounts.prove(account.id, code, HOME, LATER) == "totp"
    assert accounts.prove(account.id, code, HOME, LATER) is None
    assert accounts.prove(account.id, code, HOME, LATER + 29) is None
    assert accounts.prove(account.id, code_at(secret, LATER + 30), HOME, LATER + 30) == "totp"


def test_after_a_code_the_one_before_it_is_refused_too(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    accounts.prove(account.id, code_at(secret, LATER + 30), HOME, LATER + 30)

    assert accounts.prove(account.id, code_at(secret, LATER), HOME, LATER + 30) is None


def test_a_recovery_code_in_any_spelling_proves_once(accounts):
    account = sign_up(accounts)
    _, codes = enrol(accounts, account)
    spelled = f"  {codes[3].upper().replace('-', ' ').replace('0', 'O').replace('1', 'l')} "

    assert accounts.prove(account.id, spelled, HOME, NOW) == "recovery"
    assert accounts.prove(account.id, codes[3], HOME, NOW) is None
    assert accounts.recovery_left(account.id) == 9
    assert accounts.prove(account.id, codes[4], HOME, NOW) == "recovery"


def test_recovery_codes_have_112_bits(accounts):
    _, codes = enrol(accounts, sign_up(accounts))

    assert {len(bytes.fromhex(code.replace("-", ""))) * 8 for code in codes} == {112}


def test_nobody_elses_code_proves_anything(accounts):
    alice, bob = sign_up(accounts), sign_up(accounts, BOB)
    secret, codes = enrol(accounts, alice)
    enrol(accounts, bob)

    for code in (code_at(secret, LATER), codes[0]):
        assert accounts.prove(bob.id, code, HOME, LATER) is None
    assert accounts.recovery_left(alice.id) == 10


@pytest.mark.parametrize("code", ["", " ", "000000", "é" * 6, "\x00", "\ud800", "' OR 1=1 --", "0" * 100_000])
def test_anything_else_proves_nothing(accounts, code):
    account = sign_up(accounts)
    enrol(accounts, account)

    assert accounts.prove(account.id, code, HOME, LATER) is None
    assert accounts.prove(99, code, HOME, LATER) is None


def test_without_a_second_factor_nothing_proves(accounts):
    account = sign_up(accounts)

    assert accounts.prove(account.id, code_at(totp.new_secret(), NOW), HOME, NOW) is None
    assert accounts.new_recovery_codes(account.id, HOME, NOW) == []


def test_each_code_costs_the_same_work(accounts, monkeypatch):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    done: list[str] = []
    real = totp.code
    monkeypatch.setattr(totp, "code", lambda *given: (done.append("code"), real(*given))[1])
    statements: list[str] = []
    with accounts._file.reading() as db:
        db.conn.set_trace_callback(statements.append)

    def cost(code: str) -> tuple[int, int]:
        done.clear()
        statements.clear()
        accounts.prove(account.id, code, HOME, LATER)
        looked = [line for line in statements if line.startswith(("UPDATE credential", "DELETE FROM credential"))]
        return len(done), len(looked)

    assert cost("000000") == cost(codes[0]) == cost(code_at(secret, LATER)) == cost("no code at all") == (2, 2)


def test_wrong_codes_make_wait_from_a_known_network_too_and_never_for_good(accounts):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    for client in (HOME, AWAY, HOME, AWAY, HOME):
        assert accounts.prove(account.id, "000000", client, LATER) is None

    with pytest.raises(TooSoon) as soon:
        accounts.prove(account.id, codes[0], HOME, LATER)
    assert soon.value.seconds == 1
    *_, last = accounts.trail()
    assert (last.event, last.outcome) == ("second factor", "refused")
    assert last.detail == "too many tries: put off for 1 s, and all until then"
    assert accounts.prove(account.id, code_at(secret, LATER + 1), HOME, LATER + 1) == "totp"


def test_a_thousand_wrong_codes_make_wait_a_quarter_of_an_hour_at_most(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    now, waits = LATER, []
    for _ in range(1000):
        try:
            accounts.prove(account.id, "000000", AWAY, now)
        except TooSoon as soon:
            waits.append(soon.seconds)
            now += soon.seconds

    assert max(waits) == 900
    assert accounts.prove(account.id, code_at(secret, now + 900), HOME, now + 900) == "totp"


def test_a_right_code_clears_what_went_before(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    for round_ in range(3):
        now = LATER + 30 * round_
        for _ in range(4):
            accounts.prove(account.id, "000000", HOME, now)
        assert accounts.prove(account.id, code_at(secret, now), HOME, now) == "totp"


def test_wrong_codes_are_no_reason_to_wait_for_a_password(accounts):
    account = sign_up(accounts)
    enrol(accounts, account)
    for _ in range(5):
        accounts.prove(account.id, "000000", AWAY, LATER)

    assert accounts.verify(ALICE, PASSWORD, AWAY, LATER) is not None


def test_with_another_key_recovery_codes_still_let_in(accounts, path, caplog):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    other = Accounts(path, totp_key=KEY[::-1], hasher=HASHER)

    assert other.prove(account.id, code_at(secret, LATER), HOME, LATER) is None
    assert "another TOTP key" in caplog.text
    assert other.prove(account.id, codes[0], HOME, LATER) == "recovery"


# -- giving it up


def test_without_the_second_factor_its_codes_are_worth_nothing(accounts):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)

    accounts.remove_totp(account.id, HOME, LATER)

    assert not accounts.find(ALICE).second_factor
    assert accounts.recovery_left(account.id) == 0
    assert accounts.prove(account.id, code_at(secret, LATER), HOME, LATER) is None
    assert accounts.prove(account.id, codes[0], HOME, LATER) is None


def test_new_recovery_codes_replace_the_old(accounts):
    account = sign_up(accounts)
    _, old = enrol(accounts, account)

    new = accounts.new_recovery_codes(account.id, HOME, LATER)

    assert len(new) == 10
    assert not set(new) & set(old)
    assert accounts.prove(account.id, old[0], HOME, LATER) is None
    assert accounts.prove(account.id, new[0], HOME, LATER) == "recovery"


def test_what_happened_is_in_the_audit(accounts):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    accounts.prove(account.id, "000000", AWAY, LATER)
    accounts.prove(account.id, code_at(secret, LATER), HOME, LATER)
    accounts.prove(account.id, codes[0], HOME, LATER)
    accounts.new_recovery_codes(account.id, HOME, LATER)
    accounts.remove_totp(account.id, HOME, LATER)

    assert [(event.event, event.outcome, event.client) for event in accounts.trail(since=NOW)][1:] == [
        ("totp on", "done", HOME),
        ("second factor", "refused", AWAY),
        ("second factor", "done", HOME),
        ("recovery code", "done", HOME),
        ("recovery codes made", "done", HOME),
        ("totp off", "done", HOME),
    ]


# -- two at once


@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_of_many_threads_with_one_code_one_wins(accounts, kind):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    code = codes[0] if kind == "recovery" else code_at(secret, LATER)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: accounts.prove(account.id, code, HOME, LATER), range(4)))

    assert outcomes(found) == [None, None, None, kind]


def _prove(path, account: int, code: str, ready, results) -> None:
    accounts = Accounts(path, totp_key=KEY, hasher=Hasher(HASHER.cost))
    ready.wait()
    results.put(accounts.prove(account, code, HOME, LATER))


@pytest.mark.parametrize("kind", ["totp", "recovery"])
def test_of_several_processes_with_one_code_one_wins(accounts, path, kind):
    account = sign_up(accounts)
    secret, codes = enrol(accounts, account)
    code = codes[0] if kind == "recovery" else code_at(secret, LATER)
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_prove, args=(path, account.id, code, ready, results)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)

    assert outcomes(found) == [None, None, kind]


def test_of_two_phones_confirmed_at_once_the_last_of_them_counts_and_ten_codes_are_left(accounts):
    account = sign_up(accounts)
    secret = accounts.begin_totp(account.id, NOW)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: accounts.confirm_totp(account.id, code_at(secret, NOW), HOME, NOW), range(4)))

    assert [bool(codes) for codes in found].count(True) == 1
    assert accounts.recovery_left(account.id) == 10


# -- a disk that takes nothing


def test_on_a_full_disk_no_code_counts_and_none_is_used_up(accounts):
    account = sign_up(accounts)
    secret, _ = enrol(accounts, account)
    with accounts._file.reading() as db:
        db.execute("PRAGMA query_only = ON")

    with pytest.raises(AccountsError) as error:
        accounts.prove(account.id, code_at(secret, LATER), HOME, LATER)
    assert error.value.temporary
    with accounts._file.reading() as db:
        db.execute("PRAGMA query_only = OFF")

    assert accounts.prove(account.id, code_at(secret, LATER), HOME, LATER) == "totp"
