"""``messenger setup``: the wizard. Asks, or takes options; run again, it changes only what has changed."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..config import Config, parse
from . import gateway_keys, places, roles, setup_postfix, site, status, tunnel_bundle, unit_files
from .arrival import Arrived, receive
from .files import locked, sweep
from .key_making import KeyType
from .options import config_option, json_option, path_of_settings
from .questions import QUESTIONS, Answers, answers_given, answers_of
from .roles import Parts, Role
from .setup_telling import Telling
from .site import Report, Site

KEY_TYPES: dict[str, KeyType] = {"rsa-3072": "rsa-3072", "rsa": "rsa-3072", "ec-p256": "ec-p256", "ec": "ec-p256"}
MODE = ("intake", "mode")
TUNNEL, STANDALONE = "tunnel", "standalone"
#: Where Messenger's end writes the bundle, beside the settings.
BUNDLE = "gateway-bundle.json"


def _question_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for question in reversed(QUESTIONS):
        command = click.option(question.option, multiple=question.many, help=question.help)(command)
    return command


@click.command(
    epilog="Example: messenger setup --non-interactive --portal-url https://webmail.example.com"
    " --own-domain example.com --key-type rsa-3072"
)
@click.option("--role", "role_given", type=click.Choice([role.value for role in Role]), help="What this host is to be.")
@click.option(
    "--mode",
    "mode_given",
    type=click.Choice([TUNNEL, STANDALONE]),
    help="How mail comes here: from a gateway (the default), or from your own mail server as it is.",
)
@_question_options
@click.option(
    "--key-type",
    type=click.Choice(list(KEY_TYPES)),
    help="Kind of the tunnel's keys: RSA for old gateways (the default), or elliptic curve P-256.",
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Folder for ledger, accounts and cache.")
@click.option("--bundle", type=click.Path(path_type=Path), help="What Messenger's end writes, and a gateway's reads.")
@tunnel_bundle.password_option
@click.option("--fingerprint", help="Of the bundle, as Messenger's end printed it; else asked for.")
@click.option(
    "--messenger-host", help="Where a gateway's mail for Messenger goes: HOST or HOST:PORT; else as DNS says."
)
@click.option("--non-interactive", is_flag=True, help="Ask nothing; what is neither given nor known gets its default.")
@click.option("--renew-tunnel", is_flag=True, help="Make new tunnel keys beside the old, which stay accepted.")
@click.option("--apply", "apply_", is_flag=True, help="Change Postfix too, keeping its old files.")
@click.option("--postfix-config", type=click.Path(path_type=Path), help="Another Postfix than the machine's own.")
@json_option
@config_option
def setup(
    role_given: str | None,
    mode_given: str | None,
    key_type: str | None,
    state_dir: Path | None,
    bundle: Path | None,
    password_file: Path | None,
    fingerprint: str | None,
    messenger_host: str | None,
    non_interactive: bool,
    renew_tunnel: bool,
    apply_: bool,
    postfix_config: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Make keys, folders and settings, and say what Postfix needs.

    Never replaces a key. Run again with the same answers it changes nothing; with other answers it changes the
    settings and keeps the old file.
    """
    if as_json and not (non_interactive or renew_tunnel):
        raise click.UsageError("--json asks nothing: say --non-interactive too")
    path = path_of_settings()
    report, telling = Report(), Telling(as_json)
    now = datetime.now(UTC)
    found = Site.at(path)
    current = found.current()
    ask = not non_interactive and not renew_tunnel
    parts = roles.found(path.parent, current)
    mode = mode_given or current.get(MODE) or TUNNEL
    role = roles.chosen(role_given, parts.role, path.parent, ask=ask and mode != STANDALONE)
    _check(role, bundle, fingerprint, messenger_host, renew_tunnel)
    _check_mode(role, mode_given, mode, key_type, bundle, renew_tunnel)
    keys, kind = None, site.key_type_now(found)
    if role.messenger:
        answers = answers_of(options, current, ask=ask, tunnel=mode != STANDALONE)
        answers |= {MODE: mode_given} if mode_given else {}
        kind = _key_type(key_type, kind, ask=ask and not found.exists and mode != STANDALONE)
    else:
        answers = answers_given(options)
        if arrived := _arrived(found, bundle, fingerprint, password_file, now, ask=ask):
            keys = _keys(arrived, found)
            answers = arrived.bundle.settings | gateway_keys.changes(keys, path.parent) | answers
    answers |= _of_gateway(options, role, found, parts)
    telling.begin(settings=str(path), role=role.value, mode=mode)
    places.make_path(path.parent)
    renewed = renew_tunnel and found.exists
    try:
        with locked(path.parent):
            if Site.at(path) != found:
                raise status.Failed(f"{path}: another command changed it just now; try again", status.TEMPORARY)
            for folder in (path.parent, path.parent / "keys"):
                sweep(folder)
            changes = {**answers, **site.state_changes(found, state_dir, role, parts), **answers_given(options)}
            config = site.put(found, changes, kind, role, now, report, keys)
            if renewed:
                config = site.renew(found, kind, role, now, report)
            _hand_over(config, path, role, report)
    finally:
        telling.did(report.done)  # of a run that failed too: it stays done
    if mode == STANDALONE and found.exists and current.get(MODE, TUNNEL) != STANDALONE:
        report.notes.append("tunnel mail that is still on its way is refused from now on; its keys stay where they are")
    _say_site(path, role, report, telling, rewritten=found.exists and found.text != Site.at(path).text, renewed=renewed)
    setup_postfix.postfix_part(config, role, messenger_host, postfix_config, apply_, now, telling)
    if role is Role.MESSENGER and mode != STANDALONE and (bundle or role_given or (ask and parts.role is None)):
        _bundle(config, bundle or path.parent / BUNDLE, password_file, telling, wanted=bundle is not None)


