"""Run a milter as a process: hold its socket, answer until told to stop, finish what is in hand, then leave.

SIGTERM and SIGINT stop it. SIGHUP has it read its files again: who connects later meets what they say, who is connected
already goes on with what was read before.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

import click

from messenger.config_renewal import renewed
from messenger.sd_notify import sd_notify

from . import heartbeat, socket_file
from .connection import Load

log = logging.getLogger(__name__)

# sysexits.h: systemd doesn't start us again for the first, and does for the second.
EX_CONFIG = 78
EX_TEMPFAIL = 75
#: How long a stop waits for mails at their end; below systemd's TimeoutStopSec.
SETTLE_SECONDS = 75.0


def serve(
    name: str,
    run: Callable[[str, Callable[[], None]], None],
    load: Load,
    renew: Callable[[], object],
    threads: Sequence[threading.Thread] = (),
    ended: Callable[[], None] = lambda: None,
    who: str = socket_file.MILTER,
) -> int:
    """Call *run* with the socket and what to do when it is open; return the exit status. For the main thread.

    *threads* are started then, *renew* is called at each SIGHUP, and *ended* when nothing more comes in and what was
    in hand is finished. *who* is the service that errors speak of.
    """
    # libmilter waits for these in a thread of its own; any thread that left them open would die of them instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    try:
        with socket_file.claimed(name, who) as milter_name:
            _answer(lambda: run(milter_name, lambda: _ready(name, (*threads, *heartbeat.beating(name)))), renew)
            sd_notify("STOPPING=1")
            settled = load.settle(SETTLE_SECONDS)
            ended()
    except socket_file.SocketError as error:
        click.echo(str(error), err=True)
        return EX_CONFIG
    counts = ", ".join(f"{count} answered {verdict}" for verdict, count in load.verdicts.items())
    log.info("stopped: %s", counts or "no mail of ours")
    if not settled:
        log.error("some mail was not finished in %d seconds; its sender tries again", SETTLE_SECONDS)
        # Threads of libmilter may still be in our callbacks: leave without tearing Python down under them.
        os._exit(EX_TEMPFAIL)
    return 0


def _answer(run: Callable[[], None], renew: Callable[[], object]) -> None:
    """Let another thread do *run* until that ends, as it ends; meanwhile this one sees to SIGHUP.

    libmilter takes SIGHUP for a stop, in a thread that waits for it. But a signal for a process goes to its main thread
    first, where that has it open (complete_signal() in the kernel); so libmilter has to run in another one.
    """
    news: SimpleQueue[bool] = SimpleQueue()
    failed: list[BaseException] = []

    def running() -> None:
        try:
            run()
        except BaseException as error:
            failed.append(error)
        finally:
            news.put(False)

    signal.signal(signal.SIGHUP, lambda *_: news.put(True))
    threading.Thread(target=running, name="answering", daemon=True).start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    while _wanted(news):
        renewed(renew)
    if failed:
        raise failed[0]


def _wanted(news: SimpleQueue[bool]) -> bool:
    """Wait until a reload is asked for; False when nobody is answered any more. Asked for several times, it is one."""
    wanted = news.get()
    while not news.empty():
        wanted = news.get() and wanted
    return wanted


def _ready(name: str, threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()  # not sooner: while the socket is made, the umask of the whole process is a narrow one
    log.info("listening on %s", name)
    sd_notify("READY=1")


def report(problems: Sequence[str], in_order: str, warnings: Sequence[str] = ()) -> int:
    """Say what a check found; return the exit status, which *warnings* don't change."""
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)
    for problem in problems:
        click.echo(problem, err=True)
    if not problems:
        click.echo(in_order)
    return EX_CONFIG if problems else 0
