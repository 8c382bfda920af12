"""Sign what the site sends: the PDF by pyHanko (PAdES, ISO 32000-2, section 12.8), its mail by endesive (RFC 8551).

One certificate for both, which the settings may name. Knows no mail and no spool.
"""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from endesive import signer
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.signers.pdf_signer import PdfSignatureMetadata
from pyhanko_certvalidator.registry import SimpleCertificateStore

from messenger import key_file
from messenger.errors import MessengerError

FIELD = "Signature"
DIGEST = "sha256"
#: RFC 2045, section 6.8.
LINE_CHARACTERS = 76


class SigningError(MessengerError):
    """The certificate or its key can't be used."""


@dataclass(frozen=True)
class Signer:
    """A certificate with its key and the certificates between it and its root."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    def sign_pdf(self, content: bytes, password: str) -> bytes:
        """Return the encrypted PDF *content* with a signature behind it: an increment, so nothing before it changes."""
        writer = IncrementalPdfFileWriter(io.BytesIO(content))
        writer.encrypt(password)  # type: ignore[no-untyped-call]
        others = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        others.register_multiple([_asn1(one) for one in self.chain])
        made = signers.SimpleSigner(_asn1(self.certificate), _asn1_key(self.key), others)
        out = signers.sign_pdf(writer, PdfSignatureMetadata(field_name=FIELD, md_algorithm=DIGEST), signer=made)
        return bytes(out.getvalue())

    def sign_mail(self, header: bytes, entity: bytes) -> bytes:
        """Return a mail of *header* fields (each with its line end) around *entity*, clear-signed.

        *entity* is a MIME entity with CRLF line ends: it is what is signed, byte for byte (RFC 8551, section 3.5.3).
        """
        signature = signer.sign(entity, self.key, self.certificate, list(self.chain), DIGEST, attrs=True)
        boundary = b"=_signed_" + hashlib.sha256(entity).hexdigest()[:32].encode()
        return b"".join(
            (
                header,
                b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
                b' micalg=sha-256; boundary="' + boundary + b'"\r\n\r\n',
                b"--" + boundary + b"\r\n" + entity + b"\r\n--" + boundary + b"\r\n",
                b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\nContent-Transfer-Encoding: base64\r\n'
                b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n',
                base64_lines(signature),
                b"--" + boundary + b"--\r\n",
            )
        )


def load(certificate: Path, key: Path) -> Signer:
    """Read a PEM file of a certificate, then those above it, and its PEM key. Raises SigningError."""
    try:
        found, *chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise SigningError(f"{certificate}: expected certificates in PEM, the signer's first: {error}") from error
    try:
        loaded = load_pem_private_key(key_file.found(key).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise SigningError(f"{key}: expected a private key in PEM without a password: {error}") from error
    if not isinstance(loaded, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        raise SigningError(f"{key}: expected an RSA or EC key, found {type(loaded).__name__}")
    if loaded.public_key() != found.public_key():
        raise SigningError(f"{key}: expected the key of {certificate}, found that of another certificate")
    return Signer(found, loaded, tuple(chain))


def base64_lines(content: bytes) -> bytes:
    """Return *content* in base64, in lines that end in CRLF."""
    text = base64.b64encode(content)
    return b"".join(text[at : at + LINE_CHARACTERS] + b"\r\n" for at in range(0, len(text), LINE_CHARACTERS))


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def _asn1_key(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> asn1_keys.PrivateKeyInfo:
    return asn1_keys.PrivateKeyInfo.load(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
