"""How a mail is signed or encrypted, by its MIME structure (RFC 1847, 3156, 8551): says what is there, checks nothing.

The places it gives are those that the other modules here read and show, so that what is checked is what is seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from . import opaque, transfer
from .parse import Node, tree

#: Bytes of a detached signature, with the certificates beside it: some thousands in honest mail.
SIGNATURE = 1_000_000

_PKCS7_SIGNATURES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
#: RFC 5652 and 5083: id-envelopedData, id-ct-authEnvelopedData; they stand right at the beginning.
_ENVELOPES = (bytes.fromhex("06092a864886f70d010703"), bytes.fromhex("060b2a864886f70d0109100117"))
_PGP = re.compile(r"^-----BEGIN PGP (SIGNED )?MESSAGE-----[ \t]*$", re.MULTILINE)
_PGP_WINDOW = 20_000  # characters


class Kind(StrEnum):
    NONE = ""
    SMIME_SIGNED = "smime-signed"
    SMIME_ENCRYPTED = "smime-encrypted"
    PGP_SIGNED = "pgp-signed"
    PGP_ENCRYPTED = "pgp-encrypted"
    #: Something in the mail is signed, and not the whole mail.
    SIGNED_INSIDE = "signed-inside"
    #: S/MIME or the frame of it, in a way that can't be made sense of.
    BROKEN = "broken"


@dataclass(frozen=True)
class Protection:
    kind: Kind = Kind.NONE
    #: CMS (RFC 5652) and what it must be a signature over; for SMIME_SIGNED alone.
    cms: bytes = b""
    content: bytes = b""
    #: The content lies inside the CMS as well.
    opaque: bool = False


def protection(raw: bytes, text: str) -> Protection:
    """Return how the mail *raw*, whose plain text is *text*, is protected. Never raises."""
    root, problems = tree(raw)
    if root.kind in opaque.CMS:
        return _cms(raw, root)
    protocol = root.params.get("protocol", "").lower()
    if root.kind == "multipart/encrypted":
        return Protection(Kind.PGP_ENCRYPTED if protocol == "application/pgp-encrypted" else Kind.BROKEN)
    if root.kind == "multipart/signed":
        if "pgp" in protocol:
            return Protection(Kind.PGP_SIGNED)
        return _detached(raw, root, problems)
    if any(_is_signed(node) for node in root.walk()):
        return Protection(Kind.SIGNED_INSIDE)
    if found := _PGP.search(text, 0, _PGP_WINDOW):
        return Protection(Kind.PGP_SIGNED if found[1] else Kind.PGP_ENCRYPTED)
    return Protection()


def _cms(raw: bytes, root: Node) -> Protection:
    cms = transfer.content(raw, root)
    if any(cms.find(one, 0, 64) >= 0 for one in _ENVELOPES):
        return Protection(Kind.SMIME_ENCRYPTED)
    inside = opaque.inside(cms)
    if inside is None:
        return Protection(Kind.BROKEN)
    return Protection(Kind.SMIME_SIGNED, cms, inside, opaque=True)


def _detached(raw: bytes, root: Node, problems: list[str]) -> Protection:
    if len(root.parts) != 2 or problems or root.parts[1].kind not in _PKCS7_SIGNATURES:
        return Protection(Kind.BROKEN)
    signed, signature = root.parts
    if signature.end - signature.start > SIGNATURE:
        return Protection(Kind.BROKEN)
    return Protection(Kind.SMIME_SIGNED, transfer.content(raw, signature), raw[signed.begin : signed.end])


def _is_signed(node: Node) -> bool:
    return node.kind == "multipart/signed" or node.kind in opaque.CMS
