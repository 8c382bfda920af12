"""Make tunnel mails as others make them, or as nobody should: a second writer beside ours, and `openssl cms`.

Everything here can be bent: each argument is one thing that foreign programs do otherwise or that an attacker would.
"""

import hashlib
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.tunnel_fixtures import ORIGINAL, Pair

HASHES = {
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
KEY_LENGTHS = {"128": 16, "192": 24, "256": 32}


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def oid(name: str) -> bytes:
    dotted = name if name[0].isdigit() else cms.ContentType(name).dotted
    return bytes(core.ObjectIdentifier(dotted).dump())


def algorithm(dotted: str, parameters: bytes = b"") -> bytes:
    return tlv(0x30, oid(dotted), parameters)


NULL = b"\x05\x00"


@dataclass(frozen=True)
class Style:
    """How frames are encoded: DER, or BER as streaming writers do it."""

    #: Bytes in a segment of the content; 0 for DER.
    segment: int = 0
    #: Segments within segments within the content.
    nested: bool = False

    def frame(self, tag: int, *parts: bytes) -> bytes:
        if not self.segment:
            return tlv(tag, *parts)
        return bytes((tag, 0x80)) + b"".join(parts) + b"\0\0"

    def octets(self, tag: int, content: bytes) -> bytes:
        if not self.segment:
            return tlv(tag, content)
        pieces = [tlv(4, content[i : i + self.segment]) for i in range(0, len(content), self.segment)]
        if self.nested:
            half = len(pieces) // 2
            pieces = [b"\x24\x80", *pieces[:half], b"\0\0", tlv(0x24, *pieces[half:])]
        return bytes((tag | 0x20, 0x80)) + b"".join(pieces) + b"\0\0"


DER = Style()


# ---- the signed entity ----------------------------------------------------------------------------------------------


def entity(
    raw: bytes = ORIGINAL, *, sender: str = "anna@example.org", to: Sequence[str] = ("bob@example.com",)
) -> bytes:
    """A signed entity of profile ``wrapped``."""
    lines = [f"X-Webmail-Sender: <{sender}>", *(f"X-Webmail-Recipient: <{address}>" for address in to)]
    return "\r\n".join([*lines, "Content-Type: message/rfc822", "", ""]).encode() + raw


# ---- SignedData -----------------------------------------------------------------------------------------------------


def attributes(content: bytes, digest: str = "sha256", content_type: str = "data") -> list[bytes]:
    """Content type, signing time, message digest; not in the order of DER."""
    value = getattr(hashlib, digest)(content).digest()
    return [
        attribute("1.2.840.113549.1.9.4", tlv(4, value)),
        attribute("1.2.840.113549.1.9.3", oid(content_type)),
        attribute("1.2.840.113549.1.9.5", tlv(0x17, b"261124090000Z")),
    ]


def attribute(dotted: str, *values: bytes) -> bytes:
    return tlv(0x30, oid(dotted), tlv(0x31, *values))


def signer_name(certificate: x509.Certificate, by: str = "issuer") -> bytes:
    """A SignerIdentifier or RecipientIdentifier."""
    if by == "ski":
        return tlv(0x80, key_id(certificate))
    read = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    return tlv(0x30, read.issuer.dump(), tlv(2, read["tbs_certificate"]["serial_number"].contents))


def key_id(certificate: x509.Certificate) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest  # type: ignore[arg-type]


def raw_signature(key: Any, message: bytes, digest: str, scheme: str, salt: int = 32) -> tuple[bytes, bytes]:
    """AlgorithmIdentifier and value."""
    hash_ = HASHES[digest]
    if scheme == "pss":
        parameters = algos.RSASSAPSSParams(
            {
                "hash_algorithm": {"algorithm": digest},
                "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": digest}},
                "salt_length": salt,
            }
        )
        value = key.sign(message, padding.PSS(padding.MGF1(hash_), salt), hash_)
        return algorithm("1.2.840.113549.1.1.10", parameters.dump()), value
    if isinstance(key, rsa.RSAPrivateKey):
        return algorithm("1.2.840.113549.1.1.1", NULL), key.sign(message, padding.PKCS1v15(), hash_)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return algorithm("1.3.101.112"), key.sign(message)
    ecdsa = {"sha1": "1.2.840.10045.4.1"} | {
        f"sha{n}": f"1.2.840.10045.4.3.{i}" for i, n in ((2, 256), (3, 384), (4, 512))
    }
    return algorithm(ecdsa[digest]), key.sign(message, ec.ECDSA(hash_))


