import threading
import time

import pytest

from messenger import passwords
from messenger.passwords import Cost, Hasher, PasswordRefused, check

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
OWN = ("alice.miller@example.net", "Post & Co Portal")


def rule_of(password: str) -> str:
    try:
        check(password, OWN)
    except PasswordRefused as refused:
        return refused.rule
    return ""


@pytest.mark.parametrize(
    "password",
    [
        "three plain blue doors",
        "schönes wetter heute",
        "zwölf zeichen",
        "密码密码一二三四五六七八",
        "🐢🐢🐇🐇🦔🐿️🦦🐢🐇🦊🐻🐼",
        "no-digits-no-capitals",
        "Alice2026 walks to the sea",
        "q7-Lk2.vPz9w",
    ],
)
def test_length_is_all_a_password_needs(password):
    assert rule_of(password) == ""


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("", "short"),
        ("elevenchars", "short"),
        ("x" * 64 + "y" * 65, "long"),
        ("password1234", "common"),
        ("PassWord1234", "common"),
        ("Ｐａｓｓｗｏｒｄ１２３４", "common"),  # the same in full-width letters
        ("willkommen2025", "common"),
        ("aaaaaaaaaaaaaa", "common"),
        ("annaannaannaan", "common"),
        ("123456789012", "common"),
        ("987654321098", "common"),
        ("qwertzuiopasdf", "common"),
        ("1q2w3e4r5t6y7u", "common"),
        ("abcdefgh98765432", "common"),
        ("alice.miller@example.net", "own"),
        ("Alice.Miller!!", "own"),
        ("example.net alice.miller 1", "own"),
        ("Post & Co Portal", "own"),
        ("post & co portal 7", "own"),
        ("tab\tin between words", "text"),
        ("half a \ud800 character", "text"),
    ],
)
def test_a_password_others_would_guess_is_refused_with_the_rule_it_breaks(password, rule):
    assert rule_of(password) == rule


def test_length_counts_what_is_left_after_normalisation():
    assert rule_of("e\u0301" * 6 + "12345") == "short"  # eleven characters, seventeen code points
    assert rule_of("ab c" + "\ufdfa" * 7) == "long"  # one code point that NFKC writes as eighteen


def test_every_listed_password_is_at_least_as_long_as_we_ask_and_in_lower_case():
    lines = [line for line in passwords.COMMON.read_text("utf-8").splitlines() if not line.startswith("#")]

    assert len(lines) > 1000
    assert all(len(line) >= passwords.SHORTEST and line == passwords.normal(line).casefold() for line in lines)
    assert lines == sorted(set(lines))


def test_a_hash_proves_its_password_and_no_other():
    hasher = Hasher(CHEAP)

    hashed = hasher.hash("three plain blue doors")

    assert hasher.matches("three plain blue doors", hashed)
    assert not hasher.matches("three plain blue doorS", hashed)


def test_keyboards_that_compose_letters_differently_type_the_same_password():
    hasher = Hasher(CHEAP)

    hashed = hasher.hash("scho\u0308nes wetter")

    assert hasher.matches("sch\u00f6nes wetter", hashed)


def test_the_same_password_never_gives_the_same_hash():
    hasher = Hasher(CHEAP)

    assert hasher.hash("three plain blue doors") != hasher.hash("three plain blue doors")


def test_a_new_hash_has_the_parameters_of_the_rfc():
    assert Hasher(Cost()).hash("three plain blue doors").startswith("$argon2id$v=19$m=65536,t=3,p=1$")


def test_a_hash_with_other_parameters_still_proves_and_is_outdated():
    old = Hasher(Cost(memory_kib=32, passes=1, lanes=1)).hash("three plain blue doors")

    hasher = Hasher(CHEAP)

    assert hasher.matches("three plain blue doors", old)
    assert hasher.outdated(old)
    assert not hasher.outdated(hasher.hash("three plain blue doors"))


@pytest.mark.parametrize("hashed", [None, "", "garbage", "$argon2id$v=19$m=64,t=1,p=1$AAAA$BBBB"])
def test_what_is_no_hash_proves_nothing(hashed):
    assert not Hasher(CHEAP).matches("three plain blue doors", hashed)


def test_an_account_that_is_not_there_takes_as_long_as_one_that_is():
    hasher = Hasher(Cost(memory_kib=16384, passes=1, lanes=1))
    hashed = hasher.hash("three plain blue doors")

    def cost(given: str | None) -> float:
        start = time.thread_time()
        hasher.matches("not this one, sorry", given)
        return time.thread_time() - start

    pairs = [(cost(None), cost(hashed)) for _ in range(9)]

    assert 0.5 < min(unknown for unknown, _ in pairs) / min(known for _, known in pairs) < 2


def test_a_megabyte_typed_as_a_password_takes_no_longer():
    hasher = Hasher(CHEAP)
    start = time.perf_counter()

    assert not hasher.matches("\ufdfa" * 1_000_000, None)

    assert time.perf_counter() - start < 0.5


def test_whoever_gets_no_turn_in_time_is_told_so():
    hasher = Hasher(CHEAP, at_once=1, waiting=1, patience=0.05)
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with hasher._turn():
            taken.set()
            done.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(5)
    with pytest.raises(passwords.HashingBusy) as busy:
        hasher.hash("three plain blue doors")
    done.set()
    thread.join()

    assert busy.value.temporary
    assert hasher.hash("three plain blue doors")


def test_a_flood_leaves_threads_for_those_who_read():
    hasher = Hasher(CHEAP, at_once=1, waiting=2, patience=10)
    turned_away = threading.Semaphore(0)

    def attempt() -> None:
        try:
            hasher.matches("three plain blue doors", None)
        except passwords.HashingBusy:
            turned_away.release()

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    with hasher._turn():
        for thread in threads:
            thread.start()
        # One is at work, two wait; the other six are told at once.
        assert all(turned_away.acquire(timeout=5) for _ in range(6))
    for thread in threads:
        thread.join(5)

    assert not turned_away.acquire(blocking=False)
