"""Recover the content key that was encrypted or agreed upon for one of our recipient keys.

A key that does not open gives random bytes, never an error: from then on wrong key and altered content look the
same, in time and in words (RFC 3218; the decision record on CMS has more).
"""

import secrets
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from . import der, identity, oids
from .ber import BIT_STRING, INTEGER, NULL, OCTET_STRING, SEQUENCE, SET, Reader
from .keys import RecipientKey
from .parameters import oaep
from .refused import Refused, malformed, unsupported

#: A tunnel mail is for one recipient, and maybe a copy for the gateway and an archive.
MAX_RECIPIENTS = 256
MAX_OURS = 8
MAX_ENCRYPTED_KEY = 2048
MAX_PARAMETERS = 1024

_NULL_ELEMENT = bytes((NULL, 0))


@dataclass(frozen=True)
class Sealed:
    """One recipientInfo that names a key of ours."""

    recipient: RecipientKey
    scheme: bytes
    parameters: bytes
    encrypted_key: bytes
    #: Key agreement only: the other side's public key, and user keying material.
    originator: bytes = b""
    material: bytes | None = None

    def open(self, length: int) -> bytes:
        """The content key of *length* bytes, or random ones."""
        decoy = secrets.token_bytes(length)
        key = self.recipient.key
        found = _decrypt(key, self, _padding(self)) if isinstance(key, rsa.RSAPrivateKey) else _agree(self)
        return found if len(found) == length else decoy


def ours(reader: Reader, recipients: tuple[RecipientKey, ...]) -> Sealed:
    """Read RecipientInfos (RFC 5652, 6.2); give the first that names one of *recipients*."""
    found: list[Sealed] = []
    count = 0
    reader.enter(SET)
    while reader.more():
        count += 1
        if count > MAX_RECIPIENTS:
            raise Refused("limit", f"more than {MAX_RECIPIENTS} recipientInfos")
        tag = reader.peek()
        if tag == SEQUENCE:
            found += _transport(reader, recipients)
        elif tag == 0xA1:
            found += _agreement(reader, recipients)
        else:
            reader.skip()  # passwords, shared keys, and what is yet to be invented: never ours
    reader.leave()
    if not found:
        raise Refused("not-for-us", f"none of {count} recipientInfos names a certificate of ours")
    if len(found) > MAX_OURS:
        raise Refused("limit", f"{len(found)} recipientInfos name us")
    return found[0]


def _transport(reader: Reader, recipients: tuple[RecipientKey, ...]) -> list[Sealed]:
    """KeyTransRecipientInfo: RFC 5652, 6.2.1."""
    reader.enter(SEQUENCE)
    reader.primitive(INTEGER, 4)
    name = identity.name(reader)
    scheme, parameters = reader.algorithm()
    encrypted_key = bytes(reader.octets(OCTET_STRING, MAX_ENCRYPTED_KEY))
    reader.leave()
    return [
        Sealed(recipient, scheme, parameters, encrypted_key)
        for recipient in recipients
        if recipient.identity.called(name) and isinstance(recipient.key, rsa.RSAPrivateKey)
    ][:1]


def _agreement(reader: Reader, recipients: tuple[RecipientKey, ...]) -> list[Sealed]:
    """KeyAgreeRecipientInfo: RFC 5652, 6.2.2, and RFC 5753, 3.1.1: the originator's key is an ephemeral one."""
    material = None
    found: list[Sealed] = []
    reader.enter(0xA1)
    reader.primitive(INTEGER, 4)
    originator = _originator(reader)
    if reader.peek() == 0xA1:
        reader.enter(0xA1)
        material = bytes(reader.octets(OCTET_STRING, MAX_PARAMETERS))
        reader.leave()
    scheme, parameters = reader.algorithm()
    reader.enter(SEQUENCE)
    while reader.more():
        reader.enter(SEQUENCE)
        name = identity.agreement_name(reader)
        encrypted_key = bytes(reader.octets(OCTET_STRING, MAX_ENCRYPTED_KEY))
        reader.leave()
        found += [
            Sealed(recipient, scheme, parameters, encrypted_key, originator, material)
            for recipient in recipients
            if recipient.identity.called(name) and not isinstance(recipient.key, rsa.RSAPrivateKey)
        ][:1]
        if len(found) > MAX_OURS:
            raise Refused("limit", f"{len(found)} recipientInfos name us")
    reader.leave()
    reader.leave()
    return found


