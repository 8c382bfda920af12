"""Open the outer layer: EnvelopedData (RFC 5652, 6) and AuthEnvelopedData (RFC 5083).

Takes the encoded CMS, gives the decrypted bytes and whether they came through intact. Nobody has vouched for them
yet: only a verified signature makes them more than noise.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import AEADDecryptionContext, Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, GCM

from . import key_transport, oids
from .ber import INTEGER, OCTET_STRING, SEQUENCE, SET, Reader
from .keys import RecipientKey
from .refused import Refused, malformed, unsupported

#: Key length in bytes by content encryption.
_CBC_KEYS = {oids.AES_128_CBC: 16, oids.AES_192_CBC: 24, oids.AES_256_CBC: 32, oids.DES_EDE3_CBC: 24}
_GCM_KEYS = {oids.AES_128_GCM: 16, oids.AES_256_GCM: 32}
#: RFC 5084, 3.2: 12 to 16 octets, 12 if it isn't said; shorter ones can be forged.
_TAG_LENGTHS = range(12, 17)
_DEFAULT_TAG_LENGTH = 12
_MAX_NONCE = 64

_EXPLICIT_0 = 0xA0
_IMPLICIT_CONTENT = 0x80
_AUTH_ATTRIBUTES = 0xA1

#: Segments are joined up to this many bytes before they are decrypted: few calls, and never a second whole copy.
_BATCH = 1 << 20


@dataclass(frozen=True)
class Opened:
    content: bytearray
    #: False where padding or tag were wrong. Told only after the rest was looked at, so that time tells nothing.
    intact: bool


def undecipherable() -> Refused:
    """One refusal for wrong key, wrong padding, wrong tag: which of them it was is nobody's business."""
    return Refused("undecipherable", "what came out of decryption is no message: another key, or altered on its way")


def content_info(data: bytes | bytearray) -> tuple[Reader, bytes]:
    """Step into ContentInfo (RFC 5652, 3); give the reader, standing before the content, and its type."""
    reader = Reader(data)
    if reader.peek() != SEQUENCE:
        raise malformed("CMS: does not begin with a SEQUENCE")
    reader.enter(SEQUENCE)
    content_type = reader.oid()
    reader.enter(_EXPLICIT_0)
    return reader, content_type


def finish(reader: Reader) -> None:
    """Step out of ContentInfo; only line ends may follow."""
    reader.leave()
    reader.leave()
    if bytes(reader.view[reader.pos : reader.end]).strip(b"\r\n"):
        raise malformed("CMS: something after the end")


def decrypt(data: bytes | bytearray, recipients: tuple[RecipientKey, ...], allow_3des: bool) -> Opened:
    """Open *data* with the one of *recipients* it names."""
    reader, content_type = content_info(data)
    if content_type not in (oids.ENVELOPED_DATA, oids.AUTH_ENVELOPED_DATA):
        raise Refused("not-encrypted", f"CMS: the outer layer is not encryption but {_kind(content_type)}")
    authenticated = content_type == oids.AUTH_ENVELOPED_DATA
    reader.enter(SEQUENCE)
    reader.primitive(INTEGER, 4)
    if reader.peek() == _EXPLICIT_0:
        reader.skip()  # originatorInfo: certificates that nobody needs here
    sealed = key_transport.ours(reader, recipients)
    algorithm, parameters, content = _encrypted_content(reader)
    attributes = tag = b""
    if authenticated:
        attributes = reader.element() if reader.peek() == _AUTH_ATTRIBUTES else b""
        tag = bytes(reader.octets(OCTET_STRING, _MAX_NONCE))
    if reader.peek() in (0xA1, 0xA2):
        reader.skip()  # unprotected attributes: anybody could have written them
    reader.leave()
    finish(reader)
    if authenticated:
        return _gcm(sealed, algorithm, parameters, content, attributes, tag)
    if algorithm == oids.DES_EDE3_CBC and not allow_3des:
        raise unsupported("content encrypted with Triple-DES; [tunnel] allow_3des would accept it")
    return _cbc(sealed, algorithm, parameters, content)


