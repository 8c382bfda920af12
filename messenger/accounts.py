"""Accounts and their sessions: sign up, prove a password, open and end sessions. All SQL about them is here.

Knows no web. Time is an argument, in Unix seconds. A network database can stand in for SQLite behind these
methods. Secrets are kept as hashes only; what the database's reader finds logs nobody in.
"""

import hashlib
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database

from . import envelope, passwords, throttle
from .accounts_file import AccountsError, AccountsFile
from .errors import MessengerError

log = logging.getLogger(__name__)

__all__ = ["Account", "Accounts", "AccountsError", "AddressTaken", "Session", "TooSoon"]

#: A session's last use is written down at most this often: reading mail is no reason to write.
SEEN_SECONDS = 60
SESSION_BYTES = 32


class AddressTaken(MessengerError):
    """Somebody has an account with this address already."""


class TooSoon(MessengerError):
    """Too many failed log-ins. ``seconds`` says when the next try is looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed log-ins: wait {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Account:
    id: int
    #: The main one, normalised.
    address: str
    #: When it was opened.
    created: int
    language: str
    time_zone: str
    #: Counts up when everything derived for this account must change.
    generation: int


@dataclass(frozen=True)
class Session:
    account: Account
    opened: int
    #: The last use, exact to SEEN_SECONDS.
    seen: int


class Accounts:
    """The accounts in one SQLite file; safe to use from several threads and processes."""

    def __init__(
        self,
        path: Path,
        *,
        site_name: str = "",
        idle_minutes: int = 15,
        absolute_hours: int = 8,
        hasher: passwords.Hasher | None = None,
    ) -> None:
        """Open *path*, made with its tables if it isn't there; *hasher* is for tests that can't wait."""
        self._file = AccountsFile(path)
        self._site_name = site_name
        self._idle = idle_minutes * 60
        self._absolute = absolute_hours * 3600
        self._hasher = hasher or passwords.Hasher()

    def sign_up(
        self, address: str, password: str, client: str, now: int, *, language: str = "en", time_zone: str = "UTC"
    ) -> Account:
        """Open an account, or raise AddressTaken or PasswordRefused. Of two at once, one gets it."""
        address = envelope.normal(address)
        passwords.check(password, (address, self._site_name))
        if self.find(address):
            raise AddressTaken(f"{address} has an account already")
        hashed = self._hasher.hash(password)
        with self._file.writing() as db:
            if _account(db, address):
                raise AddressTaken(f"{address} has an account already")
            row = {"created": now, "language": language, "time_zone": time_zone, "generation": 0}
            number = _insert(db, "account", row)
            _insert(db, "address", {"address": address, "account": number, "main": 1, "added": now})
            secret = {"kind": "password", "secret": hashed, "created": now, "changed": now}
            _insert(db, "credential", {"account": number, **secret})
            _remember_network(db, number, client, now)
            _audit(db, "sign-up", "done", number, client, now)
        return Account(number, address, now, language, time_zone, 0)

    def find(self, address: str) -> Account | None:
        """The account that *address*, in any spelling, belongs to."""
        with self._file.reading() as db:
            return _account(db, address)

    def verify(self, address: str, password: str, client: str, now: int) -> Account | None:
        """The account that *address* and *password* belong to; None, after the same work, if there is none.

        Raises TooSoon, without a look at the password, after too many failures.
        """
        with self._file.writing() as db:
            account = _account(db, address)
            hashed = _password_of(db, account)
            limits = _limits(db, account, address, client)
            # Counted before it is looked at: of a hundred tries at once five are looked at, not a hundred.
            _count(db, limits, now)
        try:
            proven = self._hasher.matches(password, hashed)
            fresh = self._hasher.hash(password) if hashed and proven and self._hasher.outdated(hashed) else ""
        except passwords.HashingBusy:
            with self._file.writing() as db:
                _uncount(db, list(limits))
            raise
        with self._file.writing() as db:
            if account is None or not proven:
                _audit(db, "log-in", "refused", account.id if account else None, client, now)
                return None
            _forgive(db, limits)
            _remember_network(db, account.id, client, now)
            if fresh:
                # Only the hash that was just proven: a password changed meanwhile stays changed.
                db.execute("UPDATE credential SET secret = ? WHERE secret = ?", [fresh, hashed])
            _audit(db, "log-in", "done", account.id, client, now)
        return account

    def open_session(self, account: int, client: str, now: int) -> str:
        """Open a session and return what the browser keeps: 256 random bits, of which we keep the hash."""
        token = secrets.token_urlsafe(SESSION_BYTES)
        with self._file.writing() as db:
            over = [now - self._idle, now - self._absolute]
            db.execute("DELETE FROM session WHERE seen <= ? OR opened <= ?", over)
            row = {"id": _hash(token), "account": account, "opened": now, "seen": now, "client": client}
            _insert(db, "session", row)
        return token

    def session(self, token: str, now: int) -> Session | None:
        """The session of *token*, if it is neither ended nor left alone too long nor too old."""
        with self._file.reading() as db:
            row = db.execute(_SESSION, [_hash(token)]).fetchone()
        if row is None:
            return None
        *fields, opened, seen = row
        if now - seen >= self._idle or now - opened >= self._absolute:
            return None
        if now - seen >= SEEN_SECONDS:
            self._see(token, now)
        return Session(Account(*fields), opened, max(seen, now))

    def _see(self, token: str, now: int) -> None:
        try:
            with self._file.writing() as db:
                db.execute("UPDATE session SET seen = max(seen, ?) WHERE id = ?", [now, _hash(token)])
        except AccountsError as error:
            # Mail can be read from a full disk; the session ends a little earlier.
            log.warning("a session's last use was not written down: %s", error)

    def end_session(self, token: str, client: str, now: int) -> None:
        """Log out: the row goes, so the token is worth nothing, whoever kept a copy."""
        with self._file.writing() as db:
            row = db.execute("SELECT account FROM session WHERE id = ?", [_hash(token)]).fetchone()
            if row:
                db.execute("DELETE FROM session WHERE id = ?", [_hash(token)])
                _audit(db, "log-out", "done", row[0], client, now)

    def end_all(self, account: int, client: str, now: int) -> int:
        """End every session of *account*, on every device; return how many there were."""
        with self._file.writing() as db:
            ended = db.execute("DELETE FROM session WHERE account = ?", [account]).rowcount
            _audit(db, "log-out everywhere", "done", account, client, now)
        return ended

    def check(self) -> None:
        """Raise AccountsError unless the database answers."""
        with self._file.reading() as db:
            db.execute("SELECT 1 FROM account LIMIT 1").fetchone()

    def close(self) -> None:
        """Close this thread's connection."""
        self._file.close()


