"""What a site consists of, for its backup: the settings and the files they name, the keys, and the places of state.

Paths only; opens nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from ..config import Config
from .tunnel_files import key_beside

SETTINGS, LEDGER, SPOOL, GATEWAY, MAIL, ACCOUNTS = "settings", "ledger", "pdf", "gateway", "mail", "accounts"
# The ledger before the mail: what it says was delivered is then among the mail that is taken later. The spool before
# it too, as its mails lie in mailboxes already. The accounts last, so that nobody's mail comes without its account.
ORDER = (SETTINGS, LEDGER, SPOOL, GATEWAY, MAIL, ACCOUNTS)

_SECRET = frozenset({
    ("tunnel", "recipient_keys"),
    ("notice", "link_key"),
    ("accounts", "totp_key"),
    ("reply", "sign_key"),
    ("pdf", "key"),
    ("pdf", "sign_key"),
    ("gateway", "sender_key"),
    ("gateway", "sender_keys"),
})  # fmt: skip
#: State, which has parts of its own or is made again, and what belongs to other programs of the machine.
_NOT_SETTINGS = frozenset({
    ("mail", "root"),
    ("intake", "ledger"),
    ("accounts", "database"),
    ("reader", "cache"),
    ("reader", "trusted_roots"),
    ("pdf", "spool"),
    ("gateway", "trusted_roots"),
    ("gateway", "observed"),
    ("gateway", "pgp_keys"),
})  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A file or folder that the settings name."""

    section: str
    key: str
    path: Path

    @property
    def secret(self) -> bool:
        return (self.section, self.key) in _SECRET


def named(config: Config) -> Iterator[Named]:
    """Yield what the settings name beside places of state, each path once."""
    seen = set()
    for section in fields(config):
        values = getattr(config, section.name)
        for key in fields(values):
            if (section.name, key.name) in _NOT_SETTINGS:
                continue
            value = getattr(values, key.name)
            for path in value if isinstance(value, tuple) else (value,):
                if isinstance(path, Path) and path not in seen:
                    seen.add(path)
                    yield Named(section.name, key.name, path)
    for certificate in config.tunnel.sender_certificates:
        # No setting names it: it is here for the gateway to be given once more.
        if key_beside(certificate) not in seen:
            yield Named("gateway", "sender_key", key_beside(certificate))


def places(config: Config) -> dict[str, Path]:
    """Return where the state of each part lies."""
    return {
        LEDGER: config.intake.ledger,
        SPOOL: config.pdf.spool,
        GATEWAY: config.gateway.observed,
        MAIL: config.mail.root,
        ACCOUNTS: config.accounts.database,
    }
