"""Who has an account, and the password that proves it: sign up, verify, change, settle, delete.

Part of messenger.accounts: nobody else reads this.
"""

from contextlib import suppress

from sqlite_utils import Database

from .. import envelope, passwords
from . import guard, rows
from .store import Store
from .values import DONE, REFUSED, Account, AddressTaken, TooSoon


class People(Store):
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
            if rows.by_address(db, address):
                raise AddressTaken(f"{address} has an account already")
            number = _next_id(db)
            # Nobody reads this generation: that of PDFs' passwords lies beside the mail, in ``preferences``.
            row = {"id": number, "created": now, "language": language, "time_zone": time_zone, "generation": 0}
            rows.insert(db, "account", row)
            rows.insert(db, "address", {"address": address, "account": number, "main": 1, "added": now})
            secret = {"kind": "password", "secret": hashed, "created": now, "changed": now}
            rows.insert(db, "credential", {"account": number, **secret})
            guard.remember_network(db, number, client, now)
            account = Account(number, address, now, language, time_zone)
            rows.audit(db, "sign-up", DONE, account, client, now)
        return account

    def find(self, address: str) -> Account | None:
        """The account that *address*, in any spelling, belongs to."""
        with self._file.reading() as db:
            return rows.by_address(db, address)

    def verify(self, address: str, password: str, client: str, now: int) -> Account | None:
        """The account that *address* and *password* belong to; None, after the same work, if there is none.

        Raises TooSoon after too many failures. A disabled account is none.
        """
        with self._file.writing() as db:
            account = rows.by_address(db, address)
            hashed = rows.password_of(db, account)
            looked = guard.begin(db, account, address, client, now)
        return self._looked_at(account, password, hashed, looked, client, now)

    def confirm(self, account: int, password: str, client: str, now: int) -> bool:
        """Whether *password* is the account's: asked again before something that can't be undone.

        Raises TooSoon. Counts together with log-ins, so that a stolen session gives nobody more tries.
        """
        with self._file.writing() as db:
            found = rows.by_id(db, account)
            hashed = rows.password_of(db, found)
            looked = guard.begin(db, found, f"#{account}", client, now)
        return self._looked_at(found, password, hashed, looked, client, now, again=True) is not None

    def _looked_at(
        self,
        account: Account | None,
        password: str,
        hashed: str | None,
        looked: guard.Try,
        client: str,
        now: int,
        *,
        again: bool = False,
    ) -> Account | None:
        try:
            right = self._hasher.matches(password, hashed)
        except passwords.HashingBusy:
            with self._file.writing() as db:
                guard.take_back(db, looked)
            raise
        detail = "password again" if again else ""
        with self._file.writing() as db:
            # Read again: a password changed, or an account shut, while we hashed is not this one any more.
            found = rows.by_id(db, account.id if account else None)
            stands = rows.password_of(db, found) == hashed and found is not None and not found.disabled
            admitted = found if looked.admits(proven=right and stands) else None
            if admitted is None:
                rows.audit(db, "log-in", REFUSED, found, client, now, detail)
            else:
                guard.forgive(db, looked)
                guard.remember_network(db, admitted.id, client, now)
                if not again:
                    rows.audit(db, "log-in", DONE, admitted, client, now)
        if admitted is None and looked.wait:
            raise TooSoon(looked.wait)
        if admitted and hashed and self._hasher.outdated(hashed):
            self._renew(admitted.id, password, hashed)
        return admitted

    def _renew(self, account: int, password: str, hashed: str) -> None:
        """Hash anew, with today's parameters. Only what was just proven: a password changed since stays changed."""
        with suppress(passwords.HashingBusy):  # the next log-in will do
            fresh = self._hasher.hash(password)
            with self._file.writing() as db:
                sql = "UPDATE credential SET secret = ? WHERE account = ? AND kind = 'password' AND secret = ?"
                db.execute(sql, [fresh, account, hashed])

    def change_password(self, account: int, password: str, client: str, now: int, *, epoch: int | None = None) -> None:
        """Set another password, or raise PasswordRefused. Ends every session, the caller's too, and the epoch.

        Raises Overtaken if the account's *epoch* is over: somebody else was faster.
        """
        with self._file.reading() as db:
            found = rows.by_id(db, account)
        if found is None:
            return
        passwords.check(password, (found.address, self._site_name))
        hashed = self._hasher.hash(password)
        with self._file.writing() as db:
            rows.in_epoch(db, account, epoch)
            put_password(db, found, hashed, now)
            rows.audit(db, "password changed", DONE, found, client, now)

    def settle(self, account: int, *, language: str = "", time_zone: str = "") -> None:
        """Set the language and the time zone of pages; "" leaves one as it is."""
        with self._file.writing() as db:
            sql = "UPDATE account SET language = coalesce(?, language), time_zone = coalesce(?, time_zone) WHERE id = ?"
            db.execute(sql, [language or None, time_zone or None, account])

    def delete(self, account: int, by: str, now: int) -> None:
        """Delete the account with all that proves it and every session; the audit stays."""
        with self._file.writing() as db:
            found = rows.by_id(db, account)
            if found is not None:
                db.execute("DELETE FROM account WHERE id = ?", [account])
                rows.audit(db, "delete", DONE, found, by, now)


def put_password(db: Database, account: Account, hashed: str, now: int) -> None:
    """Replace the password, and end what was opened by the old one: sessions, and links to reset it."""
    sql = "UPDATE credential SET secret = ?, changed = ? WHERE account = ? AND kind = 'password'"
    db.execute(sql, [hashed, now, account.id])
    rows.end_epoch(db, account.id)


def _next_id(db: Database) -> int:
    """A number that no account ever had: the audit remembers those that are deleted."""
    sql = "SELECT max(coalesce((SELECT max(id) FROM account), 0), coalesce((SELECT max(account) FROM audit), 0)) + 1"
    return int(db.execute(sql).fetchone()[0])
