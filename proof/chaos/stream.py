"""Senders: each mail is offered until it is taken or refused for good, as the queue of a gateway's Postfix does."""

from __future__ import annotations

import hashlib
import heapq
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from cryptography import x509

from messenger.tunnel import SenderKey, wrap
from messenger.tunnel.keys import load_certificate, load_sender_key
from tests.hostile_mails import HOSTILE

from .house import WEBMAIL_RECIPIENT, WEBMAIL_SENDER, House
from .plan import Cut, Mail

SENDERS = 8
#: From one try to the next.
PAUSE_SECONDS = 0.7
ANSWER_SECONDS = 120.0
UNANSWERED_SECONDS = 10.0
#: Each so many-th mail is kept, if it is small, to be sent once more at the end.
KEPT, KEPT_OCTETS = 6, 200_000
LINE = b"VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZy4gVGhlIHF1aWNrIGJy\r\n"


@dataclass
class Sent:
    """What became of one mail."""

    mail: Mail
    #: Of the original message; empty for a hostile one.
    checksum: str = ""
    tries: int = 0
    #: The last answer to a whole mail: 250, 550 ...; 0 as long as there is none.
    code: int = 0
    wire: bytes = field(default=b"", repr=False)
    #: From when to when each try may have been in somebody's hands (time.monotonic()).
    spans: list[tuple[float, float]] = field(default_factory=list)
    #: All answers, and what cut a try short.
    answers: Counter[str] = field(default_factory=Counter)

    @property
    def settled(self) -> bool:
        return self.code // 100 in (2, 5)


class Stream:
    """Sends *mails* as their time comes, several at once."""

    def __init__(self, house: House, mails: Iterable[Mail], seed: int) -> None:
        self._port = house.postfix.port
        self._maker = Maker(house, seed)
        self.sent = [Sent(mail) for mail in mails]
        self._due = [(sent.mail.at, sent.mail.number, sent) for sent in self.sent]
        heapq.heapify(self._due)
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(SENDERS)]

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether all are settled within *seconds*."""
        deadline = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return all(sent.settled for sent in self.sent)

    def send_to(self, addresses: Sequence[str]) -> None:
        """Send a small mail to each of *addresses* that isn't in the plan."""
        for number, address in enumerate(addresses, max(sent.mail.number for sent in self.sent) + 1):
            sent = Sent(Mail(number, "plain", 0, 1024, (address,)))
            sent.code = offer(self._port, self._maker.wire(sent), None)

    def again(self, sent: Sent) -> int:
        """Offer a mail that was taken once more; return the answer's code."""
        return offer(self._port, self._maker.wire(sent), None)

    def _send(self) -> None:
        while (sent := self._next()) is not None:
            if sent.settled:
                continue
            wire = self._maker.wire(sent)
            cut = sent.mail.cuts[sent.tries] if sent.tries < len(sent.mail.cuts) else None
            sent.tries += 1
            began = time.monotonic()
            sent.code = 0
            try:
                sent.code = offer(self._port, wire, cut)
                sent.answers[str(sent.code or f"cut in {cut}")] += 1
            except OSError as error:
                sent.answers[type(error).__name__] += 1
            # Who isn't answered doesn't know how long the other side goes on.
            rest = 0.0 if sent.code else UNANSWERED_SECONDS
            sent.spans.append((began, time.monotonic() + rest))
            if not sent.settled:
                self._later(sent)
            elif sent.mail.number % KEPT or len(sent.wire) > KEPT_OCTETS:
                sent.wire = b""

    def _next(self) -> Sent | None:
        while True:
            with self._lock:
                if not self._due:
                    if all(sent.settled for sent in self.sent):
                        return None
                elif self._due[0][0] <= time.monotonic() - self._began:
                    return heapq.heappop(self._due)[2]
            time.sleep(0.02)

    def _later(self, sent: Sent) -> None:
        with self._lock:
            at = time.monotonic() - self._began + PAUSE_SECONDS
            heapq.heappush(self._due, (at, sent.mail.number, sent))


class Maker:
    """Makes tunnel mails as the gateway does; the same bytes for every try."""

    def __init__(self, house: House, seed: int) -> None:
        keys = house.home / "keys"
        self._sender: SenderKey = load_sender_key(keys / "webmail-sender.pem", keys / "webmail-sender.key")
        self._recipient: x509.Certificate = load_certificate(keys / "webmail-recipient.pem")
        self._seed = seed

    def wire(self, sent: Sent) -> bytes:
        """What goes over the wire for a mail."""
        if not sent.wire:
            sent.wire = dotted(self._make(sent))
        return sent.wire

    def _make(self, sent: Sent) -> bytes:
        mail = sent.mail
        if mail.kind == "hostile":
            return HOSTILE[mail.hostile][1]()
        raw = original(mail, self._seed)
        sent.checksum = hashlib.sha256(raw).hexdigest()
        return wrap(
            raw,
            mail_from="bob@example.com",
            rcpt_tos=mail.rcpt_tos,
            options=("otp-pdf",) if mail.kind == "pdf" else (),
            sender=self._sender,
            recipient=self._recipient,
            webmail_sender=WEBMAIL_SENDER,
            webmail_recipient=WEBMAIL_RECIPIENT,
            date=datetime.now(UTC),
            message_id=f"<tunnel.{self._seed}.{mail.number}@example.com>",
        )


def original(mail: Mail, seed: int) -> bytes:
    """The message in it, unlike every other."""
    head = (
        f"From: Bob Brown <bob@example.com>\r\nTo: undisclosed-recipients:;\r\n"
        f"Subject: Mail {mail.number} of {seed}\r\nMessage-ID: <{seed}.{mail.number}@example.com>\r\n"
        "Date: Tue, 24 Nov 2026 10:00:00 +0000\r\n"
    )
    if mail.kind == "pdf":
        return f"{head}\r\nDear reader, this is number {mail.number}.\r\n".encode()
    whole = f"{head}Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
    return whole + LINE * max(1, (mail.size - len(whole)) // len(LINE))


def dotted(raw: bytes) -> bytes:
    """As DATA takes it (RFC 5321, section 4.5.2), with the dot at the end."""
    if not raw.endswith(b"\r\n"):
        raw += b"\r\n"
    return (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"


def offer(port: int, wire: bytes, cut: Cut | None) -> int:
    """One SMTP session with one mail; return the code of the last answer, or 0 where *cut* ended it.

    Raises OSError where the other side ended it.
    """
    with (
        socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as client,
        client.makefile("rb") as replies,
    ):
        if (code := _answer(replies)) != 220:
            return code
        for command in (
            "EHLO gateway.example.com",
            f"MAIL FROM:<{WEBMAIL_SENDER}>",
            f"RCPT TO:<{WEBMAIL_RECIPIENT}>",
            "DATA",
        ):
            client.sendall(f"{command}\r\n".encode())
            if (code := _answer(replies)) not in (250, 354):
                return code
        client.sendall(wire[: len(wire) // 2] if cut == "body" else wire)
        if cut == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return 0 if cut else _answer(replies)


def _answer(replies: BinaryIO) -> int:
    line = replies.readline()
    while line[3:4] == b"-":
        line = replies.readline()
    if not line[:3].isdigit():
        raise ConnectionError(f"expected an answer, found {line!r}")
    return int(line[:3])
