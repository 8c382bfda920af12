"""make demo, as a newcomer meets it: the whole system on loopback, and nothing of it left behind."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from demo.postfix import free_port
from demo.visitor import Visitor

ROOT = Path(__file__).parent.parent
SECONDS = 120

pytestmark = pytest.mark.postfix


def demo(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "demo", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(process: "subprocess.Popen[str]", text: str) -> str:
    """Read what the demo prints up to a line that holds *text*."""
    assert process.stdout
    stopper = threading.Timer(SECONDS, process.kill)
    stopper.start()
    try:
        for line in process.stdout:
            if text in line:
                return line
    finally:
        stopper.cancel()
    raise AssertionError(f"the demo ended without {text!r}: {process.communicate()}")


def test_the_check_walks_the_way_of_a_recipient_and_stops():
    process = demo("--check")

    out, err = process.communicate(timeout=SECONDS)

    assert process.returncode == 0, out + err
    assert "16 passed, 0 failed" in out


def test_it_runs_until_interrupted_and_leaves_nothing():
    port = free_port()
    process = demo("--port", str(port))
    try:
        link = until(process, "Open this in a browser").split()[-1]
        home = Path(until(process, "Settings, logs, mail").split()[-1])
        page = Visitor().open(link)
        sent = subprocess.run(
            [sys.executable, "-m", "demo", "send", "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)

    assert page.form_with("password")
    assert sent.returncode == 0, sent.stderr
    assert process.returncode == 0
    assert "Stopped." in err
    assert not home.exists()
    with pytest.raises(OSError, match="refused"):
        Visitor().open(f"http://localhost:{port}/")


def test_a_port_in_use_is_named_with_the_way_out():
    running = demo("--port", str(port := free_port()))
    try:
        until(running, "Ctrl-C")

        second = subprocess.run(
            [sys.executable, "-m", "demo", "--port", str(port)], cwd=ROOT, capture_output=True, text=True, check=False
        )
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=SECONDS)

    assert second.returncode == 1
    assert f"port {port} is in use" in second.stderr
    assert "--port" in second.stderr
