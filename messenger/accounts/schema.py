"""The tables of the accounts database, and how an older file becomes a newer one.

Strict tables; times are Unix seconds. Part of messenger.accounts: nobody else reads this.
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


@migrations()
def m005_second_factor(db: Database) -> None:
    """What a credential is called, and how far it has counted: a TOTP's last step, a passkey's signatures."""
    db.execute("ALTER TABLE credential ADD COLUMN name TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE credential ADD COLUMN counter INTEGER NOT NULL DEFAULT -1")
    for kind, index in (("totp", "credential_totp"), ("totp-new", "credential_totp_new")):
        db.execute(f"CREATE UNIQUE INDEX {index} ON credential(account) WHERE kind = '{kind}'")


@migrations()
def m006_devices(db: Database) -> None:
    """What a browser calls itself, and what its session still lacks; sessions opened before are whole."""
    db.execute("ALTER TABLE session ADD COLUMN agent TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE session ADD COLUMN pending TEXT NOT NULL DEFAULT ''")
    db.execute("CREATE INDEX known_network_network ON known_network(network)")


@migrations()
def m007_disabled(db: Database) -> None:
    """When an administrator shut an account; 0 while it is open."""
    db.execute("ALTER TABLE account ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0")


@migrations()
def m008_tokens(db: Database) -> None:
    """Links in mails of ours, by the SHA-256 of what they hold. One of nobody's account opens nothing."""
    token = {"id": str, "kind": str, "account": int, "made": int, "ends": int}
    db.table("token").create(
        token, pk="id", not_null=set(token) - {"account"}, foreign_keys=_of_account("token"), strict=True
    )
    db.execute("CREATE INDEX token_account ON token(account)")
    db.execute("CREATE INDEX token_ends ON token(ends)")


@migrations()
def m009_audit_address(db: Database) -> None:
    """The address as text, so that a deleted account's lines are found; and a word about what it was."""
    db.execute("ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE audit ADD COLUMN detail TEXT NOT NULL DEFAULT ''")
    # The one change that older lines ever get: who they are about, as long as that is known.
    db.execute("DROP TRIGGER audit_no_update")
    db.execute(
        "UPDATE audit SET address = coalesce((SELECT address FROM address "
        "WHERE address.account = audit.account AND main = 1), '')"
    )
    db.execute(
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END"
    )
    db.execute("CREATE INDEX audit_address ON audit(address, at)")


@migrations()
def m010_epoch(db: Database) -> None:
    """Counts up whenever all sessions of an account end: what was proven before that opens none any more."""
    db.execute("ALTER TABLE account ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0")


@migrations()
def m011_growth(db: Database) -> None:
    """What else is asked for by more than scanning: an account's addresses, which go with it; and the audit."""
    db.execute("CREATE INDEX address_account ON address(account)")
    db.execute("CREATE INDEX audit_at ON audit(at)")
    # Lines about somebody without an account; there are few.
    db.execute("CREATE INDEX audit_nobody ON audit(at) WHERE account IS NULL AND substr(client, 1, 6) = 'admin:'")
