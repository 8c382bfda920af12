"""The command messenger-milter: read settings and keys once, answer Postfix until told to stop.

The only place of the intake that knows the clock, the settings and the process it runs in.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from messenger import config as settings
from messenger import link, logs, preferences
from messenger.envelope import Envelope
from messenger.errors import MessengerError
from messenger.mailbox import mailbox_of
from messenger.pdf_spool import Spool, SpoolError
from messenger.submission import Relay, Route
from messenger.tunnel import Policy, TunnelKeys, TunnelMail, unwrap
from messenger.tunnel.keys import load_certificate, load_recipient_key

from . import checks, metrics, networks, serving, standalone, standalone_milter
from .announce import Announcer
from .connection import MEMORY_LIMIT, Load
from .fullness import Fullness
from .held import Held
from .intake import Desk, Outcome, take_in
from .ledger import Ledger, LedgerError
from .milter import Intake, TunnelAddresses, run
from .pdf_orders import PdfOrders
from .verdicts import one_line

log = logging.getLogger(__name__)

IN_ORDER = "Settings, keys, folders and the way notices leave are in order."
DAY_SECONDS = 86_400.0
HOUSE_SECONDS = 1.0
#: How often to look whether somebody's hour is over, and where in the ledger.
HELD_SECONDS = 5.0
HELD = "held"
#: How long a stop waits for a notice that is just being sent; after a crash it would be sent again.
TELLER_SECONDS = 5.0


@click.command()
@click.option("--config", "path", type=click.Path(readable=False, path_type=Path), help="Settings file.")
@click.option("--check", "only_check", is_flag=True, help="Test settings, keys and folders, then exit.")
@click.option("--socket", "socket_name", help="Another socket than the settings name: a path or inet:PORT@HOST.")
def main(path: Path | None, only_check: bool, socket_name: str | None) -> None:
    """Take mail in: Postfix asks this milter about each mail it receives by SMTP."""
    logs.start()
    try:
        config = settings.load(path)
        logs.start(config.log.format)
        name = socket_name or config.intake.socket
        problems = checks.problems(config, name)
        warnings = networks.warnings(config.notice.sendmail) if _stands_alone(config) else []
        if only_check:
            sys.exit(serving.report(problems, IN_ORDER, warnings))
        relay = Relay(Route(sendmail=config.notice.sendmail, smtp=config.notice.smtp))
        announcer = announcer_of(config, relay)
        _prepare(Spool(config.pdf.spool))
        desk = desk_of(config, announcer)
    except MessengerError as error:
        click.echo(str(error), err=True)
        sys.exit(serving.EX_CONFIG)
    for problem in (*problems, *warnings):
        log.warning("%s", problem)  # mail waits in its sender's queue until it is mended
    sys.exit(serve(config, name, desk, announcer))


def announcer_of(config: settings.Config, relay: Relay) -> Announcer:
    """Lay out what tells people; raises where the link key can't be read."""
    return Announcer(
        site=checks.site_of(config),
        relay=relay,
        link_key=link.load_key(config.notice.link_key),
        now=lambda: datetime.now(UTC),
        preferences_of=lambda address: preferences.read(mailbox_of(config.mail.root, address).root.parent),
        has_mailbox=lambda address: mailbox_of(config.mail.root, address).exists(),
        held=Held(config.intake.ledger / HELD),
    )


def desk_of(config: settings.Config, announcer: Announcer) -> Desk:
    """Lay out what the intake works with; raises where a key can't be read."""
    return Desk(
        unwrap=_without_tunnel(config) if _stands_alone(config) else _through_tunnel(config.site, config.tunnel),
        mailbox_of=functools.partial(mailbox_of, config.mail.root),
        announce=announcer.announce,
        order_pdf=orders_of(config, announcer).order,
        ledger=Ledger(config.intake.ledger),
        fullness=_fullness(config, announcer) if config.mail.quota else None,
    )


def _stands_alone(config: settings.Config) -> bool:
    return config.intake.mode == "standalone"


def _tunnel_addresses(config: settings.Config) -> tuple[str, ...]:
    return (config.tunnel.webmail_recipient, *config.intake.aliases)


def _without_tunnel(config: settings.Config) -> Callable[[Envelope, bytes], TunnelMail]:
    return functools.partial(
        standalone.opened,
        fields=config.tunnel.fields,
        own_domains=frozenset(config.site.own_domains),
        tunnel=frozenset(_tunnel_addresses(config)),
    )


