"""The reader's words, dates and sizes, in the language and time zone of the person who reads.

A language is a folder under ``locale/`` with a ``messenger_reader.po``; English is in the templates themselves.
Catalogues are read as text, once: there is nothing to compile and nothing to forget. Python code says
``gettext``, templates say ``_()`` or ``{% trans %}``, and dates and sizes are filters.
"""

import gettext as catalogues
from datetime import UTC, date, datetime, tzinfo
from functools import cache, lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, current_app, g, has_request_context, request

LOCALE = Path(__file__).parent / "locale"
DOMAIN = "messenger_reader"
SOURCE = "en"
#: "en" alone would mean the month first and twelve hours; this portal's English is the international one.
FORMATS = {SOURCE: "en_GB"}


@cache
def available() -> tuple[str, ...]:
    """The languages there is a catalogue for; English first."""
    return (SOURCE, *sorted(path.parents[1].name for path in LOCALE.glob(f"*/LC_MESSAGES/{DOMAIN}.po")))


@cache
def catalogue(language: str) -> catalogues.NullTranslations:
    """The words of *language*, which is one of ``available()``."""
    if language == SOURCE:
        return catalogues.NullTranslations()
    compiled = BytesIO()
    with (LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as source:
        write_mo(compiled, read_po(source, locale=language))
    compiled.seek(0)
    return catalogues.GNUTranslations(compiled)


def current() -> str:
    """The language of this page: the account's, else the browser's, else the site's."""
    if not has_request_context():
        return _of_site()
    account = g.get("account") or g.get("pending_account")
    # Asked for with every word of a page; who it is for may change once, when somebody logs in.
    kept: tuple[object, str] | None = g.get("language")
    if kept is None or kept[0] is not account:
        kept = g.language = (account, _of_person(account.language if account is not None else ""))
    return kept[1]


def _of_person(chosen: str) -> str:
    if chosen in available():
        return chosen
    for tag, quality in request.accept_languages:
        # "de-AT" is served by "de", and before any language the person likes less.
        for name in (tag.replace("-", "_"), tag.partition("-")[0].lower()):
            if quality > 0 and name in available():
                return name
    return _of_site()


def _of_site() -> str:
    site: str = current_app.config["SITE_LANGUAGE"]
    return site if site in available() else SOURCE


def time_zone() -> tzinfo:
    """Where the reader's clock hangs: the account's zone, else the site's."""
    account = (g.get("account") or g.get("pending_account")) if has_request_context() else None
    for name in (account and account.time_zone, current_app.config["SITE_TIME_ZONE"]):
        try:
            return ZoneInfo(str(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return UTC


def gettext(message: str) -> str:
    return catalogue(current()).gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    return catalogue(current()).ngettext(one, many, count)


def _local(moment: datetime | float, zone: tzinfo) -> datetime:
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(zone)
    except OverflowError:  # a Date field may name the year 1 or 9999
        return moment


def _formats() -> str:
    return FORMATS.get(current(), current())


def short_date(moment: datetime | float) -> str:
    """As a list wants it: the time today, the day this year, else day and year."""
    zone = time_zone()
    return _short_date(moment, zone, datetime.now(zone).date(), _formats())


# A list writes the dates of fifty mails, the same ones each time.
@lru_cache(maxsize=4096)
def _short_date(moment: datetime | float, zone: tzinfo, today: date, formats: str) -> str:
    local = _local(moment, zone)
    if local.date() == today:
        return dates.format_time(local.time(), "short", locale=formats)
    if local.year == today.year:
        return dates.format_skeleton("MMMd", local, locale=formats)
    return dates.format_date(local.date(), "medium", locale=formats)


def full_date(moment: datetime | float) -> str:
    """Day, year and time of day, the month in words."""
    return _full_date(moment, time_zone(), _formats())


@lru_cache(maxsize=4096)
def _full_date(moment: datetime | float, zone: tzinfo, formats: str) -> str:
    local = _local(moment, zone)
    day = dates.format_date(local.date(), "long", locale=formats)
    return f"{day}, {dates.format_time(local.time(), 'short', locale=formats)}"


def clock(moment: datetime | float) -> str:
    """The time of day, to the minute that has begun."""
    return dates.format_time(_local(moment, time_zone()).time(), "short", locale=_formats())


def machine_date(moment: datetime | float) -> str:
    """For ``<time datetime>``."""
    return _local(moment, time_zone()).isoformat(timespec="seconds")


def file_size(size: int) -> str:
    """Bytes as a person says them, with the decimal mark of the language."""
    value, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    digits = "#,##0.#" if unit != "B" and value < 10 else "#,##0"
    return f"{numbers.format_decimal(value, digits, locale=_formats())} {unit}"


def install(app: Flask, *, site_language: str, site_time_zone: str) -> None:
    """Teach *app*'s templates the words, and the filters for dates and sizes."""
    app.config["SITE_LANGUAGE"] = site_language
    app.config["SITE_TIME_ZONE"] = site_time_zone
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.filters.update(
        clock=clock, short_date=short_date, full_date=full_date, machine_date=machine_date, file_size=file_size
    )
    app.jinja_env.globals["language"] = current
