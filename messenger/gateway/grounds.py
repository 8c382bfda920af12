"""What decisions stand on: the policy as its file has it now, with what the settings name beside it.

One for a process, asked by any number of threads. Knows the clock; keys of tunnel mails are not its business.
"""

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from ..envelope import normal
from ..gateway_basis import Basis
from . import decision
from .certificates import Certificates
from .decision import Ground
from .lookup import Levels
from .pgp_keys import PgpKeys
from .policy_file import PolicyFile
from .protected import already_encrypted
from .rules import judge
from .tables import Tables
from .values import Decision, Policy, Seen, Settings


@dataclass(frozen=True)
class Standing:
    """One policy, and what follows from it."""

    policy: Policy
    ground: Ground
    #: Whose mail passes where it comes from a host of Messenger's.
    senders: frozenset[str]


class Grounds:
    """Gives the ground as the policy file has it now."""

    def __init__(self, basis: Basis, file: PolicyFile) -> None:
        self._basis = basis
        self._file = file
        self._tables = Tables(basis.tables, basis.table_seconds) if basis.tables else None
        self._certificates = Certificates(basis.certificates) if basis.certificates else None
        self._pgp = PgpKeys(basis.pgp_keys) if basis.pgp_keys else None
        self._standing: Standing | None = None
        self._lock = threading.Lock()

    def now(self) -> Standing:
        """Return what holds now; raises PolicyError as long as the policy was never any good."""
        policy = self._file.current(time.time())
        standing = self._standing
        if standing is None or standing.policy is not policy:
            with self._lock:
                standing = self._standing = self._made(policy)
        return standing

    def decide(self, seen: Seen) -> Decision:
        """Decide about one mail."""
        return decision.decide(seen, self.now().ground)

    def certificate(self, address: str) -> x509.Certificate | None:
        """The certificate that mail to a ``normal`` *address* is encrypted to now; raises KeyFileError."""
        return self._certificates.of(address, datetime.now(UTC)) if self._certificates else None

    def _made(self, policy: Policy) -> Standing:
        basis = self._basis
        ground = Ground(
            levels=Levels(policy, self._tables, Settings()),
            rules=policy.rules,
            own_domains=frozenset(basis.own_domains),
            order=basis.order,
            certificates=lambda address: self.certificate(address) is not None,
            pgp=self._pgp.has if self._pgp else lambda _: False,
            webmail_sender=basis.webmail_sender,
            webmail_recipient=basis.webmail_recipient,
            judge=judge,
            encrypted=already_encrypted,
            webmail_recipients=_named(policy, "webmail_recipient") | {basis.webmail_recipient},
        )
        return Standing(policy, ground, basis.senders | _named(policy, "webmail_sender") | {basis.webmail_sender})


def _named(policy: Policy, name: str) -> frozenset[str]:
    """Each address that some level of the policy names for one setting."""
    levels = (policy.everywhere, *policy.domains.values(), *policy.users.values())
    return frozenset(normal(str(level[name])) for level in levels if level.get(name))
