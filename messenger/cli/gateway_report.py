"""``messenger gateway report``: what the mode ``observe`` saw, before anything is enforced."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from .. import visible
from ..gateway import observed
from ..gateway.observed import Report
from ..gateway.values import Way
from . import rows
from .options import config_option, echo_json, json_option, settings
from .status import NO_INPUT, Failed

_DAY = 86_400
_IN_WORDS = {
    Way.CLEAR: "in clear",
    Way.ENCRYPTED: "encrypted already, as it is",
    Way.SMIME: "encrypted with S/MIME",
    Way.PGP: "by the PGP filter",
    Way.PDF: "as an encrypted PDF",
    Way.WEBMAIL: "by webmail",
    Way.REFUSE: "refused",
}
#: Of a domain, rule or address in a line of 80 columns.
_CHARACTERS = 60


@click.command(epilog="Example: messenger gateway report --since 7")
@click.option("--since", type=click.IntRange(1, 36_500), metavar="DAYS", help="Only the last so many days.")
@json_option
@config_option
def report(since: int | None, as_json: bool) -> None:
    """Report what mode "observe" noted: how mail would have gone, by which rules, and what would have been refused."""
    path = settings().gateway.observed
    begin = int(time.time()) - since * _DAY if since else 0
    try:
        found = observed.report(observed.lines(path), begin)
    except FileNotFoundError as error:
        text = f'{path}: nothing there; it is written while [gateway] mode is "observe" and mail leaves'
        raise Failed(text, NO_INPUT) from error
    if as_json:
        echo_json(_object(found))
    else:
        for line in _lines(found):
            click.echo(line)


def _lines(found: Report) -> Iterator[str]:
    if not found.mails:
        yield "No mail was noted in this time."
        return
    yield f"{found.mails} mails to outside, from {rows.moment(found.first)} to {rows.moment(found.last)}"
    yield from _table(
        "How they would have gone, by recipient", {_IN_WORDS[Way(way)]: n for way, n in found.ways.items()}
    )
    yield from _table("By rule", found.rules)
    yield from _table("Domains of senders, by mail", found.sender_domains)
    yield from _table("Domains of recipients", found.recipient_domains)
    yield from _table("Would have been refused", {f"{one} to {other}": n for one, other, n in found.refused})
    if found.unread:
        yield f"\n{found.unread} lines could not be read"


def _table(title: str, counts: Mapping[str, int]) -> Iterator[str]:
    if not counts:
        return
    yield f"\n{title}"
    width = len(str(max(counts.values())))
    for name, number in counts.items():
        yield f"  {number:>{width}}  {visible.line(name, _CHARACTERS)}"


def _object(found: Report) -> dict[str, Any]:
    refused = [{"sender": one, "recipient": other, "count": number} for one, other, number in found.refused]
    moments = {name: rows.moment_or_none(getattr(found, name)) for name in ("first", "last")}
    return {**dataclasses.asdict(found), **moments, "refused": refused}
