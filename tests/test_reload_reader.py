"""The reader under systemd: sockets that are handed over, restarts and reloads that turn nobody away, signs of life."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from messenger_reader import main_process
from messenger_reader.main_process import MainProcess

from .reader_fixtures import settings_for
from .systemd_fixtures import systemd_fixture  # noqa: F401

ROOT = Path(__file__).parents[1]
#: What systemd does between fork and exec: the socket is number 3, and the variables name this process.
HANDED = """
import os
if os.environ.get("HANDED"):
    os.dup2(int(os.environ["HANDED"]), 3)
    os.set_inheritable(3, True)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
from messenger_reader.service import main
main()
"""


class Portal:
    """A reader that may be stopped and started again on one socket, which stays open."""

    def __init__(self, home: Path, listener: socket.socket) -> None:
        self.home, self.listener = home, listener
        self.port = listener.getsockname()[1]
        self.write()

    def write(self, name: str = "One", port: int | None = None) -> None:
        listen = f'listen = "127.0.0.1:{port or self.port}"\nworkers = 1'
        settings_for(self.home, portal=f"http://localhost:{self.port}", site=f'name = "{name}"', reader=listen)

    def start(self) -> subprocess.Popen[bytes]:
        own = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'reader'}", "HANDED": str(self.listener.fileno())}
        command = [sys.executable, "-c", HANDED, "--config", str(self.home / "messenger.toml")]
        with (self.home / "log").open("ab") as log:
            return subprocess.Popen(command, env=own, stderr=log, pass_fds=[self.listener.fileno()])

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        process = self.start()
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(40) == 0, self.log()

    def ask(self, path: str = "/healthz") -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        connection.request("GET", path, headers={"Host": f"localhost:{self.port}", "Connection": "close"})
        answer = connection.getresponse()
        return f"{answer.status} {answer.read().decode()}"

    def log(self) -> str:
        return (self.home / "log").read_text()

    def wait_log(self, text: str, seconds: float = 40.0) -> None:
        end = time.monotonic() + seconds
        while text not in self.log():
            assert time.monotonic() < end, self.log()
            time.sleep(0.05)


@pytest.fixture(name="portal")
def portal_fixture(tmp_path) -> Iterator[Portal]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield Portal(tmp_path, listener)


@contextmanager
def visitors(portal: Portal) -> Iterator[list[str]]:
    """Somebody who asks for one page after the other; yields what they were answered."""
    leaving, answers = threading.Event(), list[str]()

    def visit() -> None:
        while not leaving.is_set():
            try:
                answers.append(portal.ask())
            except OSError as error:
                answers.append(f"{type(error).__name__}: {error}")

    people = [threading.Thread(target=visit) for _ in range(2)]
    for person in people:
        person.start()
    try:
        yield answers
    finally:
        leaving.set()
        for person in people:
            person.join()


def test_nobody_is_turned_away_by_a_restart_or_a_reload_on_a_socket_of_systemds(systemd, portal):
    first = portal.start()
    systemd.wait("READY=1")
    portal.ask()
    with visitors(portal) as answers:
        first.terminate()
        stopped = first.wait(40)
        before = len(answers)
        second = portal.start()
        systemd.wait("READY=1")
        while len(answers) < before + 4:
            time.sleep(0.05)
        portal.write("Two")
        second.send_signal(signal.SIGHUP)
        systemd.wait("RELOADING=1", 40)
        systemd.wait("READY=1", 60)
        page = portal.ask("/login")
    second.terminate()

    assert (stopped, second.wait(40)) == (0, 0)
    assert set(answers) == {"200 ok\n"}
    assert "Two" in page


def test_settings_that_cannot_be_used_leave_the_portal_as_it_was(systemd, portal):
    with portal.running() as process:
        systemd.wait("READY=1")
        portal.ask()
        good = (portal.home / "messenger.toml").read_text()
        (portal.home / "messenger.toml").write_text(good.replace("[reader]", "[reader]\ncolour = 1"))
        process.send_signal(signal.SIGHUP)
        portal.wait_log("not reloaded, all goes on as before: ")
        systemd.wait("READY=1")
        page = portal.ask("/login")

    assert "One" in page
    assert "[reader]" in portal.log()
    assert portal.log().count("Booting worker") == 1


def test_a_socket_elsewhere_than_the_settings_say_is_not_used(systemd, portal):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    portal.write(port=free)
    with portal.running():
        systemd.wait("READY=1")
        portal.port = free

        assert portal.ask().startswith(("200", "400"))
        assert "`messenger setup` tells systemd" in portal.log()


def test_a_portal_shows_that_it_lives_until_its_workers_are_stuck(systemd, portal, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    with portal.running() as process:
        systemd.wait("WATCHDOG=1", 40)
        working = systemd.hear(4).count("WATCHDOG=1")

    assert working >= 2
    assert process.returncode == 0


def test_only_a_worker_that_works_is_a_sign_of_life(systemd, monkeypatch):
    main = MainProcess.__new__(MainProcess)
    main.timeout = 0
    main._watchdog = main_process.Watchdog()
    now = time.monotonic()

    def lives(*updated: float) -> bool:
        files = [SimpleNamespace(last_update=lambda at=at: at) for at in updated]
        main.WORKERS = {number: SimpleNamespace(tmp=file) for number, file in enumerate(files)}
        main._watchdog._last = float("-inf")
        main.murder_workers()
        return "WATCHDOG=1" in systemd.hear(0.01)

    assert lives(now - 1)
    assert lives(now - 60, now)
    assert not lives(now - 60, now - 31)
    assert not lives(time.time())  # starting, maybe for ever
    assert not lives()
