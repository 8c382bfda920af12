"""What the index keeps of the inside of one mail: bytes in, plain values out.

Bounded whatever the mail is: so many characters of text, so many people and names of files. Knows no SQL.
"""

import re
from dataclasses import dataclass
from hashlib import sha256

from messenger import message
from messenger.message import Message, Person

#: Bytes of a mail that are read; the usual limit for mail is below that.
READ = 64_000_000
#: Characters. A novel has some hundred thousand; what stands behind that in a mail is a log file.
TEXT = 200_000
PEOPLE, FILES = 200, 200
PREVIEW = 200

_ID = re.compile(r"<([^<>\s]{1,998})>")


@dataclass(frozen=True)
class Contents:
    """One mail's, with no character in it that SQLite can't store."""

    subject: str
    sender: Person
    #: For the search: everybody in From; everybody in To and Cc; names of files, one a line.
    senders: str
    recipients: str
    files: str
    has_files: bool
    text: str
    preview: str
    #: Digest of the Message-ID; None without one.
    message_id: bytes | None
    #: Digest of the Message-ID that the conversation began with, as far as this mail tells; None if it is alone.
    root: bytes | None


def contents(raw: bytes) -> Contents:
    """Read a mail. Never raises."""
    return contents_of(message.read(raw))


def contents_of(read: Message) -> Contents:
    """The same of a mail that has been read already."""
    own = _first_id(read.message_id)
    # The first of the References is where it all began (RFC 5322, section 3.6.4). However many there are, and
    # whatever they are: a mail hangs on one conversation, so a forged one can't join two that were apart.
    root = _first_id(_field(read, "references")) or _first_id(_field(read, "in-reply-to")) or own
    files = [part.filename for part in read.attachments if not part.inline]
    nobody = Person("", "")
    sender = read.senders[0] if read.senders else nobody
    text = _storable(read.text[:TEXT])
    return Contents(
        subject=_storable(read.subject),
        sender=Person(_storable(sender.name), _storable(sender.address), sender.suspicious),
        senders=_people(read.senders),
        recipients=_people((*read.to, *read.cc)),
        files=_storable("\n".join(files[:FILES])),
        has_files=bool(files),
        text=text,
        preview=_preview(text),
        message_id=own,
        root=root,
    )


def _people(people: tuple[Person, ...]) -> str:
    return _storable("\n".join(f"{one.name} {one.address}" for one in people[:PEOPLE]))


def _field(read: Message, name: str) -> str:
    return next((value for key, value in read.headers if key.lower() == name), "")


def _first_id(field: str) -> bytes | None:
    """The first Message-ID in *field*, as a digest: all are of one length, and none can be read in the index."""
    found = _ID.search(field)
    # Some programs leave the brackets out.
    one = found[1] if found else field.split()[0] if field.split() else ""
    return sha256(one.encode("utf-8", "replace")).digest()[:16] if one else None


def _preview(text: str) -> str:
    lines = (line for line in text[: 20 * PREVIEW].split("\n") if not line.startswith(">"))
    return " ".join(" ".join(lines).split())[:PREVIEW]


def _storable(text: str) -> str:
    """A lone surrogate can't be stored or sent as UTF-8; a NUL ends a text for FTS5."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


#: Of a mail that can't be read: found by nothing, and not looked into again.
NOTHING = contents(b"\r\n")
