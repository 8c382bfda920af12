"""The audit: who did what, when, from where, and how it ended. Lines are added, never changed.

Part of messenger.accounts: nobody else reads this.
"""

import logging
from collections.abc import Iterator

from .. import envelope
from . import rows
from .file import AccountsError
from .store import Store
from .values import BEGUN, REFUSED, Event

log = logging.getLogger(__name__)

#: Lines are fetched so many at a time, so that a long trail keeps no writer waiting.
PAGE = 500


class Trail(Store):
    def audit(self, event: str, outcome: str, account: int | None, client: str, now: int, detail: str = "") -> None:
        """Add a line about something done elsewhere: read, download, reply. Never content, subjects or secrets.

        A line that can't be written is in the log instead: mail can be read from a full disk.
        """
        try:
            with self._file.writing() as db:
                rows.audit(db, event, outcome, rows.by_id(db, account), client, now, detail)
        except AccountsError as error:
            log.error("not in the audit: %s %s by account %s from %s: %s", event, outcome, account, client, error)

    def allow(self, event: str, account: int, limit: int, client: str, now: int, detail: str = "") -> bool:
        """Add a line that *event* has begun, unless *limit* of them are there from the last hour already.

        Counted and written in one step, so that a hundred at once don't pass. Raises AccountsError where it can't be
        written: what nobody could count is not allowed.
        """
        with self._file.writing() as db:
            [count] = db.execute(_BEGUN, [account, now - 3600, event, BEGUN]).fetchone()
            outcome = BEGUN if count < limit else REFUSED
            rows.audit(db, event, outcome, rows.by_id(db, account), client, now, detail)
        return outcome == BEGUN

    def trail(self, since: int = 0, address: str = "", limit: int = 0) -> Iterator[Event]:
        """Yield the lines, the oldest first: from *since* on, of *address*, and of those the last *limit*."""
        whose = _spelled(address)
        first_of, page = (_FIRST_OF, _PAGE_OF) if whose else (_FIRST, _PAGE)
        given = {"since": since, "address": whose, "limit": limit or -1, "page": PAGE}
        with self._file.reading() as db:
            first, last = db.execute(first_of, given).fetchone()
        while first is not None:
            with self._file.reading() as db:
                found = db.execute(page, given | {"first": first, "last": last}).fetchall()
            for _, *fields in found:
                yield Event(*fields)
            first = found[-1][0] + 1 if len(found) == PAGE else None


_BEGUN = "SELECT count(*) FROM audit WHERE account = ? AND at > ? AND event = ? AND outcome = ?"
#: The lines of everybody, by the order they were written in: who asks for the last few doesn't wait for the others.
_FIRST = "SELECT min(id), max(id) FROM (SELECT id FROM audit WHERE at >= :since ORDER BY id DESC LIMIT :limit)"
_LINE = "SELECT id, at, event, outcome, address, client, detail FROM audit"
_PAGE = f"{_LINE} WHERE id BETWEEN :first AND :last AND at >= :since ORDER BY id LIMIT :page"
#: An administrator's line about somebody without an account has the address as its detail, or at the end of it. Each
#: half has an index of its own: an address costs its own lines, not everybody's.
_OF = """
    SELECT id FROM audit WHERE address = :address AND at >= :since
    UNION
    SELECT id FROM audit WHERE account IS NULL AND substr(client, 1, 6) = 'admin:' AND at >= :since
        AND (detail = :address OR substr(detail, -length(' of ' || :address)) = ' of ' || :address)
"""
_FIRST_OF = f"SELECT min(id), max(id) FROM (SELECT id FROM ({_OF}) ORDER BY id DESC LIMIT :limit)"
_PAGE_OF = f"{_LINE} WHERE id IN ({_OF}) AND id BETWEEN :first AND :last ORDER BY id LIMIT :page"


def _spelled(address: str) -> str:
    try:
        return envelope.normal(address) if address else ""
    except envelope.AddressError:
        return address