def signer_info(
    content: bytes,
    pair: Pair,
    *,
    digest: str = "sha256",
    scheme: str = "",
    by: str = "issuer",
    bend: Callable[[list[bytes]], list[bytes]] = lambda found: found,
    sort: bool = True,
    claim: x509.Certificate | None = None,
    spoil: bool = False,
) -> bytes:
    """A SignerInfo. *bend* changes the signed attributes before they are signed; *claim* is whom the sid names."""
    found = bend(attributes(content, digest))
    found = sorted(found) if sort else found
    named, value = raw_signature(pair.key, tlv(0x31, *found), digest, scheme)
    value = value[:-1] + bytes((value[-1] ^ 1,)) if spoil else value
    return tlv(
        0x30,
        tlv(2, b"\3" if by == "ski" else b"\1"),
        signer_name(claim or pair.certificate, by),
        digest_algorithm(digest),
        tlv(0xA0, *found),
        named,
        tlv(4, value),
    )


def digest_algorithm(digest: str) -> bytes:
    return bytes(algos.DigestAlgorithm({"algorithm": digest}).dump()) if digest in HASHES else algorithm(digest, NULL)


def signed_data(
    infos: Sequence[bytes],
    *,
    content: bytes | None = None,
    certificates: Sequence[x509.Certificate] = (),
    content_type: str = "data",
    style: Style = DER,
) -> bytes:
    """ContentInfo with SignedData: *content* inside, or detached."""
    inside = b"" if content is None else style.frame(0xA0, style.octets(4, content))
    travelling = [certificate.public_bytes(Encoding.DER) for certificate in certificates]
    return style.frame(
        0x30,
        oid("signed_data"),
        style.frame(
            0xA0,
            style.frame(
                0x30,
                tlv(2, b"\1"),
                tlv(0x31, digest_algorithm("sha256")),
                style.frame(0x30, oid(content_type), inside),
                style.frame(0xA0, *travelling) if travelling else b"",
                tlv(0x31, *infos),
            ),
        ),
    )


def clear(
    content: bytes, signature: bytes, *, boundary: str = "=_b1", signature_type: str = "pkcs7-signature"
) -> bytes:
    """multipart/signed."""
    mark = boundary.encode()
    return b"".join(
        (
            b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;',
            b' boundary="' + mark + b'"\r\n\r\nThis is an S/MIME signed message\r\n\r\n--' + mark + b"\r\n",
            content,
            b"\r\n--" + mark + b"\r\nContent-Type: application/" + signature_type.encode(),
            b"; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n",
            base64_lines(signature),
            b"\r\n--" + mark + b"--\r\n",
        )
    )


def opaque(signed: bytes, *, encoding: str = "base64", kind: str = "pkcs7-mime; smime-type=signed-data") -> bytes:
    head = f"Content-Type: application/{kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    return head + (base64_lines(signed) if encoding == "base64" else signed)


def base64_lines(data: bytes) -> bytes:
    import base64

    return base64.encodebytes(data).replace(b"\n", b"\r\n")


def clear_signed(pair: Pair, content: bytes = b"", **options: Any) -> bytes:
    content = content or entity()
    return clear(content, signed_data([signer_info(content, pair, **options)], certificates=[pair.certificate]))


def opaque_signed(pair: Pair, content: bytes = b"", *, style: Style = DER, **options: Any) -> bytes:
    content = content or entity()
    info = signer_info(content, pair, **options)
    return opaque(signed_data([info], content=content, certificates=[pair.certificate], style=style))


# ---- EnvelopedData --------------------------------------------------------------------------------------------------


def transport(
    content_key: bytes,
    certificate: x509.Certificate,
    *,
    scheme: str = "pkcs1",
    by: str = "issuer",
    label: bytes | None = None,
    mask: str = "",
    claim: x509.Certificate | None = None,
) -> bytes:
    """KeyTransRecipientInfo. *scheme*: pkcs1, or the hash of OAEP; *claim*: whom the rid names."""
    public = certificate.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    if scheme == "pkcs1":
        named, value = algorithm("1.2.840.113549.1.1.1", NULL), public.encrypt(content_key, padding.PKCS1v15())
    else:
        mask = mask or scheme
        oaep = padding.OAEP(padding.MGF1(HASHES[mask]), HASHES[scheme], label)
        value = public.encrypt(content_key, oaep)
        parameters: dict[str, Any] = {
            "hash_algorithm": {"algorithm": scheme},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": mask}},
        }
        if label is not None:
            parameters["p_source_algorithm"] = {"algorithm": "p_specified", "parameters": label}
        # asn1crypto leaves out what equals the defaults, as DER wants.
        named = algorithm("1.2.840.113549.1.1.7", algos.RSAESOAEPParams(parameters).dump())
    name = signer_name(claim or certificate, by)
    return tlv(0x30, tlv(2, b"\2" if by == "ski" else b"\0"), name, named, tlv(4, value))


