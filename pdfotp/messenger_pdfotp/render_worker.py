"""The process that turns HTML into PDF: it loads WeasyPrint once, then makes a child of itself for each job.

A child shuts itself in, lays out one document and ends, so nothing of one mail is left when the next one comes, and
whatever a hostile mail does, it does it to a process that has nothing. Started by renderer.py; reads jobs from its
standard input and answers on its standard output, frame by frame. Knows no passwords and no keys.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import json
import os
import re
import resource
import signal
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import weasyprint  # type: ignore[import-untyped]
from weasyprint.pdf import fonts  # type: ignore[import-untyped]
from weasyprint.text.ffi import ffi, fontconfig, gobject, pangoft2  # type: ignore[import-untyped]
from weasyprint.text.fonts import FontConfiguration  # type: ignore[import-untyped]

from messenger.child_process import FRAME, read, write

from .confinement import Shelter

CPU_SECONDS = 20
MEMORY = 1024 * 2**20
OUTPUT = 100 * 2**20
#: How a child ends that couldn't do its work.
ENDED_MEMORY, ENDED_ERROR, ENDED_SIZE = 3, 4, 5
#: So many style sheets are kept.
SHEETS = 8
#: Fonts and what names them; Python's own modules, some of which are loaded late.
READABLE = ("/usr", "/lib", "/lib64", "/etc/fonts", "/var/cache/fontconfig", sys.prefix, sys.base_prefix)


PICTURES = ("data:image/png;base64,", "data:image/jpeg;base64,", "data:image/gif;base64,", "data:image/webp;base64,")


class Refused(ValueError):
    """The document asks for something from elsewhere."""


def main() -> None:
    """Serve until the other side closes."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _quicken()
    known = Known()
    _render({"html": WARM, "css": WARM_SHEET}, known).write_pdf(pdf_tags=True, pdf_variant="pdf/ua-1")
    # What is there now stays where it is: a child that ends soon has nothing to gain from looking for garbage, and
    # would copy every page it looks at.
    gc.collect()
    gc.freeze()
    gc.disable()
    _wait_for_threads()
    _give_back()
    while head := read(FRAME.size):
        length, _ = FRAME.unpack(head)
        job = json.loads(read(length))
        about, content = _in_a_child(job, known)
        text = json.dumps(about).encode("ascii")
        write(FRAME.pack(len(text), len(content)) + text)
        write(content)


#: A page of the kind that comes, with letters of many scripts and a picture: modules, fonts and tables are loaded
#: before the first child starts, or each would load them again.
WARM = """<html lang="en"><title>a</title><p class="brand">a</p><h1>a</h1>
<table><tr><th scope="row">a<td>a <bdi>b</bdi></table>
<p style="color: #000">a <img src="data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42\
mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==" alt="a"> <b>b</b> <i>c</i> <tt>d</tt> <a href="https://example.org/">e</a>
\u05d0 \u0627 \u0e01 \u0905 \u4e2d \u3042 \uac00 \U0001f600"""
WARM_SHEET = """@page { @bottom-right { content: counter(page) "/" counter(pages) } }
html { font-family: "Noto Sans", "Noto Sans Arabic", "Noto Sans CJK SC", "DejaVu Sans", sans-serif }
.brand { string-set: site content(text) } tt { font-family: "Noto Sans Mono", monospace } a { color: var(--accent) }"""


def _quicken() -> None:
    """Let arrays of any length be one C type, which is parsed once.

    WeasyPrint asks for a type of its own for each number of letters in a font, and cffi parses each anew, some 20 ms:
    a third of the whole for a mail of one page.
    """
    original = fonts.ffi.new
    known: dict[tuple[str, bool], Any] = {}

    def new(kind: str, *given: Any) -> Any:
        key = (kind, bool(given))
        if key not in known:
            array = re.fullmatch(r"(\w+)\[\d+\]", kind)
            known[key] = fonts.ffi.typeof(f"{array[1]}[]" if array and given else kind)
        return original(known[key], *given)

    fonts.ffi.new = new


def _in_a_child(job: dict[str, Any], known: Known) -> tuple[dict[str, Any], bytes]:
    """Make the PDF in a process of its own; returns what became of it, and the PDF."""
    known.sheet(job["css"])
    result = os.memfd_create("pdf", os.MFD_CLOEXEC)
    try:
        child = os.fork()
        if not child:
            os._exit(_work(job, known, result))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code:
            return {"ended": code}, b""
        with os.fdopen(os.dup(result), "rb") as file:
            file.seek(0)
            length, _ = FRAME.unpack(file.read(FRAME.size))
            return json.loads(file.read(length)), file.read()
    finally:
        os.close(result)


