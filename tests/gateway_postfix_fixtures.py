"""The gateway behind a real Postfix that catches whatever leaves: who got it, in clear or through the tunnel."""

from __future__ import annotations

import base64
import contextlib
import shutil
import smtplib
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from demo.postfix import CATCH, PrivatePostfix
from messenger.errors import MessengerError
from messenger.tunnel import TunnelMail

from .gateway_fixtures import Gateway

OURS = "example.com"
#: Where the maildrop and the queue keep what is on its way; "hold" would be nobody's fault.
QUEUES = ("maildrop", "incoming", "active", "deferred")


@dataclass
class Left:
    """What became of one mail, once nothing of it is under way."""

    #: By recipient: each copy as it was caught, the content readable for everybody.
    clear: dict[str, list[bytes]] = field(default_factory=dict)
    #: By recipient: what Messenger would store.
    opened: dict[str, list[TunnelMail]] = field(default_factory=dict)
    #: By recipient: what can't be read without a key that only they have.
    sealed: dict[str, list[bytes]] = field(default_factory=dict)

    def times(self) -> dict[str, int]:
        """How often who gets it in the portal."""
        return {address: len(mails) for address, mails in self.opened.items()}

    def outside_in_clear(self) -> list[str]:
        return [address for address in self.clear if address.rpartition("@")[2].lower().rstrip(".") != OURS]


class Outbound:
    """One Postfix with its gateway's socket; a gateway is started on it for each test."""

    def __init__(self, home: Path, services: Callable[[str], str] = lambda asked: "", **more) -> None:
        # Short and open to all: a socket's path has a limit, and the user postfix must get there.
        self.run = Path(tempfile.mkdtemp(prefix="gateway-"))
        self.run.chmod(0o755)
        self.asked = f"unix:{self.run}/gateway.sock"
        self.postfix = PrivatePostfix(home, transport=CATCH, services=services(self.asked), **more)
        self._opened: dict[bytes, TunnelMail | None] = {}

    @property
    def socket(self) -> Path:
        return self.run / "gateway.sock"

    def gateway(self, home: Path, **more) -> Gateway:
        found = PostfixGateway(home / "gateway", sendmail=self.postfix.sendmail, run=self.run, **more)
        return found

    def send(
        self, raw: bytes, *rcpt_tos: str, mail_from: str = "<sam@example.com>", port: int = 0, user: str = ""
    ) -> tuple[int, str]:
        """Submit a mail; recipients as they are written after RCPT TO. Returns Postfix's last word."""
        with smtplib.SMTP("127.0.0.1", port or self.postfix.port, "client.example.com", timeout=60) as client:
            client.ehlo()
            if user:
                client.login(user, "password")
            client.command_encoding = "utf-8"
            utf8 = " SMTPUTF8" if not "".join((mail_from, *rcpt_tos)).isascii() else ""
            code, said = client.docmd(f"MAIL FROM:{mail_from}{utf8}")
            for rcpt_to in rcpt_tos:
                if code == 250:
                    code, said = client.docmd(f"RCPT TO:{rcpt_to if rcpt_to.startswith('<') else f'<{rcpt_to}>'}")
            if code == 250:
                try:
                    code, said = client.data(raw)
                except smtplib.SMTPDataError as error:
                    code, said = error.smtp_code, error.smtp_error
            return code, said.decode()

    def settle(self, seconds: float = 20.0) -> None:
        """Wait until nothing is under way; the gateway must be there for what sendmail(1) was handed."""
        deadline = time.monotonic() + seconds
        quiet = kicked = 0.0
        while quiet < 2:
            busy = [name for name in QUEUES for file in (self.postfix.queue / name).rglob("*") if file.is_file()]
            quiet = 0 if busy else quiet + 1
            assert time.monotonic() < deadline, f"mail is still in {busy}: {self.log()[-3000:]}"
            if "maildrop" in busy and time.monotonic() - kicked > 0.5:
                # A minute passes else before pickup(8) comes again to what met no gateway.
                kick = ["postkick", "-c", str(self.postfix.config_dir), "public", "pickup", "W"]
                subprocess.run(kick, check=False, capture_output=True)
                kicked = time.monotonic()
            time.sleep(0.05)

    def left(self, gateway: Gateway, word: str) -> Left:
        """All that left of the mail with *word* in it, however protected; and whatever nobody can read."""
        self.settle()
        found = Left()
        for rcpt_to, raw in self._caught():
            if word.encode() in raw:
                found.clear.setdefault(rcpt_to, []).append(raw)
            elif (opened := self._open(gateway, raw)) and word.encode() in opened.raw:
                for address in opened.rcpt_tos:
                    found.opened.setdefault(address, []).append(opened)
            elif opened is None:
                found.sealed.setdefault(rcpt_to, []).append(raw)
        return found

    def _caught(self) -> Iterator[tuple[str, bytes]]:
        """Who got which mail in the end: an alias that was expanded counts for nothing."""
        for file in sorted((self.postfix.home / "caught" / "new").iterdir()):
            *added, raw = file.read_bytes().split(b"\n", 3)  # Return-Path, X-Original-To, Delivered-To
            rcpt_to = next(line for line in added if line.startswith(b"Delivered-To: ")).partition(b": ")[2]
            yield rcpt_to.decode(), raw.replace(b"\n", b"\r\n")

    def log(self) -> str:
        return self.postfix.log.read_text(errors="replace")

    def _open(self, gateway: Gateway, raw: bytes) -> TunnelMail | None:
        if raw not in self._opened:
            try:
                self._opened[raw] = gateway.opened(raw)
            except MessengerError:
                self._opened[raw] = None
        return self._opened[raw]


