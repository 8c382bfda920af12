"""Settings of users and domains in lookup tables of Postfix, for sites that keep their people in LDAP or SQL.

Asks ``postmap -q``, so every type that the site's Postfix reads will do. A key is an address, a domain or
"*.example.com"; what stands there looks like "enabled=yes encrypt_mode=mandatory". Answers are kept for a while, "not
there" too. A table that fails or says what is no setting is a temporary error: mail waits, and doesn't go in clear.
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from ..errors import MessengerError
from .lookup import Answer, wildcards
from .setting_forms import said
from .values import PolicyError

POSTMAP = ("/usr/sbin/postmap",)
#: A mail waits for it, and Postfix for the mail: milter_command_timeout is 30 s.
TIMEOUT_SECONDS = 10
_REMEMBERED = 100_000
_ANSWER_CHARACTERS = 4096


class TableError(MessengerError):
    """A table can't be asked, or says what nobody understands. Once that is mended, the mail passes."""

    temporary = True


class Tables:
    """Tables in the order in which they are asked: where several know a setting, the first one's word counts.

    For any number of threads. *clock* counts seconds; an answer is good for *seconds*, at the least for one.
    """

    def __init__(
        self,
        names: Sequence[str],
        seconds: float,
        postmap: Sequence[str] = POSTMAP,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = tuple(names)
        self._seconds = max(1, seconds)
        self._postmap = tuple(postmap)
        self._clock = clock
        self._answers: dict[str, tuple[float, Answer]] = {}
        self._lock = Lock()

    def __call__(self, key: str) -> Answer:
        """Return what the tables say of *key*, nothing for one that is in none; raises TableError."""
        now = self._clock()
        with self._lock:
            known = self._answers.get(key)
            # Who asks for a user asks for the domain next: starting postmap takes the time, not the keys.
            old = [one for one in _family(key) if one not in self._answers or self._answers[one][0] <= now]
        if known and known[0] > now:
            return known[1]
        fresh = self.ask(old)
        with self._lock:
            if len(self._answers) + len(fresh) > _REMEMBERED:
                self._answers = {one: kept for one, kept in self._answers.items() if kept[0] > now}
            if len(self._answers) + len(fresh) > _REMEMBERED:
                self._answers.clear()
            self._answers |= {one: (now + self._seconds, answer) for one, answer in fresh.items()}
        return fresh[key]

    def ask(self, keys: Iterable[str]) -> dict[str, Answer]:
        """Ask all tables for *keys* now, whatever is remembered; raises TableError."""
        keys = list(keys)
        settings: dict[str, dict[str, bool | str]] = {key: {} for key in keys}
        origins: dict[str, dict[str, str]] = {key: {} for key in keys}
        for table in self._names:
            for key, text in _looked_up(self._postmap, table, keys).items():
                for name, value in _understood(text, table, key):
                    if name not in settings[key]:
                        settings[key][name], origins[key][name] = value, table
        return {key: Answer(settings[key], origins[key]) for key in keys}


def _family(key: str) -> list[str]:
    if key.startswith("*."):
        return [key]
    local_part, _, domain = key.rpartition("@")
    return list(dict.fromkeys((key, domain, *wildcards(domain)) if local_part else (key, *wildcards(key))))


def _looked_up(postmap: tuple[str, ...], table: str, keys: list[str]) -> dict[str, str]:
    """What *table* has for *keys*, by key."""
    lines = "".join(f"{key}\n" for key in keys if "\n" not in key)
    try:
        done = subprocess.run(
            [*postmap, "-q", "-", table],
            input=lines.encode("utf-8", "replace"),
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TableError(f"{table}: no answer from {postmap[0]} within {TIMEOUT_SECONDS} s; see to it") from error
    except OSError as error:
        text = f"{table}: {postmap[0]} can't be run ({error.strerror}); install Postfix, or empty [gateway] tables"
        raise TableError(text) from error
    complaint = done.stderr.decode("utf-8", "replace").strip()
    # 1 is "not there" as well as trouble, and then the last words say so (postmap(1)).
    if done.returncode not in (0, 1) or (done.returncode and re.search(r"\b(fatal|panic|error): ", complaint)):
        last = complaint.splitlines()[-1:] or [f"status {done.returncode}"]
        raise TableError(f"{table}: can't be asked ({last[0][:300]}); mend it, or take it out of [gateway] tables")
    found: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        key, tab, text = line.partition("\t")
        if tab and key in keys:
            found[key] = text
    return found


def _understood(text: str, table: str, key: str) -> list[tuple[str, bool | str]]:
    example = 'expected settings such as "enabled=yes encrypt_mode=mandatory"'
    if len(text) > _ANSWER_CHARACTERS:
        raise TableError(f"{table}, {key}: {example}, found {len(text)} characters; mend it there")
    found: list[tuple[str, bool | str]] = []
    for word in re.split(r"[\s,]+", text.strip()):
        name, equals, value = word.partition("=")
        if not word:
            continue
        if not equals:
            raise TableError(f"{table}, {key}: {example}, found {word[:80]!r}; mend it there")
        try:
            found.append((name, said(name, value)))
        except PolicyError as error:
            raise TableError(f"{table}, {key}: {error}; mend it there") from error
    return found
