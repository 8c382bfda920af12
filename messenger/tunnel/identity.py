"""What CMS calls a certificate by: issuer and serial number, or subject key identifier, as bytes that compare."""

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from .ber import INTEGER, OCTET_STRING, SEQUENCE, Reader

#: An issuer's name and a serial number are short; RFC 5280 allows serial numbers of 20 octets.
MAX_ISSUER = 8192
MAX_SERIAL = 64
MAX_KEY_ID = 256

#: (issuer, serial) or (key id,)
Name = tuple[bytes, ...]


@dataclass(frozen=True)
class Identity:
    """Both names of one certificate."""

    issuer_serial: Name
    key_id: Name

    def called(self, name: Name) -> bool:
        return name in (self.issuer_serial, self.key_id)


def of(certificate: x509.Certificate) -> Identity:
    """Read the names from the encoding itself: the bytes, not what a library makes of them."""
    reader = Reader(certificate.public_bytes(Encoding.DER))
    reader.enter(SEQUENCE)
    reader.enter(SEQUENCE)
    if reader.peek() == 0xA0:
        reader.skip()
    serial = reader.primitive(INTEGER)
    reader.skip()
    issuer = reader.element()
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        key_id = extension.value.digest
    except (x509.ExtensionNotFound, ValueError):
        key_id = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    return Identity((issuer, serial), (key_id,))


def issuer_and_serial(reader: Reader) -> Name:
    reader.enter(SEQUENCE)
    issuer = reader.element(MAX_ISSUER)
    serial = reader.primitive(INTEGER, MAX_SERIAL)
    reader.leave()
    return issuer, serial


def name(reader: Reader) -> Name:
    """A SignerIdentifier or RecipientIdentifier (RFC 5652, 5.3 and 6.2.1): one or the other."""
    if reader.peek() == SEQUENCE:
        return issuer_and_serial(reader)
    return (bytes(reader.octets(0x80, MAX_KEY_ID)),)


def agreement_name(reader: Reader) -> Name:
    """A KeyAgreeRecipientIdentifier (RFC 5652, 6.2.2): the key id may have a date and more beside it."""
    if reader.peek() == SEQUENCE:
        return issuer_and_serial(reader)
    reader.enter(0xA0)
    key_id = bytes(reader.octets(OCTET_STRING, MAX_KEY_ID))
    while reader.more():
        reader.skip()
    reader.leave()
    return (key_id,)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the certificate, lower-case hex without colons."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def digest(content: bytes | bytearray | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()
