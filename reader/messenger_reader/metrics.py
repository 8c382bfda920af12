"""What the reader counts for Prometheus: pages, log-ins, sign-ups. Read off the answers, so no page knows of it.

gunicorn's processes count into files of one folder, and whichever of them is asked adds all up. A page is named by its
route, never by its address, which may hold a token or a message's name.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request, request_finished, request_started
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector

from messenger import metrics

from .receipt_spool import DUE

if TYPE_CHECKING:
    from messenger.config import Config

#: What prometheus_client takes the folder from.
VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
LOG_IN_STEPS = {"account.login_with": "password", "account.code_given": "code"}
SIGN_UP = "signup.sign_up"
SIGN_UPS = {303: "accepted", 409: "has-account", 410: "dead-link"}
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Shared:
    """What the processes of one reader have in common: the port that is asked, the folder they count into."""

    port: socket.socket
    folder: Path

    def install(self, app: Flask, config: Config) -> None:
        """Count in this process, and answer for all of them."""
        os.environ[VARIABLE] = str(self.folder)
        values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self.folder))  # type: ignore[no-untyped-call]
        count(app, None)
        look_up(config, registry)
        metrics.answering(self.port, registry).start()

    def close(self) -> None:
        """At the end of the last process."""
        self.port.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def shared(listen: str) -> Shared | None:
    """Open the port of the settings, before the processes part; None where none is wanted, or to be had."""
    port = metrics.open_port(listen, "reader") if listen else None
    return Shared(port, Path(tempfile.mkdtemp(prefix="messenger-reader-metrics-"))) if port else None


def look_up(config: Config, registry: CollectorRegistry) -> None:
    """Show what needn't be counted because it can be looked at."""
    due = config.mail.root / DUE
    words = "Read receipts that wait to be sent"
    waiting = {"waiting": lambda: metrics.files_in(due)}
    registry.register(metrics.Gauges("messenger_receipts", words, "state", lambda: waiting))
    reply = config.reply
    paths = metrics.numbered("reply.encrypt_to", reply.encrypt_to)
    metrics.certificates(registry, lambda: {"reply.sign_certificate": reply.sign_certificate, **paths})


def count(app: Flask, registry: CollectorRegistry | None) -> None:
    """Count what *app* answers from now on."""
    labels = ["route", "method", "status"]
    pages = Counter("messenger_pages", "Pages by route, method and status", labels, registry=registry)
    seconds = Histogram(
        "messenger_page_seconds", "From a request to the head of its answer", buckets=BUCKETS, registry=registry
    )
    log_ins = Counter(
        "messenger_log_ins", "Log-ins by step (password, code) and outcome", ["step", "outcome"], registry=registry
    )
    sign_ups = Counter("messenger_sign_ups", "Sign-ups by outcome", ["outcome"], registry=registry)

    def begin(_: Flask) -> None:
        g.begun = perf_counter()

    def end(_: Flask, response: Response) -> None:
        rule, status = request.url_rule, response.status_code
        method = request.method if request.method in METHODS else "other"
        pages.labels(rule.rule if rule else "none", method, status).inc()
        seconds.observe(perf_counter() - g.begun)
        if step := LOG_IN_STEPS.get(request.endpoint or ""):
            log_ins.labels(step, _log_in(status)).inc()
        elif request.endpoint == SIGN_UP:
            sign_ups.labels(SIGN_UPS.get(status, "refused")).inc()

    request_started.connect(begin, app, weak=False)
    request_finished.connect(end, app, weak=False)


def _log_in(status: int) -> str:
    if status == 429:
        return "slowed"
    return "accepted" if status == 303 and g.get("session") else "refused"
