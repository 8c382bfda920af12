"""A whole intake for tests: keys, settings, folders, the real messenger-milter, and the MTA's side of the protocol."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from miltertest import MilterConnection, codec
from miltertest import constants as words

from messenger.mailbox import mailbox_of
from messenger.tunnel import SenderKey, wrap
from messenger.tunnel.certificates import make_pair

ROOT = Path(__file__).parent.parent
SENDER = "gateway@example.com"
TUNNEL = "tunnel@portal.example"
ALIAS = "alias@portal.example"
#: One pair of each kind for all tests: making keys takes longer than using them.
NOW = datetime.datetime(2026, 11, 24, tzinfo=datetime.UTC)
ORIGINAL = (
    b"From: Sam Sender <sam@example.com>\r\nTo: Ann <ann@example.org>\r\nSubject: A secret plan\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello Ann\r\n"
)
# Steps that need a reply even from an MTA as old as the hills.
OLD_MTA = 0
NEW_MTA = words.SMFI_V6_PROT


@cache
def pair(role: str, address: str, number: int = 0):
    """A certificate and its key; another *number* is another pair for the same address."""
    return make_pair(address, "ec-p256", role, NOW + datetime.timedelta(seconds=number))


@dataclass
class Site:
    """One portal in a folder: what ``messenger setup`` would have made."""

    home: Path
    sendmail: tuple[str, ...] = ()
    intake: dict[str, str] = field(default_factory=dict)
    quota: int = 0

    def __post_init__(self) -> None:
        self.mail_root.mkdir(parents=True)
        keys = self.home / "keys"
        keys.mkdir()
        write_pair(keys / "recipient", *pair("recipient", TUNNEL))
        write_pair(keys / "sender", *pair("sender", SENDER))
        (keys / "link.key").write_text("11" * 32 + "\n")
        if not self.sendmail:
            self.sendmail = (str(self._fake_sendmail()),)
        self.write()

    @property
    def settings(self) -> Path:
        return self.home / "messenger.toml"

    @property
    def socket(self) -> Path:
        return self.home / "run" / "milter.sock"

    @property
    def mail_root(self) -> Path:
        return self.home / "mail"

    def write(self, **tunnel: str) -> None:
        """Write the settings; keyword arguments replace lines of [tunnel], ``self.intake`` adds to [intake]."""
        self.socket.parent.mkdir(exist_ok=True)
        self.socket.parent.chmod(0o755)
        lines = {
            "recipient_certificates": '["keys/recipient.pem"]',
            "recipient_keys": '["keys/recipient.key"]',
            "sender_certificates": '["keys/sender.pem"]',
        } | tunnel
        intake = {"aliases": f'["{ALIAS}"]', "size_limit": "2000000"} | self.intake
        words = ", ".join(f'"{word}"' for word in self.sendmail)
        self.settings.write_text(
            f'[site]\nportal_url = "https://portal.example"\nown_domains = ["example.com"]\n'
            f'[mail]\nroot = "mail"\nquota = {self.quota}\n'
            f'[tunnel]\nwebmail_sender = "{SENDER}"\nwebmail_recipient = "{TUNNEL}"\n'
            + "".join(f"{name} = {value}\n" for name, value in lines.items())
            + f'[intake]\nsocket = "{self.socket}"\nledger = "ledger"\n'
            + "".join(f"{name} = {value}\n" for name, value in intake.items())
            + '[pdf]\nspool = "pdf"\n'
            + f'[notice]\nmail_from = "notices@portal.example"\nsendmail = [{words}]\nlink_key = "keys/link.key"\n'
        )

    def tunnel_mail(self, raw: bytes = ORIGINAL, to: Iterable[str] = ("ann@example.org",), **changes) -> bytes:
        """What a gateway would send for *raw*."""
        certificate, key = pair("sender", SENDER)
        given = {
            "mail_from": "sam@example.com",
            "rcpt_tos": tuple(to),
            "sender": SenderKey(certificate, key),
            "recipient": pair("recipient", TUNNEL)[0],
            "webmail_sender": SENDER,
            "webmail_recipient": TUNNEL,
            "date": NOW,
            "message_id": "<tunnel@example.com>",
        }
        return wrap(raw, **(given | changes))

    def stored(self, address: str = "ann@example.org") -> list[bytes]:
        """The mails in somebody's inbox."""
        mailbox = mailbox_of(self.mail_root, address)
        return [mailbox.read(entry.name) for entry in mailbox.list()]

    def notices(self) -> list[bytes]:
        """What was handed to the fake sendmail, oldest first."""
        return [file.read_bytes() for file in sorted((self.home / "notices").iterdir())]

    def _fake_sendmail(self) -> Path:
        (self.home / "notices").mkdir()
        script = self.home / "sendmail"
        script.write_text(f"#!/bin/sh\nexec cat > {self.home}/notices/$(date +%s%N)-$$\n")
        script.chmod(0o755)
        return script


