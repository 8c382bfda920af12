"""What Postfix is told to do with a mail, and the fixed line that its client hears."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Action(enum.Enum):
    """What Postfix is told to do, in the milter protocol's words."""

    DISCARD = "discard"
    TEMPFAIL = "tempfail"
    REJECT = "reject"
    ACCEPT = "accept"


@dataclass(frozen=True)
class Verdict:
    """An action and the fixed line the client hears; the reason is for the log alone."""

    action: Action
    reply: str = ""


KEPT = Verdict(Action.DISCARD)
#: The same where others get the mail from Postfix: their copy goes on.
DELIVERED_HERE = Verdict(Action.ACCEPT)
#: What was looked at and is none of our business.
UNTOUCHED = Verdict(Action.ACCEPT)
LATER = Verdict(Action.TEMPFAIL, "451 4.3.0 Please try again later")
REFUSED = Verdict(Action.REJECT, "550 5.7.1 Not accepted here")
UNDELIVERABLE = Verdict(Action.REJECT, "550 5.1.3 A recipient's address can't be used for webmail")
LOOP = Verdict(Action.REJECT, "550 5.4.6 Mail of Messenger's own has come back: a routing loop")
TOO_LARGE = Verdict(Action.REJECT, "552 5.3.4 Message too large")


def one_line(error: object) -> str:
    """An error's text for the log: a hostile mail must not write log lines of its own."""
    return "".join(char if char.isprintable() else "?" for char in str(error))[:500]
