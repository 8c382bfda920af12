"""The process that lays out mails is shut in, dies at its limits, and takes nobody along."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from messenger_pdfotp import render_worker
from messenger_pdfotp import renderer as renderer_module
from messenger_pdfotp.renderer import Renderer, RenderError

from .pdf_fixtures import renderer

__all__ = ["renderer"]

ROOT = Path(__file__).parents[1]
PAGE = "<html lang='en'><title>x</title><p>x</p>"

ATTEMPTS = """
import os, socket, sys, threading
from pathlib import Path
from messenger_pdfotp.confinement import Shelter
assert Shelter([Path("/usr"), Path(sys.base_prefix), Path(sys.prefix)]).shut_in() == []
def attempt(name, act):
    try:
        act()
        print(name, "done")
    except OSError as error:
        print(name, "refused")
attempt("read a font", lambda: next(Path("/usr/share/fonts").iterdir()))
attempt("read settings", lambda: open("/etc/passwd"))
attempt("read a key", lambda: open(sys.argv[1]))
attempt("list a folder", lambda: os.listdir("/"))
attempt("write a file", lambda: open("/tmp/x", "w"))
attempt("make a socket", socket.socket)
attempt("make a local socket", lambda: socket.socket(socket.AF_UNIX))
attempt("fork", os.fork)
attempt("run a program", lambda: os.execv("/bin/true", ["true"]))
attempt("start a program", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("send a signal", lambda: os.kill(os.getppid(), 0))
attempt("read another process", lambda: open(f"/proc/{os.getppid()}/environ"))
thread = threading.Thread(target=lambda: print("make a thread done"))
thread.start()
thread.join()
"""


def test_who_is_shut_in_reads_fonts_makes_threads_and_nothing_else(tmp_path):
    (tmp_path / "pdf.key").write_text("secret")

    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, str(tmp_path / "pdf.key")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'pdfotp'}"},
        check=True,
    )

    said = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    allowed = {name for name, what in said.items() if what == "done"}
    assert allowed == {"read a font", "make a thread"}, said
    assert len(said) == 13


def test_the_renderer_is_given_no_secret_of_ours_in_its_environment(renderer, monkeypatch):
    monkeypatch.setenv("MESSENGER_PDF_PASSWORD", "secret")
    fresh = Renderer()
    try:
        fresh.start()
        environment = Path(f"/proc/{fresh._child.process.pid}/environ").read_bytes()
    finally:
        fresh.close()

    assert b"secret" not in environment


def test_each_document_is_laid_out_in_a_process_of_its_own_that_is_gone_afterwards(renderer):
    renderer.render(PAGE, "", "00")
    parent = renderer._child.process.pid

    assert Path(f"/proc/{parent}/task/{parent}/children").read_text() == ""


def test_each_document_is_laid_out_by_its_own_style_sheet_however_many_there_were(renderer):
    sheets = [
        f"p + p {{ break-before: {('page', 'auto')[n % 2]}; z-index: {n} }}" for n in range(render_worker.SHEETS + 2)
    ]

    pages = [renderer.render(PAGE + "<p>y</p>", sheet, "00").pages for sheet in [*sheets, sheets[0]]]

    assert pages == [2, 1] * (len(sheets) // 2) + [2]


def _too_much_memory(_job, _known):
    return bytearray(2 * render_worker.MEMORY)


def _too_long(_job, _known):
    while True:
        pass


class _TooLarge:
    pages = ()

    def __init__(self, _job, _known) -> None:
        pass

    def write_pdf(self, **_) -> bytes:
        return bytes(5000)


@pytest.mark.parametrize(
    ("work", "reason"),
    [(_too_much_memory, "MB to lay out"), (_too_long, "seconds to lay out"), (_TooLarge, "becomes larger than")],
    ids=["memory", "CPU", "size"],
)
def test_a_child_beyond_a_limit_ends_and_it_is_known_which(work, reason, monkeypatch):
    monkeypatch.setattr(render_worker, "CPU_SECONDS", 1)
    monkeypatch.setattr(render_worker, "OUTPUT", 1000)
    monkeypatch.setattr(render_worker, "_render", work)

    about, content = render_worker._in_a_child({"html": PAGE, "css": "", "id": "00"}, render_worker.Known())

    assert content == b""
    assert reason in renderer_module._reason(about["ended"])


def test_a_document_that_is_nested_too_deep_is_refused_and_the_next_one_is_made(renderer):
    with pytest.raises(RenderError):
        renderer.render("<div>" * 5000, "", "00")

    assert renderer.render(PAGE, "", "00").pages == 1


def test_a_document_that_takes_too_long_by_the_clock_is_given_up_with_its_processes(monkeypatch):
    hasty = Renderer(wall_seconds=0.05)
    hasty.start()
    process = hasty._child.process
    try:
        with pytest.raises(RenderError, match="no PDF came"):
            hasty.render(PAGE, "", "00")
    finally:
        hasty.close()

    assert process.poll() is not None


def test_the_limits_of_cpu_and_memory_are_set_before_anything_is_laid_out():
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        render_worker._limit()
        found = [
            resource.getrlimit(what)[0] for what in (resource.RLIMIT_CPU, resource.RLIMIT_AS, resource.RLIMIT_CORE)
        ]
        os.write(writer, repr(found).encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reader, 100).decode() == repr([20, 1024 * 2**20, 0])
    os.close(reader)
    os.close(writer)


def test_a_renderer_that_was_killed_is_started_again(renderer):
    renderer.render(PAGE, "", "00")
    renderer._child.process.kill()
    deadline = time.monotonic() + 10
    while renderer._child.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)

    assert renderer.render(PAGE, "", "00").pages == 1
