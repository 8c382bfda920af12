"""What ``messenger cleanup`` does about accounts: those nobody uses, old lines of the audit, what has expired.

*before* is a moment in Unix seconds: what is older goes. *by* says who did it, as "admin:<user>", and lands in the
audit. Part of messenger.accounts: nobody else reads this.
"""

from collections.abc import Iterator

from . import rows
from .sessions import ENROLMENT_SECONDS, LAPSED_SECONDS
from .store import Store
from .values import DONE, Account

#: Rows are fetched so many at a time, so that a long list keeps no writer waiting.
PAGE = 500
#: Lines of the audit that go in one transaction: everybody else who writes waits for it.
LINES = 10_000
#: A network that nobody came from for this long is a stranger again. The last one of each account stays: it says when
#: its owner was here.
NETWORK_SECONDS = 396 * 86_400

_UNUSED = f"""
    SELECT {rows.ACCOUNT} FROM {rows.JOINED} WHERE account.id > ? AND disabled = 0 AND created < ?
        AND NOT EXISTS (SELECT 1 FROM known_network WHERE known_network.account = account.id AND last >= ?)
        AND NOT EXISTS (SELECT 1 FROM session WHERE session.account = account.id AND seen >= ?)
    ORDER BY account.id LIMIT ?
"""


class Upkeep(Store):
    def unused(self, before: int) -> Iterator[Account]:
        """Yield the accounts that nobody has logged in to since *before*; a sign-up counts as a log-in.

        Not those an administrator has shut: without the account its owner could open another one.
        """
        after = 0
        while True:
            with self._file.reading() as db:
                found = db.execute(_UNUSED, [after, before, before, before, PAGE]).fetchall()
            for fields in found:
                account = rows.account_of(fields)
                after = account.id
                yield account
            if len(found) < PAGE:
                return

    def delete_unused(self, account: int, before: int, by: str, now: int) -> bool:
        """Delete the account unless it was used meanwhile; return whether it was deleted. The audit stays."""
        with self._file.writing() as db:
            row = db.execute(_UNUSED, [account - 1, before, before, before, 1]).fetchone()
            found = rows.account_of(row) if row else None
            if found is None or found.id != account:
                return False
            db.execute("DELETE FROM account WHERE id = ?", [account])
            rows.audit(db, "delete", DONE, found, by, now, "unused")
        return True

    def addresses(self) -> Iterator[str]:
        """Yield every address that has an account."""
        after = ""
        while True:
            with self._file.reading() as db:
                sql = "SELECT address FROM address WHERE address > ? ORDER BY address LIMIT ?"
                found = [address for (address,) in db.execute(sql, [after, PAGE])]
            yield from found
            if len(found) < PAGE:
                return
            after = found[-1]

    def prunable(self, before: int) -> int:
        """Return how many lines of the audit are older than *before*."""
        with self._file.reading() as db:
            return int(db.execute("SELECT count(*) FROM audit WHERE at < ?", [before]).fetchone()[0])

    def prune(self, before: int, by: str, now: int) -> int:
        """Remove the lines of the audit that are older than *before*; return how many. That it was done is a new line.

        There is no other way to remove one. The trigger that forbids it is away inside the transaction alone, where
        nobody else can write; after a crash it is there as before.
        """
        pruned = 0
        while True:
            with self._file.writing() as db:
                sql = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = 'audit_no_delete'"
                (trigger,) = db.execute(sql).fetchone()
                db.execute("DROP TRIGGER audit_no_delete")
                sql = "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ? ORDER BY at LIMIT ?)"
                removed = db.execute(sql, [before, LINES]).rowcount
                db.execute(trigger)
                if removed:
                    rows.audit(db, "prune-audit", DONE, None, by, now, f"{removed} lines from before {before}")
            pruned += removed
            if removed < LINES:
                return pruned

    def expired(self, now: int) -> int:
        """Return how many rows ``forget_expired`` would remove now."""
        with self._file.reading() as db:
            counted = (
                db.execute(f"SELECT count(*) FROM {table} WHERE {what}", given).fetchone()[0]
                for table, what, given in self._expired(now)
            )
            return sum(counted)

    def forget_expired(self, now: int) -> int:
        """Remove sessions, links, counted failures and networks that count for nothing any more; return how many."""
        with self._file.writing() as db:
            removed = [
                db.execute(f"DELETE FROM {table} WHERE {what}", given).rowcount
                for table, what, given in self._expired(now)
            ]
        return sum(removed)

    def _expired(self, now: int) -> list[tuple[str, str, list[int]]]:
        lapsed = now - LAPSED_SECONDS
        own = "other.account = known_network.account"
        newer = f"SELECT 1 FROM known_network AS other WHERE {own} AND other.last > known_network.last"
        return [
            ("session", "seen <= ? OR opened <= ?", [lapsed - self._idle, lapsed - self._absolute]),
            ("credential", "kind = 'totp-new' AND created <= ?", [now - ENROLMENT_SECONDS]),
            ("token", "ends <= ?", [now]),
            ("throttle", "forgotten <= ?", [now]),
            ("known_network", f"last < ? AND EXISTS ({newer})", [now - NETWORK_SECONDS]),
        ]
