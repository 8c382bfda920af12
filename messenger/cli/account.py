"""``messenger account list, show, invite``: who has an account, and a way in for who has none or lost it."""

import time
from collections.abc import Iterator
from typing import Any

import click

from .. import link, preferences
from ..accounts import CODE, DONE, Account, AccountRow, Accounts
from ..config import Config
from ..envelope import normal
from ..errors import MessengerError
from ..mailbox import Mailbox, mailbox_of
from . import account_letters, rows
from .account_acts import delete, disable, enable, end_sessions, reset_totp
from .account_database import administrator, known, opened
from .options import config_option, echo_json, json_option, settings
from .status import DATA, TEMPORARY, Failed


@click.group(epilog="Example: messenger account list --without-totp")
def account() -> None:
    """See who has an account, and help people who lost something or must be kept out.

    Run it as root or as the reader's user. ADDRESS may be in any spelling. What is done is in `messenger audit`.
    """


account.add_command(delete)
account.add_command(disable)
account.add_command(enable)
account.add_command(end_sessions)
account.add_command(reset_totp)


@account.command(name="list", epilog="Example: messenger account list --disabled --json")
@click.option("--disabled", is_flag=True, help="Only those that are disabled.")
@click.option("--without-totp", is_flag=True, help="Only those whose password alone is enough.")
@rows.lines_option
@config_option
def list_(disabled: bool, without_totp: bool, as_json: bool) -> None:
    """List the accounts by address. Times are UTC."""
    config = settings()
    with opened(config) as accounts:
        found = _chosen(accounts, disabled, without_totp)
        if as_json:
            rows.print_lines(map(_object, found))
        else:
            head = ("address", "created", "last log-in", "second factor", "disabled")
            rows.print_columns(head, map(_cells, found))


def _chosen(accounts: Accounts, disabled: bool, without_totp: bool) -> Iterator[AccountRow]:
    for row in accounts.list_accounts():
        if (row.account.disabled or not disabled) and not (row.account.second_factor and without_totp):
            yield row


def _object(row: AccountRow) -> dict[str, Any]:
    return {
        "address": row.account.address,
        "created": rows.moment(row.account.created),
        "last_log_in": rows.moment_or_none(row.last),
        "second_factor": row.account.second_factor,
        "recovery_codes": row.recovery_left,
        "disabled": rows.moment_or_none(row.account.disabled),
    }


def _cells(row: AccountRow) -> tuple[str, ...]:
    found = row.account
    factor = f"yes, {row.recovery_left} codes left" if found.second_factor else "no"
    times = [rows.moment_or_none(seconds) or "" for seconds in (found.created, row.last, found.disabled)]
    return found.address, times[0], times[1], factor, times[2]


@account.command(short_help="Show one account.", epilog="Example: messenger account show anna@example.net")
@click.argument("address")
@json_option
@config_option
def show(address: str, as_json: bool) -> None:
    """Show what is known about the account of ADDRESS, but for passwords, codes and the owner's phrase."""
    config = settings()
    with opened(config) as accounts:
        found = _details(known(accounts, address), accounts, config, int(time.time()))
    if as_json:
        echo_json(found)
        return
    for name, value in found.items():
        shown = {None: "-", True: "yes", False: "no"}[value] if value is None or isinstance(value, bool) else value
        click.echo(f"{name.replace('_', ' ') + ':':<17}{shown}")


def _details(found: Account, accounts: Accounts, config: Config, now: int) -> dict[str, Any]:
    # Who has shown the password and not the code yet isn't in.
    sessions = [one for one in accounts.sessions(found.id, now) if one.pending != CODE]
    mailbox = mailbox_of(config.mail.root, found.address)
    wanted = preferences.read(mailbox.root.parent)
    messages, size = _contents(mailbox)
    return {
        "address": found.address,
        "created": rows.moment(found.created),
        "disabled": rows.moment_or_none(found.disabled),
        "language": found.language,
        "time_zone": found.time_zone,
        "second_factor": found.second_factor,
        "recovery_codes": accounts.recovery_left(found.id),
        "sessions": len(sessions),
        "last_seen": rows.moment_or_none(max((one.seen for one in sessions), default=0)),
        "notices": wanted.notices,
        "phrase_set": bool(wanted.phrase),
        "mailbox": str(mailbox.root),
        "messages": messages,
        "octets": size,
    }


def _contents(mailbox: Mailbox) -> tuple[int, int]:
    """How many messages there are in all folders, and how large they are together: a stat for each."""
    sizes = [entry.size for folder in mailbox.folders() for entry in mailbox.list(folder)]
    return len(sizes), sum(sizes)


@account.command(
    short_help="Mail a link to choose a password.", epilog="Example: messenger account invite anna@example.net"
)
@click.argument("address")
@json_option
@config_option
def invite(address: str, as_json: bool) -> None:
    """Mail ADDRESS a link to choose a password: for a new account, or for the one that is there.

    A link to a new account is good for as many days as links in notices, one to an account that is there for an
    hour and one use. Nobody but the owner ever learns the password.
    """
    config = settings()
    key = link.load_key(config.notice.link_key)
    wanted, now = normal(address), int(time.time())
    with opened(config) as accounts:
        found = accounts.find(wanted)
        letter = _reset(found, accounts, config, now) if found else _sign_up(wanted, key, config, now)
    try:
        account_letters.send(config, **letter)
    except MessengerError as error:
        text = f"{letter['to']}: no link was sent: {error}; mend that and run this again"
        raise Failed(text, TEMPORARY) from error
    with opened(config) as accounts:
        # Without an account the audit keeps no address of its own accord.
        accounts.audit("invite", DONE, found.id if found else None, administrator(), now, "" if found else wanted)
    if as_json:
        kind = "reset" if found else "sign-up"
        echo_json({"address": letter["to"], "act": "invite", "link": kind, "letter": "sent"})
    elif found:
        click.echo(f"{found.address}: has an account; sent a link to choose a new password, good for one hour")
    else:
        click.echo(f"{wanted}: sent a link to open an account, good for {config.notice.link_days} days")


def _sign_up(address: str, key: bytes, config: Config, now: int) -> dict[str, str]:
    """What the letter with a link to a new account needs."""
    mailbox = mailbox_of(config.mail.root, address)
    mailbox.ensure()  # what the person will settle lies beside it
    wanted = preferences.read(mailbox.root.parent)
    url = link.url(config.site.portal_url, link.token(key, address, now))
    words = {"language": wanted.language, "time_zone": wanted.time_zone, "phrase": wanted.phrase}
    return {"kind": "invite", "to": address, "link": url, **words}


def _reset(found: Account, accounts: Accounts, config: Config, now: int) -> dict[str, str]:
    """What the letter with a link to another password needs."""
    if found.disabled:
        mend = f"`messenger account enable {found.address}` opens it again"
        text = f"{found.address}: disabled since {rows.moment(found.disabled)}, so no link was sent; {mend}"
        raise Failed(text, DATA)
    asked = accounts.ask_reset(found.address, administrator(), now)
    if asked is None:
        text = f"{found.address}: links were asked for too often, so none was sent; try again in 15 minutes at most"
        raise Failed(text, TEMPORARY)
    url = f"{config.site.portal_url.rstrip('/')}/r/{asked[1]}"
    phrase = preferences.read(mailbox_of(config.mail.root, found.address).root.parent).phrase
    words = {"language": found.language, "time_zone": found.time_zone, "phrase": phrase}
    return {"kind": "reset", "to": found.address, "link": url, **words}
