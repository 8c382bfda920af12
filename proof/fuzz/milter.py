"""The milter's protocol: the real messenger-milter on a socket, and a peer that keeps to nothing.

An input is commands with a separator between them, each given its length; or, where it begins with an even byte, what
stands on the wire. Afterwards the next honest peer must be served, and nothing be left behind.
"""

from __future__ import annotations

import atexit
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from miltertest import constants as words

from tests.milter_fixtures import TUNNEL, Mta, Process, Site

from .target import Broken, Feed, Target

_BETWEEN = b"\xfe\xff"
_SECONDS = 10
_MEMORY_KB = 512 * 1024
#: Looked at honestly after so many inputs, and after one that was odd.
_EVERY = 20


def _start(home: Path) -> Feed:
    site = Site(home / "site")
    process = Process(site).wait_ready()
    atexit.register(process.stop, signal.SIGKILL)
    fed = 0

    def feed(data: bytes) -> None:
        nonlocal fed
        fed += 1
        odd = _speak(site.socket, _wire(data))
        if process.popen.poll() is not None:
            raise Broken(f"messenger-milter ended with {process.popen.returncode}: {process.text()[-300:]}")
        if odd or fed % _EVERY == 0:
            _check(site, process)
        if odd:
            raise Broken(odd)

    return feed


def _wire(data: bytes) -> bytes:
    if data and data[0] & 1:
        wire = b"".join(struct.pack("!L", len(one)) + one for one in data[1:].split(_BETWEEN) if one)
    else:
        wire = data[1:]
    return b"".join(_paired(wire))


def _paired(wire: bytes) -> Iterator[bytes]:
    """*wire* without macros that have a name and no value.

    libmilter itself reads past the end of these and dies (docs/reliability.md). Who may open the socket can do that;
    Postfix doesn't, and what it sends of a client's words always has both.
    """
    at = 0
    while at < len(wire):
        end = at + 4 + int.from_bytes(wire[at : at + 4], "big")
        if wire[at + 4 : at + 5] != words.SMFIC_MACRO.encode() or wire.count(b"\0", at + 6, end) % 2 == 0:
            yield wire[at:end]
        at = end


def _speak(place: Path, wire: bytes) -> str:
    """Say *wire* and listen to the end; what was odd about it, or nothing."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_SECONDS)
        try:
            client.connect(str(place))
            with suppress(BrokenPipeError, ConnectionResetError):
                client.sendall(wire)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
        except TimeoutError:
            return f"no end after {_SECONDS} seconds"
        except OSError as error:
            return f"no connection: {error.strerror}"
    return ""


def _check(site: Site, process: Process) -> None:
    status = Path(f"/proc/{process.popen.pid}/status").read_text()
    if int(status.partition("VmHWM:")[2].split()[0]) > _MEMORY_KB:
        raise Broken("messenger-milter took over 512 MB")
    with Mta(site.socket) as mta:
        mta.envelope("someone@example.org")
        if mta.data() != "accept":
            raise Broken("mail for others isn't let through any more")
    if "unforeseen" in (said := process.text()):
        process.log.write_text("")
        raise Broken(f"unforeseen: {said[said.index('unforeseen') :][:300]}")
    if list(site.mail_root.iterdir()) or site.notices():
        raise Broken("something was kept that nobody signed")


def _command(word: str, payload: bytes = b"") -> bytes:
    return word.encode() + payload


_GREETING = _command(words.SMFIC_OPTNEG, struct.pack("!LLL", 6, 0x1FF, 0x1FFFFF))
_OLD = _command(words.SMFIC_OPTNEG, struct.pack("!LLL", 2, 0x3F, 0x7F))
_MAIL = _command(words.SMFIC_MAIL, b"<gateway@example.com>\0SIZE=100\0")
_RCPT = _command(words.SMFIC_RCPT, f"<{TUNNEL}>\0".encode())
_DATA = [_command(words.SMFIC_MACRO, b"Ti\0004bXq7y1Z\0"), _command(words.SMFIC_DATA)]
_HEAD = [_command(words.SMFIC_HEADER, b"Subject\0 x\0"), _command(words.SMFIC_HEADER, b"Content-Type\0text/plain\0")]
_END = [_command(words.SMFIC_EOH), _command(words.SMFIC_BODY, b"hello\r\n"), _command(words.SMFIC_BODYEOB)]


def _seeds() -> list[bytes]:
    sessions = [
        [_GREETING, _MAIL, _RCPT, *_DATA, *_HEAD, *_END, _command(words.SMFIC_QUIT)],
        [
            _OLD,
            _command(words.SMFIC_CONNECT, b"host\x004\0\x19192.0.2.1\0"),
            _command(words.SMFIC_HELO, b"x\0"),
            _MAIL,
            _RCPT,
        ],
        [_GREETING, _MAIL, _RCPT, _command(words.SMFIC_ABORT), _MAIL, _RCPT, *_DATA, *_HEAD, *_END],
        [_GREETING, _MAIL, _RCPT, _command(words.SMFIC_QUIT_NC), _GREETING, _MAIL],
        [_GREETING, _command("U", b"VRFY x\0"), _MAIL, _RCPT, *_DATA, *_END],
    ]
    whole = [b"\1" + _BETWEEN.join(one) for one in sessions]
    return [*whole, *(b"\0" + _wire(one) for one in whole)]


MILTER = Target(
    _start,
    _seeds,
    (
        *(_BETWEEN, _BETWEEN + _GREETING, _BETWEEN + _MAIL, _BETWEEN + _RCPT, *(_BETWEEN + one for one in _DATA)),
        *(_BETWEEN + one for one in (*_HEAD, *_END)),
        *(_BETWEEN + one.encode() for one in "ABCDEHKLMNOQRTUX?"),
        *(
            b"\0",
            b"\0\0\0\1",
            b"\0\0\0\0",
            b"\xff\xff\xff\xff",
            b"\x00\x10\x00\x00",
            b"<>",
            b"<@>",
            b'<"',
            b"@",
            b"\xff",
        ),
    ),
    size=30_000,
)
