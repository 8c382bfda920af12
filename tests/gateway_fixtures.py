"""A gateway in a folder for tests: keys, settings, policy, and the real messenger-gateway."""

from __future__ import annotations

import contextlib
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from miltertest import codec
from miltertest import constants as words

from messenger import tunnel
from messenger.tunnel import TunnelKeys

from .milter_fixtures import NAMES, SENDER, TUNNEL, Answer, Mta, Process, pair, write_pair

#: Everything by webmail that a rule names; the rule that everybody tries first.
POLICY = """\
[global]
enabled = true

[[rule]]
name = "secure in the subject"
result = "mandatory"
subject = ["[secure]"]
"""
SECRET = (
    b"From: Sam Sender <sam@example.com>\r\nTo: Ann <ann@example.org>\r\nSubject: [secure] A plan\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n\r\nHello Ann, the code is 4711\r\n"
)
PLAIN = SECRET.replace(b"[secure] ", b"")
WITHOUT_TRIGGER = PLAIN


@dataclass
class Gateway:
    """One gateway in a folder: what ``messenger setup --role gateway`` would have made."""

    home: Path
    sendmail: tuple[str, ...] = ()
    policy: str = POLICY
    section: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = self.home / "keys"
        keys.mkdir(parents=True)
        (self.home / "run").mkdir(mode=0o755)
        self.home.chmod(0o755)
        write_pair(keys / "sender", *pair("sender", SENDER))
        write_pair(keys / "recipient", *pair("recipient", TUNNEL))
        (keys / "recipient.key").rename(self.home / "recipient-of-the-other-host.key")
        if not self.sendmail:
            self.sendmail = (str(self._fake_sendmail()),)
        self.write()
        self.policy_file.write_text(self.policy)

    @property
    def settings(self) -> Path:
        return self.home / "messenger.toml"

    @property
    def policy_file(self) -> Path:
        return self.home / "gateway.toml"

    @property
    def socket(self) -> Path:
        return self.home / "run" / "gateway.sock"

    def write(self, **section: str) -> None:
        """Write the settings; keyword arguments and ``self.section`` add to [gateway]."""
        lines = {
            "socket": f'"{self.socket}"',
            "sender_certificate": '"keys/sender.pem"',
            "sender_key": '"keys/sender.key"',
            "recipient_certificate": '"keys/recipient.pem"',
            "sendmail": "[" + ", ".join(f'"{word}"' for word in self.sendmail) + "]",
            "size_limit": "2000000",
            "observed": '"observed.jsonl"',
        }
        lines |= self.section | section
        self.settings.write_text(
            '[site]\nportal_url = "https://portal.example"\nown_domains = ["example.com"]\n'
            f'[tunnel]\nwebmail_sender = "{SENDER}"\nwebmail_recipient = "{TUNNEL}"\n'
            '[notice]\nmail_from = "notices@portal.example"\n[gateway]\n'
            + "".join(f"{name} = {value}\n" for name, value in lines.items())
        )

    def opened(self, mail: bytes) -> tunnel.TunnelMail:
        """What Messenger makes of a tunnel mail."""
        certificate, key = pair("recipient", TUNNEL)
        return tunnel.unwrap(
            mail, TunnelKeys((tunnel.RecipientKey(certificate, key),), (pair("sender", SENDER)[0],)), tunnel.Policy()
        )

    def sent(self) -> list[bytes]:
        """What was handed to the fake sendmail, oldest first."""
        return [file.read_bytes() for file in sorted((self.home / "sent").iterdir())]

    def _fake_sendmail(self) -> Path:
        (self.home / "sent").mkdir()
        script = self.home / "sendmail"
        # As sendmail(1) does it: the mail is there whole, or the exit status says that it isn't.
        script.write_text(
            f"#!/bin/sh\nname=$(date +%s%N)-$$\ncat > {self.home}/$name && mv {self.home}/$name {self.home}/sent/\n"
        )
        script.chmod(0o755)
        return script

    def break_sendmail(self) -> None:
        """From now on nothing is taken."""
        Path(self.sendmail[0]).write_text("#!/bin/sh\ncat > /dev/null; echo queue file write error; exit 75\n")

    def remove_keys(self) -> None:
        shutil.rmtree(self.home / "keys")


@contextlib.contextmanager
def running(gateway: Gateway, *arguments: str, code: str = "") -> Iterator[Process]:
    """The real messenger-gateway, ready; *code* runs in it first, to break something on purpose."""
    process = Process(gateway, *arguments, code=code, module="messenger_milter.gateway_service")
    try:
        yield process.wait_ready()
    finally:
        process.popen.kill()
        process.popen.wait(10)


class Client(Mta):
    """The MTA's side towards the gateway: says who its client is, and notes header edits."""

    def __init__(self, *arguments, client: str = "192.0.2.7", **more) -> None:
        super().__init__(*arguments, **more)
        self.edits: list[tuple[str, bytes]] = []
        family = b"6" if ":" in client else b"4"
        payload = b"client.example.com\0" + family + struct.pack("!H", 4711) + client.encode() + b"\0"
        self.command(words.SMFIC_CONNECT, payload, words.SMFIP_NR_CONN, words.SMFIP_NOCONNECT)

    def send(
        self,
        raw: bytes,
        *rcpt_tos: bytes | str,
        queue_id: str = "4bXq7y1Z",
        mail_from: bytes = b"<sam@example.com>",
        **macros: str,
    ) -> Answer:
        """A whole mail; *macros* are those of MAIL, without their braces."""
        if macros:
            self.macro(words.SMFIC_MAIL, **{f"{{{name}}}": value for name, value in macros.items()})
        self.envelope(*(rcpt_tos or ("ann@example.org",)), mail_from=mail_from)
        answer = self.data(queue_id)
        if answer != "continue":
            return Answer(answer)
        return self.content(raw) or self.end()

    def content(self, raw: bytes) -> Answer | None:
        """Header, end of header with its answer, body."""
        head, _, body = raw.partition(b"\r\n\r\n")
        folded = head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t")
        for line in folded.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if not self.protocol_flags & words.SMFIP_HDR_LEADSPC:
                value = value.removeprefix(b" ")
            self.command(words.SMFIC_HEADER, name + b"\0" + value + b"\0", words.SMFIP_NR_HDR)
        self.sock.sendall(codec.encode_msg(words.SMFIC_EOH))
        answer = self._disposition()
        if answer.action != "continue":
            return answer
        for start in range(0, len(body), words.MILTER_CHUNK_SIZE):
            chunk = body[start : start + words.MILTER_CHUNK_SIZE]
            self.sock.sendall(struct.pack("!L", len(chunk) + 1) + words.SMFIC_BODY.encode() + chunk)
            answer = self._disposition()
            if answer.action != "continue":
                return answer
        return None

    def _disposition(self) -> Answer:
        deleted: list[str] = []
        while True:
            word, values = self.recv()
            if word == words.SMFIR_DELRCPT:
                deleted.append(values["rcpt"])
            elif word == words.SMFIR_CHGHEADER:
                self.edits.append((values["name"], values["value"]))
            elif word == words.SMFIR_PROGRESS:
                continue
            elif word == words.SMFIR_REPLYCODE:
                code = values["smtpcode"]
                return Answer(
                    "tempfail" if code.startswith("4") else "reject", f"{code} {values['text']}", tuple(deleted)
                )
            else:
                return Answer(NAMES[word], "", tuple(deleted))