def _hand_over(config: Config, path: Path, role: Role, report: Report) -> None:
    """Tell systemd of keys that it doesn't know."""
    if not unit_files.ours_to_write(path):
        return
    if done := unit_files.put(config, role):
        report.done += done
        first = "" if unit_files.tell_systemd() else "systemctl daemon-reload, then "
        report.notes.append(f"units are handed other keys, or listen elsewhere: {first}restart the services")
    report.notes += unit_files.complaints(config, role)


def _check(role: Role, bundle: Path | None, fingerprint: str | None, host: str | None, renew: bool) -> None:
    """Refuse options that mean nothing in this role, before anything is asked or written."""
    for option, given, fits in (
        ("--bundle", bundle, role is not Role.BOTH),
        ("--fingerprint", fingerprint, role is Role.GATEWAY),
        ("--messenger-host", host, role is Role.GATEWAY),
    ):
        if given is not None and not fits:
            raise status.Failed(f"{option} means nothing with --role {role.value}; leave it out", status.USAGE)
    if host is not None:
        setup_postfix.next_hop(host)
    if renew and role is Role.GATEWAY:
        raise status.Failed(
            "the tunnel's keys are made at Messenger's end: there `messenger setup --renew-tunnel` and `messenger"
            " tunnel bundle --out FILE`, then here `messenger setup --bundle FILE`",
            status.USAGE,
        )


def _check_mode(
    role: Role, given: str | None, mode: str, key_type: str | None, bundle: Path | None, renew: bool
) -> None:
    """Refuse what stand-alone mode has no use for: whatever is a gateway's or the tunnel's."""
    if given and not role.messenger:
        raise status.Failed("--mode means nothing with --role gateway; leave it out", status.USAGE)
    if mode != STANDALONE or not role.messenger:
        return
    if role.gateway:
        raise status.Failed(
            "stand-alone mode takes mail from your own mail server, without a gateway: not with --role both."
            " If a gateway.toml is here by mistake (`messenger gateway set` makes one), move it away; else take"
            " another host",
            status.USAGE,
        )
    for option, found in (("--key-type", key_type), ("--bundle", bundle), ("--renew-tunnel", renew)):
        if found:
            raise status.Failed(f"{option} means nothing in stand-alone mode: there is no tunnel", status.USAGE)


