"""``messenger mailbox list, move, delete``, and the group: one person's mail, whole."""

import time
from collections.abc import Iterator
from typing import Any

import click

from .. import cache_folder, pdf_record, totp
from ..accounts import DONE, Accounts
from ..config import Config
from ..envelope import normal
from ..mailbox import Mailbox, mailbox_of, mailboxes
from . import rows
from .account_acts import ask, delete_mail, number_of
from .account_database import administrator, opened
from .files import locked
from .mailbox_files import export, import_
from .options import config_option, echo_json, json_option, settings
from .status import CANT_CREATE, DATA, NO_USER, OK, Failed

#: So long a move waits for another one.
MOVE_SECONDS = 30.0


@click.group(epilog="Example: messenger mailbox export anna@example.net --out anna.tar")
def mailbox() -> None:
    """List mailboxes; take one person's mail out as a file, put a file in, move it to another address, delete it.

    Run it as root or as the reader's user. ADDRESS may be in any spelling. What is done is in `messenger audit`.
    """


mailbox.add_command(export)
mailbox.add_command(import_)


@mailbox.command(name="list", epilog="Example: messenger mailbox list --json")
@rows.lines_option
@config_option
def list_(as_json: bool) -> None:
    """List the mailboxes: messages in all folders, their octets, and whether there is an account."""
    config = settings()
    with opened(config) as accounts:
        found = _described(config, accounts)
        if as_json:
            rows.print_lines(found)
        else:
            head = ("address", "messages", "octets", "account")
            rows.print_columns(
                head,
                (
                    (one["address"], str(one["messages"]), str(one["octets"]), "yes" if one["account"] else "no")
                    for one in found
                ),
            )


def _described(config: Config, accounts: Accounts) -> Iterator[dict[str, Any]]:
    for address in sorted(mailboxes(config.mail.root)):
        box = mailbox_of(config.mail.root, address)
        sizes = [entry.size for folder in box.folders() for entry in box.list(folder)]
        account = accounts.find(address) is not None
        yield {"address": address, "messages": len(sizes), "octets": sum(sizes), "account": account}


@mailbox.command(
    short_help="Delete somebody's mail.", epilog="Example: messenger mailbox delete anna@example.net --yes"
)
@click.argument("address")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@config_option
def delete(address: str, yes: bool, as_json: bool) -> int:
    """Delete all mail of ADDRESS, what is known of its PDFs, and what its owner has settled. The account stays.

    Not to be undone. `messenger account delete --with-mail` deletes the account too.
    """
    config, wanted = settings(), normal(address)
    with opened(config) as accounts:
        box = mailbox_of(config.mail.root, wanted)
        if not box.root.parent.is_dir():
            raise _no_mailbox(wanted)
        messages = _count(box)
        if not yes:
            ask(wanted, False, messages)
        delete_mail(box, wanted, config)
        found = accounts.find(wanted)
        number = found.id if found else None
        detail = number_of(messages) if found else f"{number_of(messages)} of {wanted}"
        accounts.audit("delete-mail", DONE, number, administrator(), int(time.time()), detail)
    if as_json:
        echo_json({"address": wanted, "act": "delete", "messages": messages})
    else:
        click.echo(f"{wanted}: the mailbox with {number_of(messages)} is deleted")
    return OK


@mailbox.command(
    short_help="Give somebody's mail another address.",
    epilog="Example: messenger mailbox move anna@example.net anna.new@example.net",
)
@click.argument("address")
@click.argument("new_address")
@json_option
@config_option
def move(address: str, new_address: str, as_json: bool) -> int:
    """Make the mailbox and the account of ADDRESS those of NEW_ADDRESS, which must have neither.

    Its owner logs in with the new address and the same password and second factor; all sessions end. Mail that is sent
    to ADDRESS from now on begins a new mailbox. Records of PDFs stay behind: their passwords hang on the address.
    """
    config, old, new, now = settings(), normal(address), normal(new_address), int(time.time())
    if old == new:
        raise click.UsageError(f"{old}: expected two addresses, found the same twice")
    key = totp.load_key(config.accounts.totp_key)
    # One at a time: two that give an address something at once could both find it free.
    with opened(config, key) as accounts, locked(config.accounts.database.parent, MOVE_SECONDS):
        here, there = (mailbox_of(config.mail.root, one) for one in (old, new))
        found = accounts.find(old)
        _refuse(old, new, here, there, accounts)
        messages = _count(here)
        # The account first: a run that is stopped then leaves mail that this command still finds, and nobody's mail
        # to somebody else's account.
        if found:
            accounts.change_address(found.id, new, administrator(), now)
        else:
            accounts.audit("move", DONE, None, administrator(), now, f"to {new}, of {old}")
        if here.exists():
            there.remove_if_empty(now + 1, now)
        if here.root.parent.is_dir():
            here.move_to(there, frozenset({pdf_record.FOLDER}))
        left = len(pdf_record.every(here.root.parent))
        for one in (old, new):
            cache_folder.remove(config.reader.cache, one)
    if as_json:
        moved = {"account": found is not None, "messages": messages, "records_left": left}
        echo_json({"address": old, "act": "move", "new_address": new, **moved})
        return OK
    account = "with its account" if found else "without an account"
    click.echo(f"{old}: the mailbox with {number_of(messages)} is that of {new} now, {account}")
    if left:
        click.echo(f"{left} records of PDFs stay: `messenger pdf password --address {old}` says their passwords")
    return OK


def _refuse(old: str, new: str, here: Mailbox, there: Mailbox, accounts: Accounts) -> None:
    """Raise Failed unless *old* is somebody and *new* is nobody, or a run that was stopped can be ended."""
    if accounts.find(old) is None and not here.root.parent.is_dir():
        raise _no_mailbox(old)
    taken = accounts.find(new)
    if taken and accounts.find(old):
        raise Failed(f"{new}: has an account already; delete one of the two first", CANT_CREATE)
    if taken and not any(one.event == "move" and one.detail == f"from {old}" for one in accounts.trail(0, new)):
        mend = f"if it is the same person: messenger mailbox export {old} --out FILE, then import FILE into {new}"
        raise Failed(f"{new}: has an account that was never one of {old}; {mend}", CANT_CREATE)
    if _count(there) and (here.exists() or accounts.find(old)):
        mend = "`messenger mailbox export` the one and `import` it into the other"
        raise Failed(f"{new}: has mail already; {mend}", CANT_CREATE)
    if here.exists() and pdf_record.every(there.root.parent):
        raise Failed(f"{new}: has records of PDFs; they must be gone before mail of {old} can move there", DATA)


def _count(box: Mailbox) -> int:
    return sum(len(box.list(folder)) for folder in box.folders())


def _no_mailbox(address: str) -> Failed:
    return Failed(f"{address}: no mailbox; `messenger mailbox list` shows those there are", NO_USER)
