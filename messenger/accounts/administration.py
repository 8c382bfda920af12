"""What an administrator does about accounts: list them, shut and open them, take a lost second factor off.

*by* says who did it, as "admin:<user>", and lands in the audit. Part of messenger.accounts: nobody else reads this.
"""

from collections.abc import Iterator

from .. import envelope, totp
from . import rows
from .second_factor import drop_second_factor
from .store import Store
from .values import DONE, AccountRow, AddressTaken

#: Rows are fetched so many at a time, so that a long list keeps no writer waiting.
PAGE = 500


class Administration(Store):
    def list_accounts(self, after: str = "", limit: int = 0) -> Iterator[AccountRow]:
        """Yield the accounts by address, those behind the address *after*; *limit* 0 is all of them."""
        left = limit
        while True:
            size = min(PAGE, left) if limit else PAGE
            with self._file.reading() as db:
                found = db.execute(_LIST, [after, size]).fetchall()
            for *fields, last, codes in found:
                yield AccountRow(rows.account_of(fields), last, codes)
            left -= len(found)
            if len(found) < size or (limit and left <= 0):
                return
            after = found[-1][1]

    def disable(self, account: int, by: str, now: int) -> None:
        """Shut the account: its sessions end, and nobody gets in until it is enabled."""
        with self._file.writing() as db:
            sql = "UPDATE account SET disabled = ? WHERE id = ? AND disabled = 0"
            if db.execute(sql, [now, account]).rowcount:
                rows.end_epoch(db, account)
                rows.audit(db, "disable", DONE, rows.by_id(db, account), by, now)

    def enable(self, account: int, by: str, now: int) -> None:
        """Open the account again."""
        with self._file.writing() as db:
            if db.execute("UPDATE account SET disabled = 0 WHERE id = ? AND disabled <> 0", [account]).rowcount:
                rows.audit(db, "enable", DONE, rows.by_id(db, account), by, now)

    def reset_totp(self, account: int, by: str, now: int) -> None:
        """Take the second factor off, for who lost phone and recovery codes; sessions end."""
        with self._file.writing() as db:
            drop_second_factor(db, account)
            rows.end_epoch(db, account)
            rows.audit(db, "reset-totp", DONE, rows.by_id(db, account), by, now)

    def change_address(self, account: int, address: str, by: str, now: int) -> None:
        """Give the account another main address; the one before is nobody's then, and sessions end.

        Raises AddressTaken, and TotpError if the site's key doesn't open a second factor, which is sealed anew.
        """
        address = envelope.normal(address)
        with self._file.writing() as db:
            found = rows.by_id(db, account)
            if found is None:
                return
            if rows.by_address(db, address):
                raise AddressTaken(f"{address} has an account already")
            sql = "SELECT id, secret FROM credential WHERE account = ? AND kind IN ('totp', 'totp-new')"
            for number, sealed in db.execute(sql, [account]).fetchall():
                secret = totp.open_sealed(self._totp_key, sealed, found.address)
                sealed = totp.seal(self._totp_key, secret, address)
                db.execute("UPDATE credential SET secret = ? WHERE id = ?", [sealed, number])
            sql = "UPDATE address SET address = ?, added = ? WHERE account = ? AND main = 1"
            db.execute(sql, [address, now, account])
            rows.end_epoch(db, account)
            # Whoever asks for either address finds it.
            rows.audit(db, "move", DONE, found, by, now, f"to {address}")
            rows.audit(db, "move", DONE, rows.by_id(db, account), by, now, f"from {found.address}")


_LIST = f"""
    SELECT {rows.ACCOUNT},
        coalesce((SELECT max(last) FROM known_network WHERE known_network.account = account.id), 0),
        (SELECT count(*) FROM credential WHERE credential.account = account.id AND kind = 'recovery')
    FROM {rows.JOINED} WHERE main.address > ? ORDER BY main.address LIMIT ?
"""