def _key_type(given: str | None, now: KeyType, *, ask: bool) -> KeyType:
    if given is None and ask:
        given = click.prompt("Kind of the tunnel's keys", type=click.Choice(list(KEY_TYPES)), default="rsa-3072")
    return KEY_TYPES[given] if given else now


def _arrived(
    found: Site, file: Path | None, fingerprint: str | None, password_file: Path | None, now: datetime, *, ask: bool
) -> Arrived | None:
    """Read the bundle; a gateway that has its keys already can do without."""
    if file is None and found.exists and site.has_gateway_keys(parse(found.text, found.path)):
        return None
    if file is None and not ask:
        raise status.Failed(
            "--bundle is needed: the file that `messenger setup --role messenger` or `messenger tunnel bundle` made at"
            " Messenger's end",
            status.USAGE,
        )
    file = file or Path(click.prompt("The bundle that Messenger's end made (a file)"))
    return receive(file, fingerprint, password_file, now, ask=ask)


def _keys(arrived: Arrived, found: Site) -> gateway_keys.Keys:
    config = parse(found.text, found.path) if found.exists else None
    return gateway_keys.placed(arrived.sender, arrived.bundle.recipient, found.path.parent / "keys", config)


def _of_gateway(options: dict[str, Any], role: Role, found: Site, parts: Parts) -> Answers:
    """What a gateway here has of the answers too, and whose keys it works with beside Messenger."""
    if not role.gateway:
        return {}
    given = answers_given(options)
    answers = {("gateway", key): given["notice", key] for key in ("sendmail", "smtp") if ("notice", key) in given}
    if role is Role.BOTH and found.exists and not parts.gateway:
        answers |= site.messengers_keys(parse(found.text, found.path), found.path.parent)
    return answers


def _say_site(path: Path, role: Role, report: Report, telling: Telling, *, rewritten: bool, renewed: bool) -> None:
    if not report.done:
        telling.say(f"{path}: nothing to change")
    if places.is_system(path) and (missing := places.missing_users(role)):
        report.notes.append(
            f"no user or group {', '.join(missing)} here yet: everything belongs to root, and the services can't read"
            " it. Run `systemd-sysusers` (docs/install.md), then `messenger setup --non-interactive`"
        )
    if rewritten:
        services = ["messenger-milter", "messenger-reader"] * role.messenger + ["messenger-gateway"] * role.gateway
        report.notes.append(
            f"for the services to take that: systemctl restart {' '.join(services)} (without new keys reload will do)"
        )
    if renewed:
        report.notes.append(
            ("in this order: while the milter doesn't know the new keys, mail of the gateway waits. Then"
             if role.gateway else
             "the gateway goes on with the old keys until it gets the new ones: `messenger tunnel bundle`, or"
             " `messenger tunnel export` for another maker's. Then")
            + " `messenger tunnel list`, and `messenger tunnel retire FINGERPRINT` for each old one"
        )  # fmt: skip
    for note in report.notes:
        telling.note(note)


def _bundle(config: Any, out: Path, password_file: Path | None, telling: Telling, *, wanted: bool) -> None:
    if out.exists():
        if not tunnel_bundle.is_current(config, out):
            telling.note(f"{out} says other things than a new one: messenger tunnel bundle --force --out {out}")
        return
    try:
        telling.did(tunnel_bundle.said(out, tunnel_bundle.write(config, out, password_file)))
    except status.Failed as error:
        if wanted or error.status != status.NO_INPUT:
            raise
        telling.note(f"no bundle for a gateway: {error}")
