"""``messenger audit``: who did what, when, from where, and how it ended."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import click

from ..accounts import Event
from ..envelope import normal
from . import account_database, rows
from .options import config_option, settings

_AGO = re.compile(r"([0-9]{1,6})([dh])")
_SECONDS = {"d": 86_400, "h": 3600}


def _since(_context: click.Context, _option: click.Parameter, value: str) -> int:
    """The moment that *value* means, as Unix seconds: a date, a date with a time, or how long ago."""
    if ago := _AGO.fullmatch(value):
        return max(0, int(time.time()) - int(ago[1]) * _SECONDS[ago[2]])
    try:
        found = datetime.fromisoformat(value)
        return max(0, int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError) as error:
        text = f"expected 2026-11-01, 2026-11-01T10:00 (UTC), 7d or 12h, found {value!r}"
        raise click.BadParameter(text) from error


@click.command(epilog="Example: messenger audit --since 7d --account anna@example.net")
@click.option(
    "--since",
    callback=_since,
    default="1970-01-01",
    metavar="WHEN",
    help="2026-11-01, 2026-11-01T10:00 (UTC), 7d or 12h ago.",
)
@click.option("--account", "address", metavar="ADDRESS", default="", help="Only this address, in any spelling.")
@rows.lines_option
@config_option
def audit(since: int, address: str, as_json: bool) -> None:
    """Print the audit, the oldest line first: log-ins, changes to accounts, what was read and saved, who administered.

    Of deleted accounts too. Subjects and contents, passwords and codes are never in it. Times are UTC.
    """
    wanted = normal(address) if address else ""
    config = settings()
    with account_database.opened(config) as accounts:
        events = accounts.trail(since, wanted)
        if as_json:
            rows.print_lines(map(_object, events))
        else:
            head = ("time", "event", "outcome", "address", "client", "detail")
            rows.print_columns(head, map(_cells, events))


def _object(event: Event) -> dict[str, Any]:
    return {
        "time": rows.moment(event.at),
        "event": event.event,
        "outcome": event.outcome,
        "address": event.address or None,
        "client": event.client or None,
        "detail": event.detail or None,
    }


def _cells(event: Event) -> tuple[str, ...]:
    return rows.moment(event.at), event.event, event.outcome, event.address, event.client, event.detail
