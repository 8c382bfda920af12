"""What all mails that we write ourselves have in common: whom they are from, the header, the language, the dates.

Knows no texts of its own and no clock.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from . import envelope, visible
from .colours import OURS, Accents, accents
from .notice_mail import mailbox, unstructured
from .notice_texts import SOURCE, speaks

NAME_CHARACTERS = 80
SUBJECT_CHARACTERS = 150

#: Plain "en" would put the month first and count to twelve; this portal speaks to the whole world.
_FORMATS = {SOURCE: "en_GB"}


@dataclass(frozen=True)
class Site:
    """What all mails of a site have in common."""

    name: str
    portal_url: str
    notice_from: str
    language: str = SOURCE
    #: A folder with templates of the site's own.
    templates: Path | None = None
    time_zone: str = "UTC"
    accents: Accents = OURS


class Named(Protocol):
    """What the settings say of a site: their section [site]."""

    @property
    def name(self) -> str: ...
    @property
    def portal_url(self) -> str: ...
    @property
    def language(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def colour(self) -> str: ...
    @property
    def colour_dark(self) -> str: ...


class Sending(Protocol):
    """What the settings say of mails of ours: their section [notice]."""

    @property
    def mail_from(self) -> str: ...
    @property
    def templates(self) -> Path | None: ...


def site_of(site: Named, notice: Sending) -> Site:
    """Return what all mails of ours say about this site."""
    return Site(
        name=site.name,
        portal_url=site.portal_url,
        notice_from=notice.mail_from,
        language=site.language,
        templates=notice.templates,
        time_zone=site.time_zone,
        accents=accents(site.colour, site.colour_dark),
    )


def for_person(site: Site, language: str, time_zone: str) -> Site:
    """Return *site* as it speaks to one person: in *language*, if it can, with the dates of *time_zone*.

    Either may be empty. What a person asks for never keeps a mail from being written: then it is as the site has it.
    """
    if (language or site.language, time_zone or site.time_zone) == (site.language, site.time_zone):
        return site
    return replace(
        site,
        language=language if language and speaks(site.templates, language) else site.language,
        time_zone=time_zone if time_zone and _is_zone(time_zone) else site.time_zone,
    )


def head(to: str, subject: str, site: Site, now: datetime, message_id: str) -> list[tuple[str, str]]:
    """Return the header of a mail that a machine writes and nobody is to answer; *subject* is a clean line."""
    return [
        ("From", mailbox(visible.line(site.name, NAME_CHARACTERS), envelope.normal(site.notice_from))),
        ("To", envelope.normal(to)),
        ("Subject", unstructured(subject)),
        ("Date", format_datetime(local_time(site, now))),
        ("Message-ID", f"<{message_id.strip('<>')}>"),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834, section 5: no vacation replies
        # Exchange's word for the same. Not "All": that would keep back non-delivery reports too.
        ("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply"),
        ("Content-Language", language_tag(site)),
    ]


def local_time(site: Site, now: datetime) -> datetime:
    """Return *now* in the zone of *site*."""
    return now.astimezone(ZoneInfo(site.time_zone))


def language_tag(site: Site) -> str:
    """Return the language of *site* as mail and HTML name it (RFC 5646)."""
    return site.language.replace("_", "-")


def direction(site: Site) -> str:
    """Return "ltr" or "rtl"."""
    return locale_of(site.language).text_direction


def date_and_time(site: Site, now: datetime) -> str:
    """Write *now* for a person to read, in the language and the zone of *site*."""
    return _written(site.language, site.time_zone, int(now.timestamp()) // 60)


def size(site: Site, octets: int) -> str:
    """Write a number of octets as people say it, in the language of *site*."""
    value, unit = float(octets), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    digits = "#,##0.#" if unit != "B" and value < 10 else "#,##0"
    return f"{format_decimal(value, digits, locale=locale_of(site.language))} {unit}"


@lru_cache(maxsize=256)
def _written(language: str, time_zone: str, minute: int) -> str:
    local, locale = datetime.fromtimestamp(minute * 60, ZoneInfo(time_zone)), locale_of(language)
    return f"{format_date(local, 'long', locale=locale)}, {format_time(local, 'HH:mm z', locale=locale)}"


@lru_cache(maxsize=64)
def locale_of(language: str) -> Locale:
    """Return what writes dates in *language*; English where it is unknown."""
    try:
        return Locale.parse(_FORMATS.get(language, language))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(_FORMATS[SOURCE])


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
