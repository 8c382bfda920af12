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
    from messenger.config import Config

OBSERVED = "observed"
Tell = Callable[[str, TunnelMail], bool]
Take = Callable[[Envelope, bytes, Callable[[], object]], Outcome]


@dataclass(frozen=True)
class Watched:
    """What the intake works with, and what is to be started once signals are seen to."""

    desk: Desk
    #: Sends the notices that were held back, as their hours end; returns how many.
    tell_held: Callable[[], int]
    counted: Callable[[Outcome], Outcome] = lambda outcome: outcome
    threads: tuple[threading.Thread, ...] = ()


def watched(config: Config, desk: Desk, tell_held: Callable[[], int], load: Load) -> Watched:
    """Return what the intake works with, all of it counted if the settings want that."""
    port = metrics.open_port(config.metrics.listen, "milter") if config.metrics.listen else None
    if port is None:
        return Watched(desk, tell_held)
    registry = CollectorRegistry()
    registry.register(Answers(load))
    if config.intake.mode == "tunnel":
        recipients = metrics.numbered("tunnel.recipient_certificates", config.tunnel.recipient_certificates)
        senders = metrics.numbered("tunnel.sender_certificates", config.tunnel.sender_certificates)
        metrics.certificates(registry, {**recipients, **senders})
    found = counted(desk, tell_held, registry)
    return replace(found, threads=(metrics.answering(port, registry),))


def counted(desk: Desk, tell_held: Callable[[], int], registry: CollectorRegistry) -> Watched:
    """Count and time what is done with *desk*."""
    mails = Counter("messenger_mails", "Mails by verdict and reason", ["verdict", "reason"], registry=registry)
    words = "Unwrapping a mail, delivering it to one mailbox, telling one person"
    seconds = Histogram("messenger_mail_seconds", words, ["step"], buckets=metrics.QUICK, registry=registry)
    words = "Notices and orders of PDFs by what became of them"
    notices = Counter("messenger_notices", words, ["kind", "outcome"], registry=registry)

    def counting(kind: str, tell: Tell) -> Tell:
        def told(address: str, mail: TunnelMail) -> bool:
            outcome = "failed"
            try:
                sent = tell(address, mail)
                outcome = "sent" if sent else "unwanted"
                return sent
            finally:
                notices.labels(kind, outcome).inc()

        return told

    def held() -> int:
        told = tell_held()
        notices.labels("notice", "held").inc(told)
        return told

    def taken(outcome: Outcome) -> Outcome:
        verdict = {KEPT: "kept", REFUSED: "refused"}.get(outcome.verdict, "later")
        mails.labels(verdict, outcome.reason).inc()
        return outcome

    steps = {step: seconds.labels(step) for step in ("unwrap", "deliver", "tell")}
    announce, order = counting("notice", desk.announce), counting("pdf", desk.order_pdf)
    own = replace(desk, announce=announce, order_pdf=order, timed=lambda step: steps[step].time())
    return Watched(own, held, taken)


def watched_gateway(config: Config, gateway: Gateway) -> tuple[Gateway, tuple[threading.Thread, ...]]:
    """The same for the gateway."""
    port = metrics.open_port(config.metrics.listen, "gateway") if config.metrics.listen else None
    if port is None:
        return gateway, ()
    registry = CollectorRegistry()
    registry.register(Answers(gateway.load))
    own = config.gateway
    pair = {"sender_certificate": own.sender_certificate, "recipient_certificate": own.recipient_certificate}
    metrics.certificates(registry, {f"gateway.{name}": path for name, path in pair.items()})
    return counted_gateway(gateway, registry), (metrics.answering(port, registry),)


def counted_gateway(gateway: Gateway, registry: CollectorRegistry) -> Gateway:
    """Count the recipients of each mail that *gateway* looks into, by way and by what Postfix was told."""
    words = "Recipients of mail that was looked into, by way and outcome"
    recipients = Counter("messenger_gateway_recipients", words, ["way", "outcome"], registry=registry)

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
