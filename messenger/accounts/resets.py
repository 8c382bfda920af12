"""A new password for who forgot theirs: a link by mail, good for one hour and one use.

An address that has no account costs the same work. Part of messenger.accounts: nobody else reads this.
"""

import secrets

from .. import passwords
from . import guard, rows
from .people import put_password
from .second_factor import SecondFactor
from .values import DONE, REFUSED, Account, ProofMissing, Reset, TooSoon

TOKEN_BYTES = 32
TOKEN_SECONDS = 3600


class Resets(SecondFactor):
    def ask_reset(self, address: str, client: str, now: int) -> tuple[Account, str] | None:
        """Return the account and a token for its owner's mail; None if there is none, or asked for too often."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._file.writing() as db:
            guard.forget(db, now)
            account = rows.by_address(db, address)
            limits = guard.reset_limits(account, address, client)
            try:
                guard.hold(db, limits, "reset asked", account, client, now)
            except TooSoon:
                return None
            guard.count(db, limits, now)
            served = account if account and not account.disabled else None
            db.execute("DELETE FROM token WHERE ends <= ?", [now])
            # A token of nobody, where there is no account: the same work, and it opens nothing.
            row = {"id": rows.hashed(token), "kind": "reset", "account": served.id if served else None}
            rows.insert(db, "token", {**row, "made": now, "ends": now + TOKEN_SECONDS})
            rows.audit(db, "reset asked", DONE if served else REFUSED, account, client, now)
        return (served, token) if served else None

    def reset_of(self, token: str, now: int) -> Account | None:
        """Whose password *token* would set, without using it up."""
        with self._file.reading() as db:
            row = db.execute(_LIVE, [rows.hashed(token), now]).fetchone()
            account = rows.by_id(db, row[0]) if row else None
        return account if account and not account.disabled else None

    def reset(self, token: str, password: str, code: str, client: str, now: int) -> Reset | None:
        """Set another password by *token*, and end every session; None if the token is worth nothing any more.

        Raises PasswordRefused, or ProofMissing where the account has a second factor and *code* doesn't prove it;
        neither uses the token up. Raises TooSoon for too many wrong codes. Of two at once, one wins.
        """
        account = self.reset_of(token, now)
        if account is None:
            return None
        passwords.check(password, (account.address, self._site_name))
        if account.second_factor and not code.strip():
            raise ProofMissing("a code of the second factor is needed as well")
        hashed = self._hasher.hash(password)
        with self._file.writing() as db:
            row = db.execute(_LIVE, [rows.hashed(token), now]).fetchone()
            account = rows.by_id(db, row[0]) if row else None
            if account is None or account.disabled:
                return None
            # Counted apart from log-ins: who found out the password can't keep its owner from setting another.
            limited_as = f"second factor, reset {account.id}"
            way = self._prove(db, account, code, client, now, limited_as) if account.second_factor else ""
            if way is not None:
                put_password(db, account, hashed, now)  # and with the old one go its tokens, this too
            rows.audit(db, "reset", REFUSED if way is None else DONE, account, client, now)
        if way is None:
            raise ProofMissing("the code is not one of the second factor's, or was used before")
        return Reset(account, way)


_LIVE = "SELECT account FROM token WHERE id = ? AND kind = 'reset' AND ends > ? AND account IS NOT NULL"
