"""Read a mail: bytes in, plain values out, whatever the bytes are."""

from __future__ import annotations

import re
from html import escape

from . import addresses, body, charset, clean, headers, html_text, opaque, text, transfer
from .headers import Fields
from .parse import Node, tree
from .values import Message, NoSuchPart, Part, Person

_META = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)


def read(raw: bytes) -> Message:
    """Return what can be read of the mail. Never raises; what was odd is in ``problems``."""
    original, raw = raw, opaque.opened(raw)
    root, problems = tree(raw)
    found = body.layout(root)
    fields = root.fields
    shown_fields = fields if raw is original else headers.split(original, 0, len(original))[0]
    if shown_fields.cut:
        problems.append("headers-cut")
    plain = _all_decoded(raw, found.plain, problems)
    rich = _all_decoded(raw, found.rich, problems)
    senders = _persons(fields, b"from")
    # Some programs send an empty text along with their HTML.
    words = _text(found.plain, plain, problems)
    if not words and found.rich != found.plain:
        words = _text(found.rich, rich, problems)
    html = _html(found.rich, rich) if rich else None
    shown = set(body.shown(raw, found.pictures, html or "").values())
    if len(words) > body.TEXT:
        problems.append("text-cut")
    problems += _oddities(fields, senders)
    return Message(
        subject=headers.text(fields.first(b"subject")),
        senders=senders,
        to=_persons(fields, b"to"),
        cc=_persons(fields, b"cc"),
        reply_to=_persons(fields, b"reply-to"),
        date=headers.date(fields.first(b"date")),
        message_id=headers.source(fields.first(b"message-id"))[:1000],
        text=words[: body.TEXT],
        html=html,
        attachments=tuple(body.part(node, transfer.size(raw, node), node in shown) for node in found.files),
        headers=tuple((key.decode("ascii"), headers.source(value)) for key, value in shown_fields.items),
        problems=tuple(dict.fromkeys(problems)),
    )


def part(raw: bytes, number: str) -> tuple[Part, bytes]:
    """Return a part by its number, and its content decoded."""
    raw = opaque.opened(raw)
    root, _ = tree(raw)
    for node in root.walk():
        if node.number == number and not node.parts:
            content = transfer.content(raw, node)
            return body.part(node, len(content), node in _shown(raw, root)), content
    raise NoSuchPart(f"expected a part of the mail, found no part numbered {number!r}; list them with read()")


def _shown(raw: bytes, root: Node) -> set[Node]:
    found = body.layout(root)
    html = _html(found.rich, _all_decoded(raw, found.rich, []))
    return set(body.shown(raw, found.pictures, html).values())


def _persons(fields: Fields, name: bytes) -> tuple[Person, ...]:
    return tuple(one for value in fields.every(name) for one in addresses.persons(value))


def _oddities(fields: Fields, senders: tuple[Person, ...]) -> list[str]:
    count, dates = len(fields.every(b"from")), fields.every(b"date")
    odd = {
        "no-from": not senders,
        "several-from": count > 1,
        "several-authors": count == 1 and len(senders) > 1,
        "no-date": not dates,
        "bad-date": bool(dates) and headers.date(dates[0]) is None,
    }
    return [name for name, true in odd.items() if true]


def _all_decoded(raw: bytes, nodes: list[Node], problems: list[str]) -> list[str]:
    room, texts = body.BODY, []
    for node in nodes:
        texts.append(_decoded(raw, node, room, problems))
        room = max(room - (node.end - node.start), 0)
    return texts


def _decoded(raw: bytes, node: Node, room: int, problems: list[str]) -> str:
    if node.end - node.start > room:
        problems.append("text-cut")
    content = transfer.content(raw, node, room)
    decoded, problem = charset.decode(content, charset_of(node, content))
    if problem:
        problems.append(problem)
    decoded = clean.block(decoded)
    if node.kind == "text/plain" and node.params.get("format", "").lower() == "flowed":
        decoded = text.unflowed(decoded, node.params.get("delsp", "").lower() == "yes")
    return decoded


def charset_of(node: Node, content: bytes) -> str:
    """The charset a text claims: in its field, or, where that is silent, in the HTML itself."""
    named = node.params.get("charset", "")
    if not named and node.kind == "text/html" and (found := _META.search(content[:2048])):
        named = found[1].decode("ascii")
    return named


def _text(nodes: list[Node], decoded: list[str], problems: list[str]) -> str:
    pieces, most = [], html_text.TOKENS
    for node, one in zip(nodes, decoded, strict=True):
        if node.kind != "text/html":
            pieces.append(one)
            continue
        if not most:
            problems.append("text-cut")
        pieces.append(clean.block(html_text.words(one, most=most)))
        # A tag and the text behind it are two.
        most = max(most - 2 * one.count("<"), 0)
    return "\n\n".join(piece.rstrip() for piece in pieces if piece.strip())


def _html(nodes: list[Node], decoded: list[str]) -> str:
    """Several bodies in a row, as a mailing list's footer makes them, read as one."""
    return "\n".join(
        one if node.kind == "text/html" else f'<div style="white-space: pre-wrap">{escape(one)}</div>'
        for node, one in zip(nodes, decoded, strict=True)
    )