SCHEMES = {
    "sha1": ("1.3.133.16.840.63.0.2", hashes.SHA1()),
    "sha224": ("1.3.132.1.11.0", hashes.SHA224()),
    "sha256": ("1.3.132.1.11.1", hashes.SHA256()),
    "sha384": ("1.3.132.1.11.2", hashes.SHA384()),
    "sha512": ("1.3.132.1.11.3", hashes.SHA512()),
    "hkdf-sha256": ("1.2.840.113549.1.9.16.3.19", hashes.SHA256()),
    "hkdf-sha384": ("1.2.840.113549.1.9.16.3.20", hashes.SHA384()),
    "hkdf-sha512": ("1.2.840.113549.1.9.16.3.21", hashes.SHA512()),
}
WRAPS = {
    "128": "2.16.840.1.101.3.4.1.5",
    "192": "2.16.840.1.101.3.4.1.25",
    "256": "2.16.840.1.101.3.4.1.45",
}


def agreement(
    content_key: bytes,
    certificates: Sequence[x509.Certificate],
    *,
    scheme: str = "sha256",
    wrap: str = "256",
    by: str = "issuer",
    material: bytes | None = None,
    compressed: bool = False,
    wrap_parameters: bytes = b"",
) -> bytes:
    """KeyAgreeRecipientInfo with an ephemeral key, for one or several certificates on one curve."""
    dotted, hash_ = SCHEMES[scheme]
    wrap_algorithm = algorithm(WRAPS[wrap], wrap_parameters)
    public = certificates[0].public_key()
    own: Any
    if isinstance(public, x25519.X25519PublicKey):
        own = x25519.X25519PrivateKey.generate()
        point, key_algorithm = own.public_key().public_bytes_raw(), algorithm("1.3.101.110")
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        own = ec.generate_private_key(public.curve)
        form = PublicFormat.CompressedPoint if compressed else PublicFormat.UncompressedPoint
        point, key_algorithm = own.public_key().public_bytes(Encoding.X962, form), algorithm("1.2.840.10045.2.1")
    keys = []
    for certificate in certificates:
        theirs: Any = certificate.public_key()
        secret = own.exchange(theirs) if hasattr(own, "private_bytes_raw") else own.exchange(ec.ECDH(), theirs)
        length = KEY_LENGTHS[wrap]
        info = tlv(
            0x30,
            wrap_algorithm,
            b"" if material is None else tlv(0xA0, tlv(4, material)),
            tlv(0xA2, tlv(4, (8 * length).to_bytes(4, "big"))),
        )
        derivation = HKDF(hash_, length, material, info) if "hkdf" in scheme else X963KDF(hash_, length, info)
        name = tlv(0xA0, tlv(4, key_id(certificate))) if by == "ski" else signer_name(certificate)
        keys.append(tlv(0x30, name, tlv(4, aes_key_wrap(derivation.derive(secret), content_key))))
    return tlv(
        0xA1,
        tlv(2, b"\3"),
        tlv(0xA0, tlv(0xA1, key_algorithm, tlv(3, b"\0", point))),
        b"" if material is None else tlv(0xA1, tlv(4, material)),
        algorithm(dotted, wrap_algorithm),
        tlv(0x30, *keys),
    )


def recipient_info(content_key: bytes, certificate: x509.Certificate) -> bytes:
    if isinstance(certificate.public_key(), rsa.RSAPublicKey):
        return transport(content_key, certificate)
    return agreement(content_key, [certificate])


