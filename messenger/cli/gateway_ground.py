"""What the gateway's decisions stand on, laid out from the settings for one command: policy, tables, keys."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ..config import Config
from ..gateway.certificates import Certificates
from ..gateway.decision import Ground
from ..gateway.lookup import Levels
from ..gateway.pgp_keys import PgpKeys
from ..gateway.policy_file import PolicyFile
from ..gateway.protected import already_encrypted
from ..gateway.rules import judge
from ..gateway.tables import Tables
from ..gateway.values import Policy, Settings


def levels_of(config: Config, policy: Policy) -> Levels:
    tables = Tables(config.gateway.tables, config.gateway.table_seconds) if config.gateway.tables else None
    return Levels(policy, tables, Settings())


def policy_of(config: Config) -> Policy:
    """Read the policy; raises PolicyError."""
    return PolicyFile(config.gateway.policy).current(time.time())


def ground_of(config: Config, policy: Policy) -> Ground:
    """Lay out the ground for mail from a client that isn't a host of Messenger's."""
    section = config.gateway
    return Ground(
        levels=levels_of(config, policy),
        rules=policy.rules,
        own_domains=config.site.own_domains,
        order=section.order,
        certificates=_certificates(section.certificates),
        pgp=PgpKeys(section.pgp_keys).has if section.pgp_keys and section.pgp_filter else lambda _: False,
        webmail_sender=config.tunnel.webmail_sender,
        webmail_recipient=config.tunnel.webmail_recipient,
        judge=judge,
        encrypted=already_encrypted,
        webmail_recipients=frozenset({config.tunnel.webmail_recipient}) | _named(policy, "webmail_recipient"),
    )


def passing_senders(config: Config, policy: Policy) -> frozenset[str]:
    """Senders of notices, receipts, replies and tunnel mails: from a host of Messenger's theirs is never touched."""
    ours = frozenset({config.notice.mail_from, config.reply.mail_from, config.tunnel.webmail_sender})
    return ours - {""} | _named(policy, "webmail_sender")


def _certificates(folder: Path | None) -> Callable[[str], bool]:
    if folder is None:
        return lambda _: False
    certificates = Certificates(folder)
    now = datetime.now(UTC)
    return lambda address: certificates.of(address, now) is not None


def _named(policy: Policy, name: str) -> frozenset[str]:
    """Each address that some level of the policy names for one setting."""
    levels = (policy.everywhere, *policy.domains.values(), *policy.users.values())
    return frozenset(str(level[name]) for level in levels if level.get(name))
