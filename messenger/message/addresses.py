"""Address fields (RFC 5322, section 3.4; RFC 6532) to persons, tolerant of anything, in one pass.

A name is only decoded after the field has been taken apart: what an encoded word says can't add a mailbox.
"""

from __future__ import annotations

import re
import unicodedata

from . import clean, headers
from .values import Person

PERSONS = 2000
NOBODY = Person("", "")

#: Quoted string, escaped character, separators, and what lies between them.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|\\.|[()<>,;:]|[^"\\()<>,;:]++|\\', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


class _Mailbox:
    """What has been read of one mailbox so far."""

    def __init__(self) -> None:
        self.name: list[str] = []
        self.comment: list[str] = []
        self.address: list[str] = []
        self.inside = False  # the angle brackets
        self.at = False  # an @ was seen

    def person(self) -> Person | None:
        address = "".join(self.address)
        name = "".join(map(_unquoted, self.name))
        if not address and self.at and "=?" not in name:
            # "a@example.org (Anna)", or a name and an address without brackets.
            *before, last = "".join(
                piece.replace(" ", "\0") if piece[0] == '"' else piece for piece in self.name
            ).split()
            name, address = " ".join(before) or "".join(self.comment), last
            name, address = (one.replace("\0", " ") for one in (name, address))
        if not address.strip() and not name.strip():
            return None
        return person(name, address)


def persons(value: bytes) -> tuple[Person, ...]:
    """The mailboxes of one address field; those of groups as well."""
    found: list[Person] = []
    box, depth = _Mailbox(), 0
    for match in _TOKEN.finditer(headers.loose(value)):
        piece = match[0]
        if piece == "(":
            depth += 1
        elif depth:
            depth -= piece == ")"
            box.comment.append(piece[-1] if piece[0] == "\\" else piece if piece != ")" else " ")
        elif piece == "<" and not box.address:
            box.inside = True
        elif piece == ">":
            box.inside = False
        elif piece in ",;" and (box.at or not box.inside):
            _add(found, box)
            box = _Mailbox()
        elif piece == ":" and not box.at and not box.inside:
            box = _Mailbox()  # that was the name of a group
        else:
            (box.address if box.inside else box.name).append(piece)
            box.at = box.at or ("@" in piece and piece[0] != '"')
        if len(found) >= PERSONS:
            return tuple(found)
    _add(found, box)
    return tuple(found)


def _add(found: list[Person], box: _Mailbox) -> None:
    read = box.person()
    if read is not None:
        found.append(read)


def _unquoted(token: str) -> str:
    if token[0] != '"':
        return token
    return _ESCAPED.sub(r"\1", token[1:-1] if len(token) > 1 and token[-1] == '"' else token[1:])


def person(name: str, address: str) -> Person:
    """A person by the display name and address of a field, both still in the field's own encoding."""
    shown = clean.line(headers.words(name)).strip("\"' ")
    # A quoted local part may hold spaces; an obsolete source route (RFC 5322, section 4.4) leads nowhere today.
    spec = clean.line(address, 1000)
    spec = spec.rpartition(":")[2].strip() if spec.startswith("@") else spec
    plain = unicodedata.normalize("NFKC", shown)
    suspicious = "@" in plain and plain.strip("<>()[]\"' ").casefold() != spec.casefold()
    return Person(shown, spec, suspicious)
