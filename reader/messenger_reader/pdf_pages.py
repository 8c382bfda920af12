"""Pages of a PDF as pictures, drawn by a child process that can do no harm and is gone afterwards.

A PDF is work for a large interpreter, and browsers show none in a sandbox (docs/decisions/0010-attachments.md). So
PDFium draws it where it has no files, no network, little memory and little time; a browser gets JPEG.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from messenger.child_process import FRAME, Child, ChildError
from messenger.errors import MessengerError

#: A PDF larger than this is not drawn; it can be saved.
PDF_BYTES = 25_000_000
#: How many of the first pages can be looked at.
PAGES = 100
WALL_SECONDS = 15.0
#: What one page may come to, as picture or as text.
ANSWER = 8_000_000
#: Children at work at once in this process, and callers that wait for one; further ones are told to come again, so
#: that somebody's costly PDFs leave threads for those who read.
CHILDREN, WAITING = 2, 2
#: Never imported here: the libraries that draw stay out of the process that knows people.
WORKER = f"{__package__}.pdf_worker"
ROOM = Path(__file__).parents[1]

_free = threading.BoundedSemaphore(CHILDREN)
_room = threading.BoundedSemaphore(CHILDREN + WAITING)


class NotDrawn(MessengerError):
    """The PDF can't be shown: broken, locked, or too much work. The file is at fault, and would be again."""


class Busy(MessengerError):
    """So many are being drawn that this one has to come again."""

    temporary = True


@dataclass(frozen=True)
class Page:
    """What one page says, for those who can't see it or want to copy it."""

    text: str
    #: From 1; of one beyond the last it is the last.
    number: int
    #: How many pages the whole document has.
    count: int


def read(pdf: bytes, page: int) -> Page:
    """Read the text of a page; the first is 0, and what is beyond the last is the last. Raises NotDrawn, Busy."""
    about, _ = _ask(pdf, page, "text")
    try:
        return Page(str(about["text"]), int(str(about["number"])), int(str(about["count"])))
    except (KeyError, ValueError) as error:
        raise NotDrawn(f"expected text, number and count in the answer, found {sorted(about)}") from error


def draw(pdf: bytes, page: int) -> bytes:
    """Draw a page for a screen as JPEG, believed to be no more than that; pages count as in ``read``, which see."""
    _, picture = _ask(pdf, page, "picture")
    if not picture.startswith(b"\xff\xd8\xff"):
        raise NotDrawn("expected a picture in the answer, found something else")
    return picture


def _ask(pdf: bytes, page: int, what: str) -> tuple[dict[str, object], bytes]:
    if len(pdf) > PDF_BYTES:
        raise NotDrawn(f"expected a PDF of at most {PDF_BYTES} bytes, found {len(pdf)}")
    head = json.dumps({"page": page, "what": what}).encode()
    try:
        with _turn():
            about, octets = _answer(FRAME.pack(len(head), len(pdf)) + head + pdf)
        answer = json.loads(about)
    except (ChildError, OSError, ValueError) as error:
        raise NotDrawn(f"the PDF could not be drawn: {error}") from error
    if not isinstance(answer, dict) or "error" in answer:
        raise NotDrawn(f"the PDF could not be drawn: {str(answer)[:200]}")
    return answer, octets


@contextmanager
def _turn() -> Iterator[None]:
    if not _room.acquire(blocking=False):
        raise Busy(f"expected at most {CHILDREN + WAITING} PDFs at once, found more")
    try:
        if not _free.acquire(timeout=WALL_SECONDS):
            raise Busy(f"no process to draw with was free within {WALL_SECONDS} seconds")
        try:
            yield
        finally:
            _free.release()
    finally:
        _room.release()


def _answer(request: bytes) -> tuple[bytes, bytes]:
    child = Child(WORKER, (ROOM, ROOM.parent))
    try:
        return child.ask(request, time.monotonic() + WALL_SECONDS, ANSWER)
    finally:
        child.end()
