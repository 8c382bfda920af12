"""Doctor: the accounts database, and how full mailboxes are. Both as the reader's user, whose files these are."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..accounts import Accounts
from ..errors import MessengerError
from ..mailbox import mailbox_of, mailboxes
from . import account_database
from .doctor_finding import Finding, Host, counted, fail, ok, skip, warn
from .status import NO_INPUT, NO_PERMISSION, Failed

DATABASE, QUOTA = "accounts", "quota"
#: Percent of the quota.
NEARLY = 90
#: So long mailboxes are looked at, in seconds; a large site sees part of them each time.
LOOK_SECONDS = 3.0
NAMED = 3


def look_at_database(host: Host) -> Iterator[Finding]:
    path = host.config.accounts.database
    try:
        with account_database.as_owner(path):
            yield judge_database(path, Accounts.damage(path))
    except Failed as error:
        if error.status == NO_PERMISSION and os.geteuid() != 0:
            yield skip(DATABASE, str(error))
        elif error.status == NO_PERMISSION:
            yield fail(DATABASE, f"{error}. Until then nobody can log in", f"ls -la {path.parent}")
        elif error.status == NO_INPUT:
            yield warn(DATABASE, f"{path}: not there yet, so nobody has an account", "systemctl start messenger-reader")
        else:
            raise
    except MessengerError as error:
        yield judge_database(path, [str(error)])


def judge_database(path: Path, damaged: Sequence[str]) -> Finding:
    if damaged:
        text = f"{path}: damaged: {'; '.join(damaged)}. Log-ins may fail, and accounts be lost"
        stop = "systemctl stop messenger-reader.socket messenger-reader"
        mend = f"{stop}; keep a copy of {path}*; restore it from the backup (docs/operations.md)"
        return fail(DATABASE, text, mend)
    return ok(DATABASE, f"{path}: sound")


def look_at_quota(host: Host) -> Iterator[Finding]:
    if not host.config.mail.quota:
        yield skip(QUOTA, "[mail] quota is 0: no mailbox is ever full")
        return
    try:
        with account_database.as_owner(host.config.accounts.database):
            yield judge_quota(*_usages(host))
    except Failed as error:
        yield skip(QUOTA, str(error))


def _usages(host: Host) -> tuple[dict[str, int], int, bool]:
    root, limit = host.config.mail.root, host.config.mail.quota
    end, full, count = time.monotonic() + LOOK_SECONDS, {}, 0
    for address in mailboxes(root):
        percent = mailbox_of(root, address).usage(limit, host.now).percent
        count += 1
        if percent >= NEARLY:
            full[address] = percent
        if time.monotonic() > end:
            return full, count, False
    return full, count, True


def judge_quota(full: dict[str, int], count: int, whole: bool = True) -> Finding:
    """Judge mailboxes by percent of their quota; *whole*: all were looked at."""
    looked = counted(count, "mailbox").replace("mailboxs", "mailboxes") + ("" if whole else " of more")
    if not full:
        return ok(QUOTA, f"{looked}: none is filled to {NEARLY} %")
    worst = sorted(full.items(), key=lambda one: -one[1])[:NAMED]
    named = ", ".join(f"{address} {percent} %" for address, percent in worst)
    more = f" and {len(full) - NAMED} more" if len(full) > NAMED else ""
    over = sum(percent >= 100 for percent in full.values())
    refused = f"; mail to {over} of them is refused" if over else ""
    text = f"{looked}: {len(full)} filled to {NEARLY} % or more: {named}{more}{refused}"
    return warn(QUOTA, text, "ask the owners to delete mail, or raise [mail] quota and reload milter and reader")
