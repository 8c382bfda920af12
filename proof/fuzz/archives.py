"""Files that an operator imports mail from: mbox, tar and zip, whoever made them."""

# ruff: noqa: E501 (words of a format are read best side by side)

from __future__ import annotations

import io
from pathlib import Path

from messenger.cli import mail_archive
from messenger.cli.mail_archive import Message
from messenger.errors import MessengerError

from .target import Broken, Feed, Target

#: Of one message; what unpacks to more must be refused before it is there.
_LIMIT = 1_000_000
_MESSAGES = 200


def _start(home: Path) -> Feed:
    path = home / "given"

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        try:
            for number, found in enumerate(mail_archive.read(path, _LIMIT)):
                _check(found)
                if number > _MESSAGES:
                    break
        except MessengerError as error:
            if not str(error).startswith(str(path)):
                raise Broken(f"a refusal that doesn't name the file: {error}") from error

    return feed


def _check(found: Message) -> None:
    if len(found.raw) > _LIMIT:
        raise Broken("a message beyond the limit")
    for one in (found.name, found.folder):
        if "/" in one or "\0" in one or one.startswith("."):
            raise Broken(f"a name that leads elsewhere: {one!r}")


def _seeds() -> list[bytes]:
    mails = [
        Message(b"Subject: one\n\nhello\nFrom here\n", "a" * 64, "", "S", 1_700_000_000),
        Message(b"Subject: two\n\n" + b"x" * 300 + b"\n", "1700000000.M1.host", "Archive.2026", "FR", None, True),
    ]
    made = []
    for kind in ("tar", "zip", "mbox"):
        out = io.BytesIO()
        mail_archive.write(out, kind, mails)
        made.append(out.getvalue())
    return made


ARCHIVE = Target(
    _start,
    _seeds,
    (
        *(b"From ", b"\nFrom x Thu Jan  1 00:00:00 1970\n", b"\n>From ", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"ustar"),
        *(b"../", b"/etc/passwd", b"Maildir/new/", b"Maildir/.x/cur/", b":2,S", b"\x00", b"2", b"1", b"5", b"L", b"x", b"K"),
        *(b"\xff" * 8, b"7777777", b"\x80" + b"\xff" * 11, b"13 path=../x\n", b"\x08\x00", b"Status: RO\n", b"Content-Length: 9\n"),
    ),
    size=60_000,
)  # fmt: skip
