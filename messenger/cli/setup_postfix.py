"""What setup says about Postfix, and does to it with --apply. What Postfix needs is worked out elsewhere."""

import re
from datetime import datetime
from pathlib import Path

import click

from ..config import Config
from . import postfix, postfix_apply, postfix_plan, postfix_standalone, status
from .roles import Role


def next_hop(host: str) -> str:
    """Return what Postfix calls the way to *host* (HOST or HOST:PORT, "" for DNS). Raises Failed for no host."""
    found = re.fullmatch(
        r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:(?P<port>\d{1,5}))?", host
    )
    if not host:
        return ""
    if found is None:
        raise status.Failed(
            f"--messenger-host: expected HOST, HOST:PORT or [IPv6]:PORT, found {host!r}; an empty one is as DNS says",
            status.USAGE,
        )
    name = found["host"].strip("[]")
    return f"smtp:[{name}]" + (f":{found['port']}" if found["port"] else "")


def postfix_part(
    config: Config, role: Role, host: str | None, folder: Path | None, apply_: bool, now: datetime
) -> None:
    """Look at Postfix; print what it lacks for *role*, or change it."""
    if not postfix.installed():
        text = "Postfix is not installed here: apt-get install postfix, then `messenger setup --apply`"
        if apply_:
            raise status.Failed(text, status.UNAVAILABLE)
        click.echo(f"note: {text}")
        return
    try:
        found = postfix.inspect(folder)
        plan = postfix_plan.plan(found, config, role, None if host is None else next_hop(host))
    except status.Failed as error:
        if apply_:
            raise
        click.echo(f"note: {error}")
        return
    for warning in plan.warnings:
        click.echo(f"note: {warning}")
    if role.messenger and config.intake.mode == "standalone":
        click.echo(f"note: {postfix_standalone.reminder(found, config)}")
    if apply_:
        _apply(found, plan, config, role, now)
    elif plan.empty:
        click.echo(f"Postfix ({found.folder}) has all it needs")
    else:
        first = " and ".join(["the milter"] * role.messenger + ["messenger-gateway"] * role.gateway)
        click.echo(f"\nPostfix ({found.folder}) needs this; start {first} first, then run it, or use --apply:\n")
        click.echo("\n".join(postfix.lines(found, plan)))


def _apply(found: postfix.Postfix, plan: postfix.Plan, config: Config, role: Role, now: datetime) -> None:
    done = postfix_apply.apply(found, plan, now)
    for line in done:
        click.echo(line)
    if not done:
        click.echo(f"Postfix ({found.folder}): nothing to change")
        return
    milters = {"messenger-milter": config.intake.socket} if role.messenger else {}
    milters |= {"messenger-gateway": config.gateway.socket} if role.gateway else {}
    silent = [name for name, socket in milters.items() if not postfix_apply.answers(socket)]
    if silent:
        what = {"messenger-milter": "the milter does"}.get(" ".join(silent), f"{' and '.join(silent)} do")
        click.echo(
            f"note: {what} not answer yet; until it does, Postfix tells every sender to try again later"
            f" (nothing is lost): systemctl enable --now {' '.join(silent)} && postfix reload"
        )
    elif postfix_apply.reload(found):
        click.echo("reloaded Postfix")
    else:
        click.echo("note: Postfix isn't running; it reads all this when it starts: systemctl start postfix")
