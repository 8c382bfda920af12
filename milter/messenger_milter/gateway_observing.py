"""What the gateway notes beside its work: what it would have done, and certificates of signed mail that comes in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from messenger import chain
from messenger.config import Config
from messenger.envelope import Envelope
from messenger.gateway import harvest, observed
from messenger.gateway.values import Decision, Seen

from .verdicts import one_line

log = logging.getLogger(__name__)


class Observer:
    """Appends a line for each mail that was decided about."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, envelope: Envelope, seen: Seen, decision: Decision) -> None:
        """Write down what would have been done; a full disk is a line in the log, and no more."""
        line = observed.line(time.time(), envelope.queue_id, seen.mail_from, decision.choices)
        log.info("%s: gateway: observed: %s", envelope.queue_id, one_line(", ".join(_words(decision))))
        try:
            observed.append(self._path, line)
        except OSError as error:
            log.warning("%s: gateway: %s: %s", envelope.queue_id, self._path, error.strerror)


def _words(decision: Decision) -> list[str]:
    return sorted({f"{choice.way}" for choice in decision.choices})


def harvester(config: Config) -> Callable[[Seen], None]:
    """Lay out what keeps certificates of signed mail; whatever goes wrong there is no matter of the mail's."""
    section = config.gateway
    roots = chain.load_roots(section.trusted_roots)

    def keep(seen: Seen) -> None:
        try:
            if seen.raw is not None and section.certificates is not None:
                harvest.keep(seen.raw, section.certificates, roots, datetime.now(UTC))
        except Exception as error:
            log.warning("gateway: no certificate kept: %s", one_line(error))

    return keep