def _kind(content_type: bytes) -> str:
    names = {oids.SIGNED_DATA: "a signature", oids.DATA: "plain data", oids.COMPRESSED_DATA: "compression"}
    return names.get(content_type, "something else")


def _encrypted_content(reader: Reader) -> tuple[bytes, bytes, list[memoryview]]:
    """EncryptedContentInfo: RFC 5652, 6.1."""
    reader.enter(SEQUENCE)
    if reader.oid() != oids.DATA:
        raise unsupported("CMS: the encrypted content is not of type data")
    algorithm, parameters = reader.algorithm()
    if not reader.more():
        raise malformed("CMS: the encrypted content is absent")
    content = reader.segments(_IMPLICIT_CONTENT)
    reader.leave()
    return algorithm, parameters, content


def _cbc(sealed: key_transport.Sealed, algorithm: bytes, parameters: bytes, content: list[memoryview]) -> Opened:
    """Decrypt CBC; look at the padding but speak of it later."""
    if algorithm not in _CBC_KEYS:
        raise unsupported("EnvelopedData with a content encryption other than AES-CBC")
    block = 8 if algorithm == oids.DES_EDE3_CBC else 16
    vector = Reader(parameters).octets(OCTET_STRING, _MAX_NONCE) if parameters else b""
    if len(vector) != block:
        raise malformed(f"CMS: an initialisation vector of {len(vector)} bytes, {block} are needed")
    size = sum(map(len, content))
    if not size or size % block:
        raise malformed(f"CMS: {size} bytes of CBC, no multiple of {block}")
    key = sealed.open(_CBC_KEYS[algorithm])
    cipher = Cipher(TripleDES(key) if block == 8 else AES(key), CBC(bytes(vector)))
    plain = _run(cipher.decryptor(), content)
    pad = plain[-1]
    intact = 0 < pad <= block and plain.endswith(bytes((pad,)) * pad)
    if intact:
        del plain[-pad:]
    return Opened(plain, intact)


def _gcm(
    sealed: key_transport.Sealed,
    algorithm: bytes,
    parameters: bytes,
    content: list[memoryview],
    attributes: bytes,
    tag: bytes,
) -> Opened:
    """Decrypt GCM: RFC 5084, 3.2. Nothing comes out of it unless the tag is right."""
    if algorithm not in _GCM_KEYS:
        raise unsupported("AuthEnvelopedData with a content encryption other than AES-GCM")
    inner = Reader(parameters)
    inner.enter(SEQUENCE)
    nonce = bytes(inner.octets(OCTET_STRING, _MAX_NONCE))
    length = int.from_bytes(inner.primitive(INTEGER, 4), "big") if inner.more() else _DEFAULT_TAG_LENGTH
    inner.leave()
    if length not in _TAG_LENGTHS or len(tag) != length:
        raise Refused("undecipherable", f"AES-GCM with a tag of {len(tag)} bytes, {length} announced")
    if len(nonce) < 8:
        raise malformed(f"AES-GCM with a nonce of {len(nonce)} bytes")
    cipher = Cipher(AES(sealed.open(_GCM_KEYS[algorithm])), GCM(nonce, tag, min_tag_length=min(_TAG_LENGTHS)))
    decryptor = cipher.decryptor()
    if attributes:
        # RFC 5083, 2.2: authenticated under the tag of a SET, not under the implicit one.
        decryptor.authenticate_additional_data(bytes((SET,)) + attributes[1:])
    plain = _run(decryptor, content)
    try:
        decryptor.finalize()
    except InvalidTag as error:
        raise undecipherable() from error
    return Opened(plain, intact=True)


def _run(context: CipherContext | AEADDecryptionContext, content: list[memoryview]) -> bytearray:
    plain = bytearray(sum(map(len, content)) + 15)
    place = written = 0
    with memoryview(plain) as view:
        while place < len(content):
            batch, size = place, 0
            while place < len(content) and size < _BATCH:
                size += len(content[place])
                place += 1
            part = content[batch] if place == batch + 1 else b"".join(content[batch:place])
            written += context.update_into(part, view[written:])
    del plain[written:]
    return plain
