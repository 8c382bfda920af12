"""Short texts from outside: what is typed into the search, links, addresses, and names of files in a Maildir."""

# ruff: noqa: E501, SIM905 (words of a format are read best side by side)

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from messenger import link, reply, totp
from messenger.envelope import AddressError, display, domain_of, local_part_of, normal
from messenger.gateway.decision import destination, outside
from messenger.mailbox import MailboxError, NoSuchMessage, address_of, mailbox_of, path_of
from messenger_reader import index_words
from messenger_reader.index_search import match_expression
from messenger_reader.search_query import parse
from messenger_reader.word_forms import marked, pattern, spaced, spellings

from .target import Broken, Feed, Target, text

_KEY = bytes(range(32))
_SECRET = "JBSWY3DP" * 4
_NOW = 1_800_000_000
_ROOT = Path("/mail")


def _search(_home: Path) -> Feed:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(index_words._CREATE % 1)
    words = ("Rechnung Müller", "Bob b@x.org", "", "Die Straße. 請求書を送ります", "a.pdf")
    db.execute(index_words._INSERT % 1, (1, *map(spaced, words)))

    def feed(data: bytes) -> None:
        typed = text(data)
        query = parse(typed)
        if expression := match_expression(query.needed, query.excluded):
            db.execute("SELECT rowid FROM words_1 WHERE words_1 MATCH ?", (expression,)).fetchall()
        if "".join(piece.text for piece in marked(typed, pattern(query.needed))) != typed:
            raise Broken("marking hits has changed the text")
        for term in query.needed:
            spellings(term.words)

    return feed


def _token(_home: Path) -> Feed:
    issued = {one.decode() for one in _tokens()}

    def feed(data: bytes) -> None:
        given = text(data)
        totp.match(_SECRET, given, _NOW)
        with suppress(link.LinkError):
            link.open_token(_KEY, given, _NOW, 30)
            if given not in issued:
                raise Broken("a link that nobody made was opened")

    return feed


def _tokens() -> list[bytes]:
    addresses = (
        "a@b.example",
        "anna@example.org",
        "ä" * 20 + "@bücher.example",
        "x" * 64 + "@" + "y" * 60 + ".example",
    )
    return [link.token(_KEY, one, _NOW - age).encode() for one in addresses for age in (0, 86_400 * 29)]


def _address(_home: Path) -> Feed:
    def feed(data: bytes) -> None:
        given = text(data)
        reply.typed(given)
        outside(given, {"example.org"})
        destination(given, {"example.org"})
        try:
            meant = normal(given)
        except AddressError:
            return
        if normal(meant) != meant or normal(f"<{meant}>") != meant:
            raise Broken(f"{meant!r} has another spelling")
        if normal(display(meant)) != meant:
            raise Broken(f"{meant!r} is shown as somebody else")
        domain_of(meant), local_part_of(meant)
        path = path_of(_ROOT, meant)
        parts = path.relative_to(_ROOT).parts
        if len(parts) != 3 or any(one[0] in ".-" or not one.isascii() or len(one) > 255 for one in parts):
            raise Broken(f"{path} is no place for a mailbox")
        if os.path.normpath(path) != str(path) or address_of(_ROOT, path) != meant:
            raise Broken(f"{path} doesn't lead back to {meant!r}")

    return feed


def _maildir(home: Path) -> Feed:
    root = home / "mail"
    root.mkdir()
    box = mailbox_of(root, "anna@example.org")
    box.ensure()

    def feed(data: bytes) -> None:
        made = [path for name in data.split(b"\n")[:6] if (path := _made(box.root, name))]
        try:
            for folder in box.folders():
                for entry in box.list(folder):
                    with suppress(NoSuchMessage):  # two names that are one but for their flags
                        box.read(entry.name, folder)
                        box.flag(entry.name, add="S", remove="F", folder=folder)
                        link.reference(entry.name).encode("ascii")
                        entry.name.encode("ascii")
                folder.encode("utf-8")
                box.changes({}, folder)
            with suppress(MailboxError, ValueError):
                box.list(text(data))
            with suppress(MailboxError, ValueError, NoSuchMessage):
                box.read(text(data))
        finally:
            _empty(box.root, made)

    return feed


