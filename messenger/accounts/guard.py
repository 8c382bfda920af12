"""How often somebody may try: failed tries counted in the database, by throttle's limits.

Keys are hashed, because what was typed as an address may be a password. What a stranger can see of a count is the
same for an address that has an account and one that hasn't. Part of messenger.accounts: nobody else reads this.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from .. import envelope, throttle
from .rows import audit, hashed
from .values import REFUSED, Account, TooSoon

#: By hashed key.
Limits = Mapping[str, throttle.Limit]


@dataclass(frozen=True)
class Try:
    """One look at a password, counted before it is taken: of a hundred at once five are looked at."""

    #: What it counts for: this account from this network.
    own: str
    #: What it counts for as well: the account from everywhere, the network, all.
    shared: tuple[str, ...]
    #: How long strangers wait now. Whoever comes from a network of the account's doesn't.
    wait: int
    #: Whether the account was logged in to from this network before.
    known: bool

    def admits(self, *, proven: bool) -> bool:
        """Whether this try is in: the password is right, and strangers needn't wait or this is none."""
        return proven and (not self.wait or self.known)


def begin(db: Database, account: Account | None, address: str, client: str, now: int) -> Try:
    """Count one try for a password; raise TooSoon, and count nothing, if it must not even be looked at.

    Where strangers have to wait, people from networks they logged in from before still get in. Their network's
    other people must not learn from that who has an account: from a network that anybody ever logged in from,
    every password is looked at, and every wrong one gets the strangers' answer.
    """
    forget(db, now)
    who = account.address if account else _spelled(address)
    network = throttle.network_of(client)
    own = {hashed(f"account {who} network {network}"): throttle.ACCOUNT_AND_NETWORK}
    shared = {
        hashed(f"account {who}"): throttle.ACCOUNT,
        hashed(f"network {network}"): throttle.NETWORK,
        hashed("all"): throttle.OVERALL,
    }
    known, some = _known(db, account, network)
    hold(db, own, "log-in", account, client, now)
    if not some:
        hold(db, shared, "log-in", account, client, now)
    wait = waits(db, shared, now)
    count(db, own if wait else {**own, **shared}, now)
    return Try(next(iter(own)), () if wait else tuple(shared), wait, known)


def take_back(db: Database, looked: Try) -> None:
    """The try was not looked at after all."""
    for key in (looked.own, *looked.shared):
        _lower(db, key, 1)


def forgive(db: Database, looked: Try) -> None:
    """The try was a success: its network starts afresh, and what is shared loses what it counted there."""
    row = db.execute("SELECT failures FROM throttle WHERE key = ?", [looked.own]).fetchone()
    db.execute("DELETE FROM throttle WHERE key = ?", [looked.own])
    for key, failures in zip(looked.shared, (row[0] if row else 0, 1, 1), strict=False):
        _lower(db, key, failures)


def remember_network(db: Database, account: int, client: str, now: int) -> None:
    row = {"account": account, "network": throttle.network_of(client), "last": now}
    db.table("known_network").upsert(row, pk=("account", "network"))


def one(what: str) -> Limits:
    """The limit of codes: by account, from wherever they come."""
    return {hashed(what): throttle.ACCOUNT}


def reset_limits(account: Account | None, address: str, client: str) -> Limits:
    """How often somebody may ask for a mail with a link: nobody's mailbox is filled up."""
    return {
        hashed(f"reset {account.address if account else _spelled(address)}"): throttle.ACCOUNT,
        hashed(f"reset network {throttle.network_of(client)}"): throttle.NETWORK,
        hashed("reset all"): throttle.OVERALL,
    }


def waits(db: Database, limits: Limits, now: int) -> int:
    """Seconds until the next try; the longest of *limits*."""
    return _longest(db, limits, now)[0]


def hold(db: Database, limits: Limits, event: str, account: Account | None, client: str, now: int) -> None:
    """Raise TooSoon if *limits* say to wait; the first try that is put off in each wait is in the audit.

    The others aren't: a try that was looked at comes before each wait, so nobody can fill the audit faster by these.
    """
    wait, key = _longest(db, limits, now)
    if wait:
        sql = "INSERT OR IGNORE INTO throttle (key, failures, last, forgotten) VALUES (?, 0, ?, ?)"
        if db.execute(sql, [hashed(f"put off {key}"), now, now + wait]).rowcount:
            audit(db, event, REFUSED, account, client, now, f"too many tries: put off for {wait} s, and all until then")
        raise TooSoon(wait)


def _longest(db: Database, limits: Limits, now: int) -> tuple[int, str]:
    """Seconds until the next try, and whose count says so."""
    found = [(0, "")]
    for key, limit in limits.items():
        row = db.execute("SELECT failures, last FROM throttle WHERE key = ?", [key]).fetchone()
        if row:
            found.append((limit.wait(row[0], row[1], now), key))
    return max(found)


def count(db: Database, limits: Limits, now: int) -> None:
    """Count one more try against each of *limits*."""
    for key, limit in limits.items():
        row = db.execute("SELECT failures, last FROM throttle WHERE key = ?", [key]).fetchone() or (0, now)
        failures = limit.counted(row[0], row[1], now)
        values = {"key": key, "failures": failures, "last": now, "forgotten": limit.forgotten(failures, now)}
        db.table("throttle").upsert(values, pk="key")


def clear(db: Database, limits: Limits) -> None:
    for key in limits:
        db.execute("DELETE FROM throttle WHERE key = ?", [key])


def forget(db: Database, now: int) -> None:
    """Throw away the counts that don't matter any more."""
    db.execute("DELETE FROM throttle WHERE forgotten <= ?", [now])


def _lower(db: Database, key: str, failures: int) -> None:
    db.execute("UPDATE throttle SET failures = max(0, failures - ?) WHERE key = ?", [failures, key])


def _known(db: Database, account: Account | None, network: str) -> tuple[bool, bool]:
    """Whether *account*, and whether anybody, logged in from *network* before."""
    sql = """SELECT EXISTS (SELECT 1 FROM known_network WHERE account = ? AND network = ?),
                    EXISTS (SELECT 1 FROM known_network WHERE network = ?)"""
    own, some = db.execute(sql, [account.id if account else None, network, network]).fetchone()
    return bool(own), bool(some)


def _spelled(address: str) -> str:
    """One spelling for all of an unknown address too: else two of them would tell it from a known one."""
    try:
        return envelope.normal(address)
    except envelope.AddressError:
        return address.casefold()
