"""The tables of the accounts database, and how an older file becomes a newer one.

Strict tables; times are Unix seconds. Part of accounts.py: nobody else reads this.
"""

from sqlite_utils import Database, Migrations
from sqlite_utils.db import ForeignKey

migrations = Migrations("webmail-messenger.accounts")


def _of_account(table: str) -> list[ForeignKey]:
    return [ForeignKey(table, "account", "account", "id", on_delete="CASCADE")]


@migrations()
def m001_accounts(db: Database) -> None:
    """Accounts, their addresses, and what each proves who it is with (``kind``: password, later others)."""
    account = {"id": int, "created": int, "language": str, "time_zone": str, "generation": int}
    db.table("account").create(account, pk="id", not_null=account, strict=True)

    address = {"address": str, "account": int, "main": int, "added": int}
    db.table("address").create(
        address, pk="address", not_null=address, foreign_keys=_of_account("address"), strict=True
    )
    db.execute("CREATE UNIQUE INDEX address_main ON address(account) WHERE main = 1")

    credential = {"id": int, "account": int, "kind": str, "secret": str, "created": int, "changed": int}
    db.table("credential").create(
        credential, pk="id", not_null=credential, foreign_keys=_of_account("credential"), strict=True
    )
    db.execute("CREATE UNIQUE INDEX credential_password ON credential(account) WHERE kind = 'password'")
    db.execute("CREATE INDEX credential_account ON credential(account, kind)")


@migrations()
def m002_sessions(db: Database) -> None:
    """``id`` is the SHA-256 of what the browser holds: who reads this table can't log in with it."""
    session = {"id": str, "account": int, "opened": int, "seen": int, "client": str}
    db.table("session").create(session, pk="id", not_null=session, foreign_keys=_of_account("session"), strict=True)
    db.execute("CREATE INDEX session_account ON session(account)")
    db.execute("CREATE INDEX session_seen ON session(seen)")
    db.execute("CREATE INDEX session_opened ON session(opened)")


@migrations()
def m003_throttle(db: Database) -> None:
    """Failed log-ins, by hashed keys; and the networks an account has logged in from."""
    throttle = {"key": str, "failures": int, "last": int, "forgotten": int}
    db.table("throttle").create(throttle, pk="key", not_null=throttle, strict=True)
    db.execute("CREATE INDEX throttle_forgotten ON throttle(forgotten)")

    network = {"account": int, "network": str, "last": int}
    db.table("known_network").create(
        network,
        pk=("account", "network"),
        not_null=network,
        foreign_keys=_of_account("known_network"),
        strict=True,
    )


@migrations()
def m004_audit(db: Database) -> None:
    """Who, what, when, from where, outcome. Rows are added, never changed; they outlive the account."""
    audit = {"id": int, "at": int, "event": str, "outcome": str, "account": int, "client": str}
    db.table("audit").create(audit, pk="id", not_null=set(audit) - {"account"}, strict=True)
    db.execute("CREATE INDEX audit_account ON audit(account, at)")
    for change in ("UPDATE", "DELETE"):
        db.execute(
            f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END"
        )
