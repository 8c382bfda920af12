"""The second factor: an authenticator app's codes, and the recovery codes for when the phone is gone.

A code is used up by the one transaction that takes it: of two at once, one wins. Part of messenger.accounts: nobody
else reads this.
"""

import logging
import secrets

from sqlite_utils import Database

from .. import totp
from . import guard, rows
from .store import Store
from .values import DONE, RECOVERY, REFUSED, TOTP, Account, EnrolmentOff

log = logging.getLogger(__name__)

#: A second call of begin_totp within this time, in the same session, gives the same secret: the app may hold it.
SAME_SECONDS = 3600
RECOVERY_CODES = 10
RECOVERY_BYTES = 14  # 112 bits
RECOVERY_GROUP = 4
#: Hexadecimal has neither of these letters; people read and type them for its digits.
LOOKALIKES = str.maketrans({"o": "0", "l": "1", "i": "1", "-": "", "–": "", "\u2011": ""})


class SecondFactor(Store):
    def begin_totp(self, account: int, now: int, session: str = "") -> str:
        """Return a new secret, in base32, for the account's authenticator app; it counts once it is confirmed.

        It is shown to, and confirmed in, the session of that id alone: whoever began in another one knows a secret
        that must not become the owner's.

        Raises EnrolmentOff where the site wants no second factors.
        """
        if self._require_totp == "never":
            raise EnrolmentOff('[accounts] require_totp is "never": this site takes no second factors')
        with self._file.writing() as db:
            found = rows.by_id(db, account)
            if found is None:
                raise EnrolmentOff(f"there is no account {account} any more")
            row = db.execute(_BEGUN, [account, session]).fetchone()
            if row and abs(now - row[3]) < SAME_SECONDS and (secret := self._opened(row[1], found)):
                return secret
            secret = totp.new_secret()
            db.execute("DELETE FROM credential WHERE account = ? AND kind = 'totp-new'", [account])
            _insert(db, account, "totp-new", totp.seal(self._totp_key, secret, found.address), now, session)
        return secret

    def pending_totp(self, account: int, session: str = "") -> str | None:
        """The secret that begin_totp gave in this session and that isn't confirmed yet."""
        with self._file.reading() as db:
            found = rows.by_id(db, account)
            row = db.execute(_BEGUN, [account, session]).fetchone()
        return self._opened(row[1], found) if found and row else None

    def confirm_totp(
        self, account: int, code: str, client: str, now: int, session: str = "", *, epoch: int | None = None
    ) -> list[str] | None:
        """Make the begun secret the account's second factor if *code* is one of its codes, else return None.

        Returns new recovery codes, which nobody can read again. An older secret is replaced. Ends every session, and
        the epoch. Raises TooSoon, and Overtaken if the account's *epoch* is over.
        """
        limits = guard.one(f"enrol {account}")
        with self._file.writing() as db:
            guard.forget(db, now)
            found = rows.in_epoch(db, account, epoch)
            row = db.execute(_BEGUN, [account, session]).fetchone()
            if found is None or row is None:
                return None
            guard.hold(db, limits, "totp on", found, client, now)
            secret = self._opened(row[1], found)
            step = totp.match(secret, code, now) if secret else None
            if step is None:
                guard.count(db, limits, now)
                rows.audit(db, "totp on", REFUSED, found, client, now)
                return None
            guard.clear(db, limits)
            db.execute("DELETE FROM credential WHERE account = ? AND kind = 'totp'", [account])
            sql = "UPDATE credential SET kind = 'totp', name = '', counter = ?, changed = ? WHERE id = ?"
            db.execute(sql, [step, now, row[0]])
            # What was opened without it is over in the same moment.
            rows.end_epoch(db, account)
            rows.audit(db, "totp on", DONE, found, client, now)
            return _new_codes(db, account, now)

    def prove(self, account: int, code: str, client: str, now: int) -> str | None:
        """Say what *code* is: TOTP, RECOVERY, or None if it is neither; and use it up.

        Counts by account, from every network alike: who gets here knows the password. Raises TooSoon.
        """
        with self._file.writing() as db:
            return self._prove(db, rows.by_id(db, account), code, client, now, f"second factor {account}")

    def _prove(
        self, db: Database, account: Account | None, code: str, client: str, now: int, limited_as: str
    ) -> str | None:
        limits = guard.one(limited_as)
        guard.forget(db, now)
        guard.hold(db, limits, "second factor", account, client, now)
        guard.count(db, limits, now)
        kind = self._used_up(db, account, code, now) if account and not account.disabled else None
        if kind:
            guard.clear(db, limits)
        event = "recovery code" if kind == RECOVERY else "second factor"
        rows.audit(db, event, DONE if kind else REFUSED, account, client, now)
        return kind

    def _used_up(self, db: Database, account: Account, code: str, now: int) -> str | None:
        """Take *code* as both kinds, whatever it looks like: each answer takes the same work."""
        row = db.execute(_OF_KIND, [account.id, "totp"]).fetchone()
        secret = self._opened(row[1], account) if row else None
        number, counter = (row[0], row[2]) if row and secret else (None, -1)
        step = totp.match(secret or totp.new_secret(), code, now, counter)
        # Compare and set: pyotp alone would take a code twice.
        sql = "UPDATE credential SET counter = ?, changed = ? WHERE id = ? AND counter < ?"
        by_totp = db.execute(sql, [step or 0, now, number, step or 0]).rowcount > 0
        sql = "DELETE FROM credential WHERE account = ? AND kind = 'recovery' AND secret = ?"
        by_recovery = db.execute(sql, [account.id, _recovery_hash(account.id, code)]).rowcount > 0
        return TOTP if by_totp else RECOVERY if by_recovery else None

    def remove_totp(self, account: int, client: str, now: int, *, epoch: int | None = None) -> None:
        """The account has no second factor any more, and no recovery codes. Ends every session, and the epoch.

        Raises Overtaken if the account's *epoch* is over.
        """
        with self._file.writing() as db:
            rows.in_epoch(db, account, epoch)
            rows.end_epoch(db, account)
            drop_second_factor(db, account)
            rows.audit(db, "totp off", DONE, rows.by_id(db, account), client, now)

    def new_recovery_codes(self, account: int, client: str, now: int, *, epoch: int | None = None) -> list[str]:
        """Return ten new recovery codes; the old ones are worth nothing any more. None without a second factor.

        Raises Overtaken if the account's *epoch* is over.
        """
        with self._file.writing() as db:
            found = rows.in_epoch(db, account, epoch)
            if found is None or not found.second_factor:
                return []
            codes = _new_codes(db, account, now)
            rows.audit(db, "recovery codes made", DONE, found, client, now)
        return codes

    def recovery_left(self, account: int) -> int:
        """How many recovery codes are not used up."""
        with self._file.reading() as db:
            sql = "SELECT count(*) FROM credential WHERE account = ? AND kind = 'recovery'"
            return int(db.execute(sql, [account]).fetchone()[0])

    def _opened(self, sealed: str, account: Account) -> str | None:
        try:
            return totp.open_sealed(self._totp_key, sealed, account.address)
        except totp.TotpError as error:
            # Recovery codes still work; without them an administrator resets the second factor.
            log.error("account %d: %s", account.id, error)
            return None


