"""What the gateway's decisions need of the settings: values alone, handed from who reads settings to who decides."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Basis:
    """A site as its gateway sees it."""

    #: In A-labels and lower case.
    own_domains: tuple[str, ...]
    webmail_sender: str
    webmail_recipient: str
    #: Senders of Messenger's own mail: notices, receipts, answers.
    senders: frozenset[str]
    #: Names of ways: which is tried first.
    order: tuple[str, ...]
    certificates: Path | None
    #: Only where a filter is named that encrypts with them.
    pgp_keys: Path | None
    tables: tuple[str, ...]
    table_seconds: int