def enveloped(
    plain: bytes,
    recipients: x509.Certificate | Callable[[bytes], Sequence[bytes]],
    *,
    bits: str = "256",
    style: Style = DER,
    bend: Callable[[bytes], bytes] = lambda content: content,
    bend_vector: Callable[[bytes], bytes] = lambda vector: vector,
    absent: bool = False,
    after: bytes = b"",
    originator: bytes = b"",
) -> bytes:
    """ContentInfo with EnvelopedData, AES-CBC. *recipients*: one, or what makes recipientInfos from the key."""
    key, vector = os.urandom(KEY_LENGTHS[bits]), os.urandom(16)
    infos = [recipient_info(key, recipients)] if isinstance(recipients, x509.Certificate) else recipients(key)
    pad = 16 - len(plain) % 16
    encryptor = Cipher(AES(key), CBC(vector)).encryptor()
    content = bend(encryptor.update(plain + bytes((pad,)) * pad))
    dotted = {"128": "2.16.840.1.101.3.4.1.2", "192": "2.16.840.1.101.3.4.1.22", "256": "2.16.840.1.101.3.4.1.42"}[bits]
    return _envelope(
        "1.2.840.113549.1.7.3",
        infos,
        algorithm(dotted, tlv(4, bend_vector(vector))),
        b"" if absent else style.octets(0x80, content),
        after,
        style,
        originator,
    )


def auth_enveloped(
    plain: bytes,
    recipients: x509.Certificate | Callable[[bytes], Sequence[bytes]],
    *,
    bits: str = "256",
    style: Style = DER,
    bend: Callable[[bytes], bytes] = lambda content: content,
    bend_tag: Callable[[bytes], bytes] = lambda tag: tag,
    tag_length: int = 16,
    announced: int | None = None,
    attributes: Sequence[bytes] = (),
    after: bytes = b"",
) -> bytes:
    """ContentInfo with AuthEnvelopedData, AES-GCM."""
    key, nonce = os.urandom(KEY_LENGTHS[bits]), os.urandom(12)
    infos = [recipient_info(key, recipients)] if isinstance(recipients, x509.Certificate) else recipients(key)
    sealed = AESGCM(key).encrypt(nonce, plain, tlv(0x31, *attributes) if attributes else None)
    content, tag = bend(sealed[:-16]), bend_tag(sealed[-16:][:tag_length])
    announced = tag_length if announced is None else announced
    parameters = tlv(0x30, tlv(4, nonce), b"" if announced == 12 else tlv(2, bytes((announced,))))
    dotted = {"128": "2.16.840.1.101.3.4.1.6", "192": "2.16.840.1.101.3.4.1.26", "256": "2.16.840.1.101.3.4.1.46"}[bits]
    trailer = (tlv(0xA1, *attributes) if attributes else b"") + tlv(4, tag) + after
    return _envelope(
        "1.2.840.113549.1.9.16.1.23",
        infos,
        algorithm(dotted, parameters),
        style.octets(0x80, content),
        trailer,
        style,
    )


def _envelope(
    kind: str,
    infos: Sequence[bytes],
    named: bytes,
    content: bytes,
    after: bytes,
    style: Style,
    originator: bytes = b"",
) -> bytes:
    inner = style.frame(0x30, oid("data"), named, content)
    body = style.frame(0x30, tlv(2, b"\0"), originator, style.frame(0x31, *infos), inner, after)
    return style.frame(0x30, oid(kind), style.frame(0xA0, body))


def mail(
    encrypted: bytes,
    *,
    kind: str = "pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
    encoding: str = "base64",
    extra: str = "",
) -> bytes:
    """The tunnel mail around it."""
    head = (
        "From: gateway@example.org\r\nTo: webmail@example.org\r\nSubject: Protected\r\nMIME-Version: 1.0\r\n"
        f"{extra}Content-Type: application/{kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode() + (base64_lines(encrypted) if encoding == "base64" else encrypted)


# ---- openssl --------------------------------------------------------------------------------------------------------


def openssl(*arguments: str | Path, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"openssl {arguments[0]}: {done.stderr.decode()}")
    return done.stdout


def openssl_signed(folder: Path, content: bytes, signer: Pair, *arguments: str) -> bytes:
    certificate, key = signer.write(folder, "signer")
    return openssl("cms", "-sign", "-signer", certificate, "-inkey", key, *arguments, stdin=content)


def openssl_mail(folder: Path, plain: bytes, recipient: Pair, *arguments: str, cipher: str = "-aes-256-cbc") -> bytes:
    certificate, _ = recipient.write(folder, "recipient")
    before = ("-from", "gateway@example.org", "-to", "webmail@example.org", "-subject", "Protected")
    keyopt = [argument for argument in arguments if argument in ("-keyopt",) or ":" in argument]
    rest = [argument for argument in arguments if argument not in keyopt]
    return openssl("cms", "-encrypt", cipher, *before, *rest, "-recip", certificate, *keyopt, stdin=plain)
