"""The command messenger-pdfotp: read the settings once, then make PDFs of what comes into the spool until told to stop.

The only place of this room that knows the clock, the settings and the process it runs in. Several may run at once.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from messenger import config as settings
from messenger import logs, pdf_password
from messenger.errors import MessengerError
from messenger.pdf_spool import Spool
from messenger.sd_notify import sd_notify
from messenger.submission import Route, submit

from . import alarm, checks, metrics, signing
from .make import Wishes
from .renderer import Renderer
from .work import Bench, work

log = logging.getLogger(__name__)

# sysexits.h: systemd doesn't start us again for this one.
EX_CONFIG = 78
#: How often to look for new files, and how often to forget what was sent long ago.
LOOK_SECONDS = 0.5
HOUSE_SECONDS = 3600
#: A retry of the milter's comes within days; what is forgotten later than the ledger forgets is forgotten in time.
DONE_DAYS = 400


@click.command()
@click.option("--config", "path", type=click.Path(readable=False, path_type=Path), help="Settings file.")
@click.option("--check", "only_check", is_flag=True, help="Test settings, keys, folders and the renderer, then exit.")
@click.option("--once", is_flag=True, help="Make what is due now, then exit.")
def main(path: Path | None, only_check: bool, once: bool) -> None:
    """Send messages as encrypted PDFs: make them of what the milter puts into the spool."""
    logs.start()
    quiet()
    try:
        config = settings.load(path)
        logs.start(config.log.format)
        if not only_check:
            Spool(config.pdf.spool).prepare()  # whichever of the two starts first
        found = checks.problems(config)
        if only_check and not found:
            found = checks.renderer()
    except MessengerError as error:
        found = [str(error)]
    if found:
        click.echo("\n".join(found), err=True)
        sys.exit(EX_CONFIG)
    if only_check:
        click.echo("Settings, keys, the spool and the renderer are in order.")
        return
    stopping = threading.Event()
    renderer = Renderer()

    def stop(*_: object) -> None:
        stopping.set()
        # A hard mail is laid out again and again, each time more simply; nobody waits for that.
        renderer.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    serve(config, renderer, stopping, once)


def quiet() -> None:
    """Keep libraries from writing lines of their own about each mail."""
    for name in ("weasyprint", "fontTools", "pikepdf", "pyhanko", "pyhanko_certvalidator"):
        logging.getLogger(name).setLevel(logging.ERROR)


def bench_of(config: settings.Config, renderer: Renderer) -> Bench:
    """Lay out what a worker works with; raises where a key can't be read."""
    pdf, notice = config.pdf, config.notice
    route = Route(sendmail=notice.sendmail, smtp=notice.smtp)
    signer = signing.load(pdf.sign_certificate, pdf.sign_key) if pdf.sign_certificate and pdf.sign_key else None
    site = checks.site_of(config)
    return Bench(
        site=site,
        key=pdf_password.load_key(pdf.key),
        symbols=pdf.password_symbols,
        wishes=Wishes(pdf.original, pdf.files_limit or sys.maxsize),
        tries=pdf.tries,
        renderer=renderer,
        submit=lambda mail, to: submit(mail, notice.mail_from, (to,), route),
        tell=partial(alarm.tell, site, pdf.administrator, lambda: datetime.now(UTC), route),
        signer=signer,
    )


def serve(config: settings.Config, renderer: Renderer, stopping: threading.Event, once: bool = False) -> None:
    """Work until *stopping* is set; with *once* until nothing is due. Ends *renderer*."""
    # The renderer's process is a copy of what this one is when it starts: before the key is read.
    renderer.start()
    spool = Spool(config.pdf.spool)
    bench = metrics.watched(config, bench_of(config, renderer))
    kept = -float(HOUSE_SECONDS)
    log.info("making PDFs of what comes into %s", spool.root)
    sd_notify("READY=1")
    try:
        while not stopping.is_set():
            if time.monotonic() - kept >= HOUSE_SECONDS:
                kept = time.monotonic()
                _tidy(spool)
            busy = _round(spool, bench, stopping)
            if once and not busy:
                break
            if not busy:
                stopping.wait(LOOK_SECONDS)
    finally:
        sd_notify("STOPPING=1")
        renderer.close()


def _tidy(spool: Spool) -> None:
    try:
        spool.tidy(time.time(), DONE_DAYS)
    except MessengerError as error:  # a disk that is mended until the next time
        log.warning("%s", error)


def _round(spool: Spool, bench: Bench, stopping: threading.Event) -> bool:
    """Work on all that is due; True if anything was done."""
    busy = False
    trouble = False
    try:
        due = spool.due(int(time.time()))
    except MessengerError as error:  # the disk; it may be mended while we wait
        log.warning("%s", error)
        due, trouble = [], True
    for pdf_id in due:
        if stopping.is_set():
            break
        try:
            with spool.claim(pdf_id) as claim:
                if claim:
                    busy = work(claim, bench, int(time.time())) or busy
        except MessengerError as error:  # a file that can't be used keeps nobody else's waiting
            log.warning("%s", error)
            trouble = True
        except Exception:  # nor does a fault of ours
            log.exception("%s: not tried", pdf_id)
            trouble = True
    if trouble:
        stopping.wait(LOOK_SECONDS * 10)
    return busy


if __name__ == "__main__":
    main()
