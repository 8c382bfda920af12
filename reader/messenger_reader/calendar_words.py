"""What a calendar entry says, in the words and the time zone of the person who reads: when, how often, who answered.

Nothing here decides anything; what can't be put into words is shown as it is written.
"""

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from babel import dates, lists

from . import language
from .calendars import Calendar, Entry, Moment
from .language import gettext as _
from .language import ngettext

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: Parts of a rule that there are words for; WKST changes nothing a person would ask about.
UNDERSTOOD = frozenset({"FREQ", "INTERVAL", "UNTIL", "COUNT", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST"})
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_NTH_DAY = re.compile(r"(-1|[1-4])(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?", re.ASCII)


def title(calendar: Calendar) -> str:
    """What the file is for."""
    return {
        "request": _("Invitation"),
        "cancel": _("Cancellation"),
        "reply": _("Answer to an invitation"),
        "counter": _("Another time is proposed"),
    }.get(calendar.method, _("Calendar entry"))


def status(entry: Entry, calendar: Calendar) -> str:
    if calendar.method == "cancel" or entry.status == "cancelled":
        return _("Cancelled: it does not take place.")
    return {"tentative": _("Not yet certain"), "confirmed": _("Confirmed"), "completed": _("Done")}.get(
        entry.status, ""
    )


def answer(given: str) -> str:
    """What somebody who was invited has said."""
    return {
        "accepted": _("accepted"),
        "declined": _("declined"),
        "tentative": _("perhaps"),
        "delegated": _("sends somebody else"),
        "needs-action": _("no answer yet"),
    }.get(given, "")


def when(entry: Entry) -> tuple[str, ...]:
    """From when to when, by the reader's clock where that can be told; then what is to be known about it."""
    start, end = entry.start, entry.end
    if start is None:
        return (_("No time is given."),) if end is None else (_("Until %(when)s") % {"when": _whole(end)},)
    said = [_span(start, end)]
    if start.all_day:
        return (*said, _("All day"))
    zone = language.time_zone()
    if _is_known(start):
        said.append(_("Your time zone: %(zone)s") % {"zone": _name(zone)})
        if start.zone and _elsewhere(start):
            there = dates.format_time(_clock(start), "short", locale=_locale())
            said.append(_("There: %(time)s, time zone %(zone)s") % {"time": there, "zone": start.zone})
    elif start.zone:
        said.append(
            _("Time zone: %(zone)s. It is not known here, so the time is shown as written.") % {"zone": start.zone}
        )
    else:
        said.append(_("No time zone is given."))
    return tuple(said)


def repeats(entry: Entry) -> str:
    """How often, in words; the rule as written where there are no words for it; "" if once."""
    rule = entry.rule
    if not rule:
        return ""
    said = _every(rule) if rule.keys() <= UNDERSTOOD else ""
    if not said:
        return _("By this rule: %(rule)s") % {"rule": ";".join(f"{key}={','.join(rule[key])}" for key in rule)}
    if until := _until(rule):
        said = _("%(how_often)s, until %(day)s") % {"how_often": said, "day": until}
    elif (count := _number(rule, "COUNT")) is not None:
        times = ngettext("%(num)s time in all", "%(num)s times in all", count) % {"num": count}
        said = f"{said}, {times}"
    return said


def _every(rule: dict[str, tuple[str, ...]]) -> str:
    count = _number(rule, "INTERVAL", 1)
    days, month_days = rule.get("BYDAY", ()), rule.get("BYMONTHDAY", ())
    if count is None:
        return ""
    match rule.get("FREQ", ("",))[0]:
        case "DAILY" if not days and not month_days:
            said = ngettext("every day", "every %(num)s days", count)
        case "WEEKLY" if all(day in DAYS for day in days) and not month_days:
            said = ngettext("every week", "every %(num)s weeks", count)
            if days:
                said = _("%(how_often)s on %(days)s") % {"how_often": said % {"num": count}, "days": _day_names(days)}
        case "MONTHLY":
            said = ngettext("every month", "every %(num)s months", count)
            if not (part := _in_month(days, month_days)) and (days or month_days):
                return ""
            said = f"{said % {'num': count}} {part}".strip()
        case "YEARLY" if not days and len(month_days) <= 1:
            said = ngettext("every year", "every %(num)s years", count)
        case _:
            return ""
    return said % {"num": count} if "%(num)" in said else said


def _in_month(days: tuple[str, ...], month_days: tuple[str, ...]) -> str:
    if len(month_days) == 1 and not days and _NUMBER.fullmatch(month_days[0]):
        return _("on day %(day)s") % {"day": month_days[0]}
    if len(days) == 1 and not month_days and (found := _NTH_DAY.fullmatch(days[0])):
        which = {"1": _("first"), "2": _("second"), "3": _("third"), "4": _("fourth"), "-1": _("last")}[found[1]]
        return _("on the %(which)s %(day)s") % {"which": which, "day": _day_names((found[2],))}
    return ""


def _day_names(days: tuple[str, ...]) -> str:
    names = dates.get_day_names("wide", locale=_locale())
    return lists.format_list([names[DAYS.index(day)] for day in days[:7]], locale=_locale())


def _number(rule: dict[str, tuple[str, ...]], name: str, default: int | None = None) -> int | None:
    values = rule.get(name)
    if values is None:
        return default
    return int(values[0]) if _NUMBER.fullmatch(values[0]) else None


def _until(rule: dict[str, tuple[str, ...]]) -> str:
    found = _UNTIL.fullmatch(rule.get("UNTIL", ("",))[0])
    if not found:
        return ""
    with suppress(ValueError, OverflowError):
        moment = datetime.strptime(found[1] + (found[2] or "120000"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return _day(moment.astimezone(language.time_zone()) if found[3] else moment, "long")
    return ""


def _span(start: Moment, end: Moment | None) -> str:
    if end is None or end.at == start.at or end.all_day != start.all_day or _is_known(start) != _is_known(end):
        return _whole(start)
    if start.all_day or _local(start).date() != _local(end).date():
        return f"{_whole(start)} – {_whole(end)}"
    return f"{_whole(start)} – {dates.format_time(_local(end).time(), 'short', locale=_locale())}"


def _whole(moment: Moment) -> str:
    if moment.all_day:
        return _day(moment.at)
    local = _local(moment)
    return f"{_day(local)}, {dates.format_time(local.time(), 'short', locale=_locale())}"


def _day(day: date, style: str = "full") -> str:
    return dates.format_date(day, style, locale=_locale())


def _local(moment: Moment) -> datetime:
    """By the reader's clock, or as it is written where nobody knows what that would be."""
    assert isinstance(moment.at, datetime)
    if moment.at.tzinfo is None:
        return moment.at
    try:
        return moment.at.astimezone(language.time_zone())
    except OverflowError:  # the years 1 and 9999
        return moment.at


def _is_known(moment: Moment) -> bool:
    return isinstance(moment.at, datetime) and moment.at.tzinfo is not None


def _clock(moment: Moment) -> time:
    assert isinstance(moment.at, datetime)
    return moment.at.time()


def _elsewhere(moment: Moment) -> bool:
    return _clock(moment) != _local(moment).time()


def _name(zone: object) -> str:
    return zone.key if isinstance(zone, ZoneInfo) else str(zone)


def _locale() -> str:
    return language.FORMATS.get(language.current(), language.current())
