"""Bank accounts, cards and own expressions: what counts, what only looks like it, and that counting ends."""

import contextlib
import time

import pytest

from messenger.gateway import patterns
from messenger.gateway.patterns import IBAN_LENGTHS, check, count, glob
from messenger.gateway.values import PolicyError, TextPattern

IBAN, CARD = TextPattern("iban"), TextPattern("card")


def made(country):
    """An IBAN of *country* as it would be: all zeros and ones, with right check digits."""
    bban = ("01" * 20)[: IBAN_LENGTHS[country] - 4]
    remainder = int("".join(str(int(sign, 36)) for sign in f"{bban}{country}00")) % 97
    return f"{country}{98 - remainder:02}{bban}"


def grouped(iban, between=" "):
    return between.join(iban[at : at + 4] for at in range(0, len(iban), 4))


#: Of ISO 13616 and of national banks.
EXAMPLES = """DE89370400440532013000 GB29NWBK60161331926819 FR1420041010050500013M02606 NO9386011117947
MT84MALT011000012345MTLCAST001S CH9300762011623852957 AT611904300234573201 LC55HEMM000100010012001200023015
SA0380000000608010167519 BR9700360305000010009795493P1 NL91ABNA0417164300 BE68539007547034""".split()  # noqa: SIM905 (a list people can read)


def test_ibans_of_every_country_count_in_groups_and_without():
    all_of_them = [made(country) for country in IBAN_LENGTHS]

    assert len(IBAN_LENGTHS) > 100
    assert count(IBAN, ["\n".join(all_of_them)], 5) == len(all_of_them)
    assert count(IBAN, ["\n".join(map(grouped, all_of_them))], 5) == len(all_of_them)
    assert count(IBAN, [" ".join(EXAMPLES)], 5) == len(EXAMPLES)


@pytest.mark.parametrize("between", [" ", "-", "\u00a0", "\u202f", "\u2013", ".", "  ", " \n", "\t", "\u2009"])
def test_what_stands_between_the_groups_makes_no_difference(between):
    texts = [f"IBAN: {grouped(one, between)}, thanks" for one in EXAMPLES]

    assert count(IBAN, texts, 5) == len(EXAMPLES)


def test_an_iban_counts_once_however_often_and_however_it_is_written():
    iban = EXAMPLES[0]

    assert (
        count(IBAN, [iban, grouped(iban).lower(), f"IBAN{iban}", f"({iban})", f"{grouped(iban)} BIC COBADEFF"], 5) == 1
    )


def test_what_looks_like_an_iban_is_none():
    wrong = [
        "DE88370400440532013000",  # check digits
        "DE8937040044053201300",  # too short
        "DE893704004405320130001",  # too long
        "XX89370400440532013000",  # no country
        "ADE89370400440532013000",  # in the middle of something
        "DE 89 of 3704 people, 0044 of them 0532 times, 0130 00",
    ]

    assert count(IBAN, wrong, 5) == 0


CARDS = """4111111111111111 4012888888881881 5555555555554444 2223003122003222 378282246310005
6011111111111117 3530111333300000 30569309025904 6200000000000005 6759649826438453""".split()  # noqa: SIM905


def test_cards_count_in_the_groups_that_stand_on_them():
    assert count(CARD, CARDS, 5) == len(CARDS)
    assert count(CARD, ["4111 1111 1111 1111", "4111-1111-1111-1111", "4111\u00a01111\u00a01111\u00a01111"], 5) == 1
    assert count(CARD, ["3782 822463 10005, 3056 930902 5904; 4111.1111.1111.1111!"], 5) == 3
    assert count(CARD, ["Visa 4111 1111 1111 1111 12/27 123"], 5) == 1


def test_numbers_of_orders_accounts_and_telephones_are_no_cards():
    wrong = [
        "4111111111111112",  # Luhn
        "1234567812345670",  # right by Luhn, of no issuer
        "9000000000000001 0000000000000000",
        "A4111111111111111 order_4111111111111111 x-1.4111111111111111",
        "4111111111111111.00",
        "EAN 4006381333931, 4222222222222; IMEI 490154203237518, 356938035643809",
        "41 11 11 11 11 11 11 11",
        "411111111111111 41111111111111111111",
        "411 111 111 111 1111",
        # The middle of an IBAN: a card by length, issuer and Luhn.
        next(
            grouped(iban)
            for iban in (
                f"DE{98 - int(f'{bban}131400') % 97:02}{bban}"
                for bban in (f"4111111111111111{last:02}" for last in range(1, 3))
            )
        ),
    ]

    assert [one for one in wrong if count(CARD, [one], 5)] == []


def test_own_expressions_count_what_differs_without_regard_to_case():
    own = TextPattern("/project [a-z]+/")

    assert count(own, ["Project Eagle, project eagle", "PROJECT eagle and project Owl"], 5) == 4
    assert count(TextPattern("/^secret$/"), ["a\nSecret\nb"], 5) == 1
    assert count(TextPattern("/x*/"), ["aaa"], 5) == 0


def test_an_expression_without_end_stops_at_the_limit():
    endless = TextPattern(r"/(x+x+)+(x+x+)+\1\2y/")
    begun = time.monotonic()

    with pytest.raises(TimeoutError):
        count(endless, ["x" * 60], 0.1)
    with pytest.raises(TimeoutError):
        count(TextPattern("/a/"), ["a"] * 10, 0)

    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    "text", ["DE89" * 500_000, "4111 " * 400_000, "DE89 3704 0044 0532 0130 0 " * 80_000, "1" * 2_000_000]
)
@pytest.mark.parametrize("pattern", [IBAN, CARD])
def test_hostile_texts_end_in_time(pattern, text):
    begun = time.monotonic()

    with contextlib.suppress(TimeoutError):
        count(pattern, [text], 0.3)

    assert time.monotonic() - begun < 3


def test_the_policy_is_told_what_is_wrong_with_an_expression():
    for good in ("iban", "card", "/a+b/", "/(?-i:Secret)/", "*.pdf"):
        check(good)
    for bad in ("/(/", "/[z-a]/", "/a*/", f"/{'a' * 3000}/", r"/\9/"):
        with pytest.raises(PolicyError, match="expected"):
            check(bad)
    with pytest.raises(PolicyError, match="iban"):
        count(TextPattern("ibam"), ["x"], 1)


def test_globs_fit_the_whole_in_linear_time():
    assert glob("*.xls?").fullmatch("Prices.XLSX")
    assert not glob("*.xls?").fullmatch("prices.xls")
    assert glob("a*b*c").fullmatch("axxbyyc")
    assert not glob("a*b*c").fullmatch("axxbyycd")
    assert glob("[x].+").fullmatch("[x].+")
    assert glob("*").fullmatch("")
    begun = time.process_time()
    assert not glob("*a" * 20 + "*b").fullmatch("a" * 16_000)
    assert time.process_time() - begun < 1


def test_what_is_found_stays_here():
    assert patterns.different("iban", EXAMPLES[0], time.monotonic() + 1) == {EXAMPLES[0]}