_OF_KIND = "SELECT id, secret, counter, created FROM credential WHERE account = ? AND kind = ?"
_BEGUN = "SELECT id, secret, counter, created FROM credential WHERE account = ? AND kind = 'totp-new' AND name = ?"


def drop_second_factor(db: Database, account: int) -> None:
    sql = "DELETE FROM credential WHERE account = ? AND kind IN ('totp', 'totp-new', 'recovery')"
    db.execute(sql, [account])


def _new_codes(db: Database, account: int, now: int) -> list[str]:
    db.execute("DELETE FROM credential WHERE account = ? AND kind = 'recovery'", [account])
    codes = [secrets.token_hex(RECOVERY_BYTES) for _ in range(RECOVERY_CODES)]
    for code in codes:
        _insert(db, account, "recovery", _recovery_hash(account, code), now)
    return ["-".join(code[n : n + RECOVERY_GROUP] for n in range(0, len(code), RECOVERY_GROUP)) for code in codes]


def _recovery_hash(account: int, given: str) -> str:
    # 112 random bits: a plain hash is enough, and takes no longer for a wrong one.
    code = "".join(given[:200].casefold().translate(LOOKALIKES).split())
    return rows.hashed(f"recovery {account} {code}")


def _insert(db: Database, account: int, kind: str, secret: str, now: int, name: str = "") -> None:
    row = {"account": account, "kind": kind, "name": name, "secret": secret, "created": now, "changed": now}
    rows.insert(db, "credential", row)
