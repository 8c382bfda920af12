"""``messenger gateway``: say which mail must be protected, and see what holds for whom."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config import Config
from ..envelope import normal
from ..gateway.lookup import Levels
from ..gateway.policy import Level, changed, parse, target_of
from ..gateway.policy_file import read_policy
from ..gateway.setting_forms import domain_pattern, said
from ..gateway.tables import Tables
from ..gateway.values import Policy, PolicyError, Setting, Settings
from . import rows
from .files import locked, sweep, write_whole
from .gateway_check import check, recipient_problem
from .gateway_explain import explain
from .gateway_report import report
from .options import config_option, echo_json, json_option, settings
from .settings_file import backup, replace

#: So long a second command waits for the first one.
_WAIT_SECONDS = 30

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@click.group(epilog="Example: messenger gateway set encrypt_mode mandatory --domain '*.example.net'")
def gateway() -> None:
    """Say which mail must be protected, see what holds for whom and why, check it.

    Works on the policy ([gateway] policy); messenger-gateway takes changes over by itself, within two seconds.
    """


gateway.add_command(check)
gateway.add_command(explain)
gateway.add_command(report)


@dataclass(frozen=True)
class _Place:
    """A level of the policy, and whose it is."""

    level: Level
    target: str

    def __str__(self) -> str:
        return f"{self.level} {self.target}".rstrip()


def _place_options(command: Decorated) -> Decorated:
    for option in (
        click.option("--user", metavar="ADDRESS", help="For one address, in any spelling."),
        click.option("--domain", metavar="DOMAIN", help='For one domain, or "*.example.com" for all below it.'),
        click.option("--global", "everywhere", is_flag=True, help="For everybody; so it is where nothing is named."),
    ):
        command = option(command)
    return command


@gateway.command(name="set", epilog="Example: messenger gateway set otp_enabled yes --user anna@example.net")
@click.argument("name")
@click.argument("value")
@_place_options
@json_option
@config_option
def set_(name: str, value: str, everywhere: bool, domain: str | None, user: str | None, as_json: bool) -> None:
    """Set NAME to VALUE for everybody, a domain, or an address.

    Makes the policy if there is none; else the old one stays beside it, and comments stay in it.
    """
    config = settings()
    with _of_the_command_line():
        place, meant = _place(everywhere, domain, user), said(name, value)
    _change(config, place, name, meant, as_json)
    if name == "webmail_recipient" and (problem := recipient_problem(config, str(meant))):
        click.echo(f"messenger: warning: such mail waits (451) until this is mended: {problem}", err=True)


@gateway.command(epilog="Example: messenger gateway unset otp_enabled --user anna@example.net")
@click.argument("name")
@_place_options
@json_option
@config_option
def unset(name: str, everywhere: bool, domain: str | None, user: str | None, as_json: bool) -> None:
    """Take back what was set for NAME, so that the next wider level counts."""
    config = settings()
    with _of_the_command_line():
        place = _place(everywhere, domain, user)
        changed("", place.level, place.target, name, None)  # knows the names
    _change(config, place, name, None, as_json)


@gateway.command(epilog="Example: messenger gateway show --from anna@example.com --to bob@example.net")
@click.option("--from", "sender", metavar="ADDRESS", help="What holds for mail of this sender.")
@click.option("--to", "recipient", metavar="ADDRESS", help="What holds for mail to this recipient.")
@click.option("--domain", metavar="DOMAIN", help="What holds for this domain.")
@click.option("--user", metavar="ADDRESS", help="What holds for this address.")
@json_option
@config_option
def show(sender: str | None, recipient: str | None, domain: str | None, user: str | None, as_json: bool) -> None:
    """Show each setting as it holds for somebody, and where that was said; or, with nothing named, all that is said."""
    pair = sender is not None or recipient is not None
    if pair + (domain is not None) + (user is not None) > 1:
        raise click.UsageError("name --from and --to, or --domain, or --user")
    config = settings()
    policy = parse(read_policy(config.gateway.policy), config.gateway.policy)
    if pair:
        _show_pair(_levels(config, policy), _address(sender), _address(recipient), as_json)
    elif domain is not None or user is not None:
        with _of_the_command_line():
            # An address without a local part is a domain's.
            whom = f"@{domain_pattern(domain)}" if domain is not None else target_of(Level.USER, user or "")
        _show_one(_levels(config, policy), whom, as_json)
    else:
        _show_all(policy, as_json)


def _change(config: Config, place: _Place, name: str, value: bool | str | None, as_json: bool) -> None:
    path = config.gateway.policy
    with locked(path.parent, _WAIT_SECONDS):
        sweep(path.parent)
        old = read_policy(path) if path.exists() else ""
        before = _said_at(parse(old, path), place).get(name)
        new = changed(old, place.level, place.target, name, value)
        kept = "" if new == old else _written(path, new)
    if as_json:
        shown = {"place": str(place), "name": name, "value": value, "before": before, "changed": bool(kept)}
        echo_json(shown)
    elif not kept:
        click.echo(f"{place}: {name} {'is not set there' if value is None else f'is {_shown(value)} already'}")
    else:
        was = "not set" if before is None else _shown(before)
        click.echo(f"{place}: {name} is {'not set' if value is None else _shown(value)} (before: {was})\n{kept}")


def _written(path: Path, new: str) -> str:
    if path.exists():
        kept = f"changed {path}; the old one is {backup(path, datetime.now(UTC))}"
        replace(path, new)
        return kept
    write_whole(path, new.encode(), 0o644)
    return f"wrote {path}"


def _said_at(policy: Policy, place: _Place) -> Mapping[str, bool | str]:
    if place.level is Level.GLOBAL:
        return policy.everywhere
    level = policy.domains if place.level is Level.DOMAIN else policy.users
    return level.get(place.target, {})


def _show_pair(levels: Levels, sender: str, recipient: str, as_json: bool) -> None:
    found = levels.every(sender, recipient)
    sides = {"sender": levels.mode_of(sender), "recipient": levels.mode_of(recipient)}
    if as_json:
        modes = {side: _object(setting) for side, setting in sides.items()}
        echo_json({"sender": sender, "recipient": recipient, "settings": _objects(found), "encrypt_mode": modes})
        return
    _print_settings(found)
    for side, mode in sides.items():
        click.echo(f"encrypt_mode of the {side}: {mode.value} ({mode.origin})")


def _show_one(levels: Levels, whom: str, as_json: bool) -> None:
    found = levels.every("", whom)
    found = tuple(levels.mode_of(whom) if one.name == "encrypt_mode" else one for one in found)
    if as_json:
        echo_json({"user" if whom[0] != "@" else "domain": whom.removeprefix("@"), "settings": _objects(found)})
    else:
        _print_settings(found)


def _show_all(policy: Policy, as_json: bool) -> None:
    if as_json:
        echo_json(
            {
                "global": dict(policy.everywhere),
                "domains": {name: dict(said) for name, said in policy.domains.items()},
                "users": {name: dict(said) for name, said in policy.users.items()},
                "rules": [{"name": rule.name, "result": rule.result} for rule in policy.rules],
            }
        )
    else:
        rows.print_columns(("where", "what", "value"), _all_rows(policy))


def _all_rows(policy: Policy) -> Iterator[tuple[str, str, str]]:
    for name, value in policy.everywhere.items():
        yield "global", name, _shown(value)
    for kind, level in (("domain", policy.domains), ("user", policy.users)):
        for target, settings_there in level.items():
            for name, value in settings_there.items():
                yield f"{kind} {target}", name, _shown(value)
    for rule in policy.rules:
        yield "rule", rule.name, rule.result


def _levels(config: Config, policy: Policy) -> Levels:
    tables = Tables(config.gateway.tables, config.gateway.table_seconds) if config.gateway.tables else None
    tunnel = config.tunnel
    defaults = Settings(webmail_recipient=tunnel.webmail_recipient, webmail_sender=tunnel.webmail_sender)
    return Levels(policy, tables, defaults)


def _print_settings(found: tuple[Setting, ...]) -> None:
    rows.print_columns(("setting", "value", "origin"), ((one.name, _shown(one.value), one.origin) for one in found))


def _objects(found: tuple[Setting, ...]) -> list[dict[str, bool | str]]:
    return [{"name": one.name, **_object(one)} for one in found]


def _object(setting: Setting) -> dict[str, bool | str]:
    return {"value": setting.value, "origin": setting.origin}


def _shown(value: bool | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) or '""'


def _address(text: str | None) -> str:
    return normal(text) if text else ""


def _place(everywhere: bool, domain: str | None, user: str | None) -> _Place:
    """The place that the options name; raises PolicyError for one that can't be."""
    if everywhere + (domain is not None) + (user is not None) > 1:
        raise click.UsageError("name one of --global, --domain and --user")
    if domain is not None:
        return _Place(Level.DOMAIN, target_of(Level.DOMAIN, domain))
    if user is not None:
        return _Place(Level.USER, target_of(Level.USER, user))
    return _Place(Level.GLOBAL, "")


@contextmanager
def _of_the_command_line() -> Iterator[None]:
    """What the policy would not take is a wrong argument here."""
    try:
        yield
    except PolicyError as error:
        raise click.UsageError(str(error)) from error
