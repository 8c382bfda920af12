"""``messenger pdf``: what was given up, another try, passwords for the help desk, and a PDF made by hand."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .. import pdf_password, pdf_record, preferences
from ..accounts import DONE, Accounts
from ..config import Config
from ..envelope import normal
from ..mailbox import mailbox_of
from ..pdf_spool import Failed as GivenUp
from ..pdf_spool import Spool
from ..preferences import Preferences
from . import account_database, rows
from .options import config_option, echo_json, json_option, path_of_settings, settings
from .status import DATA, NO_INPUT, NO_USER, Failed

#: Where a PDF is made: in the room that has what it takes. Rooms aren't imported from here.
BY_HAND = "messenger_pdfotp.by_hand"


@click.group(epilog="Example: messenger pdf list")
def pdf() -> None:
    """Look after messages that go out as encrypted PDFs."""


@pdf.command(name="list", epilog="Example: messenger pdf list --json")
@rows.lines_option
@config_option
def list_(as_json: bool) -> None:
    """List the PDFs that could not be made and were given up, the oldest first, each with its reason. Times are UTC."""
    found = _spool(settings()).failed()
    if as_json:
        rows.print_lines(map(_object, found))
    else:
        head = ("PDF", "since", "tries", "reason")
        rows.print_columns(head, ((g.pdf_id, rows.moment(g.since), str(g.tries.count), g.tries.reason) for g in found))


@pdf.command(epilog="Example: messenger pdf retry --all")
@click.argument("pdf_id", metavar="ID", required=False)
@click.option("--all", "every", is_flag=True, help="All that were given up.")
@json_option
@config_option
def retry(pdf_id: str | None, every: bool, as_json: bool) -> None:
    """Try a PDF again that was given up; messenger-pdfotp makes it in a moment."""
    if bool(pdf_id) == every:
        raise click.UsageError("expected an ID or --all, one of the two; `messenger pdf list` shows the ids")
    spool = _spool(settings())
    wanted = [one.pdf_id for one in spool.failed()] if every else [pdf_password.canonical_id(pdf_id or "")]
    done = [one for one in wanted if spool.retry(one)]
    if not every and not done:
        raise Failed(f"{wanted[0]}: not among those given up; `messenger pdf list` shows them", NO_INPUT)
    if as_json:
        echo_json({"retried": done})
    else:
        click.echo("\n".join(f"{one}: tried again" for one in done) or "nothing was given up")


@pdf.command(epilog="Example: messenger pdf password --id k7mp-3xqd-9fwa-t2hc --address anna@example.net")
@click.option("--id", "given_id", required=True, help="The PDF's id, as its mail and its file name say.")
@click.option("--address", required=True, help="The recipient's address, in any spelling.")
@json_option
@config_option
def password(given_id: str, address: str, as_json: bool) -> None:
    """Say the password of one PDF, for the help desk. It is in the audit who asked."""
    config = settings()
    pdf_id, to = pdf_password.canonical_id(given_id), normal(address)
    key = pdf_password.load_key(config.pdf.key)
    record = pdf_record.find(mailbox_of(config.mail.root, to).root.parent, pdf_id)
    if record is None:
        raise Failed(f"{pdf_id}: no PDF of that id went to {to}; compare both with its mail", NO_INPUT)
    with account_database.opened(config) as accounts:
        _audit(accounts, "pdf password", to, pdf_id)  # before it is said
    found = pdf_password.password(key, to, record.generation, pdf_id, config.pdf.password_symbols)
    if as_json:
        echo_json({"id": pdf_id, "address": to, "password": found})
    else:
        click.echo(found)


@pdf.command(
    short_help="Give somebody's next PDFs passwords of another generation.",
    epilog="Example: messenger pdf renew anna@example.net",
)
@click.argument("address")
@json_option
@config_option
def renew(address: str, as_json: bool) -> None:
    """Raise the generation of ADDRESS by one: it is part of the passwords of all PDFs from now on.

    Each PDF has a password of its own, so one that somebody saw opens no other PDF, with this command or without it.
    PDFs sent before keep their passwords, and are found as before.
    """
    config, to = settings(), normal(address)
    mailbox = mailbox_of(config.mail.root, to)
    # As the reader, who must be able to replace the file again.
    with account_database.opened(config) as accounts:
        if accounts.find(to) is None and not mailbox.exists():
            raise Failed(f"{to}: has no account, and no mail came for it; compare the address", NO_USER)
        mailbox.ensure()
        now_on = preferences.change(mailbox.root.parent, _next_generation).generation
        _audit(accounts, "pdf renew", to, f"generation {now_on}")
    if as_json:
        echo_json({"address": to, "generation": now_on})
    else:
        click.echo(f"{to}: PDFs from now on have passwords of generation {now_on}; those sent before open as before")


@pdf.command(epilog="Example: messenger pdf make mail.eml --to anna@example.net --out mail.pdf")
@click.argument("file")
@click.option("--to", "address", required=True, help="The recipient; part of the password.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The PDF to write; never over another file."
)
@click.option("--password", "chosen", default="", help="A password of your own; else one is derived and printed.")
@click.option("--cover", is_flag=True, help="Write the mail around the PDF instead, as it would be sent.")
@config_option
def make(file: str, address: str, out: Path, chosen: str, cover: bool) -> None:
    """Make an encrypted PDF of the mail FILE (- for standard input), for scripts and for trying templates.

    Nothing is sent and nothing kept: the portal doesn't know such a PDF.
    """
    words = ["--config", str(path_of_settings()), "--to", address, "--out", str(out), *(["--cover"] if cover else [])]
    # Not on a command line, where every user of the machine could read it.
    environment = {**os.environ, "MESSENGER_PDF_PASSWORD": chosen}
    sys.stdout.flush()
    command = [sys.executable, "-P", "-m", BY_HAND, *words, "--", file]
    os.execve(sys.executable, command, environment)  # noqa: S606 -- a list of words for our own program, no shell


def _spool(config: Config) -> Spool:
    spool = Spool(config.pdf.spool)
    spool.check()
    return spool


def _object(found: GivenUp) -> dict[str, Any]:
    return {
        "id": found.pdf_id,
        "since": rows.moment(found.since),
        "tries": found.tries.count,
        "reason": found.tries.reason,
    }


def _next_generation(before: Preferences) -> Preferences:
    if before.generation == preferences.GENERATIONS - 1:
        raise Failed(f"this is generation {before.generation} already, the last that there is", DATA)
    return replace(before, generation=before.generation + 1)


def _audit(accounts: Accounts, event: str, address: str, detail: str) -> None:
    """Note who did it; whom it is about stands in the detail where there is no account of that address."""
    account = accounts.find(address)
    number, about = (account.id, detail) if account else (None, f"{detail} of {address}")
    accounts.audit(event, DONE, number, account_database.administrator(), int(time.time()), about)
