"""Which parts of a mail are its body, and which are attachments (RFC 2046, 2387)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import unquote

from . import clean, pictures, transfer
from .parse import Node
from .values import Part

#: Of longer bodies the rest is left to the .eml: encoded bytes read of all texts, and characters of plain text shown.
BODY = 4_000_000
TEXT = 1_000_000

_EXTENSIONS = {
    "text/plain": "txt",
    "text/html": "html",
    "text/calendar": "ics",
    "text/csv": "csv",
    "text/vcard": "vcf",
    "message/rfc822": "eml",
    "message/global": "eml",
    "message/delivery-status": "txt",
    "message/disposition-notification": "txt",
    "text/rfc822-headers": "txt",
    "text/markdown": "md",
    "text/enriched": "txt",
    "text/x-amp-html": "html",
    "text/x-vcard": "vcf",
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/svg+xml": "svg",
    "image/tiff": "tif",
    "application/pdf": "pdf",
    "application/zip": "zip",
    "application/pkcs7-signature": "p7s",
    "application/x-pkcs7-signature": "p7s",
    "application/pkcs7-mime": "p7m",
    "application/x-pkcs7-mime": "p7m",
    "application/pgp-signature": "asc",
    "application/pgp-encrypted": "asc",
    "application/pgp-keys": "asc",
    "application/ms-tnef": "dat",
    "audio/mpeg": "mp3",
    "video/mp4": "mp4",
}
#: Texts that other pages draw better than a page of text does.
_DATA = frozenset({"text/calendar", "text/csv", "text/directory", "text/vcard", "text/x-vcard", "text/x-amp-html"})
_READABLE = frozenset({"message/delivery-status", "message/disposition-notification", "message/partial"})
_KIND = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
_CID = re.compile(r"cid:([^\"'\s<>)]{1,400})", re.IGNORECASE)
#: Spaces of any width, and letters that are blank: many of them push an extension out of sight.
_GAP = re.compile(r"[\s\u115f\u1160\u2800\u3164\uffa0]{2,}")
_UNSAFE = re.compile(r'[<>:"|?*\x00-\x1f]')


@dataclass
class Layout:
    """The text nodes to show, in order; and everything else."""

    #: As plain text: text/plain where there is a choice.
    plain: list[Node] = field(default_factory=list)
    #: As HTML: text/html where there is a choice; empty when no HTML is in the body at all.
    rich: list[Node] = field(default_factory=list)
    files: list[Node] = field(default_factory=list)
    #: Content-IDs (without brackets) that the body may show.
    pictures: dict[str, Node] = field(default_factory=dict)


def layout(root: Node) -> Layout:
    """Choose the body of the mail below *root*."""
    found = Layout()
    _place(root, found)
    if not found.plain and (words := _words(root, found)):
        found.plain, found.rich = [words], []
    if not any(node.kind == "text/html" for node in found.rich):
        found.rich = []
    for node in root.walk():
        name = content_id(node)
        if name and not node.parts and node not in found.plain and node not in found.rich:
            found.pictures.setdefault(name, node)
    return found


def _place(node: Node, found: Layout) -> None:
    if not node.kind.startswith("multipart/"):
        if _is_body(node, found):
            found.plain.append(node)
            found.rich.append(node)
        elif node.number:
            found.files.append(node)
    elif node.kind == "multipart/alternative":
        _choose(node, found)
    elif node.kind == "multipart/related" and node.parts:
        root = _start(node)
        _place(root, found)
        for child in node.parts:
            if child is not root:
                _file(child, found)
    else:
        for child in node.parts:
            _place(child, found)


def _words(root: Node, found: Layout) -> Node | None:
    """A text to show where no part is a body: of a kind nobody draws, or a mail that is one attached text."""
    if not root.parts:
        return root if root.kind in _READABLE or root.kind.startswith("text/") else None
    return next(
        (
            node
            for node in found.files
            if (node.kind in _READABLE or (node.kind.startswith("text/") and node.kind not in _DATA))
            and node.disposition != "attachment"
            and not filename_of(node)
        ),
        None,
    )


def _is_body(node: Node, found: Layout) -> bool:
    # A mail that is one text of any kind (text/markdown, ...) is shown as plain text.
    alone = node.root and node.kind.startswith("text/") and node.kind not in _DATA
    known = node.kind in ("text/plain", "text/html") or alone
    if node.disposition == "attachment" or not known:
        return False
    # A further text with a file name is a file that the sender would like shown; the first one is the mail.
    return not (filename_of(node) and (found.plain or found.rich))


def _choose(node: Node, found: Layout) -> None:
    """Every alternative that is a body; of each kind the last one, as the RFC ranks them."""
    plain: Layout | None = None
    rich: Layout | None = None
    rest: list[Node] = []
    for child in node.parts:
        here = Layout()
        _place(child, here)
        rest.extend(here.files)
        if any(one.kind == "text/html" for one in here.rich):
            rich = here
        elif here.plain:
            plain = here
    shown_rich, shown_plain = rich or plain, plain or rich
    found.rich.extend(shown_rich.rich if shown_rich else ())
    found.plain.extend(shown_plain.plain if shown_plain else ())
    found.files.extend(rest)


def _start(node: Node) -> Node:
    wanted = node.params.get("start", "").strip(" <>")
    return next((child for child in node.parts if wanted and content_id(child) == wanted), node.parts[0])


def _file(node: Node, found: Layout) -> None:
    found.files.extend(one for one in node.walk() if not one.kind.startswith("multipart/"))


def content_id(node: Node) -> str:
    """The Content-ID without its brackets."""
    return clean.line(node.fields.first(b"content-id").decode("utf-8", "replace"), 400).strip("<> ")


def filename_of(node: Node) -> str:
    """The name the sender gave, however dangerous."""
    return node.disposition_params.get("filename") or node.params.get("name") or ""


def filename(given: str, kind: str, number: str) -> str:
    """A bare name that is safe to save as: no path, no unseen characters, at most 150 characters, never empty."""
    name = clean.line(given).replace("\\", "/").rpartition("/")[2]
    name = _UNSAFE.sub("_", _GAP.sub(" ", name)).strip(". ")
    if not name:
        name = f"part-{number or '1'}.{_EXTENSIONS.get(kind, 'bin')}"
    stem, dot, extension = name.rpartition(".")
    if len(name) > 150:
        name = (
            stem[: 149 - len(extension)].rstrip(". ") + dot + extension if dot and len(extension) <= 20 else name[:150]
        )
    return name


def shown(raw: bytes, pictures_of: dict[str, Node], html: str) -> dict[str, Node]:
    """Those pictures of the mail that its HTML asks for and may have; the others stay attachments."""
    wanted = {unquote(unescape(one), errors="replace").strip("<> ") for one in _CID.findall(html)}
    found: dict[str, Node] = {}
    room = pictures.MAIL
    for name, node in pictures_of.items():
        size = transfer.size(raw, node) if name in wanted else 0
        if 0 < size <= min(room, pictures.PICTURE) and pictures.kind(transfer.content(raw, node, 64)):
            found[name] = node
            room -= size
    return found


def part(node: Node, size: int, inline: bool) -> Part:
    """What a page shows of an attachment."""
    kind = node.kind if _KIND.fullmatch(node.kind) else "application/octet-stream"
    return Part(node.number, filename(filename_of(node), kind, node.number), kind, size, inline, content_id(node))
