"""The command messenger-gateway: read settings and keys once, look at what leaves until told to stop.

The only place of the gateway that knows the clock, the settings and the process it runs in.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from messenger import config as settings
from messenger import logs
from messenger.errors import MessengerError
from messenger.gateway.grounds import Grounds
from messenger.gateway.policy_file import PolicyFile
from messenger.submission import Relay, Route

from . import gateway_checks, metrics, serving
from .connection import MEMORY_LIMIT, Load
from .gateway import Desk, carry_out
from .gateway_keys import keys_of
from .gateway_milter import Border, Gateway, run
from .gateway_observing import Observer, harvester

log = logging.getLogger(__name__)

IN_ORDER = "Settings, keys, policy and the way protected mail leaves are in order."
HOUSE_SECONDS = 1.0


@click.command(epilog="Example: messenger-gateway --check")
@click.option("--config", "path", type=click.Path(readable=False, path_type=Path), help="Settings file.")
@click.option("--check", "only_check", is_flag=True, help="Test settings, keys and policy, then exit.")
@click.option("--socket", "socket_name", help="Another socket than the settings name: a path or inet:PORT@HOST.")
def main(path: Path | None, only_check: bool, socket_name: str | None) -> None:
    """Protect mail that leaves: Postfix asks this milter about each mail that its users send."""
    logs.start()
    try:
        config = settings.load(path)
        logs.start(config.log.format)
        name = socket_name or config.gateway.socket
        problems = gateway_checks.problems(config, name)
        if only_check:
            sys.exit(serving.report(problems, IN_ORDER))
        gateway, relays = gateway_of(config)
    except MessengerError as error:
        click.echo(str(error), err=True)
        sys.exit(serving.EX_CONFIG)
    for problem in problems:
        log.warning("%s", problem)  # mail waits with its sender until it is mended
    house = threading.Thread(target=_keep_house, args=relays, daemon=True)
    gateway, answering = metrics.watched_gateway(config, gateway)
    threads = (house, *answering)
    sys.exit(serving.serve(name, lambda socket, ready: run(gateway, socket, ready), gateway.load, threads))


def gateway_of(config: settings.Config) -> tuple[Gateway, tuple[Relay, ...]]:
    """Lay out what the gateway works with; raises where a key or the policy can't be read."""
    section = config.gateway
    file = PolicyFile(section.policy)
    file.current(time.time())  # a site without a policy is told at the start, not by the first mail
    grounds = Grounds(config.basis(), file)
    keys = keys_of(config, grounds)
    relay = Relay(Route(sendmail=section.sendmail, smtp=section.smtp))
    to_filter = Relay(Route(smtp=section.pgp_filter))
    desk = Desk(
        keys=lambda: keys,
        submit=relay.submit,
        to_filter=to_filter.submit,
        now=lambda: datetime.now(UTC),
    )
    observing = section.mode == "observe"
    return Gateway(
        border=Border(
            own_domains=frozenset(config.site.own_domains),
            webmail_recipients=lambda: frozenset(grounds.now().ground.webmail_recipients),
            senders=lambda: grounds.now().senders,
            hosts=tuple(ipaddress.ip_network(host) for host in section.messenger_hosts),
        ),
        size_limit=section.size_limit,
        decide=grounds.decide,
        carry_out=lambda envelope, seen, decision, progress: carry_out(envelope, seen, decision, desk, progress),
        submit=relay.submit,
        observe=Observer(section.observed).note if observing else None,
        harvest=harvester(config) if section.harvest else None,
        load=Load(max(MEMORY_LIMIT, section.size_limit)),  # the largest mail allowed fits when nothing else is
    ), (relay, to_filter)


def _keep_house(*relays: Relay) -> None:
    """Let go of idle connections."""
    while True:
        for relay in relays:
            relay.tidy()
        time.sleep(HOUSE_SECONDS)


if __name__ == "__main__":
    main()
