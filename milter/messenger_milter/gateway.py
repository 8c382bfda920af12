"""Do what was decided about one mail that goes out: send protected copies, take their recipients off it, or refuse it.

Holds no socket, no clock and no settings: values in, an Outcome out. Whatever fails is answered 451, and nothing that
must be protected goes on in clear; a retry sends the same tunnel mails again, and Messenger knows them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from messenger.envelope import AddressError, Envelope, normal
from messenger.errors import MessengerError
from messenger.gateway import subject
from messenger.gateway.values import Choice, Decision, Seen, Way

from .gateway_copies import HANDED, Copy, Keys, copies, with_subject
from .verdicts import LATER, Action, Verdict, one_line

log = logging.getLogger(__name__)

PASSED = Verdict(Action.ACCEPT)
GONE = Verdict(Action.DISCARD)
LOOP = Verdict(Action.REJECT, "550 5.4.6 This mail must be encrypted with PGP, and came back from there in clear")
TOO_LARGE_TO_PROTECT = Verdict(Action.REJECT, "552 5.3.4 This mail must be protected, and is too large for that")

#: Ways on which the mail itself goes on.
UNTOUCHED = frozenset({Way.CLEAR, Way.ENCRYPTED})
#: So many addresses fit into a reply that people read.
NAMED = 5


@dataclass(frozen=True)
class Outcome:
    """What became of one mail."""

    verdict: Verdict
    #: Recipients who get a copy of ours instead, as decided about.
    taken: tuple[str, ...] = ()
    #: The subject that the mail itself goes on with; None: as it is.
    subject: bytes | None = None


@dataclass(frozen=True)
class Desk:
    """What the gateway works with; ``gateway_service.py`` lays it out from the settings."""

    keys: Callable[[], Keys]
    #: Puts a mail into Postfix's queue, on disk when it returns; the second hands it to the filter that knows PGP.
    submit: Callable[[bytes, str, Sequence[str]], None]
    to_filter: Callable[[bytes, str, Sequence[str]], None]
    now: Callable[[], datetime]


def carry_out(
    envelope: Envelope, seen: Seen, decision: Decision, desk: Desk, progress: Callable[[], object] = lambda: None
) -> Outcome:
    """Protect the mail for whom it must be, and say what Postfix shall do with the rest. *seen* holds all of it."""
    choices = [_possible(choice) for choice in decision.choices]
    if refused := [choice.recipient for choice in choices if choice.way is Way.REFUSE]:
        outcome = Outcome(_refusal(refused))
    elif seen.values(HANDED) and any(choice.way in (Way.PGP, Way.CLEAR) for choice in choices):
        # Whatever the policy says now: what made it a mail for the filter may have been taken out of its subject.
        outcome = Outcome(LOOP)
    else:
        outcome = _protect(envelope, seen, replace(decision, choices=tuple(choices)), desk, progress)
    _log(envelope, seen, choices, outcome)
    return outcome


def _possible(choice: Choice) -> Choice:
    """Messenger keeps mail for addresses that it can write to, and for no others."""
    if choice.way in (Way.WEBMAIL, Way.PDF):
        try:
            normal(choice.recipient)
        except AddressError:
            return replace(choice, way=Way.REFUSE)
    return choice


def _refusal(recipients: Sequence[str]) -> Verdict:
    names = ", ".join(f"<{one_line(address)}>" for address in recipients[:NAMED])
    more = f" and {len(recipients) - NAMED} more" if len(recipients) > NAMED else ""
    text = f"550 5.7.1 Not sent to anybody: it must be protected, and there is no way to do that for {names}{more}"
    # RFC 5321, 4.5.3.1.5, and libmilter: a reply is ASCII, and % would be read as a format.
    return Verdict(Action.REJECT, text.encode("ascii", "backslashreplace").decode().replace("%", "%%")[:500])


def _protect(envelope: Envelope, seen: Seen, decision: Decision, desk: Desk, progress: Callable[[], object]) -> Outcome:
    raw = seen.raw
    if raw is None:
        raise ValueError("expected the whole mail, found its header alone")
    changed = _without_trigger(seen, decision)
    taken = [choice for choice in decision.choices if choice.way not in UNTOUCHED]
    if taken:
        carried = raw if changed is None else with_subject(raw, changed)
        try:
            for copy in copies(seen, carried, taken, desk.keys(), desk.now()):
                _submit(copy, desk)
                progress()
        except MessengerError as error:
            log.warning("%s: gateway: %s: %s", envelope.queue_id, type(error).__name__, one_line(error))
            return Outcome(_answer_to(error))
    names = tuple(choice.recipient for choice in taken)
    gone = set(envelope.rcpt_tos) <= set(names)
    return Outcome(GONE if gone else PASSED, names, changed)


def _answer_to(error: MessengerError) -> Verdict:
    return TOO_LARGE_TO_PROTECT if getattr(error, "too_large", False) else LATER


def _submit(copy: Copy, desk: Desk) -> None:
    send = desk.to_filter if copy.way is Way.PGP else desk.submit
    send(copy.message, copy.mail_from, copy.rcpt_tos)


def _without_trigger(seen: Seen, decision: Decision) -> bytes | None:
    """The subject without the words that set the rules off; None where nothing changes, or a signature would break."""
    if not decision.remove or seen.values("DKIM-Signature"):
        return None
    subjects = seen.values("Subject")
    if len(subjects) != 1:
        return None
    changed = subject.without(subjects[0], decision.remove)
    return None if changed == subjects[0] else changed


def _log(envelope: Envelope, seen: Seen, choices: Sequence[Choice], outcome: Outcome) -> None:
    ways = Counter(str(choice.way) for choice in choices)
    rules = sorted({rule for choice in choices for rule in choice.rules})
    log.info(
        "%s: gateway: %s: from=<%s> size=%d recipients=%d %s%s",
        envelope.queue_id,
        outcome.verdict.reply[:9] or ("replaced" if outcome.verdict is GONE else "passed"),
        one_line(seen.mail_from),
        len(seen.raw or b""),
        len(choices),
        " ".join(f"{way}={count}" for way, count in sorted(ways.items())),
        "".join(f' rule="{one_line(rule)}"' for rule in rules),
    )
