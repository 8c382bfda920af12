"""Every order of milter commands, also those that no MTA sends, and fields larger than any MTA lets through.

What is ours never passes, whatever came before it; no command goes without its answer; the next mail is taken.
Knows the protocol as octets. Knows nothing of what the milters do with a mail.
"""

from __future__ import annotations

import functools
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .services import Service

SECONDS = 10.0
#: libmilter leaves a command that may not come now without an answer; longer than this and it counts as left so.
SILENCE_SECONDS = 0.3
#: Each letter stands for a command: C connect, H helo, M mail, R our recipient, r another one, T data, L all fields of
#: the mail, N end of header, B body, E end of message, A abort, U unknown, D macro, K quit but another client follows.
COMMANDS = "CHMRrTLNBEAUDK"
#: Where in a mail the orders begin that are tried.
BEGINNINGS = ("", "M", "MR", "MRT", "MRTL", "MRTLN", "MRTLNB", "MRTLNBE", "MrR", "MRLN", "MRrTLN")
AT_ONCE = 16
#: Bits of the negotiation by which a command goes without an answer.
NO_REPLY = {
    b"C": 0x1000, b"H": 0x2000, b"M": 0x4000, b"R": 0x8000, b"T": 0x10000, b"U": 0x20000, b"L": 0x80, b"N": 0x40000,
    b"B": 0x80000,
}  # fmt: skip
NEVER_A_REPLY = (b"A", b"D", b"K")
LEADING_SPACE = 0x100000


@dataclass(frozen=True)
class Offer:
    """What an MTA offers: its version of the protocol, rights and steps."""

    name: str
    version: int
    actions: int
    steps: int


OFFERS = (
    Offer("Postfix", 6, 0x1FF, 0x1FFFFF),
    Offer("no step left out", 6, 0x1FF, 0),
    Offer("protocol 2, without DATA", 2, 0x3F, 0x3F),
)


class Closed(Exception):
    """The milter has closed the connection, as it may after what is against the protocol."""


class Silence(Exception):
    """The milter gives no answer."""


