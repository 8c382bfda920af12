"""Verify the inner layer: SignedData (RFC 5652, 5) by exactly one of the pinned certificates.

Certificates that travel in the message are passed over unread: a message never says whom to trust.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import der, identity, oids, signatures
from .ber import INTEGER, OCTET_STRING, SEQUENCE, SET, Octets, Reader
from .decrypting import content_info, finish
from .keys import Signer
from .refused import Refused, malformed, unsupported

log = logging.getLogger(__name__)

MAX_ATTRIBUTES = 64
MAX_SIGNATURE = 2048

_EXPLICIT_0 = 0xA0
_DIGESTS: dict[bytes, Callable[[Octets], Any]] = {
    oids.SHA1: hashlib.sha1,
    oids.SHA256: hashlib.sha256,
    oids.SHA384: hashlib.sha384,
    oids.SHA512: hashlib.sha512,
}


Span = tuple[bytes | bytearray, int, int]


@dataclass(frozen=True)
class SignerInfo:
    """RFC 5652, 5.3, as far as it counts."""

    name: identity.Name
    digest: bytes
    #: Each signed attribute as it was encoded.
    attributes: list[bytes]
    message_digest: bytes
    algorithm: bytes
    parameters: bytes
    signature: bytes


@dataclass(frozen=True)
class Verified:
    """Content that a pinned certificate vouches for."""

    #: What it lies in, from where, to where: a mail is large and is not copied once more.
    span: Span
    #: SHA-256 over it, hex.
    digest: str
    signer: Signer


def read(data: bytes | bytearray) -> tuple[SignerInfo, Octets | None]:
    """Read SignedData: its one signerInfo, and the content if it is inside."""
    reader, content_type = content_info(data)
    if content_type != oids.SIGNED_DATA:
        raise Refused("unsigned", "what was encrypted is CMS, but no signature")
    content: Octets | None = None
    reader.enter(SEQUENCE)
    reader.primitive(INTEGER, 4)
    reader.skip()  # digestAlgorithms: a hint for one-pass readers
    reader.enter(SEQUENCE)
    if reader.oid() != oids.DATA:
        raise unsupported("CMS: the signed content is not of type data")
    if reader.more():
        reader.enter(_EXPLICIT_0)
        content = reader.octets(OCTET_STRING)
        reader.leave()
    reader.leave()
    while reader.peek() in (0xA0, 0xA1):
        reader.skip()  # certificates and revocation lists
    reader.enter(SET)
    if not reader.more():
        raise Refused("unsigned", "SignedData without a signerInfo")
    info = _signer_info(reader)
    if reader.more():
        raise Refused("wrong-signer", "more than one signerInfo")
    reader.leave()
    reader.leave()
    finish(reader)
    return info, content


def verify(info: SignerInfo, forms: Iterable[Span], pinned: tuple[Signer, ...], allow_sha1: bool) -> Verified:
    """Verify against the pinned certificates; *forms* are the forms of the content that may have been signed."""
    verified = verify_by(info, forms, pinned, allow_sha1)
    _warn_if_expired(verified.signer)
    return verified


def verify_by(info: SignerInfo, forms: Iterable[Span], known: tuple[Signer, ...], allow_sha1: bool) -> Verified:
    """Verify against certificates that somebody else judges; how old they are is not looked at."""
    if info.digest not in _DIGESTS or (info.digest == oids.SHA1 and not allow_sha1):
        raise unsupported("signed with a digest other than SHA-256, SHA-384, SHA-512")
    called = [signer for signer in known if signer.identity.called(info.name)]
    if not called:
        raise Refused("wrong-signer", "signed by a certificate that is not pinned")
    signer = next((signer for signer in called if _signed_by(signer, info)), None)
    if signer is None:
        raise Refused("wrong-signer", f"not signed by the key of the pinned certificate {called[0].fingerprint}")
    for data, start, end in forms:
        content = memoryview(data)[start:end]
        digest = _DIGESTS[info.digest](content)
        if hmac.compare_digest(digest.digest(), info.message_digest):
            sha256 = digest.hexdigest() if info.digest == oids.SHA256 else identity.digest(content)
            return Verified((data, start, end), sha256, signer)
    raise Refused("altered", "the content is not what was signed")


def _signed_by(signer: Signer, info: SignerInfo) -> bool:
    """Signed as the attributes stand, or, as RFC 5652 (5.4) wants it, in the order of DER."""
    standing = der.element(SET, *info.attributes)
    if _fits(signer, info, standing):
        return True
    ordered = der.set_of(info.attributes)
    return ordered != standing and _fits(signer, info, ordered)


def _fits(signer: Signer, info: SignerInfo, message: bytes) -> bool:
    return signatures.fits(signer.key, info.algorithm, info.parameters, info.digest, info.signature, message)


def _signer_info(reader: Reader) -> SignerInfo:
    reader.enter(SEQUENCE)
    reader.primitive(INTEGER, 4)
    name = identity.name(reader)
    digest, _ = reader.algorithm()
    if reader.peek() != _EXPLICIT_0:
        # Without them one signature fits two contents: this one, and the attributes of another.
        raise unsupported("a signature without signed attributes")
    attributes, message_digest = _attributes(reader)
    algorithm, parameters = reader.algorithm()
    signature = bytes(reader.octets(OCTET_STRING, MAX_SIGNATURE))
    if reader.peek() == 0xA1:
        reader.skip()  # unsigned attributes: time stamps and such
    reader.leave()
    return SignerInfo(name, digest, attributes, message_digest, algorithm, parameters, signature)


def _attributes(reader: Reader) -> tuple[list[bytes], bytes]:
    """SignedAttributes: each as encoded, and the message digest. RFC 5652, 11.1 and 11.2: each once, one value."""
    encoded: list[bytes] = []
    found: dict[bytes, list[bytes]] = {oids.CONTENT_TYPE: [], oids.MESSAGE_DIGEST: []}
    reader.enter(_EXPLICIT_0)
    while reader.more():
        if len(encoded) >= MAX_ATTRIBUTES:
            raise Refused("limit", f"more than {MAX_ATTRIBUTES} signed attributes")
        start = reader.pos
        reader.enter(SEQUENCE)
        oid = reader.oid()
        reader.enter(SET)
        values = []
        while reader.more():
            values.append(reader.element())
        reader.leave()
        reader.leave()
        encoded.append(bytes(reader.view[start : reader.pos]))
        if oid in found:
            if found[oid] or len(values) != 1:
                raise malformed("a signed attribute that must stand once, with one value, does not")
            found[oid] = values
    reader.leave()
    if not all(found.values()):
        raise malformed("the signed attributes lack content type or message digest")
    if Reader(found[oids.CONTENT_TYPE][0]).oid() != oids.DATA:
        raise Refused("altered", "the content type under the signature is another one")
    return encoded, bytes(Reader(found[oids.MESSAGE_DIGEST][0]).octets(OCTET_STRING, 64))


def _warn_if_expired(signer: Signer) -> None:
    """Accepted: who pinned it trusts it, and an expired tunnel would stop a site's protected mail dead."""
    if signer.certificate.not_valid_after_utc < datetime.now(UTC):
        log.warning(
            "the pinned certificate %s has expired on %s; its mail is still accepted. Renew it",
            signer.fingerprint,
            signer.certificate.not_valid_after_utc.date(),
        )
