"""The accounts database for the command: opened as its owner, by whomever the command is run.

SQLite puts files beside the database. Made by root they would lock the reader out, so root works as the owner
meanwhile; the folders of mailboxes are then made and removed as the reader would, too. Knows no command.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .. import visible
from ..accounts import Account, Accounts
from ..config import Config
from ..envelope import normal
from . import places
from .status import NO_INPUT, NO_PERMISSION, NO_USER, Failed

#: No login name is longer than this; what SUDO_USER holds may be.
LOGIN_CHARACTERS = 64


@contextmanager
def opened(config: Config, totp_key: bytes = b"") -> Iterator[Accounts]:
    """The accounts, while root is their owner."""
    database = config.accounts.database
    with as_owner(database):
        accounts = Accounts(
            database,
            idle_minutes=config.accounts.idle_minutes,
            absolute_hours=config.accounts.absolute_hours,
            require_totp=config.accounts.require_totp,
            totp_key=totp_key,
        )
        try:
            yield accounts
        finally:
            accounts.close()  # as the owner still: the last one to close removes files


@contextmanager
def as_owner(database: Path) -> Iterator[None]:
    """Root is the owner of *database* inside; everybody else must be, or may not come in."""
    owner = _owner_of(database)
    before, group, groups = os.geteuid(), os.getegid(), os.getgroups()
    if before == 0 and owner != 0:
        _become(owner)
    try:
        if not _may_use(database):
            raise _not_allowed(database, owner)
        yield
    finally:
        if os.geteuid() != before:
            os.seteuid(before)
            os.setegid(group)
            os.setgroups(groups)


def known(accounts: Accounts, address: str) -> Account:
    """Return the account of *address*, in any spelling."""
    wanted = normal(address)
    account = accounts.find(wanted)
    if account is None:
        raise no_account(wanted)
    return account


def no_account(address: str) -> Failed:
    mend = "`messenger account list` shows those there are, `messenger account invite` asks somebody to open one"
    return Failed(f"{address}: no account; {mend}", NO_USER)


def administrator() -> str:
    """Who runs this, as the audit keeps it."""
    number = os.getuid()
    try:
        name = os.environ.get("SUDO_USER") or pwd.getpwuid(number).pw_name
    except KeyError:
        name = str(number)
    return f"admin:{visible.line(name, LOGIN_CHARACTERS)}"


def _owner_of(database: Path) -> int:
    try:
        facts, folder = database.lstat(), database.parent.stat()
        if stat.S_ISLNK(facts.st_mode):
            # Its folder is a service's: whoever took that service over would choose what root opens.
            raise Failed(f"{database}: a link; name where it leads in [accounts] database instead", NO_PERMISSION)
        if facts.st_uid == 0 and folder.st_uid != 0:
            owner = _name(folder.st_uid)
            text = f"{database}: belongs to root, and its folder to {owner}, who can't use it"
            raise Failed(f"{text}; give it back with chown {owner}: {database}*", NO_PERMISSION)
        return facts.st_uid
    except FileNotFoundError as error:
        raise Failed(f"{database}: no accounts yet; messenger-reader makes them when it starts", NO_INPUT) from error
    except PermissionError as error:
        raise _not_allowed(database, _owner_of_folder(database.parent)) from error


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"#{user}"


def _owner_of_folder(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except OSError:
        return None


def _become(owner: int) -> None:
    try:
        entry = pwd.getpwuid(owner)
    except KeyError:
        os.setgroups([])
        os.setegid(owner)
    else:
        # With its groups: the mailboxes are open to the reader by one of them.
        os.initgroups(entry.pw_name, entry.pw_gid)
        os.setegid(entry.pw_gid)
    os.seteuid(owner)


def _may_use(database: Path) -> bool:
    """Whether we may write it, and files beside it: SQLite needs both, even to read."""
    return os.access(database, os.R_OK | os.W_OK, effective_ids=True) and os.access(
        database.parent, os.W_OK | os.X_OK, effective_ids=True
    )


def _not_allowed(database: Path, owner: int | None) -> Failed:
    name = places.READER if owner is None else _name(owner)
    if owner == os.geteuid():
        text = f"{database}: its owner, {name}, can't write it or its folder; give back that right with chmod or chown"
    elif owner == 0:
        text = f"{database}: for root alone; run it as root"
    else:
        text = f"{database}: for {name} alone; run it as root, or: sudo -u {name} messenger …"
    return Failed(text, NO_PERMISSION)
