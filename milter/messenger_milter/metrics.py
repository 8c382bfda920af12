"""What the two milters tell Prometheus: mails by what became of them, how long each step took, who was told.

Wraps what they work with; the intake and the gateway count nothing themselves. Without the setting nothing is wrapped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from messenger import metrics
from messenger.envelope import Envelope
from messenger.gateway.values import Decision, Seen
from messenger.tunnel import TunnelMail

from .connection import Load
from .gateway import Outcome as Carried
from .gateway_milter import Gateway
from .intake import Desk, Outcome
from .verdicts import KEPT, REFUSED

if TYPE_CHECKING:
    from pathlib import Path

    from messenger.config import Config

OBSERVED = "observed"
Tell = Callable[[str, TunnelMail], bool]
Take = Callable[[Envelope, bytes, Callable[[], object]], Outcome]


@dataclass(frozen=True)
class Watched:
    """What the intake works with, all of it counted if the settings want that."""

    desk: Desk
    #: Sends the notices that were held back, as their hours end; returns how many.
    tell_held: Callable[[], int]
    counted: Callable[[Outcome], Outcome] = lambda outcome: outcome


Watch = Callable[[Desk, Callable[[], int]], Watched]
Watching = Callable[[Gateway], Gateway]
Threads = tuple[threading.Thread, ...]


def watch(config: Config, now: Callable[[], Config], load: Load) -> tuple[Watch, Threads]:
    """Return what counts a desk, each time it is laid out, and what is to be started once signals are seen to.

    *now* gives the settings as they were read last.
    """
    port = metrics.open_port(config.metrics.listen, "milter") if config.metrics.listen else None
    if port is None:
        return Watched, ()
    registry = CollectorRegistry()
    registry.register(Answers(load))

    def paths() -> dict[str, Path]:
        tunnel = now().tunnel
        recipients = metrics.numbered("tunnel.recipient_certificates", tunnel.recipient_certificates)
        return {**recipients, **metrics.numbered("tunnel.sender_certificates", tunnel.sender_certificates)}

    if config.intake.mode == "tunnel":
        metrics.certificates(registry, paths)
    return counting(registry), (metrics.answering(port, registry),)


def counting(registry: CollectorRegistry) -> Watch:
    """Return what counts and times all that is done with a desk."""
    mails = Counter("messenger_mails", "Mails by verdict and reason", ["verdict", "reason"], registry=registry)
    words = "Unwrapping a mail, delivering it to one mailbox, telling one person"
    seconds = Histogram("messenger_mail_seconds", words, ["step"], buckets=metrics.QUICK, registry=registry)
    words = "Notices and orders of PDFs by what became of them"
    notices = Counter("messenger_notices", words, ["kind", "outcome"], registry=registry)

    def told_by(kind: str, tell: Tell) -> Tell:
        def told(address: str, mail: TunnelMail) -> bool:
            outcome = "failed"
            try:
                sent = tell(address, mail)
                outcome = "sent" if sent else "unwanted"
                return sent
            finally:
                notices.labels(kind, outcome).inc()

        return told

    def taken(outcome: Outcome) -> Outcome:
        verdict = {KEPT: "kept", REFUSED: "refused"}.get(outcome.verdict, "later")
        mails.labels(verdict, outcome.reason).inc()
        return outcome

    steps = {step: seconds.labels(step) for step in ("unwrap", "deliver", "tell")}

    def watched(desk: Desk, tell_held: Callable[[], int]) -> Watched:
        def held() -> int:
            told = tell_held()
            notices.labels("notice", "held").inc(told)
            return told

        announce, order = told_by("notice", desk.announce), told_by("pdf", desk.order_pdf)
        own = replace(desk, announce=announce, order_pdf=order, timed=lambda step: steps[step].time())
        return Watched(own, held, taken)

    return watched


def watch_gateway(config: Config, now: Callable[[], Config], load: Load) -> tuple[Watching, Threads]:
    """The same for the gateway."""
    port = metrics.open_port(config.metrics.listen, "gateway") if config.metrics.listen else None
    if port is None:
        return lambda gateway: gateway, ()
    registry = CollectorRegistry()
    registry.register(Answers(load))

    def paths() -> dict[str, Path]:
        own = now().gateway
        return {
            "gateway.sender_certificate": own.sender_certificate,
            "gateway.recipient_certificate": own.recipient_certificate,
        }

    metrics.certificates(registry, paths)
    words = "Recipients of mail that was looked into, by way and outcome"
    recipients = Counter("messenger_gateway_recipients", words, ["way", "outcome"], registry=registry)
    return lambda gateway: _counted_gateway(gateway, recipients), (metrics.answering(port, registry),)


def _counted_gateway(gateway: Gateway, recipients: Counter) -> Gateway:
    """Count the recipients of each mail that *gateway* looks into, by way and by what Postfix was told."""

    def count(decision: Decision, outcome: str) -> None:
        for choice in decision.choices:
            recipients.labels(str(choice.way), outcome).inc()

    def carry_out(envelope: Envelope, seen: Seen, decision: Decision, progress: Callable[[], object]) -> Carried:
        carried = gateway.carry_out(envelope, seen, decision, progress)
        count(decision, carried.verdict.action.value)
        return carried

    def observe(envelope: Envelope, seen: Seen, decision: Decision) -> None:
        count(decision, OBSERVED)
        if gateway.observe:
            gateway.observe(envelope, seen, decision)

    return replace(gateway, carry_out=carry_out, observe=observe if gateway.observe else None)


class Answers(Collector):
    """What Postfix was told, as *load* counts it anyway."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily("messenger_answers", "Mails by what Postfix was told", labels=["answer"])
        for answer, number in dict(self._load.verdicts).items():
            family.add_metric([answer], number)
        yield family
