"""Put files into a PDF and encrypt it: AES-256, revision 6 (ISO 32000-2, section 7.6), nothing forbidden.

Who has the password may print, copy and have it read aloud. Knows no mail: bytes in, bytes out.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pikepdf

from messenger.errors import MessengerError

REVISION: Literal[6] = 6
#: Owner passwords only guard permissions, of which none is withheld: nobody is to know this one.
OWNER_BYTES = 24


class ProtectError(MessengerError):
    """The PDF can't be put together."""


@dataclass(frozen=True)
class File:
    name: str
    content_type: str
    content: bytes


def protect(content: bytes, password: str, files: Sequence[File] = ()) -> bytes:
    """Return the PDF with *files* attached, encrypted with *password*. Raises ProtectError."""
    if not password:
        raise ProtectError("expected a password, found none: the PDF would be open to everybody")
    try:
        with pikepdf.open(io.BytesIO(content)) as pdf:
            for name, file in zip(_names(files), files, strict=True):
                # The name is also the key that viewers list it by.
                pdf.attachments[name] = pikepdf.AttachedFileSpec(
                    pdf, file.content, filename=name, mime_type=file.content_type
                )
            out = io.BytesIO()
            pdf.save(
                out,
                encryption=pikepdf.Encryption(
                    user=password,
                    owner=secrets.token_urlsafe(OWNER_BYTES),
                    R=REVISION,
                    aes=True,
                    metadata=True,
                    allow=pikepdf.Permissions(modify_assembly=True),
                ),
            )
    except (pikepdf.PdfError, ValueError) as error:
        raise ProtectError(f"the PDF can't be put together: {type(error).__name__}: {error}") from error
    return out.getvalue()


def _names(files: Sequence[File]) -> list[str]:
    """Names that differ, as a folder wants them: "a.txt", "a (2).txt"."""
    # By name in small letters: the number to try next, so that a thousand of one name take a thousand steps.
    taken: dict[str, int] = {}
    names = []
    for file in files:
        stem, dot, ending = file.name.rpartition(".")
        if not stem:
            stem, dot, ending = file.name, "", ""
        first = file.name.lower()
        name, number = file.name, taken.get(first, 1)
        while name.lower() in taken:
            number += 1
            name = f"{stem} ({number}){dot}{ending}"
        taken[first] = number
        taken.setdefault(name.lower(), 1)
        names.append(name)
    return names
