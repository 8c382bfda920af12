"""The whole system on loopback, as two sysadmins would have it: keys by the wizard, two Postfix, all the services.

A company's own Postfix with messenger-gateway, which its people send through and get their mail from; and Messenger's,
with the milter that takes tunnel mail in. What would leave for the world is caught.


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
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from smtplib import SMTP
from types import TracebackType
from typing import Any

from messenger.cli import settings_file

from . import mails
from .postfix import CATCH, PrivatePostfix

OWN_DOMAIN = "example.com"
SENDER = parseaddr(mails.SENDER)[1]
MILTER = "{{ unix:{}, default_action=tempfail, content_timeout=300s }}"
#: So long after a change the gateway has read its policy again.
POLICY_SECONDS = 2.5
START_SECONDS = 30.0
STOP_SECONDS = 15.0
WEBMAIL_SENDER = "webmail-sender@example.com"
WEBMAIL_RECIPIENT = "webmail@portal.example"
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
        milter_socket, gateway_socket = self.home / "milter.sock", self.home / "gateway.sock"
        self.postfix = PrivatePostfix(self.home / "postfix", milters=MILTER.format(milter_socket), transport=CATCH)
        self.company = PrivatePostfix(
            self.home / "company",
            milters=MILTER.format(gateway_socket),
            transport=CATCH,
            main_cf=_route(WEBMAIL_RECIPIENT, self.postfix.port) | {"myhostname": "mail.example.com"},
        )
        self.postfix.beforehand(**_route(OWN_DOMAIN, self.company.port))
        self._set_up(milter_socket, gateway_socket)
        self._stack.enter_context(self.postfix)
        self._stack.enter_context(self.company)
        self._run("messenger-milter", "--config", str(self.config))
        self._run("messenger-gateway", "--config", str(self.config))
        self._run("messenger-reader", "--config", str(self.config))
        self._wait("messenger-milter", milter_socket.exists)
        self._wait("messenger-gateway", gateway_socket.exists)
        # The milter makes its spool.
        self._run("messenger-pdfotp", "--config", str(self.config))
        self._wait("messenger-reader", lambda: not _free(self.port))

    def _set_up(self, milter_socket: Path, gateway_socket: Path) -> None:
        messenger(
            "setup", "--role", "both", "--non-interactive", "--config", str(self.config),
            "--portal-url", self.url, "--own-domain", OWN_DOMAIN,
            "--webmail-sender", WEBMAIL_SENDER, "--webmail-recipient", WEBMAIL_RECIPIENT,
            "--mail-root", str(self.home / "mail"), "--milter-socket", str(milter_socket),
            "--gateway-socket", str(gateway_socket),
            "--sendmail", " ".join(self.postfix.sendmail), "--listen", f"127.0.0.1:{self.port}",
        )  # fmt: skip
        # One folder for both ends here, and two Postfix: the gateway's copies leave by the company's.
        settings_file.rewrite(
            self.config,
            {
                ("gateway", "sendmail"): list(self.company.sendmail),
                ("gateway", "messenger_hosts"): ["192.0.2.1"],
            },
            datetime.now(UTC),
        )

    def send(self, raw: bytes, to: Sequence[str], sender: str = SENDER) -> None:
        """Do what somebody in the company does: send a mail through its Postfix, which asks the gateway."""
        send(raw, to, self.company.port, sender)

    def gateway(self, *words: str) -> None:
        """Run ``messenger gateway`` on the policy, and wait until it counts. Raises DemoFailed."""
        messenger("gateway", *words, "--config", str(self.config))
        time.sleep(POLICY_SECONDS)

    def state(self) -> dict[str, Any]:
        """What another process needs to send into this site."""
        return {"url": self.url, "config": str(self.config), "smtp": self.company.port}

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
            caught = [*self.postfix.caught(), *self.company.caught()]
            found = [one.raw for one in caught if one.rcpt_to == recipient and mark in one.raw]
            if found:
                return found[-1]
            time.sleep(0.2)
        raise DemoFailed(f"expected a mail to {recipient} with {mark!r} in it, found none\n{self.last_words()}")

    def link_in(self, notice: bytes) -> str:
        """The address a person would click in a notice. Raises DemoFailed."""
        found = re.search(
            re.escape(self.url) + r"/l/[\w.~-]+(?:/[\w-]+)?", notice.replace(b"=\n", b"").decode(errors="replace")
        )
        if not found:
            raise DemoFailed("the notice holds no link to the portal")
        return found.group()

    def last_words(self) -> str:
        """The end of every log, for when something went wrong."""
        logs = [*sorted(self.home.glob("*.log")), self.postfix.log, self.company.log]
        return "\n".join(
            f"--- {log.relative_to(self.home)}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:])
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


def send(raw: bytes, to: Sequence[str], port: int, sender: str = SENDER) -> None:
    """Hand one message to the Postfix on *port*, as a mail program does. Raises OSError where it isn't taken."""
    with SMTP("127.0.0.1", port, timeout=60) as smtp:
        smtp.sendmail(sender, to, raw)


def _route(address: str, port: int) -> dict[str, str]:
    """main.cf's way of saying that mail for the domain of *address* goes to *port* of this machine."""
    return {"transport_maps": f"inline:{{ {{ {address.rpartition('@')[2]} = smtp:[127.0.0.1]:{port} }} }}"}


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
