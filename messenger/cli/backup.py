"""``messenger backup``, ``restore``, ``verify``: everything a site consists of, into one folder and back."""

import errno
import time
from pathlib import Path

import click

from . import backup_keys, backup_list, backup_restoring, backup_taking, backup_verifying, status
from .backup_restoring import Restore
from .backup_taking import Backup
from .files import locked
from .options import config_option, echo_json, json_option, path_of_settings, settings

#: A list of what is wrong ends after so many lines.
LINES = 20
_passphrase_option = click.option(
    "--passphrase-file", type=click.Path(path_type=Path), help="File with the keys' passphrase on its first line."
)


@click.command(short_help="Back up the whole site.", epilog="Example: messenger backup /srv/backup/messenger --json")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--keys", is_flag=True, help="The keys too, sealed under the passphrase.")
@_passphrase_option
@json_option
@config_option
def backup(target: Path, keys: bool, passphrase_file: Path | None, as_json: bool) -> int:
    """Copy settings, policy, mail, accounts, ledger and PDF spool to the folder TARGET, while the services run.

    Run it as root. TARGET is made if it isn't there; one of an earlier backup is brought up to date. Messages become
    hard links where TARGET is on the same file system. Keys are left out unless you say --keys.
    """
    if keys != (passphrase_file is not None):
        raise click.UsageError("--keys and --passphrase-file FILE belong together: keys are never kept in the clear")
    passphrase = backup_keys.passphrase_in(passphrase_file) if passphrase_file else b""
    target, config, path = target.absolute(), settings(), path_of_settings()
    try:
        backup_taking.prepare(target, config, path)
        with locked(target):
            run = Backup(config, path, target, _say, passphrase)
            run.run(int(time.time()))
    except OSError as error:
        raise _unfinished(target, error) from error
    if as_json:
        echo_json(backup_taking.as_object(run))
    else:
        sealed = f"with {len(run.keys)} keys" if run.keys else "without keys: keep a copy of them elsewhere"
        click.echo(f"{target}: {run.files:,} files, {run.octets:,} octets, {run.new:,} new or changed; {sealed}")
    return status.OK


@click.command(
    short_help="Put a backup back.", epilog="Example: messenger restore /srv/backup/messenger --into /srv/try"
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--into", type=click.Path(path_type=Path), help="To this folder instead of where it was, as a trial.")
@click.option("--merge", is_flag=True, help="Into places that aren't empty: add what is missing, replace nothing.")
@_passphrase_option
@json_option
@config_option
def restore(source: Path, into: Path | None, merge: bool, passphrase_file: Path | None, as_json: bool) -> int:
    """Restore a site from SOURCE, a folder that `messenger backup` wrote. Stop the services first, and run it as root.

    Settings that are there stay, and say where things go. No file is ever replaced, and no mail comes twice.
    """
    passphrase = backup_keys.passphrase_in(passphrase_file) if passphrase_file else b""
    into = into.absolute() if into else None
    path = into / "messenger.toml" if into else path_of_settings()
    run = Restore(source.absolute(), path, into, merge, passphrase)
    try:
        run.run()
    except OSError as error:
        code, text = status.of_os_error(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"{error.filename or into or path.parent}: {error.strerror}; make room"
        raise status.Failed(f"{text}. What is restored so far stays; the same with --merge goes on", code) from error
    sealed = (run.source / backup_keys.NAME).is_file() and not passphrase
    if as_json:
        echo_json(backup_restoring.as_object(run))
    else:
        how = "made from the backup" if run.made_settings else "there already, and used as they are"
        click.echo(f"settings {run.settings}: {how}")
        click.echo(f"{run.files:,} files and {run.keys} keys restored; accounts: {run.accounts}")
    if sealed:
        _say("keys are in the backup, and were not restored; run this again with --merge --passphrase-file FILE")
    for line in run.failed[:LINES]:
        _say(f"left out: {line}")
    if len(run.failed) > LINES:
        _say(f"and {len(run.failed) - LINES} more left out; --json lists all")
    return status.DATA if run.failed else status.OK


@click.command(short_help="Check a backup.", epilog="Example: messenger verify /srv/backup/messenger")
@click.argument("source", type=click.Path(path_type=Path))
@_passphrase_option
@json_option
def verify(source: Path, passphrase_file: Path | None, as_json: bool) -> int:
    """Read all of SOURCE, a folder that `messenger backup` wrote: each file, the accounts database, and the keys.

    The keys are tried only with --passphrase-file. Needs no settings, and changes nothing.
    """
    passphrase = backup_keys.passphrase_in(passphrase_file) if passphrase_file else b""
    found = backup_verifying.verify(source.absolute(), passphrase, _say)
    if as_json:
        echo_json(backup_verifying.as_object(found))
    else:
        good = "all as it was backed up" if found.ok else "NOT as it was backed up"
        accounts = "no accounts" if found.accounts is None else f"{found.accounts:,} accounts"
        click.echo(f"{source}: made {found.made}, {found.files:,} files, {accounts}, keys: {found.keys}; {good}")
    wrong = [f"missing: {path}" for path in found.missing] + [f"damaged: {path}" for path in found.damaged]
    for line in wrong[:LINES]:
        _say(line)
    return status.OK if found.ok else status.DATA


def _unfinished(target: Path, error: OSError) -> status.Failed:
    code, text = status.of_os_error(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"{error.filename or target}: {error.strerror}; make room there"
    if (target / backup_list.INCOMPLETE).exists():
        text += f". {target} is marked as incomplete; run this again, and it goes on"
    return status.Failed(text, code)


def _say(text: str) -> None:
    click.echo(f"messenger: {text}", err=True)
