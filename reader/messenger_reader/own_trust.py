"""The trust line of a mail for whoever is logged in: what was examined once is kept in mind, and judged each time.

A mail's name stands for its bytes, so what they say doesn't change; the day and the known issuers do.
"""

from collections import OrderedDict
from threading import Lock

from cryptography import x509
from flask import Flask, current_app, g

from messenger.chain import load_roots
from messenger.message import Message

from . import trust
from .context import context
from .trust import Examined, Trust

#: Mails in mind; each with the few certificates it carries.
KEPT = 256

_KEY = "messenger-trust"


class Signatures:
    """What the mails of all mailboxes say of their signatures, the latest of them."""

    def __init__(self, roots: tuple[x509.Certificate, ...]) -> None:
        self.roots = roots
        self._kept: OrderedDict[tuple[str, str], Examined] = OrderedDict()
        self._lock = Lock()

    def examined(self, address: str, name: str, raw: bytes, read: Message) -> Examined:
        """What the mail *name* of the mailbox *address* says."""
        key = (address, name)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        found = trust.examine(raw, read)
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def install(app: Flask) -> None:
    """Read the known issuers; RootsError where the file holds something else."""
    with app.app_context():
        app.extensions[_KEY] = Signatures(load_roots(context().config.reader.trusted_roots))


def trust_of(name: str, raw: bytes, read: Message) -> Trust:
    """What the page of the mail *name* says of its signature, now."""
    signatures = current_app.extensions[_KEY]
    assert isinstance(signatures, Signatures)
    examined = signatures.examined(g.account.address, name, raw, read)
    return trust.judge(examined, signatures.roots, context().now())
