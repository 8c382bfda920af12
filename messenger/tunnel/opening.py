"""Open tunnel mails: S/MIME (RFC 8551) around a whole message for one of our recipient keys.

Knows keys and CMS. Knows nothing of Postfix, Maildirs or settings: bytes in, values out. Nothing that was decrypted
leaves here before the signature of a pinned certificate over it is verified.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm

from . import decrypting, mime, profiles, verifying
from .keys import TunnelKeys
from .policy import Policy
from .refused import Refused, malformed

log = logging.getLogger(__name__)

#: What libraries raise on hostile input, by experience. Memory, disk, and what nobody foresaw are not among them:
#: those are no verdict on the mail.
HOSTILE_INPUT = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    NotImplementedError,
    UnsupportedAlgorithm,
)


@dataclass(frozen=True)
class TunnelMail:
    """An original message and where it is to go, vouched for by a pinned certificate."""

    raw: bytes
    mail_from: str
    rcpt_tos: tuple[str, ...]
    options: frozenset[str]
    #: SHA-256 over the signed content, hex: the same for every copy of the same mail.
    digest: str
    profile: str
    #: SHA-256 fingerprint of the pinned certificate.
    signer: str


def unwrap(raw: bytes, keys: TunnelKeys, policy: Policy = Policy()) -> TunnelMail:  # noqa: B008  (frozen)
    """Open one tunnel mail, or raise :class:`Refused`."""
    try:
        return _unwrap(raw, keys, policy)
    except Refused:
        raise
    except HOSTILE_INPUT as error:
        log.warning("refused for an error nobody named", exc_info=True)
        raise malformed(f"{type(error).__name__}: {str(error)[:200]}") from error


def _unwrap(raw: bytes, keys: TunnelKeys, policy: Policy) -> TunnelMail:
    outer = mime.entity(raw)
    kind, parameters = mime.content_type(outer)
    if not _is_cms(kind, parameters):
        raise Refused("not-encrypted", "no S/MIME encryption: the Content-Type is not application/pkcs7-mime")
    opened = decrypting.decrypt(mime.octets(outer), keys.recipients, policy.allow_3des)
    try:
        verified = _verified(opened.content, keys, policy)
    except (Refused, *HOSTILE_INPUT):
        if not opened.intact:
            raise decrypting.undecipherable() from None
        raise
    if not opened.intact:
        raise decrypting.undecipherable()
    found = profiles.read(mime.entity(*verified.span), outer, policy)
    return TunnelMail(
        found.raw,
        found.mail_from,
        found.rcpt_tos,
        found.options,
        verified.digest,
        found.profile,
        verified.signer.fingerprint,
    )


def _verified(content: bytearray, keys: TunnelKeys, policy: Policy) -> verifying.Verified:
    """Verify what was decrypted: clear-signed (multipart/signed) or opaque."""
    try:
        part = mime.entity(content)
    except Refused as error:
        raise decrypting.undecipherable() from error
    kind, parameters = mime.content_type(part)
    mime.check_decrypted(part)
    if kind == "multipart/signed":
        start, end, signature = mime.split_signed(part, parameters.get("boundary", ""))
        mime.check_decrypted(signature)
        if mime.content_type(signature)[0] not in mime.PKCS7_SIGNATURE:
            raise Refused("unsigned", "multipart/signed whose second part is no S/MIME signature")
        info, inside = verifying.read(mime.octets(signature))
        if inside is not None:
            raise malformed("multipart/signed with another content inside the signature")
        forms = _forms(content, start, end)
    elif _is_cms(kind, parameters):
        info, inside = verifying.read(mime.octets(part))
        if inside is None:
            raise Refused("unsigned", "SignedData without content")
        whole = bytes(inside)
        forms = iter(((whole, 0, len(whole)),))
    else:
        raise Refused("unsigned", "what was encrypted is not signed")
    return verifying.verify(info, forms, keys.pinned, policy.allow_sha1)


def _forms(data: bytearray, start: int, end: int) -> Iterator[verifying.Span]:
    """As it stands; and, where line ends were turned into LF on the way, as it was signed (RFC 8551, 3.1.1)."""
    yield data, start, end
    canonical = canonical_line_ends(bytes(memoryview(data)[start:end]))
    if len(canonical) != end - start:
        yield canonical, 0, len(canonical)


def canonical_line_ends(data: bytes) -> bytes:
    """CRLF for every LF that has no CR."""
    if data.count(b"\n") == data.count(b"\r\n"):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _is_cms(kind: str, parameters: Mapping[str, str]) -> bool:
    """S/MIME's types, and what some programs make of them: RFC 8551, 3.2.1 and 3.9, by the file's name."""
    return kind in mime.PKCS7_MIME or (
        kind == "application/octet-stream" and parameters.get("name", "").lower().endswith(".p7m")
    )
