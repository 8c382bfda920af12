"""The system under test: a private Postfix and our services, their files on small disks of their own.

Whatever is started or mounted is ended and taken off at the end of a ``with``. Needs root, for Postfix and the disks.
"""

from __future__ import annotations

import socket
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from demo.postfix import CATCH, PrivatePostfix, free_port
from demo.site import MILTER, messenger
from messenger.cli import settings_file
from tests import tunnel_fixtures

from .disk import Disk
from .service import Service
from .shims import Clock

MB = 1024 * 1024
DISKS = {"mail": 700 * MB, "intake": 64 * MB, "pdf": 128 * MB, "accounts": 128 * MB, "postfix": 500 * MB}
SERVICES = ("milter", "reader", "pdfotp")
OWN_DOMAIN = "example.com"
WEBMAIL_SENDER = "webmail-sender@example.com"
WEBMAIL_RECIPIENT = "webmail@portal.example"
START_SECONDS = 60.0


class House(AbstractContextManager["House"]):
    """All of it, on loopback, below one temporary folder."""

    def __enter__(self) -> House:
        self._stack = ExitStack()
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _build(self) -> None:
        self.home = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="messenger-chaos-")))
        self.home.chmod(0o755)  # the user postfix must reach the socket
        self.disks = {name: self._stack.enter_context(Disk(self.home / name, size)) for name, size in DISKS.items()}
        self.clock = Clock(self.home)
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self._socket = self.home / "milter.sock"
        self.postfix = PrivatePostfix(
            self.home / "postfix",
            milters=MILTER.format(self._socket),
            transport=CATCH,
            main_cf={"notify_classes": ""},  # no letters of its own about what fails
        )
        self.config_path = self.home / "messenger.toml"
        self._set_up(self.config_path)
        self.services = {
            name: Service(name, self.config_path, self.home / f"{name}.log", self.clock.environment)
            for name in SERVICES
        }
        self._stack.enter_context(self.postfix)
        for service in self.services.values():
            self._stack.callback(service.stop)
            service.start()
        self.wait_up()

    def _set_up(self, path: Path) -> None:
        # sendmail goes by the true clock, as Postfix does.
        sendmail = ["/usr/bin/env", "-u", "LD_PRELOAD", *self.postfix.sendmail]
        messenger(
            "setup", "--role", "both", "--non-interactive", "--config", str(path),
            "--portal-url", self.url, "--own-domain", OWN_DOMAIN, "--webmail-sender", WEBMAIL_SENDER,
            "--webmail-recipient", WEBMAIL_RECIPIENT, "--mail-root", str(self.home / "mail"),
            "--milter-socket", str(self._socket), "--gateway-socket", str(self.home / "gateway.sock"),
            "--sendmail", " ".join(sendmail), "--listen", f"127.0.0.1:{self.port}",
        )  # fmt: skip
        # The hostile mails are made with these, so that they get as deep as they can.
        tunnel_fixtures.messenger().write(self.home / "keys", "hostile-recipient")
        tunnel_fixtures.gateway().write(self.home / "keys", "hostile-sender")
        self.config = settings_file.rewrite(
            path,
            {
                ("mail", "quota"): 0,
                ("tunnel", "recipient_certificates"): _both("webmail-recipient.pem", "hostile-recipient.pem"),
                ("tunnel", "recipient_keys"): _both("webmail-recipient.key", "hostile-recipient.key"),
                ("tunnel", "sender_certificates"): _both("webmail-sender.pem", "hostile-sender.pem"),
                ("intake", "ledger"): str(self.home / "intake" / "ledger"),
                ("accounts", "database"): str(self.home / "accounts" / "accounts.sqlite"),
                ("reader", "cache"): str(self.home / "accounts" / "cache"),
                ("reply", "per_hour"): 10_000,
                ("pdf", "spool"): str(self.home / "pdf" / "spool"),
                # A kill in the middle of a PDF counts as a try; no other life has as many of them.
                ("pdf", "tries"): 50,
            },
            datetime.now(UTC),
        )

    def wait_up(self) -> None:
        """Return when all services answer. Raises TimeoutError with the ends of their logs."""
        deadline = time.monotonic() + START_SECONDS
        while not (_answers(self.port) and _answers(str(self._socket)) and self.services["pdfotp"].running):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not all services came up\n{self.last_words()}")
            time.sleep(0.1)

    def postfix_master(self) -> int:
        """The id of Postfix's master(8), which has started all others; 0 while it doesn't run."""
        try:
            return int((self.postfix.queue / "pid" / "master.pid").read_text())
        except (OSError, ValueError):
            return 0

    def watch(self) -> None:
        """Start again what has ended by itself."""
        for service in self.services.values():
            service.watch()

    def last_words(self, lines: int = 15) -> str:
        """The end of every log."""
        logs = [*(service.log for service in self.services.values()), self.postfix.log]
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
            for log in logs
            if log.exists()
        )


def _both(*names: str) -> list[str]:
    return [f"keys/{name}" for name in names]


def _answers(address: int | str) -> bool:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(2)
        return client.connect_ex(address if isinstance(address, str) else ("127.0.0.1", address)) == 0
