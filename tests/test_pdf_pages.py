"""PDFs drawn by a child process: what is drawn, what isn't, and that it costs no more than it may."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from messenger_reader import pdf_pages
from messenger_reader.pdf_pages import Busy, NotDrawn, draw, read

from . import pdf_makers

ROOT = Path(__file__).parents[1]
JPEG = b"\xff\xd8\xff"


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def test_a_page_is_drawn_as_a_picture_and_read_as_text():
    pdf = pdf_makers.pages("The first page", "The second page")

    picture, page = draw(pdf, 1), read(pdf, 1)

    assert picture.startswith(JPEG)
    assert picture != draw(pdf, 0)
    assert (page.text, page.count) == ("The second page", 2)


def test_what_is_filled_into_a_form_is_drawn():
    picture = Image.open(BytesIO(draw(pdf_makers.filled_in(), 0))).convert("L")

    assert picture.getpixel((620, 300)) > 250
    assert picture.getpixel((620, 900)) < 5


@pytest.mark.parametrize("pdf", [b"", b"%PDF-1.7", b"no PDF", b"%PDF-1.7\n1 0 obj\n" + b"[" * 100_000], ids=len)
def test_what_is_no_pdf_is_not_drawn(pdf):
    before = children()

    with pytest.raises(NotDrawn):
        draw(pdf, 0)

    assert children() == before


@pytest.mark.parametrize("number", [2, 10**9])
def test_beyond_the_last_page_is_the_last_one(number):
    pdf = pdf_makers.pages("one", "two")

    assert (read(pdf, number).number, read(pdf, number).text) == (2, "two")


def test_a_pdf_beyond_the_limit_is_not_looked_at(monkeypatch):
    monkeypatch.setattr(pdf_pages, "Child", None)

    with pytest.raises(NotDrawn, match="at most"):
        draw(bytes(pdf_pages.PDF_BYTES + 1), 0)


@pytest.mark.parametrize("make", [pdf_makers.huge_picture, pdf_makers.with_script])
def test_what_is_odd_but_harmless_is_drawn(make):
    assert draw(make(), 0).startswith(JPEG)


@pytest.mark.parametrize(
    "make", [pdf_makers.draws_itself, pdf_makers.tiles_without_end, pdf_makers.unpacks_without_end]
)
def test_a_pdf_that_costs_too_much_is_given_up(make, monkeypatch):
    monkeypatch.setattr(pdf_pages, "WALL_SECONDS", 2.0)
    pdf = make()
    before, begun = children(), time.monotonic()

    with pytest.raises(NotDrawn):
        draw(pdf, 0)

    assert time.monotonic() - begun < 6
    assert children() == before  # no zombie either


def test_two_are_drawn_at_once_two_wait_and_others_are_told_to_come_again(monkeypatch):
    monkeypatch.setattr(pdf_pages, "WALL_SECONDS", 0.2)
    pdf = pdf_makers.pages("x")
    for taken, count in ((pdf_pages._free, pdf_pages.CHILDREN), (pdf_pages._room, pdf_pages.CHILDREN + 2)):
        with ExitStack() as held:
            for _ in range(count):
                held.enter_context(taken)

            with pytest.raises(Busy):
                draw(pdf, 0)

    monkeypatch.undo()
    assert draw(pdf, 0).startswith(JPEG)


def test_the_child_can_open_no_file_no_socket_and_start_no_process_and_has_its_limits():
    script = textwrap.dedent("""
        import os, resource, socket, subprocess
        from messenger_reader import pdf_worker
        pdf_worker._give_up_rights()
        for what in (
            lambda: open("/etc/passwd"),
            lambda: socket.socket(),
            lambda: subprocess.run(["true"]),
            lambda: bytearray(pdf_worker.MEMORY),
        ):
            try:
                what()
            except (OSError, MemoryError):
                continue
            os.write(1, b"could")
        assert resource.getrlimit(resource.RLIMIT_CPU)[1] <= pdf_worker.CPU_SECONDS
        os.write(1, b"done")
    """)
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT / "reader"), str(ROOT)))}

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, env=env)

    assert done.stdout == b"done", done.stderr


def test_the_library_that_draws_is_not_in_the_readers_own_process():
    script = "import sys, messenger_reader.app; assert not {'pypdfium2', 'PIL'} & set(sys.modules)"
    env = {"PYTHONPATH": os.pathsep.join((str(ROOT / "reader"), str(ROOT)))}

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, env=env)

    assert done.returncode == 0, done.stderr
