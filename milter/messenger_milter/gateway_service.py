"""The command messenger-gateway: read settings and keys, look at what leaves until told to stop.

They are read at the start and at each SIGHUP; who is connected then goes on with what was read before.

The only place of the gateway that knows the clock, the settings and the process it runs in.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from messenger import config as settings
from messenger import logs
from messenger.config_renewal import read_again
from messenger.errors import MessengerError
from messenger.gateway.grounds import Grounds
from messenger.gateway.policy_file import PolicyFile
from messenger.submission import Relay, Route

from . import gateway_checks, metrics, serving, socket_file
from .connection import MEMORY_LIMIT, Load
from .gateway import Desk, carry_out
from .gateway_keys import keys_of
from .gateway_milter import Border, Gateway, run
from .gateway_observing import Observer, harvester

log = logging.getLogger(__name__)

IN_ORDER = "Settings, keys, policy and the way protected mail leaves are in order."
HOUSE_SECONDS = 1.0
#: Settings that count from a start to its end.
FIXED = {"gateway": ("socket",), "metrics": ("listen",)}


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
    current = Current(path, config, gateway, relays)
    house = threading.Thread(target=_keep_house, args=(current,), daemon=True)
    threads = (house, *current.threads)

    def answer(socket_name: str, ready: Callable[[], None]) -> None:
        run(lambda: current.gateway, socket_name, ready)

    sys.exit(serving.serve(name, answer, current.load, current.renew, threads, who=socket_file.GATEWAY))


class Current:
    """What the gateway works with now: other objects after each SIGHUP that found all in order."""

    def __init__(self, path: Path | None, config: settings.Config, gateway: Gateway, relays: tuple[Relay, ...]) -> None:
        self._path, self.config, self.load, self.relays = path, config, gateway.load, relays
        self._watching, self.threads = metrics.watch_gateway(config, lambda: self.config, gateway.load)
        self.gateway = self._watching(gateway)

    def renew(self) -> None:
        """Take what the files say by now; raises, and changes nothing, where that can't be used."""
        config = read_again(self._path, self.config, FIXED)
        if problems := gateway_checks.problems_of_files(config):
            raise settings.ConfigError("; ".join(problems))
        gateway, relays = gateway_of(config)
        logs.start(config.log.format)
        self.load.allow(config.gateway.size_limit)
        # Those of before may be in use still: they are tidied until the next change.
        self.config, self.relays = config, (*relays, *self.relays[: len(relays)])
        self.gateway = self._watching(replace(gateway, load=self.load))


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


def _keep_house(current: Current) -> None:
    """Let go of idle connections."""
    while True:
        for relay in current.relays:
            relay.tidy()
        time.sleep(HOUSE_SECONDS)


if __name__ == "__main__":
    main()
