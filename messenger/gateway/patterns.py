"""Count bank accounts, payment cards and own expressions in texts. Knows no mail; what it finds it tells nobody.

An own expression may take forever; so all of this has a time limit.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache

import regex

from .values import PolicyError, TextPattern

#: Own expressions, in characters.
LONGEST = 2000
#: So many different ones are told apart.
MOST = 100_000
#: One look at the clock for so many candidates.
_BETWEEN = 500

#: ISO 13616: letters and digits in an IBAN, by country: SWIFT's registry (release 99), and those that use it without.
IBAN_LENGTHS = {
    pair[:2]: int(pair[2:])
    for pair in """AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28
    EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24
    PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22
    VG24 XK20 YE30 AO25 BF28 BJ28 CF27 CG27 CI28 CM27 CV25 DZ26 GA27 GQ27 GW25 IR26 KM27 MA28 MG27 ML28 MZ25 NE28
    SN28 TD27 TG28""".split()  # noqa: SIM905 (a list people can read)
}
#: What people write between the groups: blanks of any kind, a hyphen, a dash, a dot.
_SEPARATOR = r"[ \t\r\n\u00a0\u2000-\u200a\u202f\u205f\u3000.\-\u2010-\u2015\u2212]"
#: The two check digits behind a letter, found by the digit: in most texts that is by far the quickest.
_CHECK_DIGITS = re.compile(
    rf"[0-9](?:(?<=[A-Za-z][0-9])|(?<=[A-Za-z]{_SEPARATOR}[0-9])){_SEPARATOR}?[0-9]",
)
_COUNTRY = re.compile(rf"(?:(?<![A-Za-z0-9])|(?<=IBAN))([A-Za-z]{{2}}){_SEPARATOR}?\Z", re.IGNORECASE | re.ASCII)
_NO_IBAN_SIGN = re.compile(r"[^A-Z0-9]+")

#: Digits without anything between them, or in the groups that stand on a card: 4-4-4-4(-3), 4-6-5, 4-6-4.
_CARD = re.compile(
    r"[0-9](?<!\w[0-9])(?<![0-9][.,\-/][0-9])"
    rf"(?:[0-9]{{13,18}}|[0-9]{{3}}(?:{_SEPARATOR}{{1,2}}[0-9]{{4}}){{3}}(?:{_SEPARATOR}[0-9]{{3}})?"
    rf"|[0-9]{{3}}{_SEPARATOR}{{1,2}}[0-9]{{6}}{_SEPARATOR}{{1,2}}[0-9]{{4,5}})"
    r"(?!\w)(?![.,\-/][0-9])"
)
#: ISO/IEC 7812: first and last beginning of a range, and the lengths of its numbers.
_ISSUERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    # Numbers of 12 and 13 digits are long out of use; articles of trade (EAN) have as many.
    ("4", "4", (16, 18, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("300", "305", (14, 16, 17, 18, 19)),  # Diners Club
    ("3095", "3095", (14, 16, 17, 18, 19)),
    ("36", "36", (14, 16, 17, 18, 19)),
    ("38", "39", (14, 16, 17, 18, 19)),
    ("6011", "6011", (16, 17, 18, 19)),  # Discover
    ("644", "659", (16, 17, 18, 19)),
    ("3528", "3589", (16, 17, 18, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("8100", "8171", (16, 17, 18, 19)),
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("5018", "5018", (16, 17, 18, 19)),  # Maestro
    ("5020", "5020", (16, 17, 18, 19)),
    ("5038", "5038", (16, 17, 18, 19)),
    ("5893", "5893", (16, 17, 18, 19)),
    ("6304", "6304", (16, 17, 18, 19)),
    ("6759", "6763", (16, 17, 18, 19)),
    ("508500", "508999", (16,)),  # RuPay
    ("606985", "607984", (16,)),
    ("608001", "608500", (16,)),
    ("9792", "9792", (16,)),  # Troy
)


def check(pattern: str) -> None:
    """Raise PolicyError for an own expression that can't be used; *pattern* as it stands in the policy."""
    inside = expression(pattern)
    if inside is None:
        return
    if len(inside) > LONGEST:
        raise PolicyError(f"expected an expression of at most {LONGEST} characters, found {len(inside)}")
    try:
        empty = compiled(inside).fullmatch("", timeout=1)
    except (regex.error, OverflowError, RecursionError, TimeoutError) as error:
        raise PolicyError(f"expected a regular expression between slashes, found {pattern}: {error}") from error
    if empty:
        raise PolicyError(f"expected an expression that needs at least one character, found {pattern}")


def expression(pattern: str) -> str | None:
    """What stands between the slashes of an own expression; None for anything else."""
    return pattern[1:-1] if len(pattern) > 2 and pattern[0] == pattern[-1] == "/" else None


