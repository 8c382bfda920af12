"""What can be looked at of an attachment without saving it: decided by what it claims to be and by what its bytes say.

Knows no web. Pictures and PDFs are never decoded in this process; SVG, HTML and whatever else can hold a script is
never among what is shown.
"""

import logging
from dataclasses import dataclass

from messenger import message
from messenger.message import Part

from . import calendars, contacts, file_words, pdf_pages
from .calendars import Calendar
from .contacts import Contact

log = logging.getLogger(__name__)

#: A larger one is for saving: the browser that unpacks it is somebody's telephone.
PICTURE_BYTES = 15_000_000
TEXT_CHARACTERS = 200_000
PLAIN = "text/plain; charset=utf-8"
JPEG = "image/jpeg"


@dataclass(frozen=True)
class Preview:
    """What a page shows of one attachment."""

    #: "picture", "text", "pdf", "calendar", "contact"; "" if nothing can be shown, and then why:
    kind: str
    #: "kind" (nothing we show), "large", "other" (not what it claims to be), "broken", "busy" (another time).
    problem: str = ""
    calendar: Calendar | None = None
    contacts: tuple[Contact, ...] = ()
    #: Of pages, contacts: how many there are; of a text: whether there is more than is shown.
    count: int = 0
    #: Of a PDF: the number of the page that is shown, from 1, and what it says.
    page: int = 1
    text: str = ""


def look(raw: bytes, path: str, part: Part, content: bytes, page: int) -> Preview:
    """What to show of *part*, which is at *path* in the mail *raw*; *page* counts for PDFs, from 1."""
    match file_words.preview_of(part):
        case "picture":
            return _picture(content)
        case "text":
            return Preview("text", count=int(message.part_text(raw, path, TEXT_CHARACTERS)[2]))
        case "pdf":
            return _pdf(content, page)
        case "calendar":
            try:
                return Preview("calendar", calendar=calendars.read(content))
            except calendars.NotACalendar as error:
                log.info("an attachment is not shown as a calendar: %s", error)
                return Preview("", "broken")
        case "contact":
            found, more = contacts.read(message.part_text(raw, path, contacts.TEXT)[1])
            return (
                Preview("contact", contacts=tuple(found), count=len(found) + more) if found else Preview("", "broken")
            )
        case _:
            return Preview("", "kind")


def shown(raw: bytes, path: str, part: Part, content: bytes, page: int) -> tuple[str, bytes] | None:
    """The content type and the bytes a browser is given to show; None where there are none. Raises pdf_pages.Busy."""
    match file_words.preview_of(part):
        case "picture" if not _picture(content).problem:
            return message.picture_type(content), content
        case "text":
            return PLAIN, message.part_text(raw, path, TEXT_CHARACTERS)[1].encode("utf-8", "replace")
        case "pdf":
            try:
                return JPEG, pdf_pages.draw(content, min(page, pdf_pages.PAGES) - 1)
            except pdf_pages.NotDrawn as error:
                log.info("a page of a PDF is not shown: %s", error)
    return None


def _picture(content: bytes) -> Preview:
    if not message.picture_type(content):
        return Preview("", "other")
    if len(content) > PICTURE_BYTES:
        return Preview("", "large")
    return Preview("picture")


def _pdf(content: bytes, page: int) -> Preview:
    # Programs look for the mark in the first kilobyte, and so do we.
    if b"%PDF-" not in content[:1024]:
        return Preview("", "other")
    if len(content) > pdf_pages.PDF_BYTES:
        return Preview("", "large")
    try:
        found = pdf_pages.read(content, min(page, pdf_pages.PAGES) - 1)
    except pdf_pages.Busy:
        return Preview("", "busy")
    except pdf_pages.NotDrawn as error:
        log.info("a PDF is not shown: %s", error)
        return Preview("", "broken")
    return Preview("pdf", count=found.count, page=found.number, text=found.text)
