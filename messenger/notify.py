"""Write the notice: a mail that says that there is mail, from whom, and where to read it. Nothing of its content.

What it names comes from strangers: names and addresses are cleaned here, whatever the caller did. Knows no
mailboxes, no clock and no way to send: docs/notice.md says how a site changes the texts.
"""

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime

from . import envelope, visible
from .letterhead import (
    NAME_CHARACTERS,
    SUBJECT_CHARACTERS,
    Site,
    date_and_time,
    direction,
    for_person,
    head,
    language_tag,
)
from .notice_forms import body, fixed_text
from .notice_mail import mail
from .notice_texts import NoticeError, environment, languages
from .preferences import PHRASE_CHARACTERS

__all__ = ["Notice", "NoticeError", "Site", "check_templates", "letter"]

SUBJECT, TEXT, HTML = "notice-subject.txt", "notice.txt", "notice.html"


@dataclass(frozen=True)
class Notice:
    """What one notice says about one mail, to one person."""

    to: str
    sender_name: str
    sender_address: str
    #: The code that the portal shows beside the message.
    reference: str
    link: str
    #: To be the same each time for the same mail: most mail systems then show a second notice as one.
    message_id: str
    #: The person's own words; empty where there are none.
    phrase: str = ""
    #: The person's own; empty where the site's are meant.
    language: str = ""
    time_zone: str = ""


def letter(notice: Notice, site: Site, now: datetime) -> bytes:
    """Write *notice* as a mail that is ready to be sent."""
    site = for_person(site, notice.language, notice.time_zone)
    texts = environment(site.templates, site.language)
    subject = visible.line(fixed_text(texts, SUBJECT, {"site": site}), SUBJECT_CHARACTERS)
    fixed = {"site": site, "language": language_tag(site), "direction": direction(site)}
    values = {
        "sender_name": readable_name(notice.sender_name, notice.sender_address),
        "sender_address": readable_address(notice.sender_address),
        "received": date_and_time(site, now),
        "reference": notice.reference,
        "link": notice.link,
        "phrase": visible.line(notice.phrase, PHRASE_CHARACTERS),
    }
    text = body(texts, TEXT, fixed, values)
    html = body(texts, HTML, fixed | {"subject": subject}, values)
    return mail(head(notice.to, subject, site, now, notice.message_id), text, html)


def check_templates(site: Site) -> None:
    """Raise NoticeError, naming file and line, if a notice of *site* could not be written in any of its languages."""
    full = Notice(
        "recipient@example.org",
        "A Name",
        "sender@example.org",
        "XXXX-XXXX",
        f"{site.portal_url}/l/x",
        "check@example.org",
        phrase="A phrase",
    )
    bare = replace(full, sender_name="", sender_address="", phrase="")
    now = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    for language in dict.fromkeys((site.language, *languages(site.templates))):
        for notice in (full, bare):
            letter(notice, replace(site, language=language), now)


def readable_address(address: str) -> str:
    try:
        return envelope.display(address)
    except envelope.AddressError:
        return visible.line(address, envelope.ADDRESS_OCTETS)


def readable_name(name: str, address: str) -> str:
    shown = visible.line(name, NAME_CHARACTERS)
    # A name with an address in it is there to be taken for that address.
    if "@" in unicodedata.normalize("NFKC", shown) or shown == address:
        return ""
    # Mail clients make links of what looks like one; with these gaps nothing in a name does.
    return visible.single_spaced(re.sub(r"(?<=[^\s.])\.(?=[^\s.])", ". ", re.sub(r"[/\\<>]+", " ", shown)))
