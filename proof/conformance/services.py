"""The three milters as processes, each in a folder of its own, and what a script must know to speak to one.

Knows how each is started and which mail it takes. Knows no protocol.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import gateway_fixtures, milter_fixtures
from tests.milter_fixtures import ORIGINAL, SENDER, TUNNEL, Process
from tests.standalone_fixtures import StandaloneSite

EARLY = "SMFIP_NOHELO SMFIP_NOUNKNOWN SMFIP_NR_MAIL SMFIP_NR_RCPT SMFIP_NR_HDR SMFIP_HDR_LEADSPC"


@dataclass(frozen=True)
class Service:
    """A running milter."""

    name: str
    socket: Path
    #: Who sends, whose mail is taken, whose is none of its business.
    sender: str
    ours: str
    other: str
    #: A mail that is taken.
    raw: bytes
    #: Steps that are left out or wait for no answer, and rights to change a mail.
    declined: str
    actions: str
    process: Process
    #: How many mails were taken so far; the same one again counts once where there is a ledger.
    kept: Callable[[], int]


@contextlib.contextmanager
def intake(folder: Path) -> Iterator[Service]:
    """messenger-milter behind the tunnel."""
    site = milter_fixtures.Site(folder / "intake")
    with milter_fixtures.running(site) as process:
        yield Service(
            name="messenger-milter",
            socket=site.socket,
            sender=SENDER,
            ours=TUNNEL,
            other="someone@example.org",
            raw=site.tunnel_mail(),
            declined=f"{EARLY} SMFIP_NOCONNECT SMFIP_NR_EOH",
            actions="SMFIF_DELRCPT",
            process=process,
            kept=lambda: len(site.stored()),
        )


@contextlib.contextmanager
def standalone(folder: Path) -> Iterator[Service]:
    """messenger-milter without a tunnel."""
    site = StandaloneSite(folder / "standalone")
    with milter_fixtures.running(site) as process:
        yield Service(
            name="messenger-milter, stand-alone",
            socket=site.socket,
            sender="sam@example.com",
            ours="ann@example.org",
            other="boss@example.com",
            raw=ORIGINAL,
            declined=f"{EARLY} SMFIP_NR_CONN SMFIP_NR_EOH",
            actions="SMFIF_DELRCPT",
            process=process,
            kept=lambda: len(site.stored()),
        )


@contextlib.contextmanager
def gateway(folder: Path, code: str = "") -> Iterator[Service]:
    """messenger-gateway with a rule that wants the mail protected; *code* breaks something in it on purpose."""
    site = gateway_fixtures.Gateway(folder / "gateway")
    with gateway_fixtures.running(site, code=code) as process:
        yield Service(
            name="messenger-gateway",
            socket=site.socket,
            sender="sam@example.com",
            ours="ann@example.org",
            other="boss@example.com",
            raw=gateway_fixtures.SECRET,
            declined=f"{EARLY} SMFIP_NR_CONN",
            actions="SMFIF_DELRCPT SMFIF_CHGHDRS",
            process=process,
            kept=lambda: len(site.sent()),
        )


ALL = {"intake": intake, "standalone": standalone, "gateway": gateway}