class Conversation:
    """One connection, in octets, with a note of what must not pass."""

    def __init__(self, service: Service, offer: Offer) -> None:
        self._service = service
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(SECONDS)
        self._socket.connect(str(service.socket))
        self.ours = self.whole = False
        self._send(b"O" + struct.pack("!III", offer.version, offer.actions, offer.steps))
        self._steps: int = struct.unpack("!III", self._read()[1:13])[2]
        self._version = offer.version

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def say(self, letter: str) -> bytes:
        """Send what *letter* stands for; return the answer, empty where none is due. Raises Closed, Silence."""
        if letter == "L":
            for name, value in self._fields():
                self.field(name, value)
            self.whole = True
            return b""
        return self.command(self._payload(letter), ours=letter == "R")

    def field(self, name: bytes, value: bytes) -> bytes:
        return self.command(b"L" + name + b"\0" + value + b"\0")

    def command(self, payload: bytes, ours: bool = False) -> bytes:
        """Send one command and look whether its answer lets through what is ours."""
        word = payload[:1]
        if word in b"MAKQ":
            self.ours = self.whole = False
        self._send(payload)
        self.ours = self.ours or ours
        if word in NEVER_A_REPLY or self._steps & NO_REPLY.get(word, 0):
            return b""
        answer, deleted = self._answer()
        passed = answer == b"a" or (word == b"E" and answer == b"c")
        assert not (passed and self.ours and self.whole and not deleted), f"passed what is ours at {payload[:20]!r}"
        if word == b"E" or answer not in b"cs":
            self.ours = self.whole = False
        return answer

    def mail(self, *rcpts: str) -> bytes:
        """A whole mail; what became of it."""
        for letter in ("M", *rcpts, *self._data, "L", "N", "B"):
            answer = self.say(letter)
            if answer not in (b"", b"c"):
                return answer
        return self.say("E")

    def taken_in_the_end(self) -> tuple[bool, list[bytes]]:
        """Break off and send a whole mail of ours; whether it was taken, and what was answered up to there."""
        for letter in ("A", "M", "R", *self._data):
            self._send(self._payload(letter))
        for name, value in self._fields():
            self._send(b"L" + name + b"\0" + value + b"\0")
        for letter in "NBE":
            self._send(self._payload(letter))
        answers = []
        while b"d" not in answers:
            try:
                answers.append(self._answer()[0])
            except Silence:
                return False, answers
        return True, answers

    @property
    def up_to_data(self) -> str:
        """The envelope of a mail of ours, and DATA where the MTA knows it."""
        return "MR" + self._data

    @property
    def _data(self) -> str:
        return "T" if self._version > 3 else ""

    def _answer(self) -> tuple[bytes, bool]:
        deleted = False
        while True:
            reply = self._read()
            word = reply[:1]
            if word == b"-":
                deleted = deleted or self._service.ours.encode() in reply
            elif word not in b"pm":  # progress, a header field changed
                return word, deleted

    def _payload(self, letter: str) -> bytes:
        service = self._service
        return {
            "C": b"Cclient.example.com\x004" + struct.pack("!H", 4711) + b"192.0.2.7\0",
            "H": b"Hclient.example.com\0",
            "M": b"M<" + service.sender.encode() + b">\0",
            "R": b"R<" + service.ours.encode() + b">\0",
            "r": b"R<" + service.other.encode() + b">\0",
            "B": b"B" + service.raw.partition(b"\r\n\r\n")[2],
            "U": b"UXYZZY\0",
            "D": b"DTi\x004bXq7y1Z\0",
        }.get(letter, letter.encode())

    def _fields(self) -> Iterator[tuple[bytes, bytes]]:
        head = self._service.raw.partition(b"\r\n\r\n")[0]
        for line in head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n"):
            name, _, value = line.partition(b":")
            yield name, value if self._steps & LEADING_SPACE else value.removeprefix(b" ")

    def patience(self, seconds: float) -> None:
        """Wait that long for an answer from now on."""
        self._socket.settimeout(seconds)

    def _send(self, payload: bytes) -> None:
        try:
            self._socket.sendall(struct.pack("!I", len(payload)) + payload)
        except OSError as error:
            raise Closed from error

    def _read(self) -> bytes:
        return self._exactly(struct.unpack("!I", self._exactly(4))[0])

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            try:
                piece = self._socket.recv(size - len(found))
            except TimeoutError:
                raise Silence from None
            except OSError as error:
                raise Closed from error
            if not piece:
                raise Closed
            found += piece
        return found


@dataclass(frozen=True)
class Tried:
    """What one order of commands showed."""

    order: str
    trouble: str = ""
    #: Whether each command was answered, so that more may follow.
    goes_on: bool = False


def tried(service: Service, offer: Offer, order: str) -> Tried:
    """Send commands in *order* on a connection of its own, break off, send a whole mail."""
    try:
        with Conversation(service, offer) as conversation:
            conversation.patience(SILENCE_SECONDS)
            goes_on = _said(conversation, order)
            conversation.patience(SECONDS)
            taken, answers = conversation.taken_in_the_end()
    except Closed:
        return Tried(order)
    except AssertionError as error:
        return Tried(order, str(error))
    if b"a" in answers and "r" not in order:
        return Tried(order, "passed what is ours")
    # After K a milter may expect that the client is told anew.
    if not taken and "K" not in order:
        return Tried(order, f"the next mail was answered {answers}")
    return Tried(order, goes_on=goes_on)


def _said(conversation: Conversation, order: str) -> bool:
    try:
        for letter in order:
            conversation.say(letter)
    except Silence:
        return False
    return True


def all_tried(service: Service, offer: Offer, depth: int) -> list[Tried]:
    """Try each order of up to *depth* commands behind each of BEGINNINGS."""
    found: list[Tried] = []
    orders = list(BEGINNINGS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in range(depth):
            longer = [order + letter for order in orders for letter in COMMANDS]
            these = list(pool.map(functools.partial(tried, service, offer), longer))
            found += these
            orders = [one.order for one in these if one.goes_on]
    return found