def write_pair(path: Path, certificate, key) -> None:
    """Write PATH.pem and PATH.key."""
    path.with_suffix(".pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    path.with_suffix(".key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class Process:
    """A running messenger-milter, or the other milter."""

    def __init__(self, site: Site, *arguments: str, code: str = "", module: str = "messenger_milter.service") -> None:
        self.log = site.home / f"milter-{time.monotonic_ns()}.log"
        command = f"{code}\nfrom {module} import main; main()"
        with self.log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-c", command, "--config", str(site.settings), *arguments],
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'milter'}"},
                stdout=output,
                stderr=output,
            )

    def wait_ready(self, seconds: float = 15.0) -> Process:
        self.wait_log("listening on", seconds)
        return self

    def wait_log(self, text: str, seconds: float = 15.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.text():
            assert self.popen.poll() is None, f"the milter ended with {self.popen.returncode}: {self.text()}"
            assert time.monotonic() < deadline, f"no {text!r} in the milter's log: {self.text()}"
            time.sleep(0.02)

    def text(self) -> str:
        return self.log.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 20.0) -> int:
        """Send a signal, wait for the end, return the exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        return self.popen.wait(seconds)


@contextlib.contextmanager
def running(site: Site, *arguments: str, code: str = "") -> Iterator[Process]:
    """The real messenger-milter, ready; *code* runs in it first, to break something on purpose."""
    process = Process(site, *arguments, code=code)
    try:
        yield process.wait_ready()
    finally:
        process.stop(signal.SIGKILL)


@dataclass(frozen=True)
class Answer:
    """What the MTA would do: the disposition, the line for the client, the recipients to delete."""

    action: str
    reply: str = ""
    deleted: tuple[str, ...] = ()


NAMES = {
    words.SMFIR_ACCEPT: "accept",
    words.SMFIR_CONTINUE: "continue",
    words.SMFIR_DISCARD: "discard",
    words.SMFIR_TEMPFAIL: "tempfail",
    words.SMFIR_REJECT: "reject",
    words.SMFIR_REPLYCODE: "reply",
}


class Mta(MilterConnection):
    """The MTA's side of one connection, in bytes, keeping to what was negotiated."""

    def __init__(self, address: Path | tuple[str, int], protocol: int = NEW_MTA) -> None:
        family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
        client = socket.socket(family)
        client.settimeout(20)
        client.connect(address if isinstance(address, tuple) else str(address))
        super().__init__(client)
        # libmilter declines some steps even to those who never offered that.
        self.optneg_mta(protocol=protocol, strict=protocol != OLD_MTA)

    def __enter__(self) -> Mta:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def command(self, word: str, payload: bytes = b"", no_reply: int = 0, never: int = 0) -> str:
        """Send one command unless it was negotiated away; return the answer's word."""
        if self.protocol_flags & never:
            return "continue"
        self.sock.sendall(struct.pack("!L", len(payload) + 1) + word.encode() + payload)
        if self.protocol_flags & no_reply:
            return "continue"
        return NAMES[self.recv()[0]]

    def macro(self, word: str, **values: str) -> None:
        payload = word.encode() + b"".join(f"{name}\0{value}\0".encode() for name, value in values.items())
        self.sock.sendall(struct.pack("!L", len(payload) + 1) + words.SMFIC_MACRO.encode() + payload)

    def envelope(self, *rcpt_tos: bytes | str, mail_from: bytes = b"<gateway@example.com>") -> None:
        """MAIL and RCPT; both must go on."""
        assert self.command(words.SMFIC_MAIL, mail_from + b"\0", words.SMFIP_NR_MAIL) == "continue"
        for rcpt_to in rcpt_tos:
            given = rcpt_to if isinstance(rcpt_to, bytes) else f"<{rcpt_to}>".encode()
            assert self.command(words.SMFIC_RCPT, given + b"\0", words.SMFIP_NR_RCPT) == "continue"

    def data(self, queue_id: str = "4bXq7y1Z") -> str:
        if queue_id:
            self.macro(words.SMFIC_DATA, i=queue_id)
        return self.command(words.SMFIC_DATA)

    def content(self, raw: bytes) -> Answer | None:
        """Header fields and body; an answer other than continue ends it."""
        head, _, body = (b"\r\n" + raw).partition(b"\r\n\r\n")
        head = head.removeprefix(b"\r\n")
        folded = head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t")
        for line in folded.split(b"\r\n") if head else ():
            name, _, value = line.partition(b":")
            if not self.protocol_flags & words.SMFIP_HDR_LEADSPC:
                value = value.removeprefix(b" ")
            self.command(words.SMFIC_HEADER, name + b"\0" + value + b"\0", words.SMFIP_NR_HDR)
        self.command(words.SMFIC_EOH, no_reply=words.SMFIP_NR_EOH, never=words.SMFIP_NOEOH)
        for start in range(0, len(body), words.MILTER_CHUNK_SIZE):
            chunk = body[start : start + words.MILTER_CHUNK_SIZE]
            self.sock.sendall(struct.pack("!L", len(chunk) + 1) + words.SMFIC_BODY.encode() + chunk)
            answer = self._disposition()
            if answer.action != "continue":
                return answer
        return None

    def end(self) -> Answer:
        self.sock.sendall(codec.encode_msg(words.SMFIC_BODYEOB))
        return self._disposition()

    def send(self, raw: bytes, *rcpt_tos: bytes | str, queue_id: str = "4bXq7y1Z") -> Answer:
        """A whole mail."""
        self.envelope(*(rcpt_tos or (TUNNEL,)))
        answer = self.data(queue_id)
        if answer != "continue":
            return Answer(answer)
        return self.content(raw) or self.end()

    def abort(self) -> None:
        self.sock.sendall(codec.encode_msg(words.SMFIC_ABORT))

    def _disposition(self) -> Answer:
        deleted: list[str] = []
        while True:
            word, values = self.recv()
            if word == words.SMFIR_DELRCPT:
                deleted.append(values["rcpt"])
            elif word == words.SMFIR_REPLYCODE:
                code = values["smtpcode"]
                action = "tempfail" if code.startswith("4") else "reject"
                return Answer(action, f"{code} {values['text']}", tuple(deleted))
            else:
                return Answer(NAMES[word], "", tuple(deleted))
