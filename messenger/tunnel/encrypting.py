"""Encrypt for certificates: EnvelopedData (RFC 5652, 6) or AuthEnvelopedData (RFC 5083).

Takes parts of a message and certificates, gives encoded CMS. Written as DER by hand, since the content is large:
it is encrypted to where it will stand.
"""

import os
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PKCS1v15
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from . import der, identity, oids
from .ber import BIT_STRING, INTEGER, NULL
from .key_transport import shared_info
from .keys import KeyFileError, public_key

KEY_LENGTH = 32
BLOCK = 16
NONCE_LENGTH = 12
TAG_LENGTH = 16

_NULL = der.element(NULL)
_SHA256 = der.algorithm(oids.SHA256, _NULL)
#: RSAES-OAEP-params: RFC 8017, A.2.1, with SHA-256 for label and mask.
_OAEP_SHA256 = der.sequence(der.element(0xA0, _SHA256), der.element(0xA1, der.algorithm(oids.MGF1, _SHA256)))


def encrypt(parts: Sequence[bytes], recipients: Sequence[x509.Certificate], modern: bool) -> tuple[str, bytearray]:
    """Give the smime-type and the encoded ContentInfo; each of *recipients* can open it."""
    key = os.urandom(KEY_LENGTH)
    infos = [_recipient_info(recipient, key, modern) for recipient in recipients]
    recipient_infos, version = der.set_of([info for info, _ in infos]), max(version for _, version in infos)
    if modern:
        nonce = os.urandom(NONCE_LENGTH)
        parameters = der.sequence(der.octet_string(nonce), der.integer(TAG_LENGTH))
        encoded, place = _frame(oids.AUTH_ENVELOPED_DATA, 0, recipient_infos, (oids.AES_256_GCM, parameters), parts)
        encryptor = Cipher(AES(key), GCM(nonce)).encryptor()
        _fill(encoded, place, encryptor, parts)
        encryptor.finalize()
        encoded[-TAG_LENGTH:] = encryptor.tag
        return "authEnveloped-data", encoded
    vector = os.urandom(BLOCK)
    pad = BLOCK - sum(map(len, parts)) % BLOCK
    parts = [*parts, bytes((pad,)) * pad]
    algorithm = oids.AES_256_CBC, der.octet_string(vector)
    encoded, place = _frame(oids.ENVELOPED_DATA, version, recipient_infos, algorithm, parts)
    _fill(encoded, place, Cipher(AES(key), CBC(vector)).encryptor(), parts)
    return "enveloped-data", encoded


def _frame(
    kind: bytes, version: int, recipient_infos: bytes, algorithm: tuple[bytes, bytes], parts: Sequence[bytes]
) -> tuple[bytearray, int]:
    """The whole encoding with room for the content and, at its end, for the tag; and where the content goes."""
    size = sum(map(len, parts))
    tag = der.octet_string(bytes(TAG_LENGTH)) if kind == oids.AUTH_ENVELOPED_DATA else b""
    content_head = der.oid(oids.DATA) + der.algorithm(*algorithm) + der.head(0x80, size)
    before = der.integer(version) + recipient_infos + der.head(0x30, len(content_head) + size)
    inner = der.head(0x30, len(before) + len(content_head) + size + len(tag)) + before + content_head
    middle = der.oid(kind) + der.head(0xA0, len(inner) + size + len(tag)) + inner
    start = der.head(0x30, len(middle) + size + len(tag)) + middle
    encoded = bytearray(len(start) + size + len(tag))
    encoded[: len(start)] = start
    encoded[len(encoded) - len(tag) :] = tag
    return encoded, len(start)


def _fill(
    encoded: bytearray, place: int, context: CipherContext | AEADEncryptionContext, parts: Sequence[bytes]
) -> None:
    """Encrypt *parts* to *place*; the context wants room beyond what it writes, which goes when it is done."""
    encoded += bytes(BLOCK)
    with memoryview(encoded) as view:
        for part in parts:
            place += context.update_into(part, view[place:])
    del encoded[-BLOCK:]


def _recipient_info(recipient: x509.Certificate, content_key: bytes, modern: bool) -> tuple[bytes, int]:
    """A RecipientInfo, and the version that EnvelopedData has with it (RFC 5652, 6.1)."""
    key = public_key(recipient)
    issuer, serial = identity.of(recipient).issuer_serial
    name = der.sequence(issuer, der.element(INTEGER, serial))
    if isinstance(key, rsa.RSAPublicKey):
        padding = OAEP(MGF1(SHA256()), SHA256(), None) if modern else PKCS1v15()
        algorithm = der.algorithm(oids.RSA_OAEP, _OAEP_SHA256) if modern else der.algorithm(oids.RSA, _NULL)
        encrypted = der.octet_string(key.encrypt(content_key, padding))
        return der.sequence(der.integer(0), name, algorithm, encrypted), 0
    originator, secret = _ephemeral(key)
    wrap = der.algorithm(oids.AES_256_WRAP)
    wrapping_key = X963KDF(SHA256(), KEY_LENGTH, shared_info(wrap, None, KEY_LENGTH)).derive(secret)
    encrypted = der.octet_string(aes_key_wrap(wrapping_key, content_key))
    return der.element(
        0xA1,
        der.integer(3),
        der.element(0xA0, originator),
        der.algorithm(oids.ECDH_SHA256, wrap),
        der.sequence(der.sequence(name, encrypted)),
    ), 2


def _ephemeral(key: object) -> tuple[bytes, bytes]:
    """An ephemeral key of the recipient's kind, as OriginatorPublicKey, and the secret shared with the recipient."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        own = ec.generate_private_key(key.curve)
        point = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return _originator(oids.EC_PUBLIC_KEY, point), own.exchange(ec.ECDH(), key)
    if isinstance(key, x25519.X25519PublicKey):
        ours = x25519.X25519PrivateKey.generate()
        return _originator(oids.X25519, ours.public_key().public_bytes_raw()), ours.exchange(key)
    raise KeyFileError("a certificate that mail can be encrypted to was expected; Ed25519 only signs")


def _originator(oid: bytes, public: bytes) -> bytes:
    return der.element(0xA1, der.algorithm(oid), der.element(BIT_STRING, b"\0", public))
