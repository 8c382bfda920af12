"""Find the parts of a mail (RFC 2045, 2046): positions in the bytes, nothing decoded, nothing copied.

One pass, in time that grows with the mail and nothing else. Whatever the bytes are, there is an answer; what was
odd about them is listed. Written for this because the parser of the standard library copies a mail several times
over, and because 1 MB of ";" in one field keeps it busy for minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from . import headers
from .headers import Fields

#: Far more than mail in the wild has; beyond it the rest is one opaque part.
PARTS = 1000
DEPTH = 30
HEADS = 1_000_000  # bytes of the fields of all parts together
BOUNDARY = 200  # RFC 2046 allows 70
SEARCHED = 65_536  # bytes in which a boundary that nobody named must show itself

_SOME_DELIMITER = re.compile(rb"\n--([0-9A-Za-z'()+_,./:=?-]{1,200}+)[ \t]*+\r?\n")


@dataclass(eq=False)
class Node:
    """One MIME entity: where its fields and its body begin, and the parts in it."""

    number: str
    fields: Fields
    begin: int
    start: int
    end: int = 0
    parts: list[Node] = field(default_factory=list)
    kind: str = "text/plain"
    params: dict[str, str] = field(default_factory=dict)
    disposition: str = ""
    disposition_params: dict[str, str] = field(default_factory=dict)
    root: bool = False

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the mail."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.parts))


def tree(raw: bytes) -> tuple[Node, list[str]]:
    """Return the root and the problems met."""
    problems: list[str] = []
    raw = headers.line_ends(raw)
    root = _node(raw, 0, len(raw), "", "", problems)
    root.root = True
    _find_boundary(raw, root, problems)
    stack: list[tuple[bytes, Node]] = []
    _enter(root, stack, problems)
    count, at, heads = 1, root.start, 0
    while stack:
        found = _delimiter(stack).search(raw, max(at - 1, 0))
        if found is None:
            break
        boundary, last = found[1], found[2] is not None
        # The line end before a delimiter belongs to the delimiter, or to the fields that it follows at once.
        before = found.start() - (raw[found.start() - 1 : found.start()] == b"\r")
        while stack[-1][0] != boundary:
            unclosed = stack.pop()[1]
            unclosed.end = max(before, unclosed.start)
        parent = stack[-1][1]
        _close(parent, before)
        at = found.end()
        if last:
            parent.end = max(before, parent.start)
            stack.pop()
        elif count >= PARTS or heads > HEADS:
            _note(problems, "too-many-parts")
            break
        else:
            count += 1
            number = f"{parent.number}.{len(parent.parts) + 1}".lstrip(".")
            default = "message/rfc822" if parent.kind == "multipart/digest" else "text/plain"
            child = _node(raw, at, len(raw), number, default, problems)
            parent.parts.append(child)
            heads += child.start - at
            at = child.start
            _enter(child, stack, problems)
    for node in root.walk():
        node.end = node.end or len(raw)
        if node.kind.startswith("multipart/") and not node.parts:
            _note(problems, "bad-structure")
            node.kind = "text/plain"  # better a text with delimiters in it than nothing
    if not root.parts:
        root.number = "1"
    return root, problems


def _node(raw: bytes, start: int, end: int, number: str, default: str, problems: list[str]) -> Node:
    fields, body = headers.split(raw, start, end)
    if fields.cut:
        _note(problems, "headers-cut")
    node = Node(number, fields, start, body)
    node.kind, node.params = headers.parameters(fields.first(b"content-type"), default or "text/plain")
    if "/" not in node.kind:
        node.kind = "text/plain" if node.kind in ("", "text") else "application/octet-stream"
    node.disposition, node.disposition_params = headers.parameters(fields.first(b"content-disposition"), "")
    return node


def _enter(node: Node, stack: list[tuple[bytes, Node]], problems: list[str]) -> None:
    if not node.kind.startswith("multipart/"):
        return
    boundary = node.params.get("boundary", "").rstrip().encode("utf-8", "replace")
    if not 0 < len(boundary) <= BOUNDARY:
        _note(problems, "bad-structure")
    elif len(stack) >= DEPTH:
        _note(problems, "too-deep")
    elif all(boundary != other for other, _ in stack):
        stack.append((boundary, node))
    else:
        _note(problems, "bad-structure")


def _find_boundary(raw: bytes, root: Node, problems: list[str]) -> None:
    """Where the parts aren't parted by what the mail says they are: by a line that looks like it and comes again."""
    if not root.kind.startswith("multipart/"):
        return
    boundary = root.params.get("boundary", "").rstrip().encode("utf-8", "replace")
    if boundary and raw.find(b"--" + boundary, max(root.start - 1, 0)) >= 0:
        return
    found = _SOME_DELIMITER.search(raw, max(root.start - 1, 0), root.start + SEARCHED)
    if found and raw.find(b"\n--" + found[1], found.end() - 1) >= 0:
        root.params["boundary"] = found[1].decode("ascii")
        _note(problems, "bad-structure")


def _close(parent: Node, position: int) -> None:
    """The last part, and the last part of that, end where the delimiter of *parent* begins."""
    waiting = parent.parts[-1:]
    while waiting:
        node = waiting.pop()
        node.end = node.end or max(position, node.start)
        waiting.extend(node.parts[-1:])  # also of one that was never closed itself


def _delimiter(stack: list[tuple[bytes, Node]]) -> re.Pattern[bytes]:
    # Longest first: one boundary may begin with another.
    names = sorted((boundary for boundary, _ in stack), key=len, reverse=True)
    choice = b"|".join(re.escape(name) for name in names)
    # "\n--" first and literal: the search skips through 50 MB by it.
    return re.compile(rb"\n--(" + choice + rb")(--)?[ \t]*+(?:\r?\n|\Z)")


def _note(problems: list[str], problem: str) -> None:
    if problem not in problems:
        problems.append(problem)
