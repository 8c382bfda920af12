"""Stand-alone mode's callbacks: what leaves our domains is taken in, what comes to them passes untouched.

A mail without recipients outside is accepted at DATA: its body never crosses the socket.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import Milter

from messenger import message
from messenger.envelope import Envelope
from messenger.gateway.decision import outside
from messenger.message.origin import origin

from . import connection
from .connection import Context, Load, is_path, text
from .intake import Outcome
from .parties import Network, address_of, comes_from
from .verdicts import DELIVERED_HERE, KEPT, LOOP, REFUSED, UNDELIVERABLE, UNTOUCHED, Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Border:
    """Which mail is taken in."""

    #: In A-labels and lower case.
    own_domains: frozenset[str]
    #: Messenger's notices, PDFs and replies come from there, and what answers them goes there.
    own_addresses: frozenset[str]
    #: Where Messenger's mail comes from, if it gets here at all.
    hosts: tuple[Network, ...]

    def taken(self, mail_from: str, rcpt_tos: Iterable[str], client: str | None) -> tuple[str, ...]:
        """Return those of *rcpt_tos* who get the mail as webmail. All are as ``address_of`` gives them."""
        if mail_from in self.own_addresses and comes_from(client, self.hosts):
            return ()
        return tuple(
            address for address in rcpt_tos if address not in self.own_addresses and outside(address, self.own_domains)
        )


@dataclass(frozen=True)
class Intake:
    """What a connection needs to know."""

    border: Border
    size_limit: int
    take_in: Callable[[Envelope, bytes, Callable[[], object]], Outcome]
    #: Hands a mail to Postfix anew, for those who get it as it is.
    submit: Callable[[bytes, str, Sequence[str]], None]
    load: Load


class Connection(connection.Connection):
    """One SMTP connection by which mail would leave."""

    ACTIONS: int = Milter.DELRCPT
    PROTOCOL: int = (
        Milter.P_NR_CONN
        | Milter.P_NR_MAIL
        | Milter.P_NR_RCPT
        | Milter.P_NR_HDR
        | Milter.P_HDR_LEADSPC
        | Milter.P_NOHELO
        | Milter.P_NOUNKNOWN
        | Milter.P_NR_EOH
    )

    def __init__(self, context: Context, intake: Intake) -> None:
        super().__init__(context, intake.size_limit, intake.load)
        self._intake = intake

    def _forget(self) -> None:
        super()._forget()
        #: By address in its one spelling: the spellings that the client used.
        self._given: dict[str, list[bytes]] = {}
        self._taken_in: tuple[str, ...] = ()

    def _concerns_us(self) -> bool:
        for given in self._rcpt_tos:
            self._given.setdefault(address_of(given), []).append(given)
        self._taken_in = self._intake.border.taken(address_of(self._mail_from), self._given, self._client)
        return bool(self._taken_in)

    def _conclude(self) -> Verdict:
        raw = self._taken()
        mail_from = address_of(self._mail_from)
        found = origin(raw)
        if found.report and not mail_from:
            log.info("%s: passed: a report about another mail, from nobody", self.queue_id)
            return UNTOUCHED
        if found.automatic and self._intake.border.own_addresses & {mail_from, message.sender(raw).address}:
            # Taken in, it would be announced by a notice, which would come back as well.
            log.warning(
                "%s: mail of our own has come back: send it elsewhere, or name the host in [gateway] messenger_hosts",
                self.queue_id,
            )
            return LOOP
        envelope = Envelope(mail_from, self._taken_in, self.queue_id)
        verdict = self._intake.take_in(envelope, raw, self._progress).verdict
        if verdict == KEPT and len(self._taken_in) < len(self._given):
            # DISCARD would drop the mail for our own people too.
            if not all(map(is_path, self._rcpt_tos)):
                # Mail by sendmail(1): cleanup(8) rewrites a recipient, and deletes by what it was before.
                rest = [text(given) for given in dict.fromkeys(self._rcpt_tos) if self._stays(given)]
                self._intake.submit(raw, text(self._mail_from), rest)
                return KEPT
            self._delete(given for address in self._taken_in for given in self._given[address])
            return DELIVERED_HERE
        # Who hears this is our own mail server: it may know what its user has to mend.
        return UNDELIVERABLE if verdict == REFUSED else verdict

    def _stays(self, given: bytes) -> bool:
        return address_of(given) not in self._taken_in


def run(intake: Callable[[], Intake], name: str, ready: Callable[[], None]) -> None:
    """Answer Postfix on the socket *name* until SIGTERM or SIGINT (``connection.run``), with the *intake* of now."""
    connection.run(name, "messenger-milter", lambda context: Connection(context, intake()), ready)
