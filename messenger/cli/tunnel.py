"""``messenger tunnel``: open and make single tunnel mails for trying, and list what the tunnel trusts."""

import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from .. import tunnel as crypto
from ..config import Config
from ..envelope import domain_of, normal
from ..errors import MessengerError
from ..message import read
from ..tunnel_fields import OPTIONS
from . import status
from .files import write_output
from .options import config_option, echo_json, json_option, read_input, settings
from .tunnel_bundle import bundle_command
from .tunnel_certificates import export, import_, list_, retire
from .tunnel_files import recipient_certificate, sender_key, tunnel_keys


@click.group(epilog="Example: messenger tunnel open mail.eml")
def tunnel() -> None:
    """Try, list, hand out and exchange what the tunnel between gateway and Messenger is made of."""


tunnel.add_command(bundle_command)
tunnel.add_command(export)
tunnel.add_command(import_)
tunnel.add_command(list_)
tunnel.add_command(retire)


@tunnel.command(name="open", epilog="Example: messenger tunnel open mail.eml --json")
@click.argument("file")
@json_option
@config_option
@click.pass_context
def open_(context: click.Context, file: str, as_json: bool) -> None:
    """Say what the intake would make of the mail in FILE (- for standard input). Stores nothing.

    Exit status 0: it would be accepted. 65: refused. 75: the sender would have to try again.
    """
    config = settings()
    raw = read_input(file)
    try:
        found = _accepted(raw, config)
        code = status.OK
    except MessengerError as error:
        code = status.TEMPORARY if error.temporary else status.DATA
        found = {"verdict": "try again" if error.temporary else "refused", "reason": str(error)}
    if as_json:
        echo_json(found)
    else:
        for name, value in found.items():
            click.echo(f"{name + ':':<12}{', '.join(value) if isinstance(value, list) else value}")
    context.exit(code)


def _accepted(raw: bytes, config: Config) -> dict[str, Any]:
    if len(raw) > config.intake.size_limit:
        raise status.Failed(f"{len(raw)} bytes, [intake] size_limit allows {config.intake.size_limit}")
    policy = crypto.Policy(
        own_domains=config.site.own_domains,
        accept_outer_headers=config.tunnel.accept_outer_headers,
        allow_3des=config.tunnel.allow_3des,
        allow_sha1=config.tunnel.allow_sha1,
        fields=config.tunnel.fields,
    )
    mail = crypto.unwrap(raw, tunnel_keys(config), policy)
    return {
        "verdict": "accepted",
        "profile": mail.profile,
        "signer": mail.signer,
        "sender": mail.mail_from,
        "recipients": list(mail.rcpt_tos),
        "options": sorted(mail.options),
        "digest": mail.digest,
        "size": len(mail.raw),
    }


@tunnel.command(epilog="Example: messenger tunnel wrap mail.eml --to anna@example.net --out tunnel.eml")
@click.argument("file")
@click.option("--to", "to", multiple=True, required=True, metavar="ADDRESS", help="A recipient; repeat for more.")
@click.option("--from", "sender", metavar="ADDRESS", help="The original sender; else the mail's From.")
@click.option("--option", "options", multiple=True, type=click.Choice(sorted(OPTIONS)), help="Repeat for more.")
@click.option("--modern", is_flag=True, help="AES-GCM and RSA-OAEP, which some gateways can't write.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to write it; else standard output.")
@click.option("--force", is_flag=True, help="Replace an existing --out file.")
@config_option
def wrap(
    file: str,
    to: tuple[str, ...],
    sender: str | None,
    options: tuple[str, ...],
    modern: bool,
    out: Path | None,
    force: bool,
) -> None:
    """Write the tunnel mail a gateway would send for the message in FILE (- for standard input).

    Signs with the webmail sender key, so it works where setup made that key and for those who may read it.
    """
    config = settings()
    raw = read_input(file)
    mail = crypto.wrap(
        raw,
        mail_from=normal(sender) if sender else _sender_in(raw),
        rcpt_tos=[normal(address) for address in to],
        options=options,
        sender=sender_key(config),
        recipient=recipient_certificate(config),
        webmail_sender=config.tunnel.webmail_sender,
        webmail_recipient=config.tunnel.webmail_recipient,
        date=datetime.now(UTC),
        message_id=f"<{secrets.token_hex(16)}@{domain_of(config.tunnel.webmail_sender)}>",
        modern=modern,
        fields=config.tunnel.fields,
    )
    if out is None:
        sys.stdout.buffer.write(mail)
        sys.stdout.buffer.flush()
    else:
        write_output(out, mail, 0o644, force)


def _sender_in(raw: bytes) -> str:
    senders = read(raw).senders
    if len(senders) != 1:
        raise status.Failed(f"the mail's From names {len(senders)} addresses; say which by --from")
    return normal(senders[0].address)
