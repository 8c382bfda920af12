"""What an account costs among 1,000 others and among a million: `python -m bench.accounts [--quick]`.

Each database is filled past the door, by SQL, with what that many people leave behind: addresses, passwords, codes,
sessions, networks, failed log-ins and the audit. Asked is through the door, for people who signed up by it. Passwords
are hashed at next to no cost, so that the database's own work shows.
"""

from __future__ import annotations

import argparse
import itertools
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from messenger import totp
from messenger.accounts import DONE, Account, Accounts
from messenger.passwords import Cost as Hashing
from messenger.passwords import Hasher

from .growth import Cost, Operation, best, table, taken
from .load import folder

SIZES = (1_000, 10_000, 100_000, 1_000_000)
NOW = 1_800_000_000

#: What is timed, once everything it needs is there.
Work = Callable[[], object]

PASSWORD = "three plain blue doors"
CLIENT = "192.0.2.7"
KEY = bytes(range(32))
CHEAP, DEARER = (Hashing(memory_kib=memory, passes=1, lanes=1) for memory in (64, 128))
#: Who signs up by the door, among all the others.
PEOPLE = 120
#: So often in a row; the best counts.
TIMES = 5
BY = "admin:bench"

#: {n} is how many people there are.
FILL = """
CREATE TEMP TABLE person AS
    WITH RECURSIVE count(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM count WHERE i < {n}) SELECT i FROM count;
INSERT INTO account (id, created, language, time_zone, generation)
    SELECT i, {now} - i % 90 * 86400, 'en', 'UTC', 0 FROM person;
INSERT INTO address SELECT 'person' || i || '@site' || (i % 997) || '.example', i, 1, {now} - i % 90 * 86400
    FROM person;
INSERT INTO credential (account, kind, secret, created, changed)
    SELECT i, 'password', hex(randomblob(48)), {now}, {now} FROM person;
INSERT INTO credential (account, kind, secret, created, changed)
    SELECT i, 'recovery', hex(randomblob(32)), {now}, {now} FROM person WHERE i % 5 = 0;
INSERT INTO session (id, account, opened, seen, client)
    SELECT lower(hex(randomblob(32))), i, {now} - i % 3600, {now} - i % 600, '192.0.2.1' FROM person WHERE i % 3 = 0;
INSERT INTO known_network SELECT i, '10.' || (i / 256 % 256) || '.' || (i % 256) || '.0/24', {now} - i % 90 * 86400
    FROM person;
INSERT INTO throttle SELECT lower(hex(randomblob(32))), 3, {now}, {now} + 7776000 + i FROM person WHERE i % 4 = 0;
INSERT INTO token (id, kind, account, made, ends)
    SELECT lower(hex(randomblob(32))), 'reset', i, {now}, {now} + 7776000 FROM person WHERE i % 10 = 0;
INSERT INTO audit (at, event, outcome, account, client, address)
    SELECT {now} - 90 * 86400 + i, 'log-in', 'done', i, '192.0.2.1', 'person' || i || '@site' || (i % 997) || '.example'
    FROM person;
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how accounts grow.")
    parser.add_argument("--quick", action="store_true", help="to 100,000 accounts")
    sizes = SIZES[: 3 if parser.parse_args(arguments).quick else None]
    with folder() as home:
        places = {size: Site(home / f"{size}.sqlite", size) for size in sizes}
        return 0 if table("Accounts: one person's, among so many", places, OPERATIONS) else 1


#: What is measured, and the method of Site that lays it out.
STEPS = {
    "whose session a page is asked for in": "session",
    "whose an address is": "find",
    "log-in: password and session": "log_in",
    "log-in: wrong password": "wrong_password",
    "log-in: nobody's address": "nobody",
    "log-in that hashes the password anew": "renewed",
    "the code of a second factor": "code",
    "log-out": "log_out",
    "sign-up": "sign_up",
    "a line of the audit": "line",
    "a line of which so many are allowed": "counted",
    "the devices of a person": "devices",
    "a link for a new password": "link",
    "a new password by it": "reset",
    "another password": "password",
    "deleting an account": "delete",
    "a hundred accounts of the list": "listed",
    "the audit of one address": "trail",
    "the last hundred lines of the audit": "latest",
}
#: What takes everybody, once a day or by hand: the cost for each.
PER_ROW: dict[str, Callable[[Accounts], object]] = {
    "everybody in the list, each": lambda accounts: sum(1 for _ in accounts.list_accounts()),
    "everybody looked at for cleaning up, each": lambda accounts: (accounts.expired(NOW), [*accounts.unused(1)]),
}

OPERATIONS = (*map(Operation, STEPS), *(Operation(name, rounds=3) for name in PER_ROW))


class Site:
    """A database with *count* people, and PEOPLE among them who can be asked for."""

    def __init__(self, path: Path, count: int) -> None:
        self._count = count
        self._path = path
        self._accounts = self._opened(CHEAP)
        with closing(sqlite3.connect(path)) as db:
            db.executescript("BEGIN;" + FILL.format(n=count, now=NOW) + "COMMIT;")
        self._serial, self._moment = itertools.count(), itertools.count()
        people = [self._newcomer(at * count // PEOPLE) for at in range(PEOPLE)]
        self._turn = itertools.cycle(people)
        self._token = self._session(people[0])
        secret = self._accounts.begin_totp(people[0].id, NOW)
        self._accounts.confirm_totp(people[0].id, totp.code(secret, totp.step_of(NOW)), CLIENT, NOW)
        self._secret, self._owner = secret, people.pop(0)
        self._token = self._session(people[0])
        self._visitor = people[0]

    def step(self, name: str) -> Cost:
        """The best of some."""
        if name in PER_ROW:
            return best([taken(lambda: PER_ROW[name](self._accounts))], each=self._count)
        prepare = getattr(self, STEPS[name])
        return best(taken(prepare()) for _ in range(TIMES))

    def session(self) -> Work:
        return lambda: self._accounts.session(self._token, NOW)

    def find(self) -> Work:
        address = next(self._turn).address
        return lambda: self._accounts.find(address)

    def log_in(self) -> Work:
        person = next(self._turn)
        return lambda: self._session(person)

    def wrong_password(self) -> Work:
        address, client, now = next(self._turn).address, self._client(), self._now()
        return lambda: self._accounts.verify(address, "not the right one", client, now)

    def nobody(self) -> Work:
        address, client, now = f"nobody{next(self._serial)}@elsewhere.example", self._client(), self._now()
        return lambda: self._accounts.verify(address, PASSWORD, client, now)

    def renewed(self) -> Work:
        person, client, now = self._newcomer(next(self._serial)), self._client(), self._now()
        dearer = self._opened(DEARER)
        return lambda: dearer.verify(person.address, PASSWORD, client, now)

    def code(self) -> Work:
        now = self._now()
        given = totp.code(self._secret, totp.step_of(now))
        return lambda: self._accounts.prove(self._owner.id, given, CLIENT, now)

    def log_out(self) -> Work:
        token, now = self._session(next(self._turn)), self._now()
        return lambda: self._accounts.end_session(token, CLIENT, now)

    def sign_up(self) -> Work:
        number = next(self._serial)
        return lambda: self._newcomer(number)

    def line(self) -> Work:
        person, now = next(self._turn), self._now()
        return lambda: self._accounts.audit("read", DONE, person.id, CLIENT, now)

    def counted(self) -> Work:
        person, now = next(self._turn), self._now()
        return lambda: self._accounts.allow("download", person.id, 1000, CLIENT, now)

    def devices(self) -> Work:
        return lambda: self._accounts.sessions(self._visitor.id, NOW)

    def link(self) -> Work:
        address, client, now = next(self._turn).address, self._client(), self._now()
        return lambda: self._accounts.ask_reset(address, client, now)

    def reset(self) -> Work:
        person, client, now = self._newcomer(next(self._serial)), self._client(), self._now()
        asked = self._accounts.ask_reset(person.address, client, now)
        assert asked is not None
        return lambda: self._accounts.reset(asked[1], "four plain blue doors", "", client, now)

    def password(self) -> Work:
        person, now = self._newcomer(next(self._serial)), self._now()
        return lambda: self._accounts.change_password(person.id, "four plain blue doors", CLIENT, now)

    def delete(self) -> Work:
        person, now = self._newcomer(next(self._serial)), self._now()
        return lambda: self._accounts.delete(person.id, BY, now)

    def listed(self) -> Work:
        return lambda: [*self._accounts.list_accounts(limit=100)]

    def trail(self) -> Work:
        address = next(self._turn).address
        return lambda: [*self._accounts.trail(address=address)]

    def latest(self) -> Work:
        return lambda: [*self._accounts.trail(limit=100)]

    def _session(self, person: Account) -> str:
        client, now = self._client(), self._now()
        found = self._accounts.verify(person.address, PASSWORD, client, now)
        assert found is not None
        return self._accounts.open_session(found.id, client, now)

    def _newcomer(self, number: int) -> Account:
        address = f"person{number}x{next(self._serial)}@elsewhere.example"
        return self._accounts.sign_up(address, PASSWORD, self._client(), NOW)

    def _now(self) -> int:
        # Far enough apart that nobody has to wait after what failed, and nothing that was filled in runs out.
        return NOW + 31 * next(self._moment)

    def _client(self) -> str:
        number = next(self._serial)
        return f"203.{number // 256 % 256}.{number % 256}.7"

    def _opened(self, cost: Hashing) -> Accounts:
        return Accounts(self._path, totp_key=KEY, hasher=Hasher(cost))


if __name__ == "__main__":
    raise SystemExit(main())
