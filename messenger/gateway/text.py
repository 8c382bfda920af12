"""What a mail says in words, and what its files are called: bytes in, texts and names out, whatever the bytes are.

For counting, not for showing: every alternative, what HTML hides, texts among the attachments, and the mails inside.
Reads within bounds; ``whole`` says whether that was all of it.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass, field
from html import unescape

from ..message import body, charset, headers, html_text, opaque, reading, transfer
from ..message.nested import LEVELS, MAILS
from ..message.parse import Node, tree

#: Of all texts of a mail: encoded bytes that are decoded, and tags of HTML that are read.
BYTES = 8_000_000
TAGS = 400_000
#: Of a mail and the mails in it.
PARTS = 3000
#: Bytes of a Subject.
SUBJECT = 16_384

_TEXTS = frozenset(
    """application/json application/xml application/x-ndjson application/sql application/csv application/x-csv
    application/javascript application/x-sh application/yaml application/toml application/rtf
    application/x-www-form-urlencoded""".split()  # noqa: SIM905 (a list people can read)
)
_ENDINGS = tuple(
    """.txt .csv .tsv .tab .log .md .json .xml .html .htm .xhtml .yaml .yml .ini .cfg .conf .sql .ics .vcf .ldif .rtf
    .eml .tex .srt .asc .svg""".split()  # noqa: SIM905
)
_ENCODINGS = frozenset(
    ["", "7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue", "uue"]
)
_BOMS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_PLAIN_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_FULL_WIDTH = re.compile("[\uff01-\uff5e]+")
#: Zero width, hints where a line may break, marks of direction, variation selectors, and what the display drops.
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\x00-\x08\x0e-\x1f\x7f\U000e0000-\U000e01ef]+"
)
#: Tags that don't part words.
_INLINE = frozenset(
    """a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark nobr o:p q s samp small span strike
    strong sub sup time tt u var wbr""".split()  # noqa: SIM905
)
_NO_WORDS = frozenset({"script", "style"})


@dataclass(frozen=True)
class Text:
    #: "subject", "body" or "attachment".
    place: str
    words: str


@dataclass(frozen=True)
class Content:
    texts: tuple[Text, ...]
    #: Bare file names, safe to show: no path, no unseen characters; a file without a name has one by its type.
    names: tuple[str, ...]
    #: False: there is more than was read, or something that could not be.
    whole: bool


def content_of(raw: bytes) -> Content:
    """Read the mail *raw*. Never raises for anything a mail can hold."""
    reader = _Reader()
    reader.mail(raw, 0, False)
    return Content(tuple(reader.texts), tuple(dict.fromkeys(reader.names)), reader.whole)


def plain(words: str) -> str:
    """*words* as they are meant: unseen characters gone, blanks and letters of any width plain, accents joined."""
    signs = "".join(set(words))  # a few dozen: most texts hold nothing of what is looked for
    if _UNSEEN.search(signs):
        words = _UNSEEN.sub("", words)
    if signs.isascii():
        return words
    if _PLAIN_BLANKS.search(signs):
        words = _PLAIN_BLANKS.sub(" ", words)
    if _FULL_WIDTH.search(signs):
        words = _FULL_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), words)
    return unicodedata.normalize("NFC", words)


@dataclass
class _Reader:
    """One run over one mail and the mails in it."""

    texts: list[Text] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    whole: bool = True
    bytes_left: int = BYTES
    tags_left: int = TAGS
    parts_left: int = PARTS

    def mail(self, raw: bytes, level: int, attached: bool) -> None:
        root, problems = tree(raw)
        if {"too-many-parts", "too-deep", "headers-cut"} & set(problems) or root.fields.cut:
            self.whole = False
        for value in root.fields.every(b"subject"):
            self.whole = self.whole and len(value) <= SUBJECT
            subject = headers.words(headers.loose(value[:SUBJECT]))
            self.texts.append(Text("attachment" if attached else "subject", plain(subject)))
        for node in root.walk():
            if not node.parts:
                self.part(raw, node, level, attached)

    def part(self, raw: bytes, node: Node, level: int, attached: bool) -> None:
        self.parts_left -= 1
        if self.parts_left < 0:
            self.whole = False
            return
        given = _names(node)
        is_file = bool(given) or node.disposition == "attachment" or not node.kind.startswith(("text/", "multipart/"))
        names = [body.filename(plain(one), node.kind, node.number) for one in given or ([""] if is_file else [])]
        self.names += names
        inside = self.inside(raw, node, names)
        if inside is not None and level < LEVELS:
            self.mail(inside, level + 1, attached or node.kind not in opaque.CMS)
        elif inside is not None:
            self.whole = False
        elif _is_text(node, names):
            self.words(raw, node, names, "attachment" if attached or is_file else "body")

    def inside(self, raw: bytes, node: Node, names: list[str]) -> bytes | None:
        """The mail that *node* is or, signed, holds."""
        if node.kind in MAILS or any(name.lower().endswith(".eml") for name in names):
            return transfer.content(raw, node)
        if node.kind in opaque.CMS or any(name.lower().endswith(".p7m") for name in names):
            return opaque.inside(transfer.content(raw, node))
        return None

    def words(self, raw: bytes, node: Node, names: list[str], place: str) -> None:
        size = node.end - node.start
        if size > self.bytes_left or transfer.encoding(node) not in _ENCODINGS:
            self.whole = False
        content = transfer.content(raw, node, self.bytes_left)
        self.bytes_left = max(self.bytes_left - size, 0)
        named = _charset(node, content)
        decoded, problem = charset.decode(content, named)
        # Digits may hide in what isn't written in any charset we know.
        if problem == "unknown-charset" and charset.MEANT.get(named.strip().lower(), "?"):
            self.whole = False
        if "html" in node.kind or any(name.lower().endswith((".html", ".htm", ".xhtml", ".svg")) for name in names):
            decoded = self.html(decoded)
        self.texts.append(Text(place, plain(decoded)))

    def html(self, source: str) -> str:
        """All words between the tags, also those that are hidden; words of neighbouring cells stay apart."""
        pieces: list[str] = []
        skip = ""
        read, unclosed = 0, -1
        for name, inside, at in html_text.tokens(source, self.tags_left):
            read += 1
            unclosed = at if name in html_text.OPAQUE - _NO_WORDS else -1
            if not name:
                pieces.append("" if skip else unescape(inside))
                continue
            skip = name if name in _NO_WORDS else ""
            if name.lstrip("/") not in _INLINE:
                pieces.append("\n")
        if unclosed >= 0:
            pieces.append(source[unclosed:])  # some programs show what follows
        self.whole = self.whole and read < self.tags_left
        self.tags_left = max(self.tags_left - read, 1)
        return "".join(pieces)


def _names(node: Node) -> list[str]:
    """Of two names one program shows the first, another the second."""
    names = (node.disposition_params.get("filename", ""), node.params.get("name", ""))
    return [one for one in dict.fromkeys(names) if one]


def _is_text(node: Node, names: list[str]) -> bool:
    kind = node.kind
    return (
        kind.startswith(("text/", "message/"))
        or kind in _TEXTS
        or kind.endswith(("+xml", "+json"))
        or any(name.lower().endswith(_ENDINGS) for name in names)
    )


def _charset(node: Node, content: bytes) -> str:
    return reading.charset_of(node, content) or next((name for bom, name in _BOMS if content.startswith(bom)), "")
