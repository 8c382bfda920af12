"""``messenger account disable, enable, reset-totp, end-sessions, delete``: changes that an administrator makes.

The change is made first; then its owner is told by a letter. A letter that can't be sent undoes nothing.
"""

import sys
import time
from dataclasses import dataclass, field
from typing import Any

import click

from .. import cache_folder, preferences
from ..accounts import DONE, Account
from ..config import Config
from ..envelope import normal
from ..errors import MessengerError
from ..mailbox import Mailbox, mailbox_of
from . import account_letters, rows, status
from .account_database import administrator, known, no_account, opened
from .options import config_option, echo_json, json_option, settings


@dataclass
class Act:
    """What was done, and what of it went wrong on the way."""

    name: str
    address: str
    said: str
    changed: bool = True
    #: "sent", "failed" or "none".
    letter: str = "none"
    #: What else a script may want to know.
    more: dict[str, Any] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def tell_owner(self, config: Config, kind: str, account: Account, phrase: str) -> None:
        """Send a letter about what was done; a failure is told, and the act stays done."""
        words = {"language": account.language, "time_zone": account.time_zone, "phrase": phrase}
        try:
            account_letters.send(config, kind, account.address, **words)
            self.letter = "sent"
        except MessengerError as error:
            self.letter = "failed"
            mend = "tell the owner in another way, and see to [notice] sendmail or smtp"
            self.troubles.append(f"{self.address}: that is done, but the letter about it was not sent: {error}; {mend}")

    def report(self, as_json: bool) -> int:
        """Say what was done, then what went wrong; return the status to leave with."""
        if as_json:
            act = {"address": self.address, "act": self.name, "changed": self.changed, "letter": self.letter}
            echo_json(act | self.more)
        else:
            told = ". A letter tells the owner." if self.letter == "sent" else ""
            click.echo(f"{self.address}: {self.said}{told}")
        for trouble in self.troubles:
            click.echo(f"messenger: {trouble}", err=True)
        return status.TEMPORARY if self.troubles else status.OK


@click.command(short_help="Shut an account.", epilog="Example: messenger account disable anna@example.net")
@click.argument("address")
@json_option
@config_option
def disable(address: str, as_json: bool) -> int:
    """Shut the account of ADDRESS: end its sessions and let nobody in; tell its owner by a letter.

    Mail still comes, and is kept.
    """
    config, now = settings(), int(time.time())
    with opened(config) as accounts:
        found = known(accounts, address)
        accounts.disable(found.id, administrator(), now)
        phrase = _phrase(config, found.address)
    if found.disabled:
        said = f"disabled already, since {rows.moment(found.disabled)}"
        return Act("disable", found.address, said, changed=False).report(as_json)
    act = Act("disable", found.address, "disabled, and logged out everywhere; `messenger account enable` undoes it")
    act.tell_owner(config, "disabled", found, phrase)
    return act.report(as_json)


@click.command(short_help="Open a disabled account again.", epilog="Example: messenger account enable anna@example.net")
@click.argument("address")
@json_option
@config_option
def enable(address: str, as_json: bool) -> int:
    """Open the disabled account of ADDRESS again; tell its owner by a letter."""
    config, now = settings(), int(time.time())
    with opened(config) as accounts:
        found = known(accounts, address)
        accounts.enable(found.id, administrator(), now)
        phrase = _phrase(config, found.address)
    if not found.disabled:
        return Act("enable", found.address, "open already", changed=False).report(as_json)
    act = Act("enable", found.address, "open again; its owner logs in as before")
    act.tell_owner(config, "enabled", found, phrase)
    return act.report(as_json)


@click.command(
    name="reset-totp",
    short_help="Take a lost second factor off.",
    epilog="Example: messenger account reset-totp anna@example.net",
)
@click.argument("address")
@json_option
@config_option
def reset_totp(address: str, as_json: bool) -> int:
    """Take the authenticator app and the recovery codes off the account of ADDRESS, for who lost both.

    Be sure first, by another way than mail, that it is the owner who asks. Ends the sessions; a letter tells the
    owner.
    """
    config, now = settings(), int(time.time())
    with opened(config) as accounts:
        found = known(accounts, address)
        if not found.second_factor:
            return Act("reset-totp", found.address, "has no second factor", changed=False).report(as_json)
        accounts.reset_totp(found.id, administrator(), now)
        phrase = _phrase(config, found.address)
    always = config.accounts.require_totp == "always"
    next_time = "the next log-in sets another one up" if always else "the password alone is enough now"
    act = Act("reset-totp", found.address, f"second factor removed, and logged out everywhere; {next_time}")
    act.tell_owner(config, "totp-reset", found, phrase)
    return act.report(as_json)