def _made(box: Path, name: bytes) -> Path | None:
    """Put a file, or for a name that begins with a dot a folder, where the bytes of *name* say."""
    where = box / ("new", "cur")[len(name) % 2]
    name = name.replace(b"/", b"").replace(b"\0", b"")[:255]
    path = (box if name.startswith(b".") else where) / os.fsdecode(name)
    if not name.strip(b".") or os.path.lexists(path):
        return None
    with suppress(OSError):
        if name.startswith(b"."):
            for one in ("new", "cur", "tmp"):
                (path / one).mkdir(parents=True)
        else:
            path.touch()
        return path
    return None


def _empty(box: Path, made: list[Path]) -> None:
    for path in made:
        if path.is_dir():
            shutil.rmtree(path)
    for where in ("new", "cur"):
        for file in (box / where).iterdir():
            file.unlink()


SEARCH = Target(
    _search,
    lambda: [
        *(
            one.encode()
            for one in ("rechnung müller", 'from:"Anna A" to:bob -x has:attachment', "请求 is:unread in:archiv")
        ),
        *(
            one.encode()
            for one in ("before:2026-01-02 after:2025", "vor:01.02.2026 „Der Vertrag“ rechn*", "-in:trash a")
        ),
    ],
    tuple(
        one.encode("utf-8", "surrogatepass")
        for one in "from: to: von: subject: has: is: in: before: after: attachment unread 2026-02-30 9999-12 AND OR NOT NEAR( "
        "* - – \" „ “ ( ) ^ { } : + \\ ' \0 \x1b 請求書 ß é ʼ ﬁ İ ı ǅ \u0345 \u200d \ufeff \ud800 \U0001e900 _ % ~ ,".split(
            " "
        )
    ),
    size=5000,
)
TOKEN = Target(
    _token, lambda: [*_tokens(), b"123456", b"\xd9\xa1" * 6, b"../../x1"],
    (b"1", b"=", b"-", b"_", b"A", b"..", b"/", b"%2e", b"\x00", b"\xc2\xb2", b"+", b"AAAA" * 30), size=2000,
)  # fmt: skip
ADDRESS = Target(
    _address,
    lambda: [
        *(b"anna@example.org", b"<Anna.B+c@EXAMPLE.org>", b'"a b\\"c"@example.org', b"a@[192.0.2.1]", b"a@[IPv6:::1]"),
        *(
            one.encode()
            for one in ("ännä@bücher.example", "анна@пример.рф", "a@xn--bcher-kva.example", "名@例え.テスト")
        ),
        *(b'Anna <anna@example.org>, "B, C" <b@c.example>;', b"a%b.example@example.org", b"@x.example:a@example.org"),
    ],
    (
        *(
            b"@",
            b'"',
            b"\\",
            b".",
            b"..",
            b"[",
            b"]",
            b"<",
            b">",
            b"(",
            b")",
            b",",
            b";",
            b":",
            b"%",
            b"!",
            b"IPv6:",
            b"::",
        ),
        *(b"xn--", b"-", b"/", b"../", b"\x00", b"\r\n", b" ", b"\t", b"%2e", b"example.org", b"a" * 63),
        *(
            one.encode()
            for one in (
                *("ä", "ß", "ẞ", "İ", "ı", "ſ", "K", "ﬁ", "\u200d", "\u200c", "\u00ad", "\u0301", "\u0345", "．", "。"),
                *("\u202e", "\u2028", "\ufeff", "а", "ο", "①", "½", "ª", "㎏", "\U0001f600", "א", "ع", "١", "ᄀ", "힣"),
            )
        ),
    ),
    size=3000,
)
MAILDIR = Target(
    _maildir,
    lambda: [
        b"1700000000.M1P2.host:2,S\n1700000000.M1P2.host",
        b"ab" * 32 + b":2,FRS\n.Sent\n.Archiv.2026",
        b".\xc3\x9cbersicht\n.Trash\nx:1,abc\nx:2,\ny:2,Sab",
    ],
    (
        *(
            b":",
            b":2,",
            b":1,",
            b",",
            b"S",
            b"T",
            b"a",
            b".",
            b"..",
            b"...",
            b" ",
            b"\n",
            b"\n.",
            b"-",
            b"~",
            b"!",
            b"%",
        ),
        *(
            b"\xff",
            b"\xc3\xa4",
            b"\xed\xa0\x80",
            b"\xe2\x80\xae",
            b"\x1b[2J",
            b"\x7f",
            b"\x80",
            b".Sent",
            b".&AOQ-",
            b"A" * 250,
        ),
    ),
    size=2000,
)
