"""``make demo``: the whole system on loopback, three mails that must be protected, and a link to open."""

from __future__ import annotations

import json
import signal
import sys
import time
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from pathlib import Path
from smtplib import SMTPException
from typing import BinaryIO

import click

from . import check, mails, site
from .postfix import PostfixFailed, PostfixMissing, free_port
from .site import DemoFailed, DemoSite

PORT = 8025
EX_UNAVAILABLE = 69  # sysexits(3)
HERE = Path(__file__).resolve().parent.parent
#: Where a running demo says how it is reached, for ``send``: one file for each port.
RUNNING = HERE / "demo" / "run"
ANNA = parseaddr(mails.RECIPIENT)[1]


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--check", "checking", is_flag=True, help="Walk the way a person would, say what was checked, stop.")
@click.option("--port", type=int, help="Where the reader listens on localhost; else 8025, or any free port to check.")
@click.pass_context
def main(context: click.Context, checking: bool, port: int | None) -> None:
    """Run two Postfix, the gateway, the milter, the reader and the maker of PDFs on loopback until Ctrl-C.

    Example: python -m demo --port 8026
    """
    if context.invoked_subcommand:
        return
    # A plain kill and a closed terminal end it as Ctrl-C does: everything that was started is stopped. SIGINT too:
    # a shell starts what it puts into the background with that one ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        click.echo("Starting two private Postfix and all the services ...", err=True)
        with DemoSite(port or (free_port() if checking else PORT)) as running:
            for raw in mails.all_three(datetime.now(UTC)):
                running.send(mails.secret(raw), [ANNA])
            notices = running.notices(3)
            if checking:
                sys.exit(0 if check.walk(running, notices) else 1)
            _stay(running, notices)
    except (DemoFailed, PostfixMissing, PostfixFailed) as error:
        click.echo(f"demo: {error}", err=True)
        sys.exit(1 if isinstance(error, DemoFailed) else EX_UNAVAILABLE)
    except KeyboardInterrupt:
        click.echo("\nStopped.", err=True)


def _stop(_number: int, _frame: object) -> None:
    # The second of two hasty Ctrl-C must not tear the stopping apart.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@main.command()
@click.argument("file", type=click.File("rb"), required=False)
@click.option("--to", "addresses", multiple=True, default=[ANNA], show_default=True, help="Who gets it.")
@click.option("--port", default=PORT, show_default=True, help="The running demo's.")
@click.option("--pdf/--no-pdf", default=None, help="From now on have mail to them sent as an encrypted PDF, or not.")
def send(file: BinaryIO | None, addresses: tuple[str, ...], port: int, pdf: bool | None) -> None:
    """Send one more mail into the running demo: FILE (a message, RFC 5322), or a short one of ours.

    It goes through the company's Postfix as any mail would: protected if its subject holds [secure], else in clear.
    Example: python -m demo send letter.eml --to carl@partner.example
    """
    raw = file.read() if file else mails.secret(mails.plain(datetime.now(UTC)))
    try:
        state = json.loads(_state(port).read_text())
    except OSError:
        raise click.ClickException(f"no demo runs on port {port}; start one in another terminal: make demo") from None
    try:
        for address in addresses if pdf is not None else ():
            words = ("set", "otp_enabled", str(pdf).lower(), "--user", address, "--config", state["config"])
            site.messenger("gateway", *words)
            time.sleep(site.POLICY_SECONDS)
        site.send(raw, addresses, state["smtp"])
    except (DemoFailed, OSError, SMTPException) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Sent to {', '.join(addresses)}: look into {state['url']}")


def _stay(running: DemoSite, notices: list[bytes]) -> None:
    notice = message_from_bytes(notices[0], policy=default)
    assert isinstance(notice, EmailMessage)
    body = notice.get_body(("plain",))
    click.echo("\nThe notice that left through Postfix:\n")
    click.echo(
        "    " + f"From: {notice['From']}\nTo: {notice['To']}\nSubject: {notice['Subject']}".replace("\n", "\n    ")
    )
    click.echo("    \n    " + (body.get_content().rstrip().replace("\n", "\n    ") if body else ""))
    click.secho(f"\nOpen this in a browser:   {running.link_in(notices[0])}", bold=True)
    port = "" if running.port == PORT else f" --port {running.port}"
    click.echo(
        f"Send another mail:        cd {HERE} && {sys.executable} -m demo send{port} [FILE] [--to ADDRESS] [--pdf]"
    )
    click.echo(f"Settings, logs, mail:     {running.home}")
    click.echo("Stop everything:          Ctrl-C")
    state = _state(running.port)
    state.parent.mkdir(exist_ok=True)
    state.write_text(json.dumps(running.state()))
    try:
        running.watch()
    finally:
        state.unlink(missing_ok=True)


def _state(port: int) -> Path:
    return RUNNING / f"{port}.json"


main()