@click.command(
    name="end-sessions",
    short_help="Log somebody out everywhere.",
    epilog="Example: messenger account end-sessions anna@example.net",
)
@click.argument("address")
@json_option
@config_option
def end_sessions(address: str, as_json: bool) -> int:
    """Log the owner of ADDRESS out everywhere, for who lost a device. The password stays."""
    config, now = settings(), int(time.time())
    with opened(config) as accounts:
        found = known(accounts, address)
        ended = accounts.end_all(found.id, administrator(), now)
    said = f"logged out everywhere ({ended} session{'' if ended == 1 else 's'})"
    return Act("end-sessions", found.address, said, changed=ended > 0, more={"ended": ended}).report(as_json)


@click.command(
    short_help="Delete an account, and its mail if you say so.",
    epilog="Example: messenger account delete anna@example.net --yes",
)
@click.argument("address")
@click.option("--with-mail", is_flag=True, help="The mailbox with all its messages, too. Not to be undone.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
@config_option
def delete(address: str, with_mail: bool, yes: bool, as_json: bool) -> int:
    """Delete the account of ADDRESS; tell its owner by a letter. The mailbox stays, unless --with-mail.

    Where the account is gone already, --with-mail deletes the mailbox it left. Lines in the audit stay.
    """
    config, wanted = settings(), normal(address)
    with opened(config) as accounts:
        found = accounts.find(wanted)
        owner = found.address if found else wanted
        mailbox = mailbox_of(config.mail.root, owner)
        messages = _count(mailbox) if mailbox.exists() else None
        if found is None and (messages is None or not with_mail):
            raise no_account(wanted)
        if not yes:
            ask(owner, found is not None, messages if with_mail else None)
        phrase = _phrase(config, owner)
        if with_mail:
            delete_mail(mailbox, owner, config)
        if found:
            accounts.delete(found.id, administrator(), int(time.time()))
        if with_mail and messages is not None:
            # A line of its own, with the address as its detail: by now there is no account that it could belong to.
            accounts.audit("delete-mail", DONE, None, administrator(), int(time.time()), owner)
    act = Act("delete", owner, _what_became(found is not None, mailbox, messages, with_mail))
    left = "none" if messages is None else "deleted" if with_mail else "kept"
    act.more = {"account": "deleted" if found else "none", "mailbox": left, "messages": messages or 0}
    if found:
        act.tell_owner(config, "deleted", found, phrase)
    return act.report(as_json)


def ask(address: str, account: bool, messages: int | None) -> None:
    if not _on_terminal():
        raise click.UsageError("say --yes: this can't be undone, and there is no terminal to ask on")
    parts = ["the account"] if account else []
    if messages is not None:
        parts.append(f"the mailbox with {number_of(messages)}")
    click.confirm(f"{address}: delete {' and '.join(parts)} for good?", abort=True, err=True)


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def delete_mail(mailbox: Mailbox, address: str, config: Config) -> None:
    """Before the account: as long as something is left, the same command finds it and goes on."""
    try:
        mailbox.delete()
        cache_folder.remove(config.reader.cache, address)
    except (MessengerError, OSError) as error:
        reason = status.of_os_error(error)[1] if isinstance(error, OSError) else str(error)
        text = (
            f"{address}: the mail is not, or not all, deleted: {reason}; then run this again. The account is as it was"
        )
        raise status.Failed(text, status.TEMPORARY) from error


def _what_became(account: bool, mailbox: Mailbox, messages: int | None, with_mail: bool) -> str:
    if not account:
        return f"had no account; mailbox with {number_of(messages or 0)} deleted"
    if messages is None:
        return "account deleted; there was no mailbox"
    if with_mail:
        return f"account deleted, and the mailbox with {number_of(messages)}"
    return (
        f"account deleted; the mailbox with {number_of(messages)} stays at {mailbox.root}, "
        "and a later sign-up finds it. --with-mail deletes it too"
    )


def _count(mailbox: Mailbox) -> int:
    """How many messages there are, in all folders."""
    return sum(len(mailbox.list(folder)) for folder in mailbox.folders())


def number_of(messages: int) -> str:
    return f"{messages} message{'' if messages == 1 else 's'}"


def _phrase(config: Config, address: str) -> str:
    return preferences.read(mailbox_of(config.mail.root, address).root.parent).phrase
