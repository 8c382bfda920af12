"""``messenger gateway check``: whether policy, keys, certificates and tables are what messenger-gateway needs."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from cryptography import x509

from ..config import Config
from ..errors import MessengerError
from ..gateway.certificates import Certificates
from ..gateway.pgp_keys import PgpKeys
from ..gateway.policy_file import PolicyFile
from ..gateway.tables import Tables
from ..gateway.values import EncryptMode, Policy, Result
from ..tunnel import KeyFileError
from ..tunnel.keys import load_certificate, load_sender_key
from . import status
from .options import config_option, echo_json, json_option, settings

#: Asked of each table: nobody has it, and an answer shows that the table can be asked.
_PROBE = "check.invalid"


@click.command(epilog="Example: messenger gateway check")
@json_option
@config_option
@click.pass_context
def check(context: click.Context, as_json: bool) -> None:
    """Check the policy, and the keys, certificates and tables that it needs. Changes nothing.

    A line for each; what is wrong says how to mend it. Exit status 0, or 78 if anything is wrong.
    """
    found = list(looked_at(settings()))
    wrong = any(verdict == "wrong" for verdict, _ in found)
    if as_json:
        findings = [{"verdict": verdict, "text": text} for verdict, text in found]
        echo_json({"ok": not wrong, "findings": findings})
    else:
        for verdict, text in found:
            click.echo(f"{verdict:<8} {text}")
    context.exit(status.CONFIG if wrong else status.OK)


def recipient_problem(config: Config, address: str) -> str:
    """Say why nothing can be encrypted to the webmail recipient *address* ("": that of [tunnel]), or ""."""
    try:
        _recipient(config, address or config.tunnel.webmail_recipient)
    except MessengerError as error:
        return str(error)
    return ""


def looked_at(config: Config) -> Iterator[tuple[str, str]]:
    policy: Policy | None = None
    section = config.gateway
    try:
        policy = PolicyFile(section.policy).current(time.time())
        yield "ok", f"{section.policy}: {_counted(policy)}"
    except MessengerError as error:
        yield "wrong", str(error)
    for what in _checks(config, policy):
        try:
            yield "ok", what()
        except MessengerError as error:
            yield "wrong", str(error)
    if policy is not None:
        for text in _warnings(config, policy):
            yield "look at", text


def _checks(config: Config, policy: Policy | None) -> Iterator[Callable[[], str]]:
    section = config.gateway
    yield lambda: _sender(config)
    named = {str(level.get("webmail_recipient", "")) for level in _levels(policy)} if policy else set()
    for address in sorted({config.tunnel.webmail_recipient} | named - {""}):
        yield lambda address=address: _recipient(config, address)  # type: ignore[misc]
    for table in section.tables:
        yield lambda table=table: _table(table)  # type: ignore[misc]
    if section.certificates is not None:
        certificates = Certificates(section.certificates)
        yield lambda: f"{section.certificates}: certificates of {certificates.check()} addresses outside"
    if section.pgp_keys is not None:
        keys = PgpKeys(section.pgp_keys)
        yield lambda: f"{section.pgp_keys}: PGP keys of {keys.check()} addresses and domains"
    if section.sender_keys is not None:
        yield lambda: _folder(section.sender_keys)


def _sender(config: Config) -> str:
    section = config.gateway
    return _valid(
        section.sender_certificate, load_sender_key(section.sender_certificate, section.sender_key).certificate
    )


def _recipient(config: Config, address: str) -> str:
    section = config.gateway
    if address == config.tunnel.webmail_recipient:
        path = section.recipient_certificate
    elif section.more_recipients is None:
        raise KeyFileError(
            f"no certificate for the webmail recipient {address}: put {address}.pem into a folder, and name that"
            " [gateway] more_recipients"
        )
    else:
        path = section.more_recipients / f"{address}.pem"
    return f"{_valid(path, load_certificate(path))}, of the webmail recipient {address}"


def _valid(path: Path, certificate: x509.Certificate) -> str:
    end = certificate.not_valid_after_utc
    if not certificate.not_valid_before_utc <= datetime.now(UTC) <= end:
        raise KeyFileError(
            f"{path}: valid from {certificate.not_valid_before_utc:%Y-%m-%d} to {end:%Y-%m-%d}; renew it"
        )
    return f"{path}: valid to {end:%Y-%m-%d}"


def _table(table: str) -> str:
    Tables((table,), 1).ask((_PROBE,))
    return f"{table}: answers"


def _folder(path: Path | None) -> str:
    if path is None or not path.is_dir():
        raise KeyFileError(f"{path}: no folder there; make it, or empty [gateway] sender_keys")
    return f"{path}: {len(list(path.glob('*.key')))} keys of senders"


def _warnings(config: Config, policy: Policy) -> Iterator[str]:
    section = config.gateway
    asks = any(level.get("encrypt_mode") == EncryptMode.MANDATORY for level in _levels(policy))
    asks = asks or any(rule.result is Result.MANDATORY for rule in policy.rules)
    enabled = any(level.get("enabled") is True for level in _levels(policy))
    others = section.tables or section.certificates or section.pgp_keys
    if asks and not enabled and not others:
        yield "mail must be protected, and no level has enabled = true: all such mail is refused"
    if not asks and not section.tables:
        yield "neither a rule nor encrypt_mode says mandatory: no mail must be protected"


def _levels(policy: Policy) -> Iterator[dict[str, bool | str]]:
    for level in (policy.everywhere, *policy.domains.values(), *policy.users.values()):
        yield dict(level)


def _counted(policy: Policy) -> str:
    counts = {"domain": len(policy.domains), "user": len(policy.users), "rule": len(policy.rules)}
    return ", ".join(f"{number} {what}{'' if number == 1 else 's'}" for what, number in counts.items())
