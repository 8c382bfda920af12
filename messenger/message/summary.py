"""One line of the inbox, from the first bytes of a mail: cheap enough for 100,000 of them."""

from __future__ import annotations

from . import addresses, body, charset, clean, headers, html_text, opaque, reading, transfer
from .parse import Node, tree
from .values import Person, Summary

#: How much of a mail the caller should read; more is not looked at.
HEAD = 65_536
PREVIEW = 200
#: Nothing a person would open.
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature")


def summary(raw_head: bytes, raw_size: int) -> Summary:
    """Summarise a mail of *raw_size* bytes that begins with *raw_head*. Never raises."""
    raw = opaque.opened(raw_head[:HEAD])
    root, _ = tree(raw)
    found = body.layout(root)
    fields = (root.fields.first(name) for name in (b"to", b"cc", b"bcc"))
    recipients = [one for value in fields if value for one in addresses.persons(value)]
    return Summary(
        subject=headers.text(root.fields.first(b"subject")),
        sender=_sender(root.fields),
        date=headers.date(root.fields.first(b"date")),
        has_attachments=_has_files(root, found, whole=raw_size <= len(raw)),
        preview=_preview(raw, found),
        recipient=recipients[0] if recipients else addresses.NOBODY,
        recipients=len(recipients),
    )


def sender(raw_head: bytes) -> Person:
    """Return the sender that ``summary`` names, at a small part of its cost. Never raises."""
    raw = headers.line_ends(raw_head[:HEAD])
    return _sender(headers.split(raw, 0, len(raw))[0])


def _sender(fields: headers.Fields) -> Person:
    senders = addresses.persons(fields.first(b"from"))
    return senders[0] if senders else addresses.NOBODY


def _has_files(root: Node, found: body.Layout, whole: bool) -> bool:
    if any(node.kind not in _SIGNATURES and not _is_picture(node, found) for node in found.files):
        return True
    # The end of the mail wasn't read: a long mail of this kind has something behind its text.
    return not whole and root.kind == "multipart/mixed"


def _is_picture(node: Node, found: body.Layout) -> bool:
    """Taken to be shown by the HTML; whether it really is, is too dear to find out for a list."""
    return bool(found.rich) and node.kind.startswith("image/") and bool(body.content_id(node))


def _preview(raw: bytes, found: body.Layout) -> str:
    for node in (*found.plain, *(one for one in found.rich if one not in found.plain)):
        content = transfer.content(raw, node, HEAD // 2)
        decoded = charset.decode(content, reading.charset_of(node, content))[0]
        if node.kind == "text/html":
            decoded = html_text.words(decoded, 4 * PREVIEW)
        lines = (one for one in clean.block(decoded[:8000]).split("\n") if not one.startswith(">"))
        if preview := clean.line(" ".join(lines), PREVIEW):
            return preview
    return ""
