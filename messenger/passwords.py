"""Passwords: which ones are good enough, and how they are kept (Argon2id, RFC 9106).

Knows no accounts and no database: text in, text out. Length and lists decide, never kinds of characters.
"""

import os
import threading
import unicodedata
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from .errors import MessengerError

# NIST SP 800-63B, section 3.1.1: length is what counts; a space or an emoji is a character like any other.
SHORTEST, LONGEST = 12, 128
COMMON = Path(__file__).parent / "common-passwords.txt"
#: Fingers walk along these; a password made of nothing but walks of at least WALK steps is a common one.
WALKS = (
    "01234567890123456789",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "qwertzuiopü",
    "azertyuiop",
    "asdfghjklöä",
    "zxcvbnm,./",
    "yxcvbnm,.-",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
)
WALK = 4
#: A password that holds the address or the site's name needs this many characters of its own.
OWN_CHARACTERS = 6
#: Shorter words than this turn up by chance.
SHORTEST_WORD = 4
SALT_BYTES, HASH_BYTES = 16, 32  # RFC 9106, section 3.1


class PasswordRefused(MessengerError):
    """This password must not be used. ``rule`` says why: "short", "long", "common", "own" or "text"."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"password refused: {rule}")
        self.rule = rule


class HashingBusy(MessengerError):
    """So many passwords are being checked that this one would have to wait too long."""

    temporary = True


@dataclass(frozen=True)
class Cost:
    """Argon2id's parameters for new hashes; an old hash carries its own."""

    # RFC 9106, section 4, second recommended option, in one lane: several people log in at once instead.
    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 1


def normal(password: str) -> str:
    """The one form of *password* that is measured, compared and hashed: keyboards differ, NFKC doesn't."""
    return unicodedata.normalize("NFKC", password)


def check(password: str, own: Iterable[str] = ()) -> None:
    """Raise PasswordRefused unless *password* is good enough; *own* are the address and the site's name."""
    given = normal(password)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in given):
        raise PasswordRefused("text")
    if len(given) < SHORTEST:
        raise PasswordRefused("short")
    if len(given) > LONGEST:
        raise PasswordRefused("long")
    folded = given.casefold()
    if folded in _common() or _repeats(folded) or _walks(folded):
        raise PasswordRefused("common")
    if _is_own(folded, own):
        raise PasswordRefused("own")


@cache
def _common() -> frozenset[str]:
    lines = COMMON.read_text("utf-8").splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _repeats(text: str) -> bool:
    """Whether *text* is one piece over and over: "aaaaaaaaaaaa", "hannahannahanna"."""
    return any(text[step:] == text[:-step] for step in range(1, len(text) // 2 + 1))


def _walks(text: str) -> bool:
    """Whether *text* is nothing but walks along the keyboard or the alphabet, either way."""
    rest = text
    while rest:
        step = next((n for n in range(len(rest), WALK - 1, -1) if _is_walk(rest[:n])), 0)
        if not step:
            return False
        rest = rest[step:]
    return True


def _is_walk(text: str) -> bool:
    return any(text in walk or text in walk[::-1] for walk in WALKS)


def _is_own(text: str, own: Iterable[str]) -> bool:
    words = {word for phrase in own for word in (phrase.casefold(), *phrase.casefold().replace("@", " ").split())}
    rest = text
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= SHORTEST_WORD:
            rest = rest.replace(word, "")
    return rest != text and len(rest.strip()) < OWN_CHARACTERS


class Hasher:
    """Argon2id, at most *at_once* at a time in this process: each takes its 64 MiB.

    At most *waiting* more wait for their turn, so that a flood of log-ins leaves threads for those who read.
    """

    def __init__(self, cost: Cost = Cost(), at_once: int = 2, waiting: int = 3, patience: float = 20.0) -> None:
        self.cost = cost
        self._places = threading.BoundedSemaphore(at_once + waiting)
        self._turns = threading.BoundedSemaphore(at_once)
        self._patience = patience
        # What an unknown account is checked against, so that it takes as long as a known one. No password's hash,
        # but of the same form: checking it costs the same, and making it nothing.
        salt, hashed = (_unpadded(os.urandom(length)) for length in (SALT_BYTES, HASH_BYTES))
        self._nobody = f"{self._form()}{salt}${hashed}"

    def hash(self, password: str) -> str:
        """Return *password*'s hash with its salt and parameters, as one line of text (PHC string)."""
        function = Argon2id(
            salt=os.urandom(SALT_BYTES),
            length=HASH_BYTES,
            iterations=self.cost.passes,
            lanes=self.cost.lanes,
            memory_cost=self.cost.memory_kib,
        )
        with self._turn():
            return function.derive_phc_encoded(_bytes(password))

    def matches(self, password: str, hashed: str | None) -> bool:
        """Whether *password* is the one of *hashed*. None, for an account that isn't there, takes as long."""
        with self._turn():
            try:
                Argon2id.verify_phc_encoded(_bytes(password), hashed or self._nobody)
            except (InvalidKey, ValueError):  # not this password, or no hash at all
                return False
        return hashed is not None

    def outdated(self, hashed: str) -> bool:
        """Whether *hashed* was made with other parameters than a new one would be."""
        return not hashed.startswith(self._form())

    def _form(self) -> str:
        """How a PHC string of these parameters begins: all before the salt."""
        return f"$argon2id$v=19$m={self.cost.memory_kib},t={self.cost.passes},p={self.cost.lanes}$"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        busy = HashingBusy("too many passwords to check at once; whoever tries again later gets a turn")
        if not self._places.acquire(blocking=False):
            raise busy
        try:
            if not self._turns.acquire(timeout=self._patience):
                raise busy
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()


def _bytes(password: str) -> bytes:
    # No more than a password may have: what is longer matches nothing, and must not take longer either.
    return normal(password[: LONGEST + 1])[: LONGEST + 1].encode("utf-8", "surrogatepass")


def _unpadded(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")
