"""Run a milter as a process: hold its socket, answer until told to stop, finish what is in hand, then leave."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence

import click

from messenger.sd_notify import sd_notify

from . import socket_file
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
    threads: Sequence[threading.Thread] = (),
    ended: Callable[[], None] = lambda: None,
) -> int:
    """Call *run* with the socket and what to do when it is open; return the exit status.

    *threads* are started then, and *ended* is called when nothing more comes in and what was in hand is finished.
    """
    # libmilter waits for these in a thread of its own; any thread that left them open would die of them instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    try:
        with socket_file.claimed(name) as milter_name:
            run(milter_name, lambda: _ready(name, threads))
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
