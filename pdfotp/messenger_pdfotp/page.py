"""Lay a mail out as a document for paper: values in, HTML and a style sheet out.

What a sender wrote is escaped, or was sanitised before it came here. Knows no files and no PDF.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from babel.units import format_unit

from messenger import visible
from messenger.letterhead import Site, date_and_time, direction, language_tag, locale_of
from messenger.link import reference
from messenger.message import Message, Part, Person, Printed
from messenger.notice_texts import environment, render
from messenger.pdf_job import PdfJob

from .paragraphs import decided, direction_of, paragraphs

HTML, SHEET = "pdf.html", "pdf.css"
SUBJECT_CHARACTERS = 500
#: Of a list of thousands nobody reads more.
PEOPLE = 50


@dataclass(frozen=True)
class File:
    filename: str
    size: str


@dataclass(frozen=True)
class Paper:
    html: str
    css: str


@dataclass(frozen=True)
class Contents:
    """What of a mail stands on the page."""

    message: Message
    body: Printed
    #: The files that are listed; inside the PDF, or waiting in the portal.
    files: tuple[Part, ...]
    files_inside: bool
    #: Why this isn't the mail as it was written: "", "text" (its text alone), "cut" (some of that), "bare" (nothing).
    fallback: str = ""


def paper(contents: Contents, job: PdfJob, site: Site) -> Paper:
    """Return the document; *site* as it speaks to the recipient. Raises NoticeError for a broken template."""
    message = contents.message
    body = contents.body
    if body.html.strip():
        body = replace(body, html=paragraphs(body.html) if body.plain else decided(body.html))
    subject = visible.line(message.subject, SUBJECT_CHARACTERS)
    values = {
        "site": site,
        "language": language_tag(site),
        "direction": direction(site),
        "subject": subject,
        "subject_direction": direction_of(subject),
        "author": _author(message.senders),
        "senders": message.senders[:PEOPLE],
        "to": message.to[:PEOPLE],
        "cc": message.cc[:PEOPLE],
        "date": date_and_time(site, message.date) if message.date else "",
        "reference": reference(job.digest),
        "fallback": contents.fallback,
        "bare": contents.fallback in ("cut", "bare"),
        "body": body,
        "body_direction": body.direction if body.direction in ("ltr", "rtl") else direction_of(message.text),
        "files": [File(part.filename, size_words(part.size, site.language)) for part in contents.files],
        "files_inside": contents.files_inside,
        "portal_url": site.portal_url,
        "reply_url": job.reply_url,
    }
    texts = environment(site.templates, site.language)
    sheet = f":root {{ --accent: {site.accents.light.colour} }}\n" + render(texts, SHEET, {"site": site})
    return Paper(render(texts, HTML, values), sheet)


def size_words(octets: int, language: str) -> str:
    """Write a size for a person: "1.4 megabytes" in the short form of the language."""
    unit, value = "kilobyte", max(octets / 1000, 0.1)
    if value >= 1000:
        unit, value = "megabyte", value / 1000
    digits = round(value, 1) if value < 10 else round(value)
    return format_unit(digits, f"digital-{unit}", length="short", locale=locale_of(language))


def _author(senders: Sequence[Person]) -> str:
    return ", ".join(person.name or person.address for person in senders[:3])
