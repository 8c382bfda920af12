"""Check the S/MIME signature of somebody's mail, by the certificate that travels in it (RFC 8550, 8551).

Says whether the content is as the holder of that certificate signed it. Whether to believe the certificate is for
those who call: here nothing is pinned, and the tunnel itself takes no part in this.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from cryptography import x509

from . import identity, oids, verifying
from .ber import INTEGER, SEQUENCE
from .decrypting import content_info
from .keys import KeyFileError, Signer, public_key
from .opening import HOSTILE_INPUT, canonical_line_ends
from .refused import Refused, malformed

MAX_CERTIFICATES = 16
MAX_CERTIFICATE = 32_768  # bytes

_CERTIFICATES = 0xA0
_SHORT = 30  # octets: a certificate is longer


@dataclass(frozen=True)
class Vouched:
    """Who signed, by their own account."""

    certificate: x509.Certificate
    #: Beside it in the mail; perhaps those that lead from it to a known issuer.
    others: tuple[x509.Certificate, ...]


def check(cms: bytes, content: bytes, opaque: bool) -> Vouched:
    """Check that *cms* is one signature over *content*, which lies inside it or (not *opaque*) beside it.

    Raises Refused; its code is several-signers, sha1, altered, no-certificate, unsupported, limit or malformed.
    """
    try:
        return _check(cms, content, opaque)
    except HOSTILE_INPUT as error:
        raise malformed(f"{type(error).__name__}: {str(error)[:200]}") from error


def _check(cms: bytes, content: bytes, opaque: bool) -> Vouched:
    try:
        info, inside = verifying.read(cms)
    except Refused as error:
        raise Refused("several-signers", error.reason) if error.code == "wrong-signer" else error from None
    if (bytes(inside) if inside is not None else None) != (content if opaque else None):
        raise malformed("the content inside the signature is not the one that is read")
    carried = _carried(cms)
    signer = next((one for one in carried if identity.of(one).called(info.name)), None)
    if signer is None:
        raise Refused("no-certificate", "the certificate that signed is not in the mail")
    if info.digest == oids.SHA1:
        raise Refused("sha1", "signed with SHA-1")
    try:
        trial = Signer(signer, public_key(signer), identity.of(signer), identity.fingerprint(signer))
    except KeyFileError as error:
        raise Refused("unsupported", str(error)) from error
    try:
        verifying.verify_by(info, _forms(content), (trial,), allow_sha1=False)
    except Refused as error:
        raise Refused("altered", error.reason) if error.code == "wrong-signer" else error from None
    return Vouched(signer, tuple(one for one in carried if one is not signer))


def _forms(content: bytes) -> Iterator[verifying.Span]:
    """As it stands; and, where line ends were turned into LF on the way, as it was signed (RFC 8551, 3.1.1)."""
    yield content, 0, len(content)
    canonical = canonical_line_ends(content)
    if len(canonical) != len(content):
        yield canonical, 0, len(canonical)


def _carried(cms: bytes) -> list[x509.Certificate]:
    """The certificates in SignedData (RFC 5652, 5.1); those of other kinds are passed over."""
    reader, _ = content_info(cms)
    reader.enter(SEQUENCE)
    reader.primitive(INTEGER, 4)
    reader.skip()  # digestAlgorithms
    reader.skip()  # the content
    found: list[x509.Certificate] = []
    if reader.peek() == _CERTIFICATES:
        reader.enter(_CERTIFICATES)
        while reader.more():
            encoded = bytes(reader.element(MAX_CERTIFICATE))
            if encoded[0] != SEQUENCE or len(encoded) < _SHORT:
                continue
            if len(found) >= MAX_CERTIFICATES:
                raise Refused("limit", f"more than {MAX_CERTIFICATES} certificates")
            with suppress(ValueError):  # one that nobody can read leads nowhere
                found.append(x509.load_der_x509_certificate(encoded))
    return found