def _originator(reader: Reader) -> bytes:
    """The octets of an ephemeral public key; empty for a static one, which nobody uses and we don't know."""
    public = b""
    reader.enter(0xA0)
    if reader.peek() == 0xA1:
        reader.enter(0xA1)
        reader.algorithm()
        bits = reader.primitive(BIT_STRING, MAX_PARAMETERS)
        if bits[:1] != b"\0":
            raise malformed("the originator's public key is not whole octets")
        public = bits[1:]
        reader.leave()
    else:
        reader.skip()
    reader.leave()
    return public


def _decrypt(key: rsa.RSAPrivateKey, sealed: Sealed, scheme: padding.AsymmetricPadding) -> bytes:
    """OpenSSL since 3.2 gives random bytes for bad PKCS#1 v1.5 padding itself; older ones and OAEP raise."""
    try:
        return key.decrypt(sealed.encrypted_key, scheme)
    except ValueError:
        return b""


def _padding(sealed: Sealed) -> padding.AsymmetricPadding:
    if sealed.scheme == oids.RSA and sealed.parameters in (b"", _NULL_ELEMENT):
        return padding.PKCS1v15()
    if sealed.scheme != oids.RSA_OAEP:
        raise unsupported("key encryption that is neither RSA PKCS#1 v1.5 nor RSA-OAEP, for an RSA key")
    return oaep(sealed.parameters)


def _agree(sealed: Sealed) -> bytes:
    """ECDH with an ephemeral key, then a key derivation, then AES key unwrap: RFC 5753, 3.1 and RFC 8418, 2."""
    inner = Reader(sealed.parameters)
    wrap, wrap_parameters = inner.algorithm() if sealed.parameters else (b"", b"")
    if wrap not in oids.AES_WRAPS or wrap_parameters not in (b"", _NULL_ELEMENT):
        raise unsupported("key agreement with a key wrap other than AES")
    length = oids.AES_WRAPS[wrap]
    try:
        secret = _shared_secret(sealed)
        info = shared_info(sealed.parameters, sealed.material, length)
        wrapping_key = _derive(sealed.scheme, secret, info, sealed.material, length)
        return aes_key_unwrap(wrapping_key, sealed.encrypted_key)
    except (ValueError, InvalidUnwrap, UnsupportedAlgorithm):
        return b""


def _shared_secret(sealed: Sealed) -> bytes:
    key = sealed.recipient.key
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(key.curve, sealed.originator))
    if isinstance(key, x25519.X25519PrivateKey):
        return key.exchange(x25519.X25519PublicKey.from_public_bytes(sealed.originator))
    raise unsupported("a recipient key that can't agree on a key")


def shared_info(wrap: bytes, material: bytes | None, length: int) -> bytes:
    """ECC-CMS-SharedInfo: RFC 5753, 7.2. The key wrap algorithm goes in as it was sent."""
    user_info = b"" if material is None else der.element(0xA0, der.octet_string(material))
    bits = der.element(0xA2, der.octet_string((length * 8).to_bytes(4, "big")))
    return der.sequence(wrap, user_info, bits)


def _derive(scheme: bytes, secret: bytes, info: bytes, material: bytes | None, length: int) -> bytes:
    if scheme in oids.X963_SCHEMES:
        return X963KDF(oids.X963_SCHEMES[scheme], length, info).derive(secret)
    if scheme in oids.HKDF_SCHEMES:
        return HKDF(oids.HKDF_SCHEMES[scheme], length, material, info).derive(secret)
    raise unsupported("a key agreement scheme other than ECDH with an X9.63 or HKDF derivation")
