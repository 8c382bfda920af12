"""Write the notice: a mail that says that there is mail, from whom, and where to read it. Nothing of its content.

What it names comes from strangers: names and addresses are cleaned here, whatever the caller did. Knows no
mailboxes, no clock and no way to send: docs/notice.md says how a site changes the texts.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time

from . import envelope, visible
from .notice_mail import mail, mailbox, unstructured
from .notice_texts import HTML, SOURCE, SUBJECT, TEXT, NoticeError, environment, render

__all__ = ["NoticeError", "Site", "check_templates", "letter", "notice"]

NAME_CHARACTERS = 80
SUBJECT_CHARACTERS = 150

#: Plain "en" would put the month first and count to twelve; this portal speaks to the whole world.
_FORMATS = {SOURCE: "en_GB"}


@dataclass(frozen=True)
class Site:
    """What all notices of a site have in common."""

    name: str
    portal_url: str
    notice_from: str
    language: str = SOURCE
    #: A folder with templates of the site's own.
    templates: Path | None = None
    time_zone: str = "UTC"


def notice(
    to: str,
    sender_name: str,
    sender_address: str,
    reference: str,
    link: str,
    site: Site,
    now: datetime,
    message_id: str,
) -> EmailMessage:
    """Return the notice for *to* about one mail, to look into; ``letter`` is the same as it is sent."""
    raw = letter(to, sender_name, sender_address, reference, link, site, now, message_id)
    return message_from_bytes(raw, policy=policy.SMTP.clone(refold_source="none", utf8=True))


def letter(
    to: str,
    sender_name: str,
    sender_address: str,
    reference: str,
    link: str,
    site: Site,
    now: datetime,
    message_id: str,
) -> bytes:
    """Write the notice for *to* about one mail.

    *message_id* is to be the same each time for the same mail: most mail systems then show a second notice as one.
    """
    local = now.astimezone(ZoneInfo(site.time_zone))
    values = _values(sender_name, sender_address, reference, link, site, local)
    texts = environment(site.templates, site.language)
    subject = visible.line(render(texts, SUBJECT, {"site": site}), SUBJECT_CHARACTERS)
    fields = [
        ("From", mailbox(visible.line(site.name, NAME_CHARACTERS), envelope.normal(site.notice_from))),
        ("To", envelope.normal(to)),
        ("Subject", unstructured(subject)),
        ("Date", format_datetime(local)),
        ("Message-ID", f"<{message_id.strip('<>')}>"),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834, section 5: no vacation replies
        # Exchange's word for the same. Not "All": that would keep back non-delivery reports too.
        ("X-Auto-Response-Suppress", "DR, RN, NRN, OOF, AutoReply"),
        ("Content-Language", site.language.replace("_", "-")),
    ]
    html = render(texts, HTML, values | {"subject": subject})
    return mail(fields, render(texts, TEXT, values), html)


def check_templates(site: Site) -> None:
    """Raise NoticeError, naming file and line, if a notice of *site* could not be written."""
    letter(
        "recipient@example.org",
        "A Name",
        "sender@example.org",
        "XXXX-XXXX",
        f"{site.portal_url}/l/x",
        site,
        datetime.fromisoformat("2000-01-01T00:00:00+00:00"),
        "check@example.org",
    )


def _values(
    sender_name: str, sender_address: str, reference: str, link: str, site: Site, local: datetime
) -> dict[str, object]:
    address = _address_for_people(sender_address)
    name = _name_for_people(sender_name, sender_address)
    locale = _locale(site.language)
    return {
        "site": site,
        "language": site.language.replace("_", "-"),
        "direction": locale.text_direction,
        "sender_name": name,
        "sender_address": address,
        "received": f"{format_date(local, 'long', locale=locale)}, {format_time(local, 'HH:mm z', locale=locale)}",
        "reference": reference,
        "link": link,
    }


def _locale(language: str) -> Locale:
    try:
        return Locale.parse(_FORMATS.get(language, language))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(_FORMATS[SOURCE])


def _address_for_people(address: str) -> str:
    try:
        return envelope.display(address)
    except envelope.AddressError:
        return visible.line(address, envelope.ADDRESS_OCTETS)


def _name_for_people(name: str, address: str) -> str:
    shown = visible.line(name, NAME_CHARACTERS)
    # A name with an address in it is there to be taken for that address.
    if "@" in unicodedata.normalize("NFKC", shown) or shown == address:
        return ""
    # Mail clients make links of what looks like one; with these gaps nothing in a name does.
    return visible.single_spaced(re.sub(r"(?<=[^\s.])\.(?=[^\s.])", ". ", re.sub(r"[/\\<>]+", " ", shown)))
