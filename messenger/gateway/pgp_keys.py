"""Who outside has an OpenPGP key: by a GnuPG keyring, or by a list that somebody else keeps.

Only whether there is one: what encrypts is the filter of the settings, which must find the same key. A key in the ring
counts whoever has or hasn't signed it, since putting it there is the decision to use it; one that is revoked, expired,
disabled, or can't encrypt doesn't.
"""

import logging
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from ..envelope import AddressError, domain_of, normal
from ..errors import MessengerError

log = logging.getLogger(__name__)

#: So long a look holds.
SECONDS = 1
#: gpg lists some thousands of keys a second.
TIMEOUT = 60
MAX_LIST = 20_000_000  # bytes

#: What a home's keys and their being disabled are written in, in GnuPG 1, 2 and 2.4 with keyboxd.
_RINGS = ("pubring.kbx", "pubring.gpg", "public-keys.d/pubring.db")
_HOME_FILES = (*_RINGS, "trustdb.gpg", "gpg.conf")
#: Neither a lock nor a check of trust: the folder may be one that we only read.
_GPG = ("--batch", "--no-tty", "--with-colons", "--fixed-list-mode", "--no-permission-warning")
_GPG_READ_ONLY = ("--lock-never", "--no-auto-check-trustdb", "--trust-model", "always")
#: doc/DETAILS, field 2: invalid, disabled, revoked, expired, never to be trusted.
_NOT_VALID = frozenset("idren")
_ESCAPED = re.compile(rb"\\x([0-9A-Fa-f]{2})")
_NEVER = 0


class PgpKeysError(MessengerError):
    """The keys can't be listed. Temporary for the mail: the operator can mend it, and clear text is no answer."""

    temporary = True


class PgpKeys:
    """A GnuPG home folder, or a file with an address or a domain in each line; read again when it has changed.

    For any number of threads. *clock* gives Unix seconds.
    """

    def __init__(self, path: Path, gpg: str = "gpg", clock: Callable[[], float] = time.time) -> None:
        self._path, self._gpg, self._clock = path, gpg, clock
        #: Addresses, domains and "*.domain" to when the last key expires.
        self._known: dict[str, int] = {}
        self._stamp: tuple[object, ...] | None = None
        self._looked: float | None = None
        self._lock = Lock()

    def has(self, address: str) -> bool:
        """Whether mail to a ``normal`` *address* can be left to the filter. Raises PgpKeysError (temporary)."""
        now = self._clock()
        with self._lock:
            if self._looked is None or abs(now - self._looked) >= SECONDS:
                self._look()
                self._looked = now
            known = self._known
        return any(known[name] == _NEVER or now < known[name] for name in _names(address) if name in known)

    def check(self) -> int:
        """Read it now; return how many addresses and domains are known. Raises PgpKeysError."""
        with self._lock:
            self._look()
            return len(self._known)

    def _look(self) -> None:
        is_home = self._path.is_dir()
        files = [self._path / name for name in _HOME_FILES] if is_home else [self._path]
        stamp = (is_home, *map(_stamp, files))
        if is_home and not any(stamp[1 : 1 + len(_RINGS)]):  # gpg would make one, and nobody in it has a key
            raise PgpKeysError(
                f"{self._path}: a GnuPG home folder was expected, found one without a keyring; name another"
            )
        if stamp == self._stamp:
            return
        self._known = _of_keys(self._path, self._gpg) if is_home else _of_list(self._path)
        self._stamp = stamp
        log.info("%s: PGP keys for %d addresses and domains", self._path, len(self._known))


def _names(address: str) -> Iterator[str]:
    yield address
    domain = address.rpartition("@")[2]
    yield f"@{domain}"
    while "." in domain:
        domain = domain.partition(".")[2]
        yield f"@*.{domain}"


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


def _of_list(path: Path) -> dict[str, int]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PgpKeysError(
            f"{path}: a GnuPG home folder or a list of addresses was expected, it cannot be read ({error.strerror});"
            ' let its group be the gateway\'s, or set pgp_keys = ""'
        ) from error
    if len(content) > MAX_LIST or b"\0" in content:
        raise PgpKeysError(
            f"{path}: a list of addresses was expected, found another file; for a keyring name the folder it is in"
        )
    found = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        name = line.partition("#")[0].strip()
        try:
            if name:
                found[_listed(name)] = _NEVER
        except AddressError:
            log.warning("%s: line %d: passed over, expected an address, a domain, or *.domain", path, number)
    return found


def _listed(name: str) -> str:
    local_part, _, domain = name.rpartition("@")
    if local_part:
        return normal(name)
    star = "*." if domain.startswith("*.") else ""
    return f"@{star}{domain_of(f'x@{domain.removeprefix(star)}')}"


@dataclass
class _Key:
    """A primary key, as far as it was read."""

    usable: bool
    expires: int
    #: When each key that can encrypt expires: the primary one, and those below it.
    encrypting: list[int]
    addresses: list[str]

    def until(self) -> int | None:
        """When the last way to encrypt ends; None if there is none."""
        if not self.usable or not self.encrypting:
            return None
        last = _NEVER if _NEVER in self.encrypting else max(self.encrypting)
        return min(last, self.expires) if last and self.expires else last or self.expires


def _of_keys(home: Path, gpg: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for key in _keys(_listing(home, gpg)):
        until = key.until()
        if until is None:
            continue
        for address in key.addresses:
            known = found.get(address)
            found[address] = until if known is None else _NEVER if _NEVER in (known, until) else max(known, until)
    return found


def _listing(home: Path, gpg: str) -> bytes:
    command = [gpg, "--homedir", str(home), *_GPG, *_GPG_READ_ONLY, "--list-keys"]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, env=environment, check=False
        )
    except FileNotFoundError as error:
        raise PgpKeysError(
            f"{gpg}: no such program, and {home} is a GnuPG folder; install gnupg, or name a list of addresses"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PgpKeysError(f"{home}: gpg can't list its keys: {error}; try gpg --homedir {home} -k") from error
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = said[-1][:200] if said else f"status {done.returncode}"
        raise PgpKeysError(f"{home}: gpg can't list its keys: {why}; let the gateway's user read the folder")
    return done.stdout


def _keys(listing: bytes) -> Iterator[_Key]:
    """Read gpg's format for programs (doc/DETAILS)."""
    key: _Key | None = None
    for line in listing.splitlines():
        fields = line.split(b":")
        if len(fields) < 12:
            continue
        kind, is_valid, uses = fields[0], fields[1].decode("ascii", "replace") not in _NOT_VALID, fields[11]
        if kind == b"pub":
            if key:
                yield key
            # Capital letters are what the key can do with those below it; D is a disabled one.
            key = _Key(is_valid and b"E" in uses and b"D" not in uses, _moment(fields[6]), [], [])
        if key and is_valid and kind in (b"pub", b"sub") and b"e" in uses:
            key.encrypting.append(_moment(fields[6]))
        if key and is_valid and kind == b"uid" and (address := _address(fields[9])):
            key.addresses.append(address)
    if key:
        yield key


def _moment(field: bytes) -> int:
    """Unix seconds, or ISO 8601 (doc/DETAILS); 0 for never."""
    if b"T" in field:
        return int(datetime.strptime(field.decode("ascii"), "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp())
    return int(field or 0)


def _address(user_id: bytes) -> str:
    """What stands between angle brackets, or is an address alone; nothing for names and pictures."""
    text = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), user_id).decode("utf-8", "replace").strip()
    if text.endswith(">"):
        text = text.rpartition("<")[2][:-1]
    try:
        return normal(text)
    except AddressError:
        return ""
