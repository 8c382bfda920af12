"""The command messenger-milter: read settings and keys, answer Postfix until told to stop.

They are read at the start and at each SIGHUP; who is connected then goes on with what was read before.

The only place of the intake that knows the clock, the settings and the process it runs in.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click

from messenger import config as settings
from messenger import link, logs, notice_texts, preferences
from messenger.config_renewal import read_again
from messenger.envelope import Envelope
from messenger.errors import MessengerError
from messenger.mailbox import mailbox_of
from messenger.pdf_spool import Spool, SpoolError
from messenger.submission import Relay, Route
from messenger.tunnel import Policy, TunnelKeys, TunnelMail, unwrap
from messenger.tunnel.keys import load_certificate, load_recipient_key

from . import checks, housekeeping, metrics, milter, networks, serving, standalone, standalone_milter
from .announce import Announcer
from .connection import MEMORY_LIMIT, Load
from .fullness import Fullness
from .held import Held
from .intake import Desk, Outcome, take_in
from .ledger import Ledger
from .pdf_orders import PdfOrders

log = logging.getLogger(__name__)

IN_ORDER = "Settings, keys, folders and the way notices leave are in order."
#: Where in the ledger notices lie whose hour isn't over.
HELD = "held"
#: How long a stop waits for a notice that is just being sent; after a crash it would be sent again.
TELLER_SECONDS = 5.0
#: Settings that count from a start to its end: others work in these places too, or threads and metrics do.
FIXED = {
    "mail": ("root",),
    "intake": ("socket", "mode", "ledger"),
    "pdf": ("spool",),
    "metrics": ("listen",),
}


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
    sys.exit(serve(path, name, Work(config, announcer, desk)))


@dataclass(frozen=True)
class Work:
    """What the intake works with, as files said when they were last read."""

    config: settings.Config
    announcer: Announcer
    desk: Desk

    @property
    def relay(self) -> Relay:
        return self.announcer.relay

    @property
    def ledger(self) -> Ledger:
        return self.desk.ledger

    @property
    def ledger_days(self) -> int:
        return self.config.intake.ledger_days


def work_again(path: Path | None, before: Work) -> Work:
    """Read settings, certificates and templates again. Raises a MessengerError where one can't be used."""
    config = read_again(path, before.config, FIXED)
    route = Route(sendmail=config.notice.sendmail, smtp=config.notice.smtp)
    relay = before.announcer.relay if before.announcer.relay.route == route else Relay(route)
    with notice_texts.renewing():
        if problems := checks.problems_of_files(config):
            raise settings.ConfigError("; ".join(problems))
        # What stays remembers who is being told, and whose notice failed.
        announcer = replace(announcer_of(config, relay), held=before.announcer.held)
        work = Work(config, announcer, replace(desk_of(config, announcer), ledger=before.ledger))
    logs.start(config.log.format)
    return work


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


class Current:
    """The work of now: another object after each SIGHUP that found all in order."""

    def __init__(self, path: Path | None, work: Work) -> None:
        self._path = path
        # The largest mail allowed fits when nothing else is in hand.
        self.load = Load(max(MEMORY_LIMIT, work.config.intake.size_limit))
        self._watch, self.threads = metrics.watch(work.config, lambda: self.work.config, self.load)
        self._take(work)

    def renew(self) -> None:
        """Take what the files say by now; raises, and changes nothing, where that can't be used."""
        self._take(work_again(self._path, self.work))
        self.load.allow(self.work.config.intake.size_limit)

    def _take(self, work: Work) -> None:
        watched = self._watch(work.desk, work.announcer.tell_held)
        answering = intake_of(work.config, watched, self.load, work.announcer.relay)
        self.work, self.tell_held, self.intake = work, watched.tell_held, answering


def serve(path: Path | None, name: str, work: Work) -> int:
    """Answer Postfix until SIGTERM or SIGINT, then finish what is in hand; return the exit status."""
    current = Current(path, work)
    stopping = threading.Event()
    house = threading.Thread(target=housekeeping.keep, args=(lambda: current.work,), daemon=True)
    teller = threading.Thread(target=housekeeping.tell_held, args=(lambda: current.tell_held(), stopping), daemon=True)

    def ended() -> None:
        stopping.set()
        housekeeping.sync(work.desk.ledger)
        teller.join(TELLER_SECONDS)

    def run(socket_name: str, ready: Callable[[], None]) -> None:
        if _stands_alone(work.config):
            standalone_milter.run(lambda: cast(standalone_milter.Intake, current.intake), socket_name, ready)
        else:
            milter.run(lambda: cast(milter.Intake, current.intake), socket_name, ready)

    threads = (house, teller, *current.threads)
    return serving.serve(name, run, current.load, current.renew, threads, ended)


def intake_of(
    config: settings.Config, watched: metrics.Watched, load: Load, relay: Relay
) -> milter.Intake | standalone_milter.Intake:
    """Lay out what a connection works with, in the mode that the settings name."""
    limit = config.intake.size_limit

    def taking(envelope: Envelope, raw: bytes, progress: Callable[[], object]) -> Outcome:
        return watched.counted(take_in(envelope, raw, watched.desk, progress))

    if not _stands_alone(config):
        return milter.Intake(milter.TunnelAddresses(_tunnel_addresses(config)), limit, taking, load)
    border = standalone_milter.Border(
        own_domains=frozenset(config.site.own_domains),
        own_addresses=frozenset({config.notice.mail_from, config.reply.mail_from} - {""}),
        hosts=tuple(ipaddress.ip_network(host) for host in config.gateway.messenger_hosts),
    )
    return standalone_milter.Intake(border, limit, taking, relay.submit, load)
