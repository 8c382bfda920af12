"""Alter bytes at random: what fuzzers do to bits, to lengths, to lines and to words. Same dice, same result."""

# ruff: noqa: E501 (words of a format are read best side by side)

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

#: Numbers at which something ends: of bytes, lengths, dates, counters.
_NUMBERS = (
    0,
    1,
    2,
    9,
    10,
    99,
    127,
    128,
    255,
    256,
    999,
    9999,
    32768,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32,
    2**63,
    10**30,
)
_BYTES = b"\x00\x01\x02\x04\x06\x09\x0a\x0d\x1b\x20\x22\x25\x2f\x30\x31\x3c\x3d\x3e\x40\x5c\x7f\x80\x81\x84\x88\xa0\xc2\xe2\xf0\xfe\xff"
_PIECE = 60

Step = Callable[[Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]


def mutated(dice: Random, seed: bytes, others: Sequence[bytes], words: Sequence[bytes], size: int) -> bytes:
    """Alter *seed* by one to six steps; *others* lend pieces, *words* are what the format is made of."""
    data = seed
    for _ in range(1 + min(dice.getrandbits(3), 5)):
        data = dice.choice(_STEPS)(dice, data, others, words)
    if dice.random() < 0.003:
        data = _many(dice, data, size)
    return data[:size]


def _span(dice: Random, data: bytes, longest: int = _PIECE) -> tuple[int, int]:
    start = dice.randint(0, len(data))
    return start, min(len(data), start + dice.randint(0, longest))


def _flip(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    if not data:
        return b"\0"
    at = dice.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << dice.randrange(8),)) + data[at + 1 :]


def _set(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    at = dice.randint(0, len(data))
    return data[:at] + bytes((dice.choice(_BYTES),)) + data[at + 1 :]


def _cut(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    return data[:start] + data[end:]


def _end(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    return data[: dice.randint(0, len(data))] if dice.random() < 0.2 else data


def _double(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data)
    return data[:end] + data[start:end] * dice.choice((1, 1, 2, 9, 40)) + data[end:]


def _word(dice: Random, data: bytes, _others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    if not words:
        return data
    at = dice.randint(0, len(data))
    return data[:at] + dice.choice(words) + data[at + (dice.randint(0, 8) if dice.random() < 0.5 else 0) :]


def _splice(dice: Random, data: bytes, others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    other = dice.choice(others) if others else data
    start, end = _span(dice, other, 300)
    at, until = _span(dice, data)
    return data[:at] + other[start:end] + data[until:]


def _junk(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    start, end = _span(dice, data, 12)
    return data[:start] + dice.randbytes(dice.randint(1, 12)) + data[end:]


def _number(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    """Another number where one stands in digits."""
    places = [at for at, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if not places:
        return data
    end = at = dice.choice(places)
    while end < len(data) and 0x30 <= data[end] <= 0x39:
        end += 1
    sign = b"-" if dice.random() < 0.1 else b""
    return data[:at] + sign + str(dice.choice(_NUMBERS)).encode() + data[end:]


def _lines(dice: Random, data: bytes, _others: Sequence[bytes], _words: Sequence[bytes]) -> bytes:
    """A line that is gone, stands twice, or stands elsewhere."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    line = lines.pop(dice.randrange(len(lines)))
    for _ in range(dice.choice((0, 1, 2))):
        lines.insert(dice.randint(0, len(lines)), line)
    return b"".join(lines)


def _many(dice: Random, data: bytes, size: int) -> bytes:
    """A piece so often that whatever takes the square of its length shows it."""
    start, end = _span(dice, data, dice.choice((1, 2, 4, 12, 60)))
    piece = data[start:end] or b"("
    return (data[:start] + piece * (size // len(piece)))[: size - len(data) + end] + data[end:]


_STEPS: tuple[Step, ...] = (
    _flip, _flip, _set, _set, _cut, _end, _double, _word, _word, _word, _splice, _splice, _junk, _number, _lines,
)  # fmt: skip
