"""``messenger cleanup``: takes away what the settings don't want to keep. For a timer, once a day."""

import time

import click

from ..config import Config
from ..errors import MessengerError
from . import account_database, account_letters, status
from .cleanup_steps import KINDS, Cleanup
from .files import locked
from .options import config_option, echo_json, json_option, settings


@click.command(epilog="Example: messenger cleanup --dry-run")
@click.option("--dry-run", "dry", is_flag=True, help="Remove nothing; count what would be removed.")
@json_option
@config_option
def cleanup(dry: bool, as_json: bool) -> int:
    """Remove old mail, what has lain in the trash, unused accounts, and what is left of those that are gone.

    How old, the settings say: [mail] retention_days and trash_days, [accounts] unused_days and audit_days. Run it as
    root or as the reader's user; the services may go on meanwhile. A run that was stopped is finished by the next.
    """
    config = settings()
    with account_database.opened(config) as accounts, locked(config.accounts.database.parent):
        run = Cleanup(config, accounts, int(time.time()), account_database.administrator(), dry, _say)
        run.run()
    if not dry:
        _tell_owners(config, run)
    if as_json:
        echo_json({"dry_run": dry, **run.counts, "failed": len(run.troubles)})
    else:
        done = "would be removed" if dry else "removed"
        for kind, count in run.counts.items():
            click.echo(f"{KINDS[kind]}: {count} {done}")
    for trouble in run.troubles:
        _say(trouble)
    return status.TEMPORARY if run.troubles else status.OK


def _tell_owners(config: Config, run: Cleanup) -> None:
    """As after any other deletion of an account."""
    for account, phrase in run.deleted:
        words = {"language": account.language, "time_zone": account.time_zone, "phrase": phrase}
        try:
            account_letters.send(config, "deleted", account.address, **words)
        except MessengerError as error:
            run.troubles.append(
                f"{account.address}: the account is deleted, but the letter about it was not sent: {error}"
            )


def _say(text: str) -> None:
    click.echo(f"messenger: {text}", err=True)
