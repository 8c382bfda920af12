"""``messenger setup``: the wizard. Asks, or takes options; run again, it changes only what has changed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..config import Config
from . import places, postfix, postfix_apply, site, status
from .files import locked, sweep
from .key_making import KeyType
from .options import config_option, path_of_settings
from .questions import QUESTIONS, answers_of
from .site import Report, Site

KEY_TYPES: dict[str, KeyType] = {"rsa-3072": "rsa-3072", "rsa": "rsa-3072", "ec-p256": "ec-p256", "ec": "ec-p256"}


def _question_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for question in reversed(QUESTIONS):
        command = click.option(question.option, multiple=question.many, help=question.help)(command)
    return command


@click.command(
    epilog="Example: messenger setup --non-interactive --portal-url https://webmail.example.com"
    " --own-domain example.com --key-type rsa-3072"
)
@_question_options
@click.option(
    "--key-type",
    type=click.Choice(list(KEY_TYPES)),
    help="Kind of the tunnel's keys: RSA for old gateways (the default), or elliptic curve P-256.",
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder for ledger, accounts and cache.")
@click.option("--non-interactive", is_flag=True, help="Ask nothing; what is neither given nor known gets its default.")
@click.option("--renew-tunnel", is_flag=True, help="Make new tunnel keys beside the old, which stay accepted.")
@click.option("--apply", "apply_", is_flag=True, help="Change Postfix too, keeping its old files.")
@click.option("--postfix-config", type=click.Path(path_type=Path), help="Another Postfix than the machine's own.")
@config_option
def setup(
    key_type: str | None,
    state_dir: Path | None,
    non_interactive: bool,
    renew_tunnel: bool,
    apply_: bool,
    postfix_config: Path | None,
    **options: Any,
) -> None:
    """Make keys, folders and settings, and say what Postfix needs.

    Never replaces a key. Run again with the same answers it changes nothing; with other answers it changes the
    settings and keeps the old file.
    """
    path = path_of_settings()
    report = Report()
    now = datetime.now(UTC)
    found = Site.at(path)
    current = found.current()
    answers = answers_of(options, current, ask=not non_interactive and not renew_tunnel)
    kind = _key_type(key_type, found, ask=not non_interactive and not found.exists)
    places.make_path(path.parent)
    renewed = renew_tunnel and found.exists
    try:
        with locked(path.parent):
            for folder in (path.parent, path.parent / "keys"):
                sweep(folder)
            changes = {**site.state_changes(found, state_dir), **answers}
            config = site.put(found, changes, kind, now, report)
            if renewed:
                config = site.renew(found, kind, now, report)
    finally:
        for line in report.done:  # of a run that failed too: it stays done
            click.echo(line)
    _say_site(path, report, rewritten=found.exists and found.text != Site.at(path).text, renewed=renewed)
    _postfix(config, postfix_config, apply_, now)


def _key_type(given: str | None, found: Site, *, ask: bool) -> KeyType:
    if given is None and ask:
        given = click.prompt("Kind of the tunnel's keys", type=click.Choice(list(KEY_TYPES)), default="rsa-3072")
    return KEY_TYPES[given] if given else site.key_type_now(found)


def _say_site(path: Path, report: Report, *, rewritten: bool, renewed: bool) -> None:
    if not report.done:
        click.echo(f"{path}: nothing to change")
    if places.is_system(path) and (missing := places.missing_users()):
        report.notes.append(
            f"no user or group {', '.join(missing)} here yet: everything belongs to root, and the services can't read"
            " it. Run `systemd-sysusers` (docs/install.md), then `messenger setup --non-interactive`"
        )
    if rewritten:
        report.notes.append(
            "the services read settings and keys at their start: systemctl restart messenger-milter messenger-reader"
        )
    if renewed:
        report.notes.append(
            "the gateway goes on with the old keys until it gets the new ones: `messenger tunnel export`. Then"
            " `messenger tunnel list`, and `messenger tunnel retire FINGERPRINT` for each old one"
        )
    for note in report.notes:
        click.echo(f"note: {note}")


def _postfix(config: Config, folder: Path | None, apply_: bool, now: datetime) -> None:
    if not postfix.installed():
        text = "Postfix is not installed here: apt-get install postfix, then `messenger setup --apply`"
        if apply_:
            raise status.Failed(text, status.UNAVAILABLE)
        click.echo(f"note: {text}")
        return
    try:
        found = postfix.inspect(folder)
        plan = postfix.plan(found, config)
    except status.Failed as error:
        if apply_:
            raise
        click.echo(f"note: {error}")
        return
    for warning in plan.warnings:
        click.echo(f"note: {warning}")
    if apply_:
        _apply(found, plan, config, now)
    elif plan.empty:
        click.echo(f"Postfix ({found.folder}) has all it needs")
    else:
        click.echo(f"\nPostfix ({found.folder}) needs this; start the milter first, then run it, or use --apply:\n")
        click.echo("\n".join(postfix.lines(found, plan)))


def _apply(found: postfix.Postfix, plan: postfix.Plan, config: Config, now: datetime) -> None:
    done = postfix_apply.apply(found, plan, now)
    for line in done:
        click.echo(line)
    if not done:
        click.echo(f"Postfix ({found.folder}): nothing to change")
        return
    if postfix_apply.answers(config.intake.socket):
        if postfix_apply.reload(found):
            click.echo("reloaded Postfix")
        else:
            click.echo("note: Postfix isn't running; it reads all this when it starts: systemctl start postfix")
    else:
        click.echo(
            "note: the milter does not answer yet; until it does, Postfix tells every sender to try again later"
            " (nothing is lost): systemctl enable --now messenger-milter && postfix reload"
        )
