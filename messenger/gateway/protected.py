"""Tell whether a mail's content is encrypted already: S/MIME (RFC 8551), PGP/MIME (RFC 3156), PGP in a lone text.

What a mail says of itself counts for nothing: the structure must really be there, whole, with nothing in clear beside
it. On doubt it is not encrypted, and then it is protected once more. Nothing is decrypted, no key is known.
"""

from __future__ import annotations

import binascii
import re

from ..errors import MessengerError
from ..message import transfer
from ..message.opaque import CMS
from ..message.parse import Node, tree
from ..tunnel import oids
from ..tunnel.ber import INTEGER, OCTET_STRING, SEQUENCE, SET, Reader
from ..tunnel.decrypting import content_info, finish
from . import openpgp

#: RFC 3156 shows a line there for readers that don't know PGP; a letter is longer.
PREAMBLE = 200

_EXPLICIT_0, _IMPLICIT_CONTENT, _ATTRIBUTES = 0xA0, 0x80, (0xA1, 0xA2)
#: Content encryption that nobody opens without the key: not DES, nor RC2 with 40 bits.
_CIPHERS = frozenset(
    map(
        oids.octets,
        (
            *(f"2.16.840.1.101.3.4.1.{number}" for number in (2, 22, 42, 6, 26, 46, 7, 27, 47)),  # AES: CBC, GCM, CCM
            "1.2.840.113549.3.7",  # Triple-DES
            "1.2.840.113549.1.9.16.3.18",  # RFC 8103: ChaCha20-Poly1305
            *(f"1.2.392.200011.61.1.1.1.{number}" for number in (2, 3, 4)),  # RFC 3657: Camellia
        ),
    )
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]*+={0,2}\s*+")
_VERSION = re.compile(rb"\s*Version:\s*1\s*", re.IGNORECASE)
_PLAIN = frozenset({"", "7bit", "8bit", "binary"})


def already_encrypted(raw: bytes) -> bool:
    """Whether all that the mail *raw* holds, but for its header fields, is encrypted. Never raises."""
    root, problems = tree(raw)
    if problems or root.fields.cut or not _said_once(root):
        return False
    if root.kind in CMS or (root.kind == "application/octet-stream" and _name(root).endswith(".p7m")):
        return _is_enveloped(raw, root)
    if root.kind == "multipart/encrypted":
        return _is_pgp_mime(raw, root)
    if root.kind == "text/plain" and transfer.content(raw, root, 200).lstrip().startswith(openpgp.BEGIN):
        content = _octets(raw, root) if transfer.encoding(root) != "quoted-printable" else transfer.content(raw, root)
        return openpgp.is_armored(content)
    return False


def _said_once(root: Node) -> bool:
    """Of two fields one reader takes the first, another the last."""
    names = (b"content-type", b"content-transfer-encoding")
    return all(len(root.fields.every(name)) <= 1 for name in names)


def _name(node: Node) -> str:
    return (node.params.get("name") or node.disposition_params.get("filename") or "").lower()


def _octets(raw: bytes, node: Node) -> bytes:
    """What *node* holds; nothing where there is more in it than its encoding has room for."""
    body = raw[node.start : node.end]
    match transfer.encoding(node):
        case "base64":
            if not _BASE64.fullmatch(body):
                return b""
            try:
                return binascii.a2b_base64(body.translate(None, b" \t\r\n\f\v"), strict_mode=True)
            except binascii.Error:
                return b""
        case encoding if encoding in _PLAIN:
            return body
        case _:
            return b""


def _is_enveloped(raw: bytes, root: Node) -> bool:
    try:
        _read_enveloped(_octets(raw, root))
    except (MessengerError, IndexError):
        return False
    return True


def _read_enveloped(cms: bytes) -> None:
    """Walk through EnvelopedData (RFC 5652, section 6) or AuthEnvelopedData (RFC 5083); raise where it is none."""
    reader, content_type = content_info(cms)
    if content_type not in (oids.ENVELOPED_DATA, oids.AUTH_ENVELOPED_DATA):
        raise _Clear
    reader.enter(SEQUENCE)
    reader.primitive(INTEGER, 4)
    if reader.peek() == _EXPLICIT_0:
        reader.skip()
    reader.enter(SET)
    if not reader.more():
        raise _Clear
    while reader.more():
        reader.skip()
    reader.leave()
    _read_content(reader)
    if content_type == oids.AUTH_ENVELOPED_DATA:
        if reader.peek() == _ATTRIBUTES[0]:
            reader.skip()
        if not reader.octets(OCTET_STRING, 64):
            raise _Clear
    if reader.peek() in _ATTRIBUTES:
        reader.skip()
    reader.leave()
    finish(reader)


class _Clear(MessengerError):
    """Not encrypted, whatever it says."""


def _read_content(reader: Reader) -> None:
    """EncryptedContentInfo: a real cipher, and something that looks like its work."""
    reader.enter(SEQUENCE)
    reader.oid()
    cipher, _ = reader.algorithm()
    if cipher not in _CIPHERS or not reader.more():
        raise _Clear
    segments = reader.segments(_IMPLICIT_CONTENT)
    sample = b"".join(bytes(one[: openpgp.SAMPLE]) for one in segments[: openpgp.SAMPLE])[: openpgp.SAMPLE]
    if not openpgp.is_cipher_text(sample):
        raise _Clear
    reader.leave()


def _is_pgp_mime(raw: bytes, root: Node) -> bool:
    """RFC 3156, section 4: two parts, the version and the message, and nothing in clear around them."""
    if root.params.get("protocol", "").lower() != "application/pgp-encrypted" or len(root.parts) != 2:
        return False
    version, message = root.parts
    if version.kind != "application/pgp-encrypted" or message.kind != "application/octet-stream":
        return False
    if not all(map(_said_once, root.parts)) or not _VERSION.fullmatch(transfer.content(raw, version)):
        return False
    boundary = b"--" + root.params.get("boundary", "").rstrip().encode("utf-8", "replace")
    before = raw[root.start : version.begin].strip()
    behind = raw[root.end :].strip()
    if not before.endswith(boundary) or len(before) > PREAMBLE + len(boundary) or behind != boundary + b"--":
        return False
    return openpgp.is_encrypted(_octets(raw, message))
