"""Sessions: which browser is let in, as whom, how far, and until when.

Part of messenger.accounts: nobody else reads this.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from . import rows
from .file import AccountsError
from .store import Store
from .values import CODE, DONE, ENROL, FULL, Account, Session

log = logging.getLogger(__name__)

#: A session's last use is written down at most this often: reading mail is no reason to write.
SEEN_SECONDS = 60
SESSION_BYTES = 32
#: A second factor that was begun and not confirmed is thrown away after this time.
ENROLMENT_SECONDS = 3600
#: So long after its end a session's token still says whose it was, and no more: what its owner was typing is kept.
LAPSED_SECONDS = 24 * 3600

_COLUMNS = f"session.id, opened, seen, client, agent, pending, {rows.ACCOUNT}"
_BY_ID = f"SELECT {_COLUMNS} FROM session JOIN {rows.JOINED} AND account.id = session.account WHERE session.id = ?"
_LIVE = f"""
    SELECT {_COLUMNS} FROM session JOIN {rows.JOINED} AND account.id = session.account
    WHERE session.account = ? AND seen > ? AND opened > ? ORDER BY seen DESC, opened DESC, session.id
"""


class Sessions(Store):
    def open_session(
        self,
        account: int,
        client: str,
        now: int,
        agent: str = "",
        pending: str | None = None,
        *,
        epoch: int | None = None,
    ) -> str:
        """Open a session and return what the browser keeps: 256 random bits, of which we keep the hash.

        *pending* is decided here where it is None, as after a password: CODE for an account with a second factor,
        ENROL for one that must get one first, else FULL. *epoch* is the account's when its owner was proven: if all
        sessions were ended since, by another password say, the token opens nothing.
        """
        token = secrets.token_urlsafe(SESSION_BYTES)
        with self._file.writing() as db:
            over = [now - self._idle - LAPSED_SECONDS, now - self._absolute - LAPSED_SECONDS]
            db.execute("DELETE FROM session WHERE seen <= ? OR opened <= ?", over)
            db.execute("DELETE FROM credential WHERE kind = 'totp-new' AND created <= ?", [now - ENROLMENT_SECONDS])
            found = rows.by_id(db, account)
            # Deleted or shut since the password was proven: the token opens nothing.
            if found is not None and not found.disabled and epoch in (None, found.epoch):
                row = {"id": rows.hashed(token), "account": account, "opened": now, "seen": now, "client": client}
                state = self._pending(found) if pending is None else pending
                rows.insert(db, "session", {**row, "agent": rows.one_line(agent), "pending": state})
        return token

    def session(self, token: str, now: int) -> Session | None:
        """The session of *token*, if it is neither ended nor left alone too long nor too old."""
        with self._file.reading() as db:
            row = db.execute(_BY_ID, [rows.hashed(token)]).fetchone()
        found = self._session(row) if row else None
        if found is None or found.account.disabled or now >= found.ends:
            return None
        if now - found.seen >= SEEN_SECONDS and self._see(found.id, now):
            return self._session((*row[:2], now, *row[3:]))
        # It ends by what is written down, not by what we know.
        return replace(found, seen=max(found.seen, now))

    def lapsed(self, token: str, now: int) -> Account | None:
        """Whose session *token* was, if time alone ended it, less than a day ago. It lets nobody in.

        A session that was logged out, or ended with all others, is nobody's; so is one that lacked a step.
        """
        with self._file.reading() as db:
            row = db.execute(_BY_ID, [rows.hashed(token)]).fetchone()
        found = self._session(row) if row else None
        if found is None or found.account.disabled or found.pending != FULL:
            return None
        return found.account if found.ends <= now < found.ends + LAPSED_SECONDS else None

    def sessions(self, account: int, now: int) -> list[Session]:
        """The sessions that are live, the last used first."""
        with self._file.reading() as db:
            found = db.execute(_LIVE, [account, now - self._idle, now - self._absolute]).fetchall()
        return [self._session(row) for row in found]

    def end_session(self, token: str, client: str, now: int) -> None:
        """Log out: the row goes, so the token is worth nothing, whoever kept a copy."""
        with self._file.writing() as db:
            row = db.execute("SELECT account, pending FROM session WHERE id = ?", [rows.hashed(token)]).fetchone()
            if row is None:
                return
            db.execute("DELETE FROM session WHERE id = ?", [rows.hashed(token)])
            # Who was still on the way in was never logged in.
            if row[1] == FULL:
                rows.audit(db, "log-out", DONE, rows.by_id(db, row[0]), client, now)

    def end_one(self, account: int, session: str, client: str, now: int) -> bool:
        """End the session that pages call *session*, if it is one of *account*; return whether there was one."""
        with self._file.writing() as db:
            sql = "DELETE FROM session WHERE account = ? AND id = ?"
            ended = db.execute(sql, [account, session]).rowcount > 0
            if ended:
                rows.audit(db, "session ended", DONE, rows.by_id(db, account), client, now)
        return ended

    def end_all(self, account: int, client: str, now: int, except_token: str = "") -> int:
        """End every session of *account* but that of *except_token*; return how many were live."""
        with self._file.writing() as db:
            db.execute("UPDATE account SET epoch = epoch + 1 WHERE id = ?", [account])
            others = [account, rows.hashed(except_token)]
            live = "SELECT count(*) FROM session WHERE account = ? AND id <> ? AND seen > ? AND opened > ?"
            ended = int(db.execute(live, [*others, now - self._idle, now - self._absolute]).fetchone()[0])
            db.execute("DELETE FROM session WHERE account = ? AND id <> ?", others)
            event = "end-sessions" if client.startswith("admin:") else "log-out everywhere"
            rows.audit(db, event, DONE, rows.by_id(db, account), client, now)
        return ended

    def _pending(self, account: Account) -> str:
        if account.second_factor:
            return CODE
        return ENROL if self._require_totp == "always" else FULL

    def _session(self, row: Sequence[Any]) -> Session:
        number, opened, seen, client, agent, pending, *fields = row
        latest = opened + self._absolute
        ends = min(seen + self._idle, latest)
        return Session(rows.account_of(fields), opened, seen, number, client, agent, pending, ends, latest)

    def _see(self, number: str, now: int) -> bool:
        try:
            with self._file.writing() as db:
                db.execute("UPDATE session SET seen = max(seen, ?) WHERE id = ?", [now, number])
            return True
        except AccountsError as error:
            # Mail can be read from a full disk; the session ends a little earlier.
            log.warning("a session's last use was not written down: %s", error)
            return False
