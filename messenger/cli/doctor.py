"""``messenger doctor``: looks at everything that mail and people depend on, and says what mends what is wrong."""

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

import click

from ..config import Config, ConfigError
from . import doctor_apart, doctor_send, doctor_services
from .doctor_checks import CHECKS
from .doctor_finding import Finding, Host, Level, fail, ok
from .options import config_option, echo_json, json_option, path_of_settings, settings
from .roles import Parts, Role
from .rows import moment

#: As monitoring plugins leave (Nagios, Icinga): what is worst counts.
STATUS = {Level.OK: 0, Level.SKIP: 0, Level.WARN: 1, Level.FAIL: 2}
SETTINGS = "settings"

_COLOURS = {Level.OK: "green", Level.SKIP: None, Level.WARN: "yellow", Level.FAIL: "red"}
_WIDTH = 20


@click.command(epilog="Example: messenger doctor --send you@example.net")
@click.option(
    "--send", "to", metavar="ADDRESS", help="Also send ADDRESS a test mail through the tunnel; it is removed."
)
@click.option("--smtp", metavar="HOST:PORT", help="Where --send hands its mail in; else this host's Postfix.")
@click.option("--services", is_flag=True, help="Also run each service's own --check, as its user. Up to a minute.")
@click.option("--quiet", is_flag=True, help="Show what is wrong, and nothing else.")
@click.option("--postfix-config", type=click.Path(path_type=Path), help="Another Postfix than the one settings name.")
@json_option
@config_option
def doctor(
    to: str | None, smtp: str | None, services: bool, quiet: bool, postfix_config: Path | None, as_json: bool
) -> int:
    """Look at all that mail and people depend on: a line each, and what mends what is wrong. Changes nothing.

    Run it as root, or it can't look everywhere. Exit status, as monitoring wants it: 0 all in order, 1 warnings,
    2 something is broken. SKIP means not looked at, and counts as nothing.
    """
    if smtp and not to:
        raise click.UsageError("--smtp says where --send hands its mail in; give both")
    now = int(time.time())
    findings = _all(to, smtp, postfix_config, now, services=services)
    worst = max((one.level for one in findings), key=lambda level: STATUS[level])
    if as_json:
        echo_json({"status": worst.value, "time": moment(now), "findings": [_object(one) for one in findings]})
    else:
        _print([one for one in findings if not quiet or STATUS[one.level]], findings, quiet=quiet)
    return STATUS[worst]


def _all(to: str | None, smtp: str | None, folder: Path | None, now: int, *, services: bool) -> list[Finding]:
    path = path_of_settings()
    try:
        config = settings()
    except ConfigError as error:
        return [fail(SETTINGS, str(error), f"mend {path}; no service starts, all mail waits (451)")]
    role = role_of(config)
    host = Host(config, path, role, folder or postfix_of(config, role), now)
    what = {Role.MESSENGER: "Messenger's end", Role.GATEWAY: "a gateway", Role.BOTH: "Messenger's end and a gateway"}
    findings = [ok(SETTINGS, f"{path}: {what[role]}")]
    for found in doctor_apart.run([check for check in CHECKS if check.fits(host)], host):
        findings += found
    if services:
        own = [check for check in doctor_services.services() if check.fits(host)]
        for found in doctor_apart.run(own, host, doctor_services.SERVICE_SECONDS):
            findings += found
    if to is not None:
        findings += doctor_send.sent(host, to, smtp or "", lambda text: click.echo(f"messenger: {text}", err=True))
    return findings


def role_of(config: Config) -> Role:
    """Tell from what lies on this host which ends of the tunnel it is. A lost key makes no other host of it."""
    gateway = _is_there(config.gateway.policy)
    messenger = not gateway or any(map(_is_there, (*config.tunnel.recipient_keys, config.mail.root)))
    return Parts(settings=True, gateway=gateway, messenger=messenger).role or Role.MESSENGER


def _is_there(path: Path) -> bool:
    with suppress(OSError):
        return path.exists()
    return True


def postfix_of(config: Config, role: Role) -> Path | None:
    """Return the folder of the Postfix that [notice] sendmail hands to with -C; None for the machine's own."""
    words = config.notice.sendmail if role.messenger else config.gateway.sendmail
    return Path(words[words.index("-C") + 1]) if "-C" in words[:-1] else None


def _object(one: Finding) -> dict[str, str]:
    return {"check": one.check, "level": one.level.value, "text": one.text, "mend": one.mend}


def _print(shown: Sequence[Finding], findings: Sequence[Finding], *, quiet: bool) -> None:
    """The worst last, just above the prompt; each group from what all stands on to what people see."""
    ordered = sorted(shown, key=lambda one: (STATUS[one.level], one.level is not Level.OK))
    for one, following in zip_longest(ordered, ordered[1:]):
        level = click.style(f"{one.level.value:<5}", fg=_COLOURS[one.level], bold=one.level is Level.FAIL)
        lines = _lines(one.text)
        if one.mend and not (following and following.mend == one.mend):
            lines += _lines(f"-> {one.mend}")
        click.echo(f"{level} {one.check:<{_WIDTH}} {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{'':5} {'':<{_WIDTH}} {line}")
    if not quiet or shown:
        counts = {level: sum(one.level is level for one in findings) for level in Level}
        click.echo(", ".join(f"{count} {level.value}" for level, count in reversed(counts.items()) if count))


def _lines(text: str) -> list[str]:
    """As wide as a terminal is; for everything else one line."""
    text = " ".join(text.split())
    if not sys.stdout.isatty():
        return [text]
    width = shutil.get_terminal_size().columns - _WIDTH - 8
    return textwrap.wrap(text, max(width, 40), break_long_words=False, break_on_hyphens=False) or [""]
