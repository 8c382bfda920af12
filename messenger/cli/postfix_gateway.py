"""What Postfix needs at the gateway's end beside the milter: a way to Messenger, and none back to itself."""

import re
import socket
from collections.abc import Iterator
from pathlib import Path

from ..config import Config
from ..envelope import domain_of
from .postfix import TRANSPORT, Postfix, added, knows, milter_address, table
from .postfix_milters import asks


def tables(postfix: Postfix, config: Config, next_hop: str | None) -> dict[Path, str]:
    """Return the table that leads tunnel mail to *next_hop*: "" for DNS, None for what an earlier run was told."""
    path = postfix.folder / TRANSPORT
    before = _told(path)
    hop = before if next_hop is None else next_hop
    if not hop and before is None:
        return {}
    recipient = config.tunnel.webmail_recipient
    domain = domain_of(recipient)
    # A domain that people have mail in keeps its way.
    alone = domain in config.site.own_domains or knows(postfix, domain)
    return {path: table({(recipient if alone else domain): hop} if hop else {})}


def parameters(postfix: Postfix, needs_table: bool) -> dict[str, str]:
    """Return what main.cf says, but for milters."""
    if not needs_table:
        return {}
    kind = postfix.meant["default_database_type"]
    return {"transport_maps": added(postfix, "transport_maps", f"{kind}:{postfix.folder / TRANSPORT}")}


def warnings(postfix: Postfix, config: Config, milters: str, *, beside: bool) -> Iterator[str]:
    """Say where [gateway] smtp leads: never to the smtpd that asks, nor, *beside* Messenger, past its milter.

    *milters* are those of an smtpd without a list of its own.
    """
    for listener in _listeners(postfix, config.gateway.smtp):
        asked = _asked_by(postfix, listener, milters)
        if asks(milter_address(config.gateway.socket, postfix.queue), asked):
            yield (
                f"[gateway] smtp leads to {config.gateway.smtp}, an smtpd that asks messenger-gateway: it would wait"
                " for itself. Use sendmail, or a port that doesn't ask (docs/operations.md)"
            )
        if beside and not asks(milter_address(config.intake.socket, postfix.queue), asked):
            yield (
                f"[gateway] smtp leads to {config.gateway.smtp}, an smtpd that doesn't ask the milter: tunnel mail"
                " would wait in the queue for good. Use sendmail, or give that port the milter alone"
            )


def _told(path: Path) -> str | None:
    """The next hop that the table has, "" where it has none; None where there is no table."""
    if not path.is_file():
        return None
    entries = [line.split() for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return next((words[1] for words in entries if len(words) > 1), "")


def _listeners(postfix: Postfix, smtp: str) -> list[str]:
    """Services of this Postfix that [gateway] smtp leads to."""
    host, _, port = smtp.rpartition(":")
    if not host or not _is_here(host.strip("[]"), postfix):
        return []
    return [name for name in postfix.listeners if _port(name.rpartition(":")[2]) == port]


def _is_here(host: str, postfix: Postfix) -> bool:
    return host in ("localhost", "::1", postfix.meant["myhostname"]) or re.match(r"127\.", host) is not None


def _port(name: str) -> str:
    try:
        return name if name.isdigit() else str(socket.getservbyname(name, "tcp"))
    except OSError:
        return name


def _asked_by(postfix: Postfix, listener: str, milters: str) -> str:
    for line in postfix.overrides:
        if line.startswith(f"{listener}/inet/receive_override_options ") and "no_milters" in line:
            return ""
        if line.startswith(f"{listener}/inet/smtpd_milters "):
            return line.partition("=")[2].replace("$smtpd_milters", milters)
    return milters
