"""Read a backup from end to end: each file against its digest, the accounts database as SQLite sees it, the keys."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import accounts, tree
from . import backup_keys, backup_list
from .backup_parts import ACCOUNTS
from .backup_taking import DATABASE, SAY_SECONDS


@dataclass
class Verified:
    source: Path
    made: str
    files: int = 0
    octets: int = 0
    accounts: int | None = None
    #: "none", "sealed" (nobody gave the passphrase), or "opened".
    keys: str = "none"
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.missing and not self.damaged


def verify(source: Path, passphrase: bytes, say: Callable[[str], None]) -> Verified:
    """Read all of *source*. Failed where it is no whole backup, MessengerError for a bad database or bad keys."""
    found = Verified(source, str(backup_list.head_of(source)["made"]))
    said = time.monotonic()
    for name, rows in backup_list.trees(source):
        for row in rows:
            if row.is_folder:
                continue
            try:
                if tree.digest(source, row.path) != row.sha256:
                    found.damaged.append(row.path)
            except (FileNotFoundError, NotADirectoryError):
                found.missing.append(row.path)
            found.files += 1
            found.octets += row.size
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            say(f"{found.files:,} files so far; at {name}")
    copy = source / ACCOUNTS / DATABASE
    if copy.is_file():
        with accounts.opened_copy(copy) as opened:
            found.accounts = accounts.count_accounts(opened)
    sealed = source / backup_keys.NAME
    if sealed.is_file():
        found.keys = "sealed"
        if passphrase:
            backup_keys.opened(sealed.read_bytes(), passphrase)
            found.keys = "opened"
    return found


def as_object(found: Verified) -> dict[str, Any]:
    """What `messenger verify --json` prints."""
    return {
        "source": str(found.source),
        "made": found.made,
        "ok": found.ok,
        "files": found.files,
        "octets": found.octets,
        "accounts": found.accounts,
        "keys": found.keys,
        "missing": found.missing,
        "damaged": found.damaged,
    }
