"""Accounts: who may come in, by what, on which devices, and what they did. All SQL about them is in here.

Knows no web. Time is an argument, in Unix seconds. A network database can stand in for SQLite behind these
methods. Passwords and tokens are kept as hashes, TOTP secrets sealed; what the database's reader finds logs
nobody in.
"""

from .administration import Administration
from .copies import Copies, count_accounts, is_filled, opened_copy, put_back
from .file import AccountsError
from .people import People
from .resets import Resets
from .sessions import Sessions
from .trail import Trail
from .upkeep import Upkeep
from .values import (
    CODE,
    DONE,
    ENROL,
    FULL,
    RECOVERY,
    REFUSED,
    TOTP,
    Account,
    AccountRow,
    AddressTaken,
    EnrolmentOff,
    Event,
    Overtaken,
    ProofMissing,
    Reset,
    Session,
    TooSoon,
)

__all__ = [
    "CODE",
    "DONE",
    "ENROL",
    "FULL",
    "RECOVERY",
    "REFUSED",
    "TOTP",
    "Account",
    "AccountRow",
    "Accounts",
    "AccountsError",
    "AddressTaken",
    "EnrolmentOff",
    "Event",
    "Overtaken",
    "ProofMissing",
    "Reset",
    "Session",
    "TooSoon",
    "count_accounts",
    "is_filled",
    "opened_copy",
    "put_back",
]


class Accounts(People, Sessions, Resets, Administration, Upkeep, Trail, Copies):
    """The accounts in one SQLite file; safe to use from several threads and processes.

    Each subject is a module of its own, over the one file.
    """