class Accounts(socketserver.ThreadingUnixStreamServer):
    """Where Postfix asks who may log in (Dovecot's auth protocol): anybody, with any password."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Account)
        path.chmod(0o666)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Account(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n")
        for line in self.rfile:
            if line.startswith(b"AUTH\t"):
                given = dict(word.split(b"=", 1) for word in line.strip().split(b"\t") if b"=" in word)
                user = base64.b64decode(given[b"resp"]).split(b"\0")[1]
                self.wfile.write(b"OK\t" + line.split(b"\t")[1] + b"\tuser=" + user + b"\n")


class PostfixGateway(Gateway):
    """A gateway whose socket lies where Postfix can reach it, and whose copies go into Postfix's queue."""

    def __init__(self, home: Path, *, run: Path, **more) -> None:
        self.run = run
        super().__init__(home, **more)

    @property
    def socket(self) -> Path:
        return self.run / "gateway.sock"


@contextlib.contextmanager
def outbound(home: Path, *, more_milters: str = "", **more) -> Iterator[Outbound]:
    """A Postfix that asks the gateway about all mail, by SMTP and by sendmail(1)."""
    found = Outbound(home, **more)
    milters = f"{found.asked} {more_milters}".strip()
    found.postfix.beforehand(smtpd_milters=milters, non_smtpd_milters=milters)
    try:
        with found.postfix:
            yield found
    finally:
        shutil.rmtree(found.run)


def bdat(port: int, raw: bytes, mail_from: str, rcpt_to: str) -> bytes:
    """Submit by BDAT (RFC 3030) in two pieces; return the last answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        lines = client.makefile("rb")
        lines.readline()
        half = len(raw) // 2
        for words, answers in (
            # Nothing behind EHLO before its answer: Postfix 3.9 and newer hang up (smtpd_forbid_unauth_pipelining).
            (b"EHLO client.example.com\r\n", 1),
            (f"MAIL FROM:<{mail_from}> BODY=8BITMIME\r\nRCPT TO:<{rcpt_to}>\r\n".encode(), 2),
            (f"BDAT {half}\r\n".encode() + raw[:half], 1),
            (f"BDAT {len(raw) - half} LAST\r\n".encode() + raw[half:], 1),
        ):
            client.sendall(words)
            for _ in range(answers):
                while (answer := lines.readline())[3:4] == b"-":
                    pass
        return answer