_ACCOUNT = """
    SELECT account.id, main.address, account.created, language, time_zone, generation
    FROM address AS given
    JOIN account ON account.id = given.account
    JOIN address AS main ON main.account = account.id AND main.main = 1
    WHERE given.address = ?
"""
_SESSION = """
    SELECT account.id, main.address, account.created, language, time_zone, generation, opened, seen
    FROM session
    JOIN account ON account.id = session.account
    JOIN address AS main ON main.account = account.id AND main.main = 1
    WHERE session.id = ?
"""


def _account(db: Database, address: str) -> Account | None:
    try:
        given = envelope.normal(address)
    except envelope.AddressError:
        return None
    row = db.execute(_ACCOUNT, [given]).fetchone()
    return Account(*row) if row else None


def _spelled(address: str) -> str:
    """One spelling for all of an unknown address too: else two of them would tell it from a known one."""
    try:
        return envelope.normal(address)
    except envelope.AddressError:
        return address.casefold()


def _password_of(db: Database, account: Account | None) -> str | None:
    sql = "SELECT secret FROM credential WHERE account = ? AND kind = 'password'"
    row = db.execute(sql, [account.id if account else None]).fetchone()
    return row[0] if row else None


def _limits(db: Database, account: Account | None, address: str, client: str) -> dict[str, throttle.Limit]:
    """What this try counts for: hashed keys, because what was typed as an address may be a password."""
    who = account.address if account else _spelled(address)
    network = throttle.network_of(client)
    limits = {_hash(f"account {who} network {network}"): throttle.ACCOUNT_AND_NETWORK}
    sql = "SELECT 1 FROM known_network WHERE account = ? AND network = ?"
    if not db.execute(sql, [account.id if account else None, network]).fetchone():
        limits[_hash(f"account {who}")] = throttle.ACCOUNT
        limits[_hash(f"network {network}")] = throttle.NETWORK
        limits[_hash("all")] = throttle.OVERALL
    return limits


def _count(db: Database, limits: Mapping[str, throttle.Limit], now: int) -> None:
    """Count one more try against each of *limits*; raise TooSoon, and count nothing, if one says wait."""
    db.execute("DELETE FROM throttle WHERE forgotten <= ?", [now])
    counts = {}
    for key, limit in limits.items():
        sql = "SELECT failures, last FROM throttle WHERE key = ?"
        failures, last = db.execute(sql, [key]).fetchone() or (0, now)
        if wait := limit.wait(failures, last, now):
            raise TooSoon(wait)
        counts[key] = limit.counted(failures, last, now)
    for key, failures in counts.items():
        forgotten = limits[key].forgotten(failures, now)
        row: dict[str, object] = {"key": key, "failures": failures, "last": now, "forgotten": forgotten}
        db.table("throttle").upsert(row, pk="key")


def _uncount(db: Database, keys: list[str]) -> None:
    for key in keys:
        db.execute("UPDATE throttle SET failures = max(0, failures - 1) WHERE key = ?", [key])


def _forgive(db: Database, limits: Mapping[str, throttle.Limit]) -> None:
    """The try was a success: the account starts afresh, and what it shares with others loses the one it got."""
    for key, limit in limits.items():
        if limit in (throttle.ACCOUNT, throttle.ACCOUNT_AND_NETWORK):
            db.execute("DELETE FROM throttle WHERE key = ?", [key])
        else:
            _uncount(db, [key])


def _remember_network(db: Database, account: int, client: str, now: int) -> None:
    row = {"account": account, "network": throttle.network_of(client), "last": now}
    db.table("known_network").upsert(row, pk=("account", "network"))


def _audit(db: Database, event: str, outcome: str, account: int | None, client: str, now: int) -> None:
    row = {"at": now, "event": event, "outcome": outcome, "account": account, "client": client}
    _insert(db, "audit", row)


def _insert(db: Database, table: str, row: Mapping[str, object]) -> int:
    return int(db.table(table).insert(dict(row)).last_rowid or 0)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
