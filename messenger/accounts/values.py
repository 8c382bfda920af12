"""What the accounts hand out, and what they refuse: plain values, no database.

Part of messenger.accounts, whose door re-exports all of it.
"""

from dataclasses import dataclass

from ..errors import MessengerError

#: What a session may do: everything; only prove the second factor; only enrol one.
FULL, CODE, ENROL = "", "code", "enrol"

DONE, REFUSED = "done", "refused"
#: Of what another line says how it ended.
BEGUN = "begun"

#: What proves a second factor.
TOTP, RECOVERY = "totp", "recovery"


class AddressTaken(MessengerError):
    """Somebody has an account with this address already."""


class TooSoon(MessengerError):
    """Too many failed tries. ``seconds`` says when the next one is looked at."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed tries: wait {seconds} s")
        self.seconds = seconds


class Overtaken(MessengerError):
    """All sessions of the account were ended after this was allowed, so it isn't done."""


class ProofMissing(MessengerError):
    """The account has a second factor, and what was given doesn't prove it."""


class EnrolmentOff(MessengerError):
    """This site takes no second factors."""


@dataclass(frozen=True)
class Account:
    id: int
    #: The main one, normalised.
    address: str
    #: When it was opened.
    created: int
    language: str
    time_zone: str
    #: Whether a log-in needs more than the password.
    second_factor: bool = False
    #: When an administrator shut it; 0 while it is open.
    disabled: int = 0
    #: Counts up whenever all sessions end. What was proven in one epoch counts for nothing in the next.
    epoch: int = 0


@dataclass(frozen=True)
class Session:
    account: Account
    opened: int
    #: The last use, exact to SEEN_SECONDS.
    seen: int
    #: Names the session on pages; logs nobody in.
    id: str
    #: The IP address it was opened from, and what the browser calls itself.
    client: str
    agent: str
    #: FULL, CODE or ENROL.
    pending: str
    #: When it ends if nothing more is done, and when in any case.
    ends: int
    latest: int


@dataclass(frozen=True)
class Reset:
    """A password was set by a link in a mail."""

    account: Account
    #: What proved the second factor: TOTP, RECOVERY, or "" where there is none.
    way: str


@dataclass(frozen=True)
class AccountRow:
    """One line of the administrator's list."""

    account: Account
    #: The last log-in.
    last: int
    recovery_left: int


@dataclass(frozen=True)
class Event:
    """One line of the audit. ``address`` is the account's at that time; "" where there was none."""

    at: int
    event: str
    outcome: str
    address: str
    client: str
    detail: str
