"""What messenger-pdfotp tells Prometheus: what became of each try, how long it took, and what waits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram

from messenger import metrics

from .work import Bench

if TYPE_CHECKING:
    from messenger.config import Config


def watched(config: Config, bench: Bench) -> Bench:
    """Answer Prometheus where the settings want it; return *bench* with all that is done there counted."""
    port = metrics.open_port(config.metrics.listen, "pdfotp") if config.metrics.listen else None
    if port is None:
        return bench
    registry = CollectorRegistry()
    look_up(config, registry)
    metrics.answering(port, registry).start()
    return counted(bench, registry)


def look_up(config: Config, registry: CollectorRegistry) -> None:
    """Show what needn't be counted because it can be looked at."""
    folders = {state: config.pdf.spool / folder for state, folder in (("waiting", "new"), ("failed", "failed"))}
    depths = {state: lambda folder=folder: metrics.files_in(folder) for state, folder in folders.items()}
    registry.register(metrics.Gauges("messenger_pdf_spool", "Mails in the PDF spool", "state", depths))
    metrics.certificates(registry, {"pdf.sign_certificate": config.pdf.sign_certificate})


def counted(bench: Bench, registry: CollectorRegistry) -> Bench:
    """Return *bench* with each try counted and timed."""
    tries = Counter("messenger_pdfs", "Tries to send a PDF by what became of them", ["state"], registry=registry)
    seconds = Histogram("messenger_pdf_seconds", "Making and sending a PDF", buckets=metrics.SLOW, registry=registry)
    return replace(bench, count=lambda state: tries.labels(state).inc(), timed=seconds.time)
