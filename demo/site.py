"""The whole system on loopback, as a sysadmin would have it: keys by the wizard, Postfix, milter, reader.

Everything lies in one temporary folder and goes away with it; every process is ended by its pid.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from smtplib import SMTP
from types import TracebackType
from typing import Any

from .postfix import CATCH, PrivatePostfix

START_SECONDS = 30.0
STOP_SECONDS = 15.0
WEBMAIL_SENDER = "webmail-sender@example.com"
WEBMAIL_RECIPIENT = "webmail@example.com"
BIN = Path(sys.executable).parent


class DemoFailed(Exception):
    """A part of the demo did not do its work; the text says which, and what it said."""


class DemoSite(AbstractContextManager["DemoSite"]):
    """Starts on entering, stops on leaving. *port* is the reader's, on http://localhost."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://localhost:{port}"
        self._stack = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> DemoSite:
        if not _free(self.port):
            raise DemoFailed(f'port {self.port} is in use; take another one: make demo ARGS="--port 8026"')
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="messenger-demo-"))
        self.home = Path(folder)
        self.home.chmod(0o755)  # the user postfix must reach the socket
        self.config = self.home / "messenger.toml"
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        milter_socket = self.home / "milter.sock"
        self.postfix = PrivatePostfix(
            self.home / "postfix",
            milters=f"{{ unix:{milter_socket}, default_action=tempfail, content_timeout=300s }}",
            transport=CATCH,
        )
        self._set_up(milter_socket)
        self._stack.enter_context(self.postfix)
        self._run("messenger-milter", "--config", str(self.config))
        self._run("messenger-reader", "--config", str(self.config))
        self._wait("messenger-milter", milter_socket.exists)
        # The milter makes its spool.
        self._run("messenger-pdfotp", "--config", str(self.config))
        self._wait("messenger-reader", lambda: not _free(self.port))

    def _set_up(self, milter_socket: Path) -> None:
        messenger(
            "setup", "--non-interactive", "--config", str(self.config),
            "--portal-url", self.url, "--own-domain", "example.com",
            "--webmail-sender", WEBMAIL_SENDER, "--webmail-recipient", WEBMAIL_RECIPIENT,
            "--mail-root", str(self.home / "mail"), "--milter-socket", str(milter_socket),
            "--sendmail", " ".join(self.postfix.sendmail), "--listen", f"127.0.0.1:{self.port}",
        )  # fmt: skip

    def send(self, raw: bytes, to: Sequence[str], *options: str) -> None:
        """Do what a gateway does: wrap one message as a tunnel mail and send it to Postfix by SMTP."""
        send(raw, to, self.config, self.postfix.port, options)

    def state(self) -> dict[str, Any]:
        """What another process needs to send into this site."""
        return {"url": self.url, "config": str(self.config), "smtp": self.postfix.port}

    def notices(self, count: int) -> list[bytes]:
        """The notices that left through Postfix, once there are *count*. Raises DemoFailed."""
        caught = self.postfix.wait_caught(count, seconds=20)
        if len(caught) < count:
            raise DemoFailed(f"expected {count} notices, found {len(caught)}\n{self.last_words()}")
        return [mail.raw for mail in caught]

    def left(self, recipient: str, mark: bytes, seconds: float = 30) -> bytes:
        """The last mail that left for *recipient* and has *mark* in it, once there is one. Raises DemoFailed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = [one.raw for one in self.postfix.caught() if one.rcpt_to == recipient and mark in one.raw]
            if found:
                return found[-1]
            time.sleep(0.2)
        raise DemoFailed(f"expected a mail to {recipient} with {mark!r} in it, found none\n{self.last_words()}")

    def link_in(self, notice: bytes) -> str:
        """The address a person would click in a notice. Raises DemoFailed."""
        found = re.search(re.escape(self.url) + r"/l/[\w.~-]+", notice.replace(b"=\n", b"").decode(errors="replace"))
        if not found:
            raise DemoFailed("the notice holds no link to the portal")
        return found.group()

    def last_words(self) -> str:
        """The end of every log, for when something went wrong."""
        logs = [*sorted(self.home.glob("*.log")), self.postfix.log]
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            for log in logs
            if log.exists()
        )

    def watch(self) -> None:
        """Return never; raise DemoFailed when a part ends by itself, KeyboardInterrupt on Ctrl-C."""
        while True:
            time.sleep(0.5)
            for process in self._processes:
                if process.poll() is not None:
                    raise DemoFailed(f"{process.args!r} ended by itself\n{self.last_words()}")

    def _run(self, command: str, *words: str) -> None:
        with (self.home / f"{command}.log").open("wb") as log:
            process = subprocess.Popen(
                [BIN / command, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
        self._processes.append(process)
        self._stack.callback(_end, process)

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > deadline:
                raise DemoFailed(f"{what} did not start\n{self.last_words()}")
            time.sleep(0.05)


def messenger(*words: str, given: bytes = b"") -> bytes:
    """Run the ``messenger`` command and return what it printed. Raises DemoFailed."""
    done = subprocess.run([BIN / "messenger", *words], input=given, capture_output=True, check=False)
    if done.returncode:
        raise DemoFailed(f"messenger {' '.join(words[:2])}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def send(raw: bytes, to: Sequence[str], config: Path, port: int, options: Sequence[str] = ()) -> None:
    """Wrap one message as a tunnel mail and hand it to Postfix on *port*. Raises DemoFailed."""
    words = [word for address in to for word in ("--to", address)]
    words += [word for option in options for word in ("--option", option)]
    mail = messenger("tunnel", "wrap", "-", *words, "--config", str(config), given=raw)
    with SMTP("127.0.0.1", port, timeout=60) as smtp:
        smtp.sendmail(WEBMAIL_SENDER, [WEBMAIL_RECIPIENT], mail)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