@lru_cache(256)
def compiled(inside: str) -> regex.Pattern[str]:
    """An own expression: without regard to case, ``^`` and ``$`` at each line."""
    return regex.compile(inside, regex.IGNORECASE | regex.MULTILINE)


def stands_in(inside: str, value: str, until: float) -> bool:
    """Whether an own expression matches anywhere in *value*; TimeoutError after *until* (of the monotonic clock)."""
    left = max(until - time.monotonic(), 0.001)
    # Other mails go on meanwhile: the library lets go of the interpreter.
    return compiled(inside).search(value, timeout=left, concurrent=True) is not None


@lru_cache(256)
def glob(pattern: str) -> re.Pattern[str]:
    """A glob of ``*`` and ``?`` over a whole, without regard to case; time grows with the text and nothing else."""
    first, *others = ("".join("." if sign == "?" else re.escape(sign) for sign in part) for part in pattern.split("*"))
    if not others:
        return re.compile(first, re.IGNORECASE | re.DOTALL)
    *middle, last = others
    # As fnmatch does it: the first place where a piece fits is as good as any later one.
    pieces = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{pieces}.*{last}", re.IGNORECASE | re.DOTALL)


def count(pattern: TextPattern, texts: Iterable[str], seconds: float) -> int:
    """Count the different matches of *pattern* in all of *texts*; TimeoutError after *seconds*."""
    found: set[str] = set()
    until = time.monotonic() + seconds
    for text in texts:
        found |= different(pattern.pattern, text, until)
    return len(found)


def different(pattern: str, text: str, until: float) -> set[str]:
    """The different matches in *text*; TimeoutError after *until* (of the monotonic clock)."""
    inside = expression(pattern)
    matches: Iterator[str | None]
    match pattern:
        case "iban":
            matches = (one for _, _, one in _ibans(text))
        case "card":
            matches = _cards(text)
        case _ if inside is not None:
            matches = _own(inside, text, until)
        case _:
            raise PolicyError(f'expected "iban", "card" or /an expression/, found {pattern}')
    return _timed(matches, until)


def _timed(matches: Iterable[str | None], until: float) -> set[str]:
    found: set[str] = set()
    for number, one in enumerate(matches):
        if number % _BETWEEN == 0 and time.monotonic() > until:
            raise TimeoutError
        if one:
            found.add(one)
            if len(found) >= MOST:
                break
    return found


def _own(inside: str, text: str, until: float) -> Iterator[str | None]:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    for found in compiled(inside).finditer(text, timeout=left, concurrent=True):
        yield found[0]


def _ibans(text: str) -> Iterator[tuple[int, int, str | None]]:
    """Each IBAN: where it begins and ends, and as it is meant; and None for each that only looked like one."""
    at = 0
    while digits := _CHECK_DIGITS.search(text, at):
        at = digits.start() + 1
        first = max(digits.start() - 8, 0)
        begun = _COUNTRY.search(text[first : digits.start()])
        length = IBAN_LENGTHS.get(begun[1].upper(), 0) if begun else 0
        if not begun or not length:
            yield 0, 0, None
            continue
        begin = first + begun.start()
        found = _rest(length).match(text, begin)
        written = _NO_IBAN_SIGN.sub("", found[0].upper()) if found else ""
        if found and _mod_97(written):
            at = found.end()
            yield begin, at, written
        else:
            yield 0, 0, None


@lru_cache(64)
def _rest(length: int) -> re.Pattern[str]:
    return re.compile(
        rf"[A-Z]{{2}}(?:{_SEPARATOR}{{0,2}}[A-Z0-9]){{{length - 2}}}(?![A-Z0-9])", re.IGNORECASE | re.ASCII
    )


def _mod_97(iban: str) -> bool:
    """ISO 7064: the check digits are right, and such that are ever given."""
    if not 2 <= int(iban[2:4]) <= 98:
        return False
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _cards(text: str) -> Iterator[str | None]:
    begins: list[int] | None = None
    ends: list[int] = []
    for found in _CARD.finditer(text):
        digits = re.sub(r"[^0-9]", "", found[0])
        if not (_issued(digits) and _luhn(digits)):
            yield None
            continue
        if begins is None:
            begins = []
            for begin, end, iban in _ibans(text):
                yield None  # a look at the clock
                if iban:
                    begins.append(begin)
                    ends.append(end)
        # The groups of a bank account may pass for a card.
        last = bisect_right(begins, found.start()) - 1
        yield None if last >= 0 and found.start() < ends[last] else digits


def _issued(digits: str) -> bool:
    return any(first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in _ISSUERS)


def _luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
