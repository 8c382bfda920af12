"""What the display part of a mail is made of: plain, frozen values, safe to hand to a template that escapes.

Every string here has lost its control and bidirectional characters, except ``Message.html``, which is what the
sender wrote and goes to nobody but the sanitiser.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..errors import MessengerError


class NoSuchPart(MessengerError):
    """The mail has no part by that number."""


@dataclass(frozen=True)
class Person:
    """One mailbox out of an address field."""

    #: What the sender calls it; may be empty, may be a lie.
    name: str
    #: The addr-spec as written; always shown.
    address: str
    #: The display name holds an @ and isn't this address: a usual way to pose as somebody else.
    suspicious: bool = False


@dataclass(frozen=True)
class Part:
    """A part of a mail that can be fetched: an attachment, or a picture the body shows."""

    #: Stays the same for the same bytes: "2.1" is the first part of the second part.
    number: str
    #: A bare file name, never empty, never a path.
    filename: str
    content_type: str
    #: Bytes once decoded, worked out from the encoded length.
    size: int
    #: The HTML body shows it; a page needn't list it among the files.
    inline: bool
    content_id: str


@dataclass(frozen=True)
class Message:
    """A mail as far as it could be read. ``problems`` names what could not, or what looks wrong:

    no-from, several-from (more than one From field), several-authors (one field, several mailboxes), no-date,
    bad-date, headers-cut, bad-structure (a multipart without its parts), too-many-parts, too-deep,
    unknown-charset, bad-encoding (text that isn't in the charset it claims), text-cut (a body of several megabytes;
    the whole is in the mail itself).
    """

    subject: str
    senders: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    reply_to: tuple[Person, ...]
    #: Always with a zone.
    date: datetime | None
    message_id: str
    text: str
    html: str | None
    attachments: tuple[Part, ...]
    headers: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Shown:
    """A whole HTML document for the frame."""

    html: str
    #: How many pictures would have been fetched from elsewhere and weren't.
    remote_pictures: int
    #: Why it is the plain text instead of the HTML: "", "too-big", "too-complex" or "timeout".
    fallback: str


@dataclass(frozen=True)
class Printed:
    """A body as HTML that can do nothing but be looked at, without a document around it."""

    html: str
    #: What the mail's own <body> asked for, as a style attribute; its language and its direction.
    style: str
    language: str
    direction: str
    #: Plain text made HTML: line ends count.
    plain: bool
    #: As in ``Shown``.
    fallback: str


@dataclass(frozen=True)
class Summary:
    """One line of the inbox."""

    subject: str
    sender: Person
    date: datetime | None
    has_attachments: bool
    preview: str
    #: The first it is sent to, and how many there are; with no address where the mail names nobody.
    recipient: Person = Person("", "")
    recipients: int = 0