def _work(job: dict[str, Any], known: Known, result: int) -> int:
    try:
        _limit()
        missing = known.shelter.shut_in()
        os.closerange(3, result)
        os.closerange(result + 1, 256)
        os.close(0)
        os.close(1)
        document = _render(job, known)
        content = document.write_pdf(pdf_tags=True, pdf_variant="pdf/ua-1", pdf_identifier=bytes.fromhex(job["id"]))
        about = json.dumps({"pages": len(document.pages), "unconfined": missing}).encode("ascii")
        with os.fdopen(result, "wb") as file:
            file.write(FRAME.pack(len(about), 0) + about + content)
    except MemoryError:
        return ENDED_MEMORY
    except OSError as error:
        return ENDED_SIZE if error.errno == errno.EFBIG else ENDED_ERROR
    except BaseException:
        return ENDED_ERROR
    return 0


def _render(job: dict[str, Any], known: Known) -> Any:
    page = weasyprint.HTML(string=job["html"], url_fetcher=known.fetcher, base_url=None)
    return page.render(
        stylesheets=[known.sheet(job["css"])], presentational_hints=True, font_config=_Fonts(known.fonts)
    )


def _wait_for_threads() -> None:
    """Return when this process has one thread: one of Pango's that held a lock would hold it for ever in a child."""
    gc.collect()
    deadline = time.monotonic() + 10
    while len(os.listdir("/proc/self/task")) > 1 and time.monotonic() < deadline:  # noqa: PTH208
        time.sleep(0.01)


def _give_back() -> None:
    """Hand the system what the first page needed and no other will: a child costs by what there is to share."""
    with suppress(AttributeError):  # a C library without it
        ctypes.CDLL(None).malloc_trim(0)


class Known:
    """What is made once for all children: their walls, the list of fonts, our style sheets. Nothing of any mail."""

    def __init__(self) -> None:
        self.fetcher = _Fetcher()
        self.shelter = Shelter(map(Path, READABLE))
        self.fonts = fontconfig.FcInitLoadConfigAndFonts()
        self._sheets: dict[str, Any] = {}

    def sheet(self, css: str) -> Any:
        """Return *css* as WeasyPrint reads it; there are as many as languages."""
        if css not in self._sheets:
            if len(self._sheets) >= SHEETS:
                self._sheets.clear()
            self._sheets[css] = weasyprint.CSS(string=css, url_fetcher=self.fetcher)
        return self._sheets[css]


class _Fonts(FontConfiguration):  # type: ignore[misc]
    """WeasyPrint's own with fonts that are listed already.

    Only the list is shared: a map of Pango's has a thread that finds fonts, and a child would wait for it in vain.
    """

    def __init__(self, known: Any) -> None:
        self._config = known
        self.font_map = ffi.gc(pangoft2.pango_ft2_font_map_new(), gobject.g_object_unref)
        pangoft2.pango_fc_font_map_set_config(ffi.cast("PangoFcFontMap *", self.font_map), known)
        self.strut_layouts: dict[Any, Any] = {}
        self.font_features: dict[Any, Any] = {}


class _Fetcher(weasyprint.URLFetcher):  # type: ignore[misc]
    """Lets pictures through that are in the document itself, and nothing else."""

    def fetch(self, url: str, headers: Any = None) -> Any:
        if not url.startswith(PICTURES):
            raise Refused("only pictures in the document itself")
        return super().fetch(url, headers)


def _limit() -> None:
    for what, soft, hard in (
        # At the soft limit a signal of its own, so that it is known what was too much; at the hard one SIGKILL.
        (resource.RLIMIT_CPU, CPU_SECONDS, CPU_SECONDS + 1),
        (resource.RLIMIT_AS, MEMORY, MEMORY),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_FSIZE, OUTPUT, OUTPUT),
    ):
        given_soft, given_hard = resource.getrlimit(what)
        resource.setrlimit(what, (_stricter(soft, given_soft), _stricter(hard, given_hard)))


def _stricter(limit: int, given: int) -> int:
    return limit if given == resource.RLIM_INFINITY else min(limit, given)


if __name__ == "__main__":
    main()
