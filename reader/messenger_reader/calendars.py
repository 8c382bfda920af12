"""Read a calendar file (iCalendar, RFC 5545; invitations, RFC 5546): bytes in, plain values out.

Knows no page and no language. The library parses; what it says is taken as hostile: everything is bounded, and a time
zone that the file itself defines is never asked for anything, since its rules may take for ever to follow.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from babel.core import get_global
from icalendar import Calendar as Parsed
from icalendar import Component
from icalendar.error import GloballyUniqueTZIDGuessed
from icalendar.prop import vBroken

from messenger.errors import MessengerError
from messenger.visible import line

from . import time_zones

#: The costliest file of this size that we could make took a second and a half.
CALENDAR_BYTES = 256_000
#: So many are shown; beyond these the file has to be saved and opened.
ENTRIES = 20
ATTENDEES = 50
WORDS, TEXT = 300, 5_000
# Such a warning says what is in the file, and goes into the log.
warnings.filterwarnings("ignore", category=GloballyUniqueTZIDGuessed)
LISTED = {"VEVENT": "event", "VTODO": "task", "VJOURNAL": "note"}


class NotACalendar(MessengerError):
    """The file can't be read as a calendar."""


@dataclass(frozen=True)
class Moment:
    """A day, or a time of day: with a zone in ``at`` where that is known, else by the clocks of whoever reads it."""

    at: date | datetime
    #: The zone's name as the file has it; "" if it has none.
    zone: str = ""

    @property
    def all_day(self) -> bool:
        return not isinstance(self.at, datetime)


@dataclass(frozen=True)
class Attendee:
    name: str
    address: str
    #: PARTSTAT in lower case: "accepted", "declined", "tentative", "needs-action", ...
    answer: str = ""


@dataclass(frozen=True)
class Entry:
    #: "event", "task" or "note".
    kind: str
    summary: str
    start: Moment | None
    #: Of a whole day: the last one, not the day after it.
    end: Moment | None
    location: str
    description: str
    organiser: Attendee | None
    attendees: tuple[Attendee, ...]
    #: STATUS in lower case: "confirmed", "cancelled", "tentative", ...
    status: str
    #: RRULE's parts as written, such as {"FREQ": ("WEEKLY",)}; empty if it takes place once.
    rule: dict[str, tuple[str, ...]]
    #: It is one of a series, changed or called off by itself.
    one_of_series: bool


@dataclass(frozen=True)
class Calendar:
    #: METHOD in lower case: "request" (an invitation), "cancel", "reply", ...; "" if it is just a file.
    method: str
    entries: tuple[Entry, ...]
    #: How many more there are.
    more: int


def read(content: bytes) -> Calendar:
    """Read what is in a calendar file. Raises NotACalendar."""
    if len(content) > CALENDAR_BYTES:
        raise NotACalendar(f"expected at most {CALENDAR_BYTES} bytes, found {len(content)}")
    try:
        parsed = Parsed.from_ical(content, multiple=True)
        found = [one for calendar in parsed for one in calendar.walk() if one.name in LISTED]
        method = _word(parsed[0], "METHOD") if parsed else ""
        entries = tuple(map(_entry, found[:ENTRIES]))
    except Exception as error:  # whatever a parser of hostile bytes raises
        raise NotACalendar(f"expected a calendar, found {type(error).__name__}") from error
    if not entries:
        raise NotACalendar("expected an event, found none")
    return Calendar(method, entries, max(len(found) - ENTRIES, 0))


def _entry(found: Component) -> Entry:
    start, end = _moment(found, "DTSTART"), _moment(found, "DTEND") or _moment(found, "DUE")
    duration = _dt(_first(found, "DURATION"))
    if end is None and start and isinstance(duration, timedelta):
        with contextlib.suppress(OverflowError):
            end = Moment(start.at + duration, start.zone)
    if end and end.all_day and start and start.all_day and end.at > start.at:
        end = Moment(end.at - timedelta(days=1))
    organiser = _first(found, "ORGANIZER")
    return Entry(
        kind=LISTED[str(found.name)],
        summary=_text(found, "SUMMARY", WORDS),
        start=start,
        end=end,
        location=_text(found, "LOCATION", WORDS),
        description=_text(found, "DESCRIPTION", TEXT, lines=True),
        organiser=None if organiser is None else _attendee(organiser),
        attendees=tuple(_attendee(one) for one, _ in zip(_every(found, "ATTENDEE"), range(ATTENDEES), strict=False)),
        status=_word(found, "STATUS"),
        rule=_rule(_first(found, "RRULE")),
        one_of_series="RECURRENCE-ID" in found,
    )


def _every(found: Component, name: str) -> Iterator[Any]:
    value = found.get(name)
    yield from value if isinstance(value, list) else () if value is None else (value,)


def _first(found: Component, name: str) -> Any:
    return next(_every(found, name), None)


def _text(found: Component, name: str, limit: int, lines: bool = False) -> str:
    value = str(_first(found, name) or "")[: limit * 4]
    if not lines:
        return line(value, limit)
    return "\n".join(line(one, limit) for one in value.splitlines()).strip()[:limit]


def _word(found: Component, name: str) -> str:
    return _text(found, name, 40).lower()


def _attendee(value: Any) -> Attendee:
    params = {} if isinstance(value, vBroken) else getattr(value, "params", {})
    address = line(str(value), WORDS)
    if address[:7].lower() == "mailto:":
        address = address[7:]
    return Attendee(line(str(params.get("CN", "")), 100), address, line(str(params.get("PARTSTAT", "")), 40).lower())


def _moment(found: Component, name: str) -> Moment | None:
    value = _first(found, name)
    at = _dt(value)
    if not isinstance(at, datetime):
        return Moment(at) if isinstance(at, date) else None
    named = line(str(value.params.get("TZID", "")), 100)
    # As written on the clock, without the zone that the file gives it.
    clock = at.replace(tzinfo=None)
    zone = _zone(named) if named else UTC if at.tzinfo else None
    return Moment(clock.replace(tzinfo=zone), named)


def _dt(value: Any) -> Any:
    """The time in a property; None if it has none, or is broken: asking a broken one for anything raises."""
    return None if isinstance(value, vBroken) else getattr(value, "dt", None)


def _zone(name: str) -> ZoneInfo | None:
    """The zone of that name: an Olson one, also behind a path of the program that wrote it, or Windows' for it."""
    for candidate in (name, _windows().get(name, ""), "/".join(name.split("/")[-2:]), "/".join(name.split("/")[-3:])):
        if time_zones.known(candidate):
            return ZoneInfo(candidate)
    return None


@cache
def _windows() -> dict[str, str]:
    return dict(get_global("windows_zone_mapping"))


def _rule(value: Any) -> dict[str, tuple[str, ...]]:
    """The parts of a recurrence as written; their meaning is for whoever puts it into words."""
    if value is None or isinstance(value, vBroken):
        return {}
    written = value.to_ical().decode("utf-8", "replace")[:500]
    parts = (part.partition("=") for part in line(written, 500).upper().split(";"))
    return {name: tuple(values.split(",")) for name, _, values in parts if values}
