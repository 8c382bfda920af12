"""What decisions stand on, laid out from the settings and the policy as it is now; and the keys of copies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from messenger.config import Config
from messenger.envelope import normal
from messenger.gateway import decision
from messenger.gateway.certificates import Certificates, SigningKeys
from messenger.gateway.decision import Ground
from messenger.gateway.lookup import Levels
from messenger.gateway.pgp_keys import PgpKeys
from messenger.gateway.policy_file import PolicyFile
from messenger.gateway.protected import already_encrypted
from messenger.gateway.rules import judge
from messenger.gateway.tables import Tables
from messenger.gateway.values import Decision, Policy, Seen, Settings
from messenger.tunnel import KeyFileError, SenderKey, load_certificate, load_sender_key

from .gateway_copies import Keys


@dataclass(frozen=True)
class Standing:
    """One policy, and what follows from it."""

    policy: Policy
    ground: Ground
    webmail_recipients: frozenset[str]
    exempt_senders: frozenset[str]


class Grounds:
    """Gives the ground as the policy file has it now; several threads may ask at once."""

    def __init__(self, config: Config, file: PolicyFile) -> None:
        self._config = config
        self._file = file
        section = config.gateway
        self._tables = Tables(section.tables, section.table_seconds) if section.tables else None
        self.certificates = Certificates(section.certificates) if section.certificates else None
        self._pgp = PgpKeys(section.pgp_keys) if section.pgp_keys and section.pgp_filter else None
        self._standing: Standing | None = None
        self._lock = threading.Lock()

    def now(self) -> Standing:
        """Return what holds now."""
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
        """The certificate that mail to *address* is encrypted to."""
        return self.certificates.of(address, datetime.now(UTC)) if self.certificates else None

    def _made(self, policy: Policy) -> Standing:
        config, tunnel = self._config, self._config.tunnel
        webmail_recipients = frozenset({tunnel.webmail_recipient, *_named(policy, "webmail_recipient")})
        ground = Ground(
            levels=Levels(policy, self._tables, Settings()),
            rules=policy.rules,
            own_domains=frozenset(config.site.own_domains),
            order=config.gateway.order,
            certificates=lambda address: self.certificate(address) is not None,
            pgp=self._pgp.has if self._pgp else lambda _: False,
            webmail_sender=tunnel.webmail_sender,
            webmail_recipient=tunnel.webmail_recipient,
            judge=judge,
            encrypted=already_encrypted,
            webmail_recipients=webmail_recipients,
        )
        senders = {config.notice.mail_from, config.reply.mail_from or config.notice.mail_from, tunnel.webmail_sender}
        return Standing(policy, ground, webmail_recipients, frozenset(senders | _named(policy, "webmail_sender")))


def _named(policy: Policy, name: str) -> set[str]:
    """Each address that some level of the policy names for one setting."""
    levels: Iterable[object] = (policy.everywhere, *policy.domains.values(), *policy.users.values())
    found = {level.get(name) for level in levels if hasattr(level, "get")}
    return {normal(str(address)) for address in found if address}


def keys_of(config: Config, grounds: Grounds) -> Keys:
    """Read the keys; raises KeyFileError where one can't be."""
    section = config.gateway
    signing = SigningKeys(section.sender_keys) if section.sender_keys else None
    main = load_certificate(section.recipient_certificate)

    def webmail_recipient(address: str) -> x509.Certificate:
        if address == config.tunnel.webmail_recipient:
            return main
        if section.more_recipients is None:
            raise KeyFileError(
                f"no certificate for the webmail recipient {address}: put {address}.pem into a folder, and name that"
                " [gateway] more_recipients"
            )
        return load_certificate(section.more_recipients / f"{address}.pem")

    def signing_key(address: str) -> SenderKey | None:
        return signing.of(address, datetime.now(UTC)) if signing else None

    return Keys(
        sender=load_sender_key(section.sender_certificate, section.sender_key),
        webmail_recipient=webmail_recipient,
        certificate=grounds.certificate,
        signing_key=signing_key,
        fields=config.tunnel.fields,
        modern=section.modern,
    )
