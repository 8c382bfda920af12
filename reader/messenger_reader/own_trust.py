"""The trust line of a mail for whoever is logged in: what was examined once is kept in mind, and judged each time.

A mail's name stands for its bytes, so what they say doesn't change; the day and the known issuers do.
"""

import logging
import warnings
from collections import OrderedDict
from pathlib import Path
from threading import Lock

from cryptography import x509
from flask import Flask, current_app, g

from messenger.errors import MessengerError
from messenger.message import Message

from . import trust
from .context import context
from .trust import Examined, Trust

log = logging.getLogger(__name__)

#: Mails in mind; each with the few certificates it carries.
KEPT = 256
#: Debian's ca-certificates. Where it isn't there, nobody is known.
SYSTEM_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
MAX_FILE = 4_000_000  # bytes

_KEY = "messenger-trust"
_END = b"-----END CERTIFICATE-----"


class RootsError(MessengerError):
    """The file of known issuers can't be used; the reader doesn't start with it."""


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


def load_roots(path: Path) -> tuple[x509.Certificate, ...]:
    """The certificates in a file (PEM): none if it is empty, or if it is the system's and isn't there."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        if path == SYSTEM_ROOTS:
            return ()
        raise RootsError(f"{path}: there is no such file; [reader] trusted_roots may be /dev/null") from error
    except OSError as error:
        raise RootsError(f"{path}: cannot be read ({error.strerror}); the reader's user must be allowed to") from error
    if len(content) > MAX_FILE:
        raise RootsError(f"{path}: larger than {MAX_FILE} bytes; name a file of certificates (PEM)")
    pieces = [piece + _END for piece in content.split(_END)[:-1]]
    if content.strip() and not pieces:
        raise RootsError(f"{path}: expected certificates in PEM, found something else; name a file of certificates")
    return tuple(one for piece in pieces if (one := _certificate(path, piece)))


def _certificate(path: Path, piece: bytes) -> x509.Certificate | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old roots with odd serial numbers
        try:
            return x509.load_pem_x509_certificate(piece[piece.find(b"-----BEGIN") :])
        except ValueError as error:
            if path != SYSTEM_ROOTS:
                raise RootsError(f"{path}: one of the certificates can't be read ({error}); take it out") from error
            return None
