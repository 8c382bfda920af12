"""The demo: it stops whole, however it is told to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from demo.postfix import PostfixMissing, free_port, require

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

pytestmark = [pytest.mark.postfix, pytest.mark.skipif(bool(missing), reason=missing)]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def demo():
    """A running demo, started as a shell starts what it puts into the background: SIGINT is ignored."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "demo", "--port", str(free_port())],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    yield process
    process.kill()
    process.wait()


def test_mail_is_sent_from_anywhere_and_a_hasty_stop_leaves_no_process_and_no_file(demo, tmp_path):
    said = _words_until(demo, "Stop everything")
    home = Path(re.search(r"Settings, logs, mail: +(\S+)", said).group(1))
    send = re.search(r"Send another mail: +(.+?) \[FILE\]", said).group(1)
    parts = _processes_of(home)

    sent = subprocess.run(send, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    demo.send_signal(signal.SIGINT)
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read().decode()

    assert "Sent to anna@partner.example" in sent.stdout, sent.stderr
    assert (demo.wait(), rest.strip()) == (0, "Stopped.")
    assert len(parts) >= 2
    assert _processes_of(home) == []
    assert not home.exists()


def _words_until(demo, last):
    said = ""
    for line in demo.stdout:
        said += line.decode()
        if last in said:
            break
    return said


def _processes_of(home):
    """The command lines that name *home*."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(home) in line:
            found.append(line)
    return found
