"""The gateway's callbacks: look at mail that leaves our domains, and at no other; carry out what was decided.

A mail to our own domains is accepted at DATA, one that no rule flags at the end of its header: its body never crosses
the socket. In the mode ``observe`` nothing is ever changed, refused or asked to come again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.header import Header

import Milter

from messenger.envelope import Envelope
from messenger.gateway import subject
from messenger.gateway.decision import outside
from messenger.gateway.values import Decision, Seen, Way

from . import connection
from .connection import ACCEPT, CONTINUE, Context, Load, guarded, guarded_without_reply, is_path, text
from .gateway import GONE, PASSED, Outcome
from .gateway_copies import HANDED, with_subject
from .parties import Network, address_of, comes_from
from .verdicts import Verdict

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Border:
    """Which mail is looked at."""

    own_domains: frozenset[str]
    #: Where tunnel mail goes: mail to one of these is one.
    webmail_recipients: Callable[[], frozenset[str]]
    #: Senders of notices, receipts, PDFs and tunnel mails, believed when they come from ``hosts``.
    senders: Callable[[], frozenset[str]]
    hosts: tuple[Network, ...]

    def candidates(
        self, mail_from: str, rcpt_tos: Sequence[str], client: str | None, authenticated: bool = False
    ) -> tuple[str, ...]:
        """Return those of *rcpt_tos* whose copy may have to be protected. All are as ``address_of`` gives them."""
        # A mail system doesn't log in, and Messenger doesn't: a person does, maybe by a web mail program on its host.
        if not authenticated and (not mail_from or (mail_from in self.senders() and comes_from(client, self.hosts))):
            return ()
        webmail = self.webmail_recipients()
        return tuple(
            address
            for address in dict.fromkeys(rcpt_tos)
            if address not in webmail and outside(address, self.own_domains)
        )


@dataclass(frozen=True)
class Gateway:
    """What a connection needs to know."""

    border: Border
    size_limit: int
    decide: Callable[[Seen], Decision]
    carry_out: Callable[[Envelope, Seen, Decision, Callable[[], object]], Outcome]
    #: Puts a mail into Postfix's queue; raises a temporary error.
    submit: Callable[[bytes, str, Sequence[str]], None]
    #: Called for each mail that was decided about where nothing may be changed; None: mail is changed.
    observe: Callable[[Envelope, Seen, Decision], None] | None = None
    #: Keeps certificates of signed mail that comes in; None: nobody asks for that.
    harvest: Callable[[Seen], None] | None = None
    load: Load = field(default_factory=Load)


class Connection(connection.Connection):
    """One SMTP connection on which mail may leave."""

    ACTIONS: int = Milter.DELRCPT | Milter.CHGHDRS
    PROTOCOL: int = (
        Milter.P_NR_CONN
        | Milter.P_NR_MAIL
        | Milter.P_NR_RCPT
        | Milter.P_NR_HDR
        | Milter.P_HDR_LEADSPC
        | Milter.P_NOHELO
        | Milter.P_NOUNKNOWN
    )

    def __init__(self, context: Context, gateway: Gateway) -> None:
        super().__init__(context, gateway.size_limit, gateway.load)
        self._gateway = gateway

    def _forget(self) -> None:
        super()._forget()
        self._headers: list[tuple[str, bytes]] = []
        self._authenticated = False
        #: By address in its one spelling: the spellings that the client used.
        self._given: dict[str, list[bytes]] = {}
        self._candidates: tuple[str, ...] = ()

    @guarded_without_reply
    def envfrom(self, mail_from: bytes, *_parameters: bytes) -> None:
        """MAIL FROM: a new mail begins; Postfix says here whether its client has logged in."""
        self._begin(mail_from)
        self._authenticated = bool(self._macro("{auth_type}") or self._macro("{auth_authen}"))

    @guarded_without_reply
    def header(self, name: str, value: bytes) -> None:
        """One header field: kept apart for the rules, and with the others for the copies."""
        plain = value.replace(b"\r\n", b"\n")
        space = b"" if self._protocol & Milter.P_HDR_LEADSPC else b" "
        field_name = name.encode("ascii", "surrogateescape")
        if self._collect_field(field_name + b":" + space + plain.replace(b"\n", b"\r\n") + b"\r\n"):
            self._headers.append((name, plain.replace(b"\n", b"").strip(b" \t")))

    @guarded
    def eoh(self) -> int:
        """The header is whole: for most mail that is enough."""
        if not self._decided and (answer := self._decide()) != CONTINUE:
            return answer
        if self._refusal is not None:
            return self._answer(self._refusal)
        if not self._candidates:
            return CONTINUE if self._signed() else self._pass()
        seen = self._seen(None)
        decision = self._gateway.decide(seen)
        if decision.needs_body or decision.remove or any(one.way is not Way.CLEAR for one in decision.choices):
            return CONTINUE
        if seen.values(HANDED):
            return CONTINUE  # the filter's work is to be seen
        if self._gateway.observe:
            self._gateway.observe(self._envelope(), seen, decision)
        return self._pass()

    def _concerns_us(self) -> bool:
        for given in self._rcpt_tos:
            self._given.setdefault(address_of(given), []).append(given)
        border = self._gateway.border
        self._candidates = border.candidates(
            address_of(self._mail_from), tuple(self._given), self._client, self._authenticated
        )
        return bool(self._candidates) or self._gateway.harvest is not None

    def _conclude(self) -> Verdict:
        raw = self._taken()
        if not self._candidates:
            if self._gateway.harvest:
                self._gateway.harvest(self._seen(raw))
            return PASSED
        seen = self._seen(raw)
        decision = self._gateway.decide(seen)
        if self._gateway.observe:
            self._gateway.observe(self._envelope(), seen, decision)
            return PASSED
        outcome = self._gateway.carry_out(self._envelope(), seen, decision, self._progress)
        if outcome.verdict is not PASSED:
            return outcome.verdict
        if outcome.taken and not all(map(is_path, self._rcpt_tos)):
            self._hand_on(raw, outcome)
            return GONE
        self._edit(outcome)
        return PASSED

    def _hand_on(self, raw: bytes, outcome: Outcome) -> None:
        """Send the mail anew to those who may have it as it is, for want of a way to take the others off it.

        Of mail by sendmail(1) cleanup(8) tells us recipients as it rewrote them, and deletes by what they were before:
        "ann@example.org." or a source route would stay, and get the mail in clear.
        """
        rest = [text(given) for given in dict.fromkeys(self._rcpt_tos) if address_of(given) not in outcome.taken]
        mail = raw if outcome.subject is None else with_subject(raw, outcome.subject)
        self._gateway.submit(mail, text(self._mail_from), rest)
        log.info("%s: gateway: handed on to %d recipients", self.queue_id, len(rest))

    def _edit(self, outcome: Outcome) -> None:
        self._delete(given for address in outcome.taken for given in self._given[address])
        if outcome.subject is not None:
            space = " " if self._protocol & Milter.P_HDR_LEADSPC else ""
            self._context.chgheader("Subject", 1, space + _settable(outcome.subject))

    def _answer(self, verdict: Verdict) -> int:
        """Who only observes stands in nobody's way, whatever went wrong."""
        return self._pass() if self._gateway.observe else super()._answer(verdict)

    def _pass(self) -> int:
        self._load.verdicts["passed"] += 1
        self._forget()
        return ACCEPT

    def _signed(self) -> bool:
        """Whether a mail that comes in says that it is signed; what doesn't crosses no further."""
        kinds = [value.lower() for name, value in self._headers if name.lower() == "content-type"]
        return self._gateway.harvest is not None and any(
            kind.startswith((b"multipart/signed", b"application/pkcs7-mime", b"application/x-pkcs7-mime"))
            for kind in kinds
        )

    def _envelope(self) -> Envelope:
        return Envelope(address_of(self._mail_from), tuple(self._given), self.queue_id)

    def _seen(self, raw: bytes | None) -> Seen:
        return Seen(
            mail_from=address_of(self._mail_from),
            rcpt_tos=self._candidates or tuple(self._given),
            headers=tuple(self._headers),
            authenticated=self._authenticated,
            raw=raw,
        )


def _settable(value: bytes) -> str:
    """A subject as pymilter takes it: what isn't UTF-8 in encoded words (RFC 2047)."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Header(subject.text(value), "utf-8").encode(linesep="\n")


def run(gateway: Callable[[], Gateway], name: str, ready: Callable[[], None]) -> None:
    """Answer Postfix on the socket *name* until SIGTERM or SIGINT (``connection.run``), with the *gateway* of now."""
    connection.run(name, "messenger-gateway", lambda context: Connection(context, gateway()), ready)