def _through_tunnel(site: settings.Site, tunnel: settings.Tunnel) -> Callable[[Envelope, bytes], TunnelMail]:
    keys = TunnelKeys(
        recipients=tuple(
            load_recipient_key(certificate, key)
            for certificate, key in zip(tunnel.recipient_certificates, tunnel.recipient_keys, strict=True)
        ),
        signers=tuple(load_certificate(certificate) for certificate in tunnel.sender_certificates),
    )
    policy = Policy(
        own_domains=site.own_domains,
        accept_outer_headers=tunnel.accept_outer_headers,
        allow_3des=tunnel.allow_3des,
        allow_sha1=tunnel.allow_sha1,
        fields=tunnel.fields,
    )
    return lambda _, raw: unwrap(raw, keys, policy)


def _fullness(config: settings.Config, announcer: Announcer) -> Fullness:
    return Fullness(
        quota=config.mail.quota,
        own_domains=frozenset(config.site.own_domains),
        site=announcer.site,
        relay=announcer.relay,
        now=announcer.now,
        preferences_of=announcer.preferences_of,
    )


def _prepare(spool: Spool) -> None:
    try:
        spool.prepare()
    except SpoolError as error:
        log.warning("%s", error)  # mail that is to become a PDF waits in its sender's queue until it is mended


def orders_of(config: settings.Config, announcer: Announcer) -> PdfOrders:
    """Lay out what orders PDFs."""
    return PdfOrders(
        portal_url=config.site.portal_url,
        link_key=announcer.link_key,
        now=announcer.now,
        preferences_of=announcer.preferences_of,
        folder_of=lambda address: mailbox_of(config.mail.root, address).root.parent,
        spool=Spool(config.pdf.spool),
    )


def serve(config: settings.Config, name: str, desk: Desk, announcer: Announcer) -> int:
    """Answer Postfix until SIGTERM or SIGINT, then finish what is in hand; return the exit status."""
    load = Load(max(MEMORY_LIMIT, config.intake.size_limit))  # the largest mail allowed fits when nothing else is
    watched = metrics.watched(config, desk, announcer.tell_held, load)
    stopping = threading.Event()
    house = threading.Thread(
        target=_keep_house, args=(desk.ledger, announcer.relay, config.intake.ledger_days), daemon=True
    )
    teller = threading.Thread(target=_tell_held, args=(watched.tell_held, stopping), daemon=True)

    def ended() -> None:
        stopping.set()
        _sync(desk.ledger)
        teller.join(TELLER_SECONDS)

    return serving.serve(
        name, answering(config, watched, load, announcer.relay), load, (house, teller, *watched.threads), ended
    )


def answering(
    config: settings.Config, watched: metrics.Watched, load: Load, relay: Relay
) -> Callable[[str, Callable[[], None]], None]:
    """Return what answers Postfix on a socket, in the mode that the settings name."""
    limit = config.intake.size_limit

    def taking(envelope: Envelope, raw: bytes, progress: Callable[[], object]) -> Outcome:
        return watched.counted(take_in(envelope, raw, watched.desk, progress))

    if not _stands_alone(config):
        intake = Intake(TunnelAddresses(_tunnel_addresses(config)), limit, taking, load)
        return functools.partial(run, intake)
    border = standalone_milter.Border(
        own_domains=frozenset(config.site.own_domains),
        own_addresses=frozenset({config.notice.mail_from, config.reply.mail_from} - {""}),
        hosts=tuple(ipaddress.ip_network(host) for host in config.gateway.messenger_hosts),
    )
    return functools.partial(standalone_milter.run, standalone_milter.Intake(border, limit, taking, relay.submit, load))


def _keep_house(ledger: Ledger, relay: Relay, ledger_days: int) -> None:
    """Each second put the ledger on disk and let go of idle connections; once a day forget old entries."""
    pruned = -DAY_SECONDS
    while True:
        if time.monotonic() - pruned >= DAY_SECONDS:
            pruned = time.monotonic()
            _prune(ledger, ledger_days)
        _sync(ledger)
        relay.tidy()
        time.sleep(HOUSE_SECONDS)


def _tell_held(tell: Callable[[], int], stopping: threading.Event) -> None:
    """Send the notices that were held back, as their hours end. Beside the other house work, which must not wait."""
    while not stopping.wait(HELD_SECONDS):
        try:
            told = tell()
            if told:
                log.info("%d notices sent that were held back", told)
        except Exception as error:  # the next round comes whatever happened in this one
            log.warning("notices held back: %s", one_line(error), exc_info=error)


def _prune(ledger: Ledger, days: int) -> None:
    try:
        ledger.prepare()
        forgotten = ledger.prune(time.time() - days * DAY_SECONDS)
        log.info("ledger: %d entries older than %d days removed", forgotten, days)
    except (LedgerError, OSError) as error:
        log.warning("ledger: %s", one_line(error))


def _sync(ledger: Ledger) -> None:
    try:
        ledger.sync()
    except LedgerError as error:
        log.warning("ledger: %s", one_line(error))
