"""The command messenger-pdfotp: read the settings, then make PDFs of what comes into the spool until told to stop.

Settings, certificates and templates are read again at SIGHUP, between two PDFs. The only place of this room that knows
the clock, the settings and the process it runs in. Several may run at once.
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
from messenger import logs, notice_texts, pdf_password
from messenger.config_renewal import read_again, renewed
from messenger.errors import MessengerError
from messenger.passing import EX_TEMPFAIL, disk_in_trouble
from messenger.pdf_spool import Spool
from messenger.sd_notify import Watchdog, sd_notify
from messenger.submission import Route, submit

from . import alarm, checks, metrics, signing
from .make import Wishes
from .renderer import Renderer
from .work import Bench, work

log = logging.getLogger(__name__)

# sysexits.h: systemd doesn't start us again for this one.
EX_CONFIG = 78
#: Settings that count from a start to its end.
FIXED = {"pdf": ("spool",), "metrics": ("listen",)}
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
    places: tuple[Path, ...] = ()
    try:
        config = settings.load(path)
        logs.start(config.log.format)
        places = (config.pdf.spool,)
        if not only_check:
            Spool(config.pdf.spool).prepare()  # whichever of the two starts first
        found = checks.problems(config)
        if only_check and not found:
            found = checks.renderer()
    except MessengerError as error:
        found = [str(error)]
    if found:
        click.echo("\n".join(found), err=True)
        passing = not only_check and disk_in_trouble(*places)
        sys.exit(EX_TEMPFAIL if passing else EX_CONFIG)
    if only_check:
        click.echo("Settings, keys, the spool and the renderer are in order.")
        return
    stopping, asked = threading.Event(), threading.Event()
    watchdog = Watchdog()
    renderer = Renderer(begun=watchdog.alive)

    def stop(*_: object) -> None:
        stopping.set()
        # A hard mail is laid out again and again, each time more simply; nobody waits for that.
        renderer.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, lambda *_: asked.set())
    serve(Current(path, config, renderer), stopping, asked, watchdog, once)


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


class Current:
    """What a worker works with now: another bench after each SIGHUP that found all in order."""

    def __init__(self, path: Path | None, config: settings.Config, renderer: Renderer) -> None:
        # The renderer's process is a copy of what this one is when it starts: before the key is read.
        renderer.start()
        self._path, self.config, self.renderer = path, config, renderer
        self._watch = metrics.watch(config, lambda: self.config)
        self.bench = self._watch(bench_of(config, renderer))

    def renew(self) -> None:
        """Take what the files say by now; raises, and changes nothing, where that can't be used."""
        config = read_again(self._path, self.config, FIXED)
        with notice_texts.renewing():
            if problems := checks.problems(config):
                raise settings.ConfigError("; ".join(problems))
            bench = bench_of(config, self.renderer)
        logs.start(config.log.format)
        self.config, self.bench = config, self._watch(bench)


def serve(
    current: Current, stopping: threading.Event, asked: threading.Event, watchdog: Watchdog, once: bool = False
) -> None:
    """Work until *stopping* is set; with *once* until nothing is due. Reads files again when *asked* is set.

    Ends the renderer.
    """
    spool = Spool(current.config.pdf.spool)
    kept = -float(HOUSE_SECONDS)
    log.info("making PDFs of what comes into %s", spool.root)
    sd_notify("READY=1")
    try:
        while not stopping.is_set():
            if time.monotonic() - kept >= HOUSE_SECONDS:
                kept = time.monotonic()
                _tidy(spool)
            if asked.is_set():
                asked.clear()
                renewed(current.renew)
            watchdog.alive()
            busy = _round(spool, current, stopping, asked)
            if once and not busy:
                break
            if not busy:
                stopping.wait(LOOK_SECONDS)
    finally:
        sd_notify("STOPPING=1")
        current.renderer.close()


def _tidy(spool: Spool) -> None:
    try:
        spool.tidy(time.time(), DONE_DAYS)
    except MessengerError as error:  # a disk that is mended until the next time
        log.warning("%s", error)


def _round(spool: Spool, current: Current, stopping: threading.Event, asked: threading.Event) -> bool:
    """Work on all that is due, or until something else is *asked*; True if anything was done."""
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
        if asked.is_set():
            return True
        try:
            with spool.claim(pdf_id) as claim:
                if claim:
                    busy = work(claim, current.bench, int(time.time())) or busy
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
