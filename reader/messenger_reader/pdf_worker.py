"""The child process that draws or reads one page of a PDF: a frame on standard input, a frame on standard output.

Before it reads the first byte it gives up what it doesn't need: from then on it can open no file and no socket, start
no process, and use no more memory and time than a page deserves. Started by pdf_pages.py, for one page each time.
"""

import codecs
import json
import os
import resource
import sys
from io import BytesIO

import pypdfium2

from messenger.child_process import FRAME, read, write

CPU_SECONDS = 6
MEMORY = 1024 * 2**20
#: Pixels: what a phone shows sharply, and a tablet held upright.
WIDTH, HEIGHT = 1240, 2480
QUALITY = 80
#: A page is at least so many points wide and high to be drawn; PDF knows 3 to 14,400.
POINTS = 1.0
TEXT_CHARACTERS = 100_000


def main() -> None:
    """Do one job."""
    _warm_up()
    _give_up_rights()
    about, octets = FRAME.unpack(read(FRAME.size))
    job = json.loads(read(about))
    head, answer = _done(read(octets), job["page"], job["what"])
    body = json.dumps(head).encode("ascii")
    write(FRAME.pack(len(body), len(answer)) + body + answer)


def _done(pdf: bytes, number: int, what: str) -> tuple[dict[str, object], bytes]:
    try:
        document = pypdfium2.PdfDocument(pdf)
        document.init_forms()  # or what is filled in would not be drawn
        number = min(number, len(document) - 1)
        if what == "picture":
            return {}, _drawn(document[number])
        return {"text": _text(document[number]), "number": number + 1, "count": len(document)}, b""
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}, b""


def _drawn(page: pypdfium2.PdfPage) -> bytes:
    """The page as JPEG."""
    width, height = page.get_size()
    if not (width >= POINTS and height >= POINTS):
        raise ValueError(f"expected a page with a size, found {width} x {height}")
    scale = min(WIDTH / width, HEIGHT / height)
    picture = page.render(scale=scale, rev_byteorder=True).to_pil().convert("RGB")
    out = BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _text(page: pypdfium2.PdfPage) -> str:
    text: str = page.get_textpage().get_text_bounded()
    return text[:TEXT_CHARACTERS]


def _warm_up() -> None:
    """Draw and read an empty page, so that all the code there is has been loaded before files are out of reach."""
    document = pypdfium2.PdfDocument.new()
    document.init_forms()
    page = document.new_page(10, 10)
    assert _drawn(page)
    assert not _text(page)
    codecs.lookup("utf-16-le")  # what PDFium gives text in


def _give_up_rights() -> None:
    # What would be said of a fault in here is made of the file.
    sys.excepthook = lambda *_: os._exit(1)
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        given = resource.getrlimit(what)[1]
        # Keep the stricter one that we were started with.
        limit = limit if given == resource.RLIM_INFINITY else min(limit, given)
        resource.setrlimit(what, (limit, limit))


if __name__ == "__main__":
    main()
