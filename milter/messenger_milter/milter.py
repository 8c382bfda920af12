"""The milter's callbacks: collect what is ours, let all else pass unseen, turn an Outcome into Postfix's answer.

Mail without the webmail recipient is accepted at DATA: its body never crosses the socket and no header is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import Milter

from messenger.envelope import AddressError, Envelope, normal

from . import connection
from .connection import Context, Load, text
from .intake import Outcome
from .verdicts import DELIVERED_HERE, KEPT, Verdict


class TunnelAddresses:
    """The webmail recipient and its aliases; knows each of them in any spelling an SMTP client may choose."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._known = frozenset(normal(address) for address in addresses)
        self._plain = frozenset(address.encode() for address in self._known)

    def __contains__(self, given: bytes) -> bool:
        plain = given.strip(b"<> ").lower()
        if plain in self._plain:
            return True
        if plain.isascii() and not any(sign in plain for sign in (b'"', b":", b".>")) and plain[-1:] != b".":
            return False  # nearly all mail: decided without parsing
        try:
            # A source route (RFC 5321, appendix C) and a domain's last dot are dropped by Postfix too.
            route_less = plain.rpartition(b":")[2] if plain.startswith(b"@") else plain
            return normal(route_less.rstrip(b".").decode()) in self._known
        except (AddressError, UnicodeDecodeError):
            return False


@dataclass(frozen=True)
class Intake:
    """What a connection needs to know."""

    addresses: TunnelAddresses
    size_limit: int
    take_in: Callable[[Envelope, bytes, Callable[[], object]], Outcome]
    load: Load = field(default_factory=Load)


class Connection(connection.Connection):
    """One SMTP connection to where tunnel mail comes in."""

    ACTIONS: int = Milter.DELRCPT
    # The end of the header too: to a body that comes after neither header nor its end, libmilter says nothing at all.
    PROTOCOL: int = (
        Milter.P_NR_MAIL
        | Milter.P_NR_RCPT
        | Milter.P_NR_HDR
        | Milter.P_HDR_LEADSPC
        | Milter.P_NOCONNECT
        | Milter.P_NOHELO
        | Milter.P_NOUNKNOWN
        | Milter.P_NR_EOH
    )

    def __init__(self, context: Context, intake: Intake) -> None:
        super().__init__(context, intake.size_limit, intake.load)
        self._intake = intake

    def _forget(self) -> None:
        super()._forget()
        self._tunnel_rcpts: list[bytes] = []

    def _concerns_us(self) -> bool:
        self._tunnel_rcpts = [rcpt for rcpt in self._rcpt_tos if rcpt in self._intake.addresses]
        return bool(self._tunnel_rcpts)

    def _conclude(self) -> Verdict:
        envelope = Envelope(text(self._mail_from), tuple(map(text, self._rcpt_tos)), self.queue_id)
        verdict = self._intake.take_in(envelope, self._taken(), self._progress).verdict
        if verdict == KEPT and len(self._tunnel_rcpts) < len(self._rcpt_tos):
            # DISCARD would drop the mail for the others too.
            self._delete(self._tunnel_rcpts)
            return DELIVERED_HERE
        return verdict


def run(intake: Callable[[], Intake], name: str, ready: Callable[[], None]) -> None:
    """Answer Postfix on the socket *name* until SIGTERM or SIGINT (``connection.run``), with the *intake* of now."""
    connection.run(name, "messenger-milter", lambda context: Connection(context, intake()), ready)
