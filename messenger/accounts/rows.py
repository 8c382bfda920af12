"""SQL that several subjects need: an account's row, a new row, a line of the audit.

Part of messenger.accounts: nobody else reads this.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from sqlite_utils import Database

from .. import envelope
from .values import Account, Overtaken

#: What a line of the audit holds of a detail, and a session of what the browser calls itself.
LINE_CHARACTERS = 200

#: The columns of an Account, in order, from the tables account and main.
ACCOUNT = """account.id, main.address, account.created, language, time_zone,
    EXISTS (SELECT 1 FROM credential WHERE credential.account = account.id AND credential.kind = 'totp'),
    disabled, epoch"""
JOINED = "account JOIN address AS main ON main.account = account.id AND main.main = 1"

_BY_ADDRESS = (
    f"SELECT {ACCOUNT} FROM address AS given JOIN {JOINED} AND account.id = given.account WHERE given.address = ?"
)
_BY_ID = f"SELECT {ACCOUNT} FROM {JOINED} WHERE account.id = ?"


def account_of(fields: Sequence[Any]) -> Account:
    """Make an account of the columns ACCOUNT."""
    number, address, created, language, time_zone, second_factor, disabled, epoch = fields
    return Account(number, address, created, language, time_zone, bool(second_factor), disabled, epoch)


def by_address(db: Database, address: str) -> Account | None:
    try:
        given = envelope.normal(address)
    except envelope.AddressError:
        return None
    row = db.execute(_BY_ADDRESS, [given]).fetchone()
    return account_of(row) if row else None


def by_id(db: Database, account: int | None) -> Account | None:
    row = db.execute(_BY_ID, [account]).fetchone()
    return account_of(row) if row else None


def password_of(db: Database, account: Account | None) -> str | None:
    sql = "SELECT secret FROM credential WHERE account = ? AND kind = 'password'"
    row = db.execute(sql, [account.id if account else None]).fetchone()
    return row[0] if row else None


def in_epoch(db: Database, account: int, epoch: int | None) -> Account | None:
    """The account; raise Overtaken if its *epoch*, where one is given, is over."""
    found = by_id(db, account)
    if epoch is not None and (found is None or found.disabled or found.epoch != epoch):
        raise Overtaken(f"account {account}: its sessions were ended meanwhile")
    return found


def end_epoch(db: Database, account: int) -> None:
    """End all sessions of *account*, those that are about to be opened, and the links in mails sent to its owner."""
    db.execute("UPDATE account SET epoch = epoch + 1 WHERE id = ?", [account])
    db.execute("DELETE FROM session WHERE account = ?", [account])
    db.execute("DELETE FROM token WHERE account = ?", [account])


def insert(db: Database, table: str, row: Mapping[str, object]) -> int:
    return int(db.table(table).insert(dict(row)).last_rowid or 0)


def audit(
    db: Database, event: str, outcome: str, account: Account | None, client: str, now: int, detail: str = ""
) -> None:
    """Add a line. An address that is nobody's isn't kept: what was typed there may be a password."""
    row = {"at": now, "event": event, "outcome": outcome, "client": client, "detail": one_line(detail)}
    known = (account.id, account.address) if account else (None, "")
    insert(db, "audit", {**row, "account": known[0], "address": known[1]})


def one_line(text: str) -> str:
    """Return *text* without what isn't seen, cut to LINE_CHARACTERS."""
    visible = (c if unicodedata.category(c)[0] not in "CZ" else " " for c in text[: 4 * LINE_CHARACTERS])
    return " ".join("".join(visible).split())[:LINE_CHARACTERS]


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
