"""Sign what is to be mailed: CMS SignedData without content (RFC 5652, 5), and multipart/signed around both (RFC 1847).

Takes parts of an entity, gives parts: a signature is over bytes, and large ones are not copied.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pybase64
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ..errors import MessengerError
from . import der, identity, oids
from .ber import INTEGER, NULL, SET
from .keys import SenderKey, weakness

#: Bytes that are encoded at once: whole lines, and no more than a cache holds.
_BATCH = 57 * 4096

_NULL = der.element(NULL)


class WrapError(MessengerError):
    """A message can't be signed or encrypted as asked."""


def multipart_signed(boundary: str, header: bytes, raw: bytes, signature: bytes) -> list[bytes]:
    """An entity of *header* and *raw*, and its signature."""
    start = (
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\r\n'
        f' boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
    )
    middle = (
        f'\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n'
    )
    return [start.encode(), header, raw, middle.encode(), *base64_lines(signature), f"--{boundary}--\r\n".encode()]


def sign(digest: "hashlib._Hash", raw: bytes, sender: SenderKey, date: datetime) -> bytes:
    """SignedData without content: RFC 5652, 5; SHA-256. *digest* has taken in what stands before *raw*."""
    digest.update(raw)
    attributes = [
        _attribute(oids.CONTENT_TYPE, der.oid(oids.DATA)),
        _attribute(oids.SIGNING_TIME, der.time(date.astimezone(UTC))),
        _attribute(oids.MESSAGE_DIGEST, der.octet_string(digest.digest())),
    ]
    message = der.set_of(attributes)
    if isinstance(sender.key, rsa.RSAPrivateKey):
        algorithm = der.algorithm(oids.RSA, _NULL)
        value = sender.key.sign(message, PKCS1v15(), SHA256())
    elif isinstance(sender.key, ec.EllipticCurvePrivateKey):
        algorithm = der.algorithm(oids.ECDSA_SHA256)
        value = sender.key.sign(message, ec.ECDSA(SHA256()))
    else:
        # Few programs read Ed25519 in CMS (docs/decisions/0002-cms.md): we open it and never write it.
        raise WrapError("an RSA or EC key was expected for the signature")
    if flaw := weakness(sender.key):
        raise WrapError(f"the sender's key {flaw}")
    sha256 = der.algorithm(oids.SHA256, _NULL)
    issuer, serial = identity.of(sender.certificate).issuer_serial
    signer_info = der.sequence(
        der.integer(1),
        der.sequence(issuer, der.element(INTEGER, serial)),
        sha256,
        der.element(0xA0, *sorted(attributes)),
        algorithm,
        der.octet_string(value),
    )
    signed_data = der.sequence(
        der.integer(1),
        der.set_of([sha256]),
        der.sequence(der.oid(oids.DATA)),
        der.element(0xA0, sender.certificate.public_bytes(Encoding.DER)),
        der.element(SET, signer_info),
    )
    return der.sequence(der.oid(oids.SIGNED_DATA), der.element(0xA0, signed_data))


def _attribute(oid: bytes, value: bytes) -> bytes:
    return der.sequence(der.oid(oid), der.element(SET, value))


def base64_lines(data: bytes | bytearray) -> Iterator[bytes]:
    """RFC 2045, 6.8: lines of 76 characters, a batch at a time."""
    for place in range(0, len(data), _BATCH):
        yield pybase64.encodebytes(memoryview(data)[place : place + _BATCH]).replace(b"\n", b"\r\n")
