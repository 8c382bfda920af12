"""Write tunnel mails: profile ``wrapped``, clear-signed, then encrypted (docs/tunnel.md).

Takes an original message and where it is to go, gives the mail that carries it. The MIME is written here, because
a signature is over bytes and no library may rewrap them.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

import pybase64
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from .. import tunnel_fields
from ..envelope import normal
from ..errors import MessengerError
from . import der, identity, oids
from .ber import INTEGER, NULL, SET
from .encrypting import encrypt
from .keys import SenderKey, public_key, weakness
from .opening import canonical_line_ends

SUBJECT = "Protected message"

#: RFC 5322, 2.1.1.
MAX_LINE = 998

#: Bytes that are encoded at once: whole lines, and no more than a cache holds.
_BATCH = 57 * 4096

_FIELD_NAME = re.compile(r"[!-9;-~]{1,100}")
_MESSAGE_ID = re.compile(r"<[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}>")
_NULL = der.element(NULL)


class WrapError(MessengerError):
    """A message can't be sent through the tunnel as asked."""


def wrap(
    raw: bytes,
    *,
    mail_from: str,
    rcpt_tos: Sequence[str],
    options: Iterable[str] = (),
    sender: SenderKey,
    recipient: x509.Certificate,
    webmail_sender: str,
    webmail_recipient: str,
    date: datetime,
    message_id: str,
    modern: bool = False,
    fields: tunnel_fields.Fields = tunnel_fields.Fields(),  # noqa: B008  (frozen)
) -> bytes:
    """Write the tunnel mail. *modern*: AES-256-GCM and RSA-OAEP instead of AES-256-CBC and PKCS#1 v1.5."""
    if not raw.strip():
        raise WrapError("there is no message to wrap")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise WrapError(f"a Message-ID like <id@host> was expected, found {ascii(message_id)[:100]}")
    raw = canonical_line_ends(raw)
    header = _entity_header(raw, mail_from, rcpt_tos, options, fields)
    signature = _sign(hashlib.sha256(header), raw, sender, date)
    if flaw := weakness(public_key(recipient)):
        raise WrapError(f"the key in the recipient's certificate {flaw}")
    boundary = secrets.token_hex(24)
    kind, encrypted = encrypt(_multipart(boundary, header, raw, signature), recipient, modern)
    head = (
        f"From: <{normal(webmail_sender)}>\r\n"
        f"To: <{normal(webmail_recipient)}>\r\n"
        f"Subject: {SUBJECT}\r\n"
        f"Date: {format_datetime(date)}\r\n"
        f"Message-ID: {message_id}\r\n"
        "MIME-Version: 1.0\r\n"
        f'Content-Type: application/pkcs7-mime; smime-type={kind};\r\n name="smime.p7m"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
    )
    return b"".join((head.encode(), *_base64_lines(encrypted)))


def _entity_header(
    raw: bytes, mail_from: str, rcpt_tos: Sequence[str], options: Iterable[str], fields: tunnel_fields.Fields
) -> bytes:
    """The header of the signed entity: envelope and options, under the signature."""
    asked = sorted(set(options))
    if unknown := set(asked) - tunnel_fields.OPTIONS:
        raise WrapError(f"unknown options {sorted(unknown)}; known are {sorted(tunnel_fields.OPTIONS)}")
    recipients = list(dict.fromkeys(normal(address) for address in rcpt_tos))
    if not recipients:
        raise WrapError("a recipient is needed, found none")
    sender, recipient, option = (_first(names) for names in (fields.sender, fields.recipient, fields.options))
    lines = [f"{sender}: <{normal(mail_from) if mail_from else ''}>"]
    lines += [f"{recipient}: <{address}>" for address in recipients]
    lines += [f"{option}: {', '.join(asked)}"] if asked else []
    lines += ["Content-Type: message/rfc822", f"Content-Transfer-Encoding: {_encoding(raw)}", "", ""]
    return "\r\n".join(lines).encode()


def _first(names: tuple[str, ...]) -> str:
    if not names or not _FIELD_NAME.fullmatch(names[0]):
        raise WrapError(f"the name of a header field was expected, found {names[:1]!a}")
    return names[0]


def _encoding(raw: bytes) -> str:
    """RFC 2045, 6.2. Nothing is encoded: within the encryption any byte travels safely."""
    if b"\0" in raw or _has_long_line(raw):
        return "binary"
    return "7bit" if raw.isascii() else "8bit"


def _has_long_line(raw: bytes) -> bool:
    """Is a line longer than RFC 5322 allows? In strides: of most lines nothing is looked at."""
    place = 0
    while len(raw) - place > MAX_LINE:
        line_end = raw.rfind(b"\n", place, place + MAX_LINE + 2)
        if line_end < 0:
            return True
        place = line_end + 1
    return False


def _multipart(boundary: str, header: bytes, raw: bytes, signature: bytes) -> list[bytes]:
    start = (
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256;\r\n'
        f' boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
    )
    middle = (
        f'\r\n--{boundary}\r\nContent-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n'
    )
    return [start.encode(), header, raw, middle.encode(), *_base64_lines(signature), f"--{boundary}--\r\n".encode()]


def _sign(digest: "hashlib._Hash", raw: bytes, sender: SenderKey, date: datetime) -> bytes:
    """SignedData without content: RFC 5652, 5; SHA-256."""
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


def _base64_lines(data: bytes | bytearray) -> Iterator[bytes]:
    """RFC 2045, 6.8: lines of 76 characters, a batch at a time."""
    for place in range(0, len(data), _BATCH):
        yield pybase64.encodebytes(memoryview(data)[place : place + _BATCH]).replace(b"\n", b"\r\n")
