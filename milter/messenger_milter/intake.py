"""Take one mail in, by the tunnel or without: open it, deliver it to each recipient, tell them, remember that.

Holds no socket, no clock and no settings: values in, an Outcome out. A crash at any point and a retry leave one
copy in each mailbox and at least one notice for each recipient.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from messenger import pdf_record
from messenger.envelope import Envelope, normal
from messenger.errors import MessengerError
from messenger.mailbox import Mailbox, Usage
from messenger.tunnel import TunnelMail

from .fullness import Fullness
from .ledger import BEGUN, DELIVERED, FULL, Ledger
from .pdf_orders import OPTION
from .verdicts import KEPT, LATER, REFUSED, Verdict, one_line

log = logging.getLogger(__name__)

#: More names than these make a log line nobody reads.
LOGGED_RECIPIENTS = 10

#: Each failing notice may take as long as its submission's patience; a mail for hundreds must not take hours.
FAILED_NOTICES = 3


@dataclass(frozen=True)
class Outcome:
    """What became of one tunnel mail."""

    verdict: Verdict
    #: Who found new mail in the mailbox by this attempt.
    delivered: tuple[str, ...] = ()
    #: Who was sent a notice by this attempt: a retry announces what an earlier attempt could only deliver.
    announced: tuple[str, ...] = ()
    #: Who was sent none by this attempt because that person wants none, or none just now.
    unannounced: tuple[str, ...] = ()
    #: In whose mailbox there was no room for it; sender and owner were told, and no retry delivers it.
    full: tuple[str, ...] = ()
    #: The kind of the first error, where there was one.
    reason: str = field(default="", compare=False)


@dataclass(frozen=True)
class Desk:
    """What the intake works with; ``service.py`` lays it out from the settings."""

    unwrap: Callable[[Envelope, bytes], TunnelMail]
    mailbox_of: Callable[[str], Mailbox]
    #: Sends one recipient the notice of one mail; returns True when Postfix's queue has it, False when that person
    #: wants none, or none just now.
    announce: Callable[[str, TunnelMail], bool]
    #: Orders the PDF of one mail for one recipient, on disk when it returns True.
    order_pdf: Callable[[str, TunnelMail], bool]
    ledger: Ledger
    #: Where mailboxes have a quota.
    fullness: Fullness | None = None
    #: Held while a mail is unwrapped, delivered to one mailbox, or one person told: "unwrap", "deliver", "tell".
    timed: Callable[[str], AbstractContextManager[object]] = lambda _: nullcontext()


def take_in(envelope: Envelope, raw: bytes, desk: Desk, progress: Callable[[], object] = lambda: None) -> Outcome:
    """Unwrap one tunnel mail, deliver it to each of its recipients and tell them.

    *progress* is called between steps, so that a mail with many recipients doesn't look like one that hangs.
    """
    size = len(raw)
    try:
        with desk.timed("unwrap"):
            mail = desk.unwrap(envelope, raw)
        del raw  # a large mail needn't be held twice
        # Every mailbox is known before the first one is served: no half-refused mail.
        mailboxes = {normal(address): desk.mailbox_of(address) for address in mail.rcpt_tos}
    except MessengerError as error:
        log.warning("%s: %s: %s", envelope.queue_id, type(error).__name__, one_line(error))
        return Outcome(LATER if error.temporary else REFUSED, reason=type(error).__name__)
    if not mailboxes:
        log.warning("%s: the mail names no recipient", envelope.queue_id)
        return Outcome(REFUSED, reason="NoRecipient")
    try:
        with desk.ledger.turn(mail.digest):
            outcome = _serve(envelope, mail, mailboxes, desk, progress)
    except MessengerError as error:
        log.warning("%s: %s: %s", envelope.queue_id, type(error).__name__, one_line(error))
        return Outcome(LATER, reason=type(error).__name__)
    _log(envelope, mail, size, outcome, len(mailboxes))
    return outcome


def _serve(
    envelope: Envelope,
    mail: TunnelMail,
    mailboxes: dict[str, Mailbox],
    desk: Desk,
    progress: Callable[[], object],
) -> Outcome:
    """Deliver to all who were not told of this mail before, then tell them. One who fails keeps nobody waiting."""
    as_pdf = OPTION in mail.options
    folder = pdf_record.MAIL_FOLDER if as_pdf else ""
    delivered: list[str] = []
    announced: list[str] = []
    unannounced: list[str] = []
    failed: list[Exception] = []

    def attempt(step: Callable[[str], None], address: str) -> None:
        try:
            step(address)
        except Exception as error:  # what one mailbox or notice suffers must not stop the others
            failed.append(error)
            expected = isinstance(error, MessengerError)
            log.warning(
                "%s: %s for %s: %s",
                envelope.queue_id,
                type(error).__name__,
                address,
                one_line(error),
                exc_info=None if expected else error,
            )
        finally:
            progress()

    def deliver(address: str) -> None:
        # An entry outlives the mail: what the person has deleted doesn't come back with a replay.
        if desk.ledger.has(mail.digest, address):
            return
        if desk.ledger.has(mail.digest, address, DELIVERED):
            waiting.append(address)
            return
        mailbox, raw = mailboxes[address], with_trace(mail, address)
        # Nor what an attempt that broke off has delivered, and the person moved to where a delivery doesn't look.
        if desk.ledger.has(mail.digest, address, BEGUN) and mailbox.find(mail.digest, mailbox.folders()) is not None:
            desk.ledger.begin(mail.digest, address, DELIVERED, BEGUN)
            waiting.append(address)
            return
        before = desk.fullness.usage(mailbox) if desk.fullness else None
        # What filled the mailbox up is found there by its own retry.
        if before and not before.has_room(len(raw)) and not mailbox.has(mail.digest, folder):
            full[address] = (mailbox, before)
            return
        desk.ledger.begin(mail.digest, address, BEGUN)
        with desk.timed("deliver"):
            new = mailbox.deliver(raw, mail.digest, folder, "S" if as_pdf else "")
        if new:
            delivered.append(address)
            if desk.fullness and before:
                desk.fullness.tell_owner(address, mailbox, before, len(raw))
        desk.ledger.begin(mail.digest, address, DELIVERED, BEGUN)
        waiting.append(address)

    def turn_away(_: str) -> None:
        for address in full:
            desk.ledger.begin(mail.digest, address, FULL, BEGUN)
        if desk.fullness:
            desk.fullness.turn_away(mail, full)
        for address in full:
            desk.ledger.enter(mail.digest, address, FULL)

    def announce(address: str) -> None:
        # Who gets a PDF gets no notice: the PDF's mail says what a notice would.
        with desk.timed("tell"):
            told = desk.order_pdf(address, mail) if as_pdf else desk.announce(address, mail)
        (announced if told else unannounced).append(address)
        # Last of all: until it stands, a retry sends the notice again rather than never.
        desk.ledger.enter(mail.digest, address, DELIVERED)

    waiting: list[str] = []
    full: dict[str, tuple[Mailbox, Usage]] = {}
    for address in mailboxes:
        attempt(deliver, address)
    if full:
        attempt(turn_away, next(iter(full)))
    could_deliver = len(failed)
    for address in waiting:
        if len(failed) - could_deliver >= FAILED_NOTICES:
            break  # nobody takes notices now; the retry goes on from here
        attempt(announce, address)
    verdict = LATER if failed else KEPT
    reason = type(failed[0]).__name__ if failed else ""
    return Outcome(verdict, tuple(delivered), tuple(announced), tuple(unannounced), tuple(full), reason)


def with_trace(mail: TunnelMail, address: str) -> bytes:
    """The mail as it lies in the mailbox: three trace fields on top, then the original byte for byte.

    RFC 5321, section 4.4, asks final delivery for Return-Path. Always the same three in the same order, so that a
    reader who believes the first three lines and nothing below can't be fooled by an original that has them too.
    The bytes depend on the mail and the recipient alone: a retry writes the same file.
    """
    options = ", ".join(sorted(mail.options)) or "none"
    trace = (
        f"Return-Path: <{mail.mail_from}>",
        f"X-Webmail-Options: {options}",
        f"Delivered-To: {address}",
    )
    first_line = mail.raw[: mail.raw.find(b"\n") + 1]
    line_end = b"\r\n" if first_line.endswith(b"\r\n") else b"\n"
    return b"".join(line.encode() + line_end for line in trace) + mail.raw


def _log(envelope: Envelope, mail: TunnelMail, size: int, outcome: Outcome, recipients: int) -> None:
    names = ", ".join(f"<{address}>" for address in outcome.delivered[:LOGGED_RECIPIENTS])
    log.info(
        "%s: %s: from=<%s> to=[%s] size=%d recipients=%d delivered=%d announced=%d profile=%s signer=%.16s"
        " digest=%.16s%s%s%s",
        envelope.queue_id,
        "kept" if outcome.verdict == KEPT else "later",
        mail.mail_from,
        names,
        size,
        recipients,
        len(outcome.delivered),
        len(outcome.announced),
        mail.profile,
        mail.signer or "-",
        mail.digest,
        f" unannounced={len(outcome.unannounced)}" if outcome.unannounced else "",
        f" full={len(outcome.full)}" if outcome.full else "",
        " pdf" if OPTION in mail.options else "",
    )
