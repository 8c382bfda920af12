"""What messenger-pdfotp tells Prometheus: what became of each try, how long it took, and what waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

from messenger import metrics

from .work import Bench

if TYPE_CHECKING:
    from messenger.config import Config


Watch = Callable[[Bench], Bench]


def watch(config: Config, now: Callable[[], Config]) -> Watch:
    """Answer Prometheus where the settings want it; return what counts all that is done at a bench.

    *now* gives the settings as they were read last.
    """
    port = metrics.open_port(config.metrics.listen, "pdfotp") if config.metrics.listen else None
    if port is None:
        return lambda bench: bench
    registry = CollectorRegistry()
    look_up(config, now, registry)
    metrics.answering(port, registry).start()
    return counting(registry)


def look_up(config: Config, now: Callable[[], Config], registry: CollectorRegistry) -> None:
    """Show what needn't be counted because it can be looked at."""
    folders = {state: config.pdf.spool / folder for state, folder in (("waiting", "new"), ("failed", "failed"))}
    depths = {state: lambda folder=folder: metrics.files_in(folder) for state, folder in folders.items()}
    registry.register(metrics.Gauges("messenger_pdf_spool", "Mails in the PDF spool", "state", lambda: depths))
    metrics.certificates(registry, lambda: {"pdf.sign_certificate": now().pdf.sign_certificate})


def counting(registry: CollectorRegistry) -> Watch:
    """Return what has each try at a bench counted and timed."""
    tries = Counter("messenger_pdfs", "Tries to send a PDF by what became of them", ["state"], registry=registry)
    seconds = Histogram("messenger_pdf_seconds", "Making and sending a PDF", buckets=metrics.SLOW, registry=registry)
    return lambda bench: replace(bench, count=lambda state: tries.labels(state).inc(), timed=seconds.time)
