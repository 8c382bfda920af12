"""What pages have to do with receipts: to say that whoever is logged in has opened a mail, and what its sender knows.

No address comes from a request, as in own_mails.py.
"""

from __future__ import annotations

from flask import g

from messenger import receipt

from .context import context
from .mails import DRAFTS, SENT
from .marking import is_read_by_a_person
from .opened import audit
from .own_mails import mails
from .receipt_spool import Owed


def owe(name: str, kind: str, raw: bytes | None = None) -> Owed | None:
    """Have the sender of the mail *name* told, if they asked and weren't told yet; return what they know.

    *kind* is one of ``receipt.KINDS``; *raw* is the mail, read if it isn't given. To be called where a person did it.
    Raises NoSuchMessage if *raw* isn't given and the mail isn't there.
    """
    return _owe(name, kind, mails().read(name) if raw is None else raw)


def opened_by_a_person(name: str, folder: str, raw: bytes) -> Owed | None:
    """The page of a mail in *folder* was asked for: if a person did, its sender is told. Returns what they know."""
    # What lies there is the person's own.
    return None if folder in (SENT, DRAFTS) else _owe(name, receipt.OPENED, raw)


def _owe(name: str, kind: str, raw: bytes) -> Owed | None:
    own = context()
    asked = receipt.asked_for(raw, own.config.site.own_domains)
    if not asked:
        return None
    if is_read_by_a_person() and own.receipts.owe(g.account.address, name, kind, asked):
        audit("receipt", name, kind)
    return own.receipts.known(g.account.address, name)
