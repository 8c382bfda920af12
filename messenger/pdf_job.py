"""What the intake asks of messenger-pdfotp: one mail to send as an encrypted PDF, in one file.

The file is a line of JSON and, behind it, the mail byte for byte. Everything else a PDF needs is in it, so that who
makes PDFs sees neither accounts nor Maildirs nor the link key. Knows no files: bytes in, values out.
"""

import json
from dataclasses import dataclass, fields
from typing import Any

from .errors import MessengerError

VERSION = 1
#: The first line of a file of ours is shorter by far.
HEAD_OCTETS = 65_536


class BadJob(MessengerError):
    """A file in the spool that isn't one of ours."""


@dataclass(frozen=True)
class PdfJob:
    """One mail for one recipient."""

    #: ``pdf_password.id_of`` the digest and the address.
    pdf_id: str
    #: The recipient's, as ``envelope.normal`` spells it.
    address: str
    #: The SHA-256 the tunnel mail is known by, in hexadecimal.
    digest: str
    #: The account's when the mail came; part of the password.
    generation: int
    #: When the mail came, Unix seconds.
    created: int
    #: The addresses of two pages: where the password is, and where an answer is written.
    password_url: str
    reply_url: str
    #: What the recipient wants, as in ``preferences``; empty for the site's.
    language: str
    time_zone: str
    phrase: str
    raw: bytes

    def to_bytes(self) -> bytes:
        head = {"version": VERSION} | {name: getattr(self, name) for name in _KINDS}
        return json.dumps(head).encode("ascii") + b"\n" + self.raw


_KINDS: dict[str, Any] = {field.name: field.type for field in fields(PdfJob) if field.name != "raw"}


def from_bytes(content: bytes) -> PdfJob:
    """Return the job in a file's *content*, or raise BadJob with what is wrong about it."""
    end = content.find(b"\n", 0, HEAD_OCTETS)
    if end < 0:
        raise BadJob(f"expected a line of JSON of at most {HEAD_OCTETS} octets, found none")
    try:
        head = json.loads(content[:end])
    except (ValueError, RecursionError) as error:
        raise BadJob(f"expected a line of JSON, found something else: {error}") from error
    if not isinstance(head, dict) or head.pop("version", None) != VERSION:
        raise BadJob(f"expected a job of version {VERSION}, found another")
    if head.keys() != _KINDS.keys():
        raise BadJob(f"expected the fields {sorted(_KINDS)}, found {sorted(head)}")
    for name, kind in _KINDS.items():
        if type(head[name]) is not kind:
            raise BadJob(f"expected {name} to be of the kind {kind.__name__}, found {type(head[name]).__name__}")
    return PdfJob(**head, raw=content[end + 1 :])
