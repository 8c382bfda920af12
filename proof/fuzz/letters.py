"""Mails that we write ourselves around what strangers and people say: nothing said becomes a field or a part of its own.

An input is several values with a separator between them: a name, an address, a subject, a text, a file's name and type,
identifiers of the mail that is answered, a phrase.
"""

# ruff: noqa: E501 (words of a format are read best side by side)

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from messenger import bounce, message, notify, receipt, reply, reply_mail
from messenger.gateway import subject
from messenger.letterhead import Site
from messenger.message.origin import origin
from messenger.reply_mail import File, Outgoing, Sender

from .target import Broken, Feed, Target, text

_BETWEEN = b"\x1d"
_VALUES = 8
_NOW = datetime(2026, 11, 24, 6, 31, tzinfo=UTC)
_SITE = Site("Example Bank", "https://portal.example.org", "notice@portal.example.org")
_BY = ("notice@portal.example.org", "ann@example.net via Example Bank", "ann@example.net")
#: Every field that a mail of ours may have.
_FIELDS = frozenset(
    """from to cc reply-to subject date message-id in-reply-to references mime-version content-type sender
    content-transfer-encoding content-language auto-submitted precedence x-auto-response-suppress list-id""".split()  # noqa: SIM905
)


def _start(_home: Path) -> Feed:
    def feed(data: bytes) -> None:
        values = list(islice(cycle(data.split(_BETWEEN)), _VALUES))
        name, address, about, words, file, kind, _, phrase = map(text, values)
        said = [one.encode("utf-8", "replace").decode() for one in (name, address, words, file, kind, phrase)]
        answered = b"Message-ID: %b\r\nReferences: %b\r\nIn-Reply-To: %b\r\n\r\n" % (values[6], values[6], values[0])
        _check(_notice(*said), 0)
        _check(_answer(answered, about, *said), 1)
        known = origin(answered).message_id
        _check(bounce.letter(bounce.Bounce("s@example.org", ("b@c.example",), "X", "<m@x>", known), _SITE, _NOW), None)
        asked = receipt.Asked("s@example.org", known)
        _check(receipt.letter(receipt.Receipt("opened", asked, "b@c.example", _BY, "X", "<m@x>"), _SITE, _NOW), None)
        shorter = subject.without(re.sub(rb"[\r\n\0]+", b" ", values[2]), ("[secure]", "x y"))
        if re.search(rb"\n(?![ \t])", shorter):
            raise Broken("a line end in a subject")

    return feed


def _notice(name: str, address: str, _words: str, _file: str, _kind: str, phrase: str) -> bytes:
    notice = notify.Notice("b@c.example", name, address, "ABCD-EFGH", "https://portal.example.org/l/x", "<m@x>", phrase)
    return notify.letter(notice, _SITE, _NOW)


def _answer(answered: bytes, about: str, name: str, address: str, words: str, file: str, kind: str, _: str) -> bytes:
    outgoing = Outgoing(
        Sender("webmail@example.org", "alice@example.net via Example"),
        ("b@c.example",),
        (),
        reply.subject_of_answer(about.encode("utf-8", "replace").decode()),
        words + reply.quoted(name),
        (File(file, kind, address.encode()),),
        "m@x",
        _NOW,
        reply.thread(message.read(answered)),
    )
    return reply_mail.write(outgoing).raw


def _check(raw: bytes, files: int | None) -> None:
    head = raw.partition(b"\r\n\r\n")[0]
    for line in head.split(b"\r\n"):
        name = line.partition(b":")[0].decode("latin-1").lower()
        if not line.startswith((b" ", b"\t")) and name not in _FIELDS:
            raise Broken(f"a field that is none of ours: {line[:80]!r}")
    if raw.count(b"\n") != raw.count(b"\r\n") or raw.count(b"\r") != raw.count(b"\r\n"):
        raise Broken("a line end that is none")
    names = [name.lower() for name, _ in message.read(raw).headers]
    if set(names) - _FIELDS or len(names) != len(set(names)):
        raise Broken(f"fields that are none of ours, or twice: {names}")
    if files is not None and len(message.read(raw).attachments) != files:
        raise Broken("another number of files than were sent")


LETTERS = Target(
    _start,
    lambda: [
        _BETWEEN.join((b"Anna Beispiel", b"anna@example.org", b"Re: [secure] x", b"Hello\n\nWorld", b"plan.pdf", b"application/pdf")),
        _BETWEEN.join((b"<1@x.example>", "ä@bücher.example".encode(), "Größe 図".encode(), b"> quoted\n", "Ü.csv".encode())),
        _BETWEEN.join((b"x", b"", b"=?utf-8?q?x=0d=0aBcc:_a@b?=", b".\r\nFrom x", b"a\r\nb", b"text/html; x=y", b"<a@b> <c@d>", b"blue")),
    ],
    (
        *(_BETWEEN, b"\r\n", b"\n", b"\r", b"\r\nBcc: eve@evil.test\r\n", b"\r\n\r\n", b"\n ", b"\t", b"\x00", b"\x0b", b"\x0c", b"\x85"),
        *("\u2028\u2029\u0085\u202e\ufeff\U000e0041".encode(), b"\xff", b"\xed\xa0\x80", b"=?utf-8?q?=0d=0a?=", b"=?utf-8?b?DQo=?="),
        *(b'"', b"\\", b"<", b">", b",", b";", b":", b"@", b"(", b")", b"=", b"?=", b"--=_", b"[secure]", b"x y", b"*=utf-8''%0d%0a"),
        *(b"{{7*7}}", b"{% if %}", b"https://evil.test", b"www.evil.test", b"A" * 300, "図".encode() * 60),
    ),
    size=20_000,
    followed=10,
)  # fmt: skip
