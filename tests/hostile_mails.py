"""Mails that nobody should accept, each a function that makes it, with the code it is refused with.

The full sizes are those that broke other readers: megabytes of nothing, nesting without end, keys by the thousand.
"""

import os
import zlib
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import NameOID

from messenger import tunnel
from tests import cms_makers as make
from tests.cms_makers import tlv
from tests.tunnel_fixtures import ORIGINAL, Pair, authority, certify, gateway, messenger, pair, private_key, wrapped

Maker = Callable[[], bytes]

RSA = messenger("rsa2048").certificate
SIGNER = gateway("rsa2048")
HOSTILE: dict[str, tuple[str, Maker]] = {}


def hostile(code: str, name: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        HOSTILE[name] = (code, maker)
        return maker

    return keep


def add(code: str, name: str, maker: Maker) -> None:
    HOSTILE[name] = (code, maker)


def encrypted(plain: bytes, **options: object) -> bytes:
    return make.mail(make.enveloped(plain, RSA, **options))  # type: ignore[arg-type]


def signed() -> bytes:
    return make.clear_signed(SIGNER)


def framed(*parts: bytes) -> bytes:
    """A mail whose EnvelopedData has just these parts."""
    return make.mail(tlv(0x30, make.oid("enveloped_data"), tlv(0xA0, tlv(0x30, *parts))))


VERSION = tlv(2, b"\0")
CONTENT = tlv(
    0x30, make.oid("data"), make.algorithm("2.16.840.1.101.3.4.1.42", tlv(4, bytes(16))), tlv(0x80, bytes(32))
)


def infos(*parts: bytes) -> bytes:
    return framed(VERSION, tlv(0x31, *parts), CONTENT)


def nested(levels: int, tag: int = 0x30) -> bytes:
    """Definite lengths, written from the inside out in one go."""
    content = 0
    heads = []
    for _ in range(levels):
        head = tlv(tag, bytes(0))[:1] + _length(content)
        heads.append(head)
        content += len(head)
    return b"".join(reversed(heads))


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


# ---- encoding -------------------------------------------------------------------------------------------------------

for _percent in (2, 50, 99):
    for _style, _name in ((make.DER, "DER"), (make.Style(500), "BER")):
        add(
            "malformed",
            f"{_name} cut at {_percent} %",
            lambda p=_percent, s=_style: make.mail(  # type: ignore[misc]
                (whole := make.enveloped(signed(), RSA, style=s))[: len(whole) * p // 100]
            ),
        )
add("malformed", "DER cut by one byte", lambda: make.mail(make.enveloped(signed(), RSA)[:-1]))
add("malformed", "BER cut by one byte", lambda: make.mail(make.enveloped(signed(), RSA, style=make.Style(500))[:-1]))
add("malformed", "DER with a byte more", lambda: make.mail(make.enveloped(signed(), RSA) + b"x"))
add("malformed", "nothing at all", lambda: b"")
add("malformed", "an empty body", lambda: make.mail(b""))
add("malformed", "text for CMS", lambda: make.mail(b"Hello, this is no CMS at all"))
add("malformed", "random bytes for CMS", lambda: make.mail(b"\x31" + os.urandom(9000)))
add("malformed", "random bytes after a SEQUENCE", lambda: make.mail(b"\x30\x82\x10\x00" + os.urandom(4096)))
add(
    "malformed", "no base64 in base64", lambda: make.mail(b"x", encoding="8bit").replace(b"8bit", b"base64") + b"\0\1\2"
)
add("malformed", "base64 cut within a group", lambda: make.mail(make.enveloped(signed(), RSA)).rstrip()[:-3])
add("malformed", "quoted-printable", lambda: make.mail(b"x", encoding="8bit").replace(b"8bit", b"quoted-printable"))
add("malformed", "a length of 2^32-1", lambda: make.mail(b"\x30\x84\xff\xff\xff\xff" + bytes(100)))
add("malformed", "a length of 2^64-1", lambda: make.mail(b"\x30\x88" + b"\xff" * 8 + bytes(100)))
add("malformed", "a length of 126 octets", lambda: make.mail(b"\x30\xfe" + b"\xff" * 126 + bytes(100)))
add("malformed", "a primitive element without length", lambda: framed(b"\x02\x80\0\0"))
add("malformed", "200,000 indefinite SEQUENCEs", lambda: make.mail(b"\x30\x80" * 200_000))
add("malformed", "50,000 definite SEQUENCEs", lambda: make.mail(nested(50_000)))
add("malformed", "50,000 SEQUENCEs for recipientInfos", lambda: framed(VERSION, tlv(0x31, nested(50_000)), CONTENT))
add("malformed", "200,000 open SEQUENCEs for an unknown recipientInfo", lambda: infos(b"\xa4\x80" * 200_000))
add(
    "malformed",
    "50,000 SEQUENCEs for the encrypted content",
    lambda: framed(
        VERSION,
        tlv(0x31, make.recipient_info(bytes(32), RSA)),
        tlv(0x30, make.oid("data"), make.algorithm("2.16.840.1.101.3.4.1.42", tlv(4, bytes(16))), nested(50_000, 0xA0)),
    ),
)
add(
    "malformed",
    "200,000 open SEQUENCEs for unprotected attributes",
    lambda: framed(
        VERSION, tlv(0x31, make.recipient_info(bytes(32), RSA)), CONTENT, b"\xa1\x80" + b"\x30\x80" * 200_000
    ),
)


def segments(piece: bytes, times: int) -> bytes:
    content = bytes((0xA0, 0x80)) + piece * times + b"\0\0"
    named = make.algorithm("2.16.840.1.101.3.4.1.42", tlv(4, bytes(16)))
    return framed(VERSION, tlv(0x31, make.recipient_info(bytes(32), RSA)), tlv(0x30, make.oid("data"), named, content))


add("malformed", "3 million empty segments", lambda: segments(b"\x04\x00", 3_000_000))
add("malformed", "3 million empty segments of two encodings", lambda: segments(b"\x04\x00\x04\x81\x00", 1_300_000))
add("malformed", "2 million segments of one byte", lambda: segments(b"\x04\x01x", 2_000_000))
add("malformed", "segments within segments without end", lambda: segments(b"\x24\x80", 1_000_000))
add("malformed", "million of opened and closed segments", lambda: segments(b"\x24\x80\0\0", 1_500_000))
add("malformed", "an integer for a segment", lambda: segments(b"\x02\x01x", 1))
add("malformed", "a segment longer than its string", lambda: segments(b"\x24\x03\x04\x05abcde", 1))

# ---- recipients -----------------------------------------------------------------------------------------------------

add("limit", "20,000 foreign recipientInfos", lambda: infos(*[_foreign_info()] * 20_000))
add("limit", "5,000 recipientInfos naming us with garbage keys", lambda: infos(*[_garbage_info()] * 5_000))
add("limit", "100 recipientInfos naming us with garbage keys", lambda: infos(*[_garbage_info()] * 100))
add("undecipherable", "one recipientInfo naming us with a garbage key", lambda: infos(_garbage_info()))
add("not-for-us", "no recipientInfos", infos)
add(
    "not-for-us",
    "somebody else's mail",
    lambda: make.mail(make.enveloped(signed(), pair("rsa2048", "else").certificate)),
)
add("not-for-us", "a certificate of our issuer's name and another number", lambda: _numbered_recipient())
add("wrong-signer", "our signer's key under another number", lambda: _signed_by(SIGNER, claim=_numbered(SIGNER)))


def _numbered(was: Pair) -> x509.Certificate:
    """The same name and key, another serial number."""
    name = was.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return certify(was.key, str(name), serial=was.certificate.serial_number + 1).certificate


def _numbered_recipient() -> bytes:
    return make.mail(
        make.enveloped(signed(), lambda key: [make.transport(key, RSA, claim=_numbered(messenger("rsa2048")))])
    )


add(
    "not-for-us",
    "an RSA recipientInfo for our EC certificate",
    lambda: make.mail(
        make.enveloped(signed(), lambda key: [make.transport(key, RSA, claim=messenger("p256").certificate)])
    ),
)


def _foreign_info() -> bytes:
    other = pair("rsa2048", "else").certificate
    return tlv(
        0x30, VERSION, make.signer_name(other), make.algorithm("1.2.840.113549.1.1.1", make.NULL), tlv(4, bytes(256))
    )


def _garbage_info() -> bytes:
    return tlv(
        0x30, VERSION, make.signer_name(RSA), make.algorithm("1.2.840.113549.1.1.1", make.NULL), tlv(4, b"\1" * 256)
    )


for _scheme in ("pkcs1", "sha256"):
    for _envelope in (make.enveloped, make.auth_enveloped):
        add(
            "undecipherable",
            f"our name on somebody else's key, {_scheme}, {_envelope.__name__}",
            lambda s=_scheme, e=_envelope: make.mail(  # type: ignore[misc]
                e(
                    signed(),
                    lambda key: [make.transport(key, pair("rsa2048", "else").certificate, scheme=s, claim=RSA)],
                )
            ),
        )
add("malformed", "an OID of 1 MB", lambda: make.mail(tlv(0x30, tlv(6, b"\x81" * 1_000_000 + b"\1"), tlv(0xA0, b""))))
add(
    "malformed",
    "an OID of 1 MB for the content encryption",
    lambda: framed(
        VERSION,
        tlv(0x31, make.recipient_info(bytes(32), RSA)),
        tlv(0x30, make.oid("data"), tlv(0x30, tlv(6, b"\x81" * 1_000_000 + b"\1")), tlv(0x80, bytes(32))),
    ),
)
add(
    "malformed",
    "a serial number of 1 MB",
    lambda: infos(tlv(0x30, VERSION, tlv(0x30, tlv(0x30), tlv(2, b"\1" * 1_000_000)))),
)
add("malformed", "a key identifier of 1 MB", lambda: infos(tlv(0x30, VERSION, tlv(0x80, b"\1" * 1_000_000))))
add(
    "malformed", "an issuer of 1 MB", lambda: infos(tlv(0x30, VERSION, tlv(0x30, tlv(0x30, bytes(1_000_000)), VERSION)))
)


def _key_encryption(dotted: str, parameters: bytes) -> bytes:
    info = tlv(0x30, VERSION, make.signer_name(RSA), make.algorithm(dotted, parameters), tlv(4, b"\1" * 256))
    return infos(info)


add("unsupported", "an unknown key encryption", lambda: _key_encryption("1.2.3.4", b""))
add("unsupported", "OAEP with an unknown hash", lambda: _key_encryption("1.2.840.113549.1.1.7", _oaep("1.2.3.4")))
add("unsupported", "OAEP with MD5", lambda: _key_encryption("1.2.840.113549.1.1.7", _oaep("1.2.840.113549.2.5")))
add("malformed", "OAEP with an integer for parameters", lambda: _key_encryption("1.2.840.113549.1.1.7", tlv(2, b"\1")))
add("limit", "OAEP with a label of 60 KB", lambda: _key_encryption("1.2.840.113549.1.1.7", tlv(0x30, bytes(60_000))))
add("unsupported", "PKCS#1 v1.5 with parameters", lambda: _key_encryption("1.2.840.113549.1.1.1", tlv(2, b"\1")))


def _oaep(dotted: str) -> bytes:
    return tlv(0x30, tlv(0xA0, make.algorithm(dotted)))


# ---- content encryption ---------------------------------------------------------------------------------------------


def _flip(content: bytes, place: int = 240) -> bytes:
    return content[:place] + bytes((content[place] ^ 4,)) + content[place + 1 :]


add("altered", "CBC: a flipped bit", lambda: encrypted(signed(), bend=_flip))
add("undecipherable", "CBC: the last block gone", lambda: encrypted(signed(), bend=lambda content: content[:-16]))
add("malformed", "CBC: no multiple of 16", lambda: encrypted(signed(), bend=lambda content: content[:-1]))
add("malformed", "CBC: empty", lambda: encrypted(signed(), bend=lambda content: b""))
add("malformed", "no encrypted content", lambda: encrypted(signed(), absent=True))
add("malformed", "CBC: a vector of 8 bytes", lambda: encrypted(signed(), bend_vector=lambda vector: vector[:8]))


@hostile("unsigned", "CBC: a vector that rewrites the first block")
def _gadget() -> bytes:
    wanted, was = b"Content-Type: te", b"Content-Type: mu"
    return encrypted(
        signed(),
        bend_vector=lambda vector: bytes(a ^ b ^ c for a, b, c in zip(vector, was, wanted, strict=True)),
    )


@hostile("undecipherable", "CBC: blocks appended to learn about the padding")
def _oracle() -> bytes:
    return encrypted(signed(), bend=lambda content: content + os.urandom(16) + content[48:64])


add("undecipherable", "GCM: a flipped bit", lambda: make.mail(make.auth_enveloped(signed(), RSA, bend=_flip)))
add(
    "undecipherable",
    "GCM: a flipped tag",
    lambda: make.mail(make.auth_enveloped(signed(), RSA, bend_tag=lambda tag: _flip(tag, 3))),
)
add("undecipherable", "GCM: a tag of 4 bytes", lambda: make.mail(make.auth_enveloped(signed(), RSA, tag_length=4)))
add(
    "undecipherable",
    "GCM: 4 bytes of a tag of 16",
    lambda: make.mail(make.auth_enveloped(signed(), RSA, tag_length=4, announced=16)),
)
add(
    "undecipherable",
    "GCM: an empty tag",
    lambda: make.mail(make.auth_enveloped(signed(), RSA, bend_tag=lambda tag: b"")),
)
add("unsupported", "GCM with a key of 192 bits", lambda: make.mail(make.auth_enveloped(signed(), RSA, bits="192")))


@hostile("undecipherable", "GCM: attributes added")
def _attributes_added() -> bytes:
    extra = make.tlv(0xA1, make.attribute("1.2.3.4", b"\x04\x01x"))
    whole = make.auth_enveloped(signed(), RSA, attributes=[make.attribute("1.2.3.4", b"\x04\x01y")])
    was = make.tlv(0xA1, make.attribute("1.2.3.4", b"\x04\x01y"))
    assert was in whole
    return make.mail(whole.replace(was, extra))


@hostile("unsupported", "GCM within EnvelopedData")
def _gcm_downgraded() -> bytes:
    whole = make.enveloped(signed(), RSA)
    cbc, gcm = make.oid("2.16.840.1.101.3.4.1.42"), make.oid("2.16.840.1.101.3.4.1.46")
    return make.mail(whole.replace(cbc, gcm))


@hostile("unsupported", "CBC within AuthEnvelopedData")
def _cbc_authenticated() -> bytes:
    whole = make.auth_enveloped(signed(), RSA)
    cbc, gcm = make.oid("2.16.840.1.101.3.4.1.42"), make.oid("2.16.840.1.101.3.4.1.46")
    return make.mail(whole.replace(gcm, cbc))


@hostile("unsupported", "Triple-DES")
def _triple_des() -> bytes:
    named = make.algorithm("1.2.840.113549.3.7", tlv(4, bytes(8)))
    content = tlv(0x30, make.oid("data"), named, tlv(0x80, bytes(32)))
    return framed(VERSION, tlv(0x31, make.recipient_info(bytes(24), RSA)), content)


# ---- layers ---------------------------------------------------------------------------------------------------------


def _compressed(size: int = 50_000_000) -> bytes:
    squeezer = zlib.compressobj(9)
    content = b"".join(squeezer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)) + squeezer.flush()
    inner = tlv(0x30, make.oid("data"), tlv(0xA0, tlv(4, content)))
    body = tlv(0x30, VERSION, make.algorithm("1.2.840.113549.1.9.16.3.8"), inner)
    return tlv(0x30, make.oid("1.2.840.113549.1.9.16.1.9"), tlv(0xA0, body))


add(
    "not-encrypted",
    "a compression bomb",
    lambda: make.mail(_compressed(), kind="pkcs7-mime; smime-type=compressed-data"),
)
add("unsigned", "a compression bomb within encryption", lambda: encrypted(make.opaque(_compressed())))
add("unsigned", "encrypted twice", lambda: encrypted(make.opaque(make.enveloped(signed(), RSA))))
add("unsigned", "encrypted, not signed", lambda: encrypted(ORIGINAL))
add("unsigned", "encrypted, not signed, wrapped", lambda: encrypted(make.entity()))
add("undecipherable", "encrypted, no MIME in it", lambda: encrypted(b"hello"))
add("not-encrypted", "signed clearly, not encrypted", signed)
add("not-encrypted", "signed opaquely, not encrypted", lambda: make.opaque_signed(SIGNER))
add("not-encrypted", "signed around encryption", lambda: make.clear_signed(SIGNER, encrypted(signed())))
add("not-encrypted", "a plain mail", lambda: ORIGINAL)
add("not-encrypted", "no Content-Type", lambda: b"Subject: x\r\n\r\nhello")
add("not-encrypted", "a Content-Type that is none", lambda: b"Content-Type: ;;;\r\n\r\nhello")

# ---- signatures -----------------------------------------------------------------------------------------------------


def _signed_by(signer: object, **options: object) -> bytes:
    return encrypted(make.clear_signed(signer, **options))  # type: ignore[arg-type]


add("wrong-signer", "another signer of the same authority", lambda: _signed_by(_issued("another")))
add("wrong-signer", "a signer of another authority", lambda: _signed_by(pair("rsa2048", "somebody")))


def _issued(name: str) -> object:
    return certify(private_key("p256"), name, issuer=authority())


@hostile("wrong-signer", "a twin certificate with issuer and serial of the pinned one and another key")
def _twin() -> bytes:
    serial = SIGNER.certificate.serial_number
    twin = certify(private_key("rsa2048"), "gateway rsa2048", serial=serial)
    return _signed_by(twin)


@hostile("wrong-signer", "another's signature under the name of the pinned one")
def _claimed() -> bytes:
    other = pair("rsa2048", "somebody")
    return _signed_by(other, claim=SIGNER.certificate)


def _two(first: object, second: object) -> bytes:
    content = make.entity()
    both = [make.signer_info(content, signer) for signer in (first, second)]  # type: ignore[arg-type]
    return encrypted(make.clear(content, make.signed_data(both)))


add("wrong-signer", "two signers, ours first", lambda: _two(SIGNER, pair("rsa2048", "somebody")))
add("wrong-signer", "two signers, ours second", lambda: _two(pair("rsa2048", "somebody"), SIGNER))
add("wrong-signer", "ours, twice", lambda: _two(SIGNER, SIGNER))
add("unsigned", "no signer", lambda: encrypted(make.clear(make.entity(), make.signed_data([]))))
add("unsigned", "no signer, opaque", lambda: encrypted(make.opaque(make.signed_data([], content=make.entity()))))
add("wrong-signer", "a flipped bit in the signature", lambda: _signed_by(SIGNER, spoil=True))
add("altered", "content altered, clear", lambda: encrypted(signed().replace(b"Monday", b"Sunday")))


@hostile("altered", "content altered, opaque")
def _opaque_altered() -> bytes:
    content = make.entity()
    info = make.signer_info(content, SIGNER)
    return encrypted(make.opaque(make.signed_data([info], content=content.replace(b"Monday", b"Sunday"))))


@hostile("unsupported", "no signed attributes")
def _no_attributes() -> bytes:
    content = make.entity()
    named, value = make.raw_signature(SIGNER.key, content, "sha256", "")
    info = tlv(
        0x30, tlv(2, b"\1"), make.signer_name(SIGNER.certificate), make.digest_algorithm("sha256"), named, tlv(4, value)
    )
    return encrypted(make.clear(content, make.signed_data([info])))


@hostile("unsupported", "the attributes of another mail sent as content")
def _attributes_as_content() -> bytes:
    """A signature over attributes fits, without attributes, a content that is those attributes (RFC 8933)."""
    found = tlv(0x31, *sorted(make.attributes(make.entity())))
    named, value = make.raw_signature(SIGNER.key, found, "sha256", "")
    info = tlv(
        0x30, tlv(2, b"\1"), make.signer_name(SIGNER.certificate), make.digest_algorithm("sha256"), named, tlv(4, value)
    )
    return encrypted(make.opaque(make.signed_data([info], content=found)))


TYPE, DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"


def _without(dotted: str) -> Callable[[list[bytes]], list[bytes]]:
    return lambda found: [attribute for attribute in found if make.oid(dotted) not in attribute]


def _with(dotted: str, *values: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda found: [*_without(dotted)(found), make.attribute(dotted, *values)]


def _digest_of(content: bytes) -> bytes:
    import hashlib

    return tlv(4, hashlib.sha256(content).digest())


BENT: dict[str, tuple[str, Callable[[list[bytes]], list[bytes]]]] = {
    "content type wrong": ("altered", _with(TYPE, make.oid("signed_data"))),
    "content type missing": ("malformed", _without(TYPE)),
    "content type twice": ("malformed", lambda found: [*found, make.attribute(TYPE, make.oid("data"))]),
    "content type no OID": ("malformed", _with(TYPE, b"\x04\x01x")),
    "message digest missing": ("malformed", _without(DIGEST)),
    "message digest twice": ("malformed", lambda found: [*found, make.attribute(DIGEST, _digest_of(b""))]),
    "message digest with two values": ("malformed", _with(DIGEST, _digest_of(make.entity()), _digest_of(b""))),
    "message digest without value": ("malformed", _with(DIGEST)),
    "message digest empty": ("altered", _with(DIGEST, tlv(4))),
    "message digest cut": ("altered", _with(DIGEST, tlv(4, _digest_of(make.entity())[2:18]))),
    "message digest of something else": ("altered", _with(DIGEST, _digest_of(b"something else"))),
    "no attributes in the set": ("malformed", lambda found: []),
    "10,000 attributes": ("limit", lambda found: found + [make.attribute("1.2.3", b"\x05\0")] * 10_000),
    "an attribute of 1 MB": ("malformed", lambda found: [*found, make.attribute("1.2.3", tlv(4, bytes(1_000_000)))]),
}
for _name, (_code, _bend) in BENT.items():
    add(_code, f"signed attributes: {_name}", lambda b=_bend: _signed_by(SIGNER, bend=b))  # type: ignore[misc]


def _renamed(was: bytes, now: bytes) -> bytes:
    content = make.entity()
    info = make.signer_info(content, SIGNER)
    assert was in info
    head = info.replace(was, now)
    return encrypted(make.clear(content, make.signed_data([tlv(0x30, head[4:])])))


add("unsupported", "SHA-1", lambda: _signed_by(SIGNER, digest="sha1"))
add(
    "unsupported",
    "MD5",
    lambda: _renamed(make.digest_algorithm("sha256"), make.algorithm("1.2.840.113549.2.5", make.NULL)),
)
add(
    "unsupported",
    "SHA-256 for the digest, SHA-1 with RSA for the signature",
    lambda: _renamed(
        make.algorithm("1.2.840.113549.1.1.1", make.NULL), make.algorithm("1.2.840.113549.1.1.5", make.NULL)
    ),
)
add(
    "unsupported",
    "an ECDSA signature by an RSA key",
    lambda: _renamed(make.algorithm("1.2.840.113549.1.1.1", make.NULL), make.algorithm("1.2.840.10045.4.3.2")),
)
add(
    "unsupported",
    "RSA-PSS with the parameters left out, which means SHA-1",
    lambda: _renamed(make.algorithm("1.2.840.113549.1.1.1", make.NULL), make.algorithm("1.2.840.113549.1.1.10")),
)
add(
    "malformed",
    "RSA-PSS with an integer for parameters",
    lambda: _renamed(
        make.algorithm("1.2.840.113549.1.1.1", make.NULL), make.algorithm("1.2.840.113549.1.1.10", tlv(2, b"\1"))
    ),
)


@hostile("malformed", "a different content inside a clear signature")
def _two_contents() -> bytes:
    content = make.entity()
    info = make.signer_info(content, SIGNER)
    return encrypted(make.clear(content, make.signed_data([info], content=content)))


add(
    "unsigned",
    "an opaque signature without content",
    lambda: encrypted(make.opaque(make.signed_data([make.signer_info(make.entity(), SIGNER)]))),
)
add(
    "unsupported",
    "signed content of another type",
    lambda: encrypted(
        make.clear(make.entity(), make.signed_data([make.signer_info(make.entity(), SIGNER)], content_type="1.2.3.4"))
    ),
)
add(
    "malformed",
    "200,000 open SEQUENCEs for certificates",
    lambda: encrypted(
        make.clear(
            make.entity(),
            tlv(
                0x30,
                make.oid("signed_data"),
                tlv(0xA0, tlv(0x30, VERSION, tlv(0x31), tlv(0x30, make.oid("data")), b"\xa0\x80" * 200_000)),
            ),
        )
    ),
)

# ---- MIME -----------------------------------------------------------------------------------------------------------

add("malformed", "an unsigned part added", lambda: encrypted(_with_part(b"Content-Type: text/plain\r\n\r\nand this")))
add(
    "malformed",
    "an unsigned part first",
    lambda: encrypted(signed().replace(b"--=_b1\r\n", b"--=_b1\r\n\r\nx\r\n--=_b1\r\n", 1)),
)
add("malformed", "text after the end", lambda: encrypted(signed() + b"and this"))
add("malformed", "no end", lambda: encrypted(signed().replace(b"--=_b1--", b"")))
add("malformed", "an end that doesn't close", lambda: encrypted(signed().replace(b"--=_b1--", b"--=_b1")))
add(
    "malformed",
    "an end before the signature",
    lambda: encrypted(signed().replace(b"\r\n--=_b1\r\nC", b"\r\n--=_b1--\r\nC")),
)
add("malformed", "an end before the content", lambda: encrypted(signed().replace(b"--=_b1\r\nX", b"--=_b1--\r\nX")))
add("malformed", "no boundary", lambda: encrypted(signed().replace(b"boundary=", b"b=")))
add("malformed", "two boundaries", lambda: encrypted(signed().replace(b"boundary=", b"boundary=x; boundary=")))
add("malformed", "a boundary of 1,000 characters", lambda: encrypted(signed().replace(b"=_b1", b"b" * 1000)))
add("malformed", "two Content-Types", lambda: encrypted(b"Content-Type: text/plain\r\n" + signed()))
add(
    "unsigned", "a PGP signature", lambda: encrypted(signed().replace(b"pkcs7-signature; name", b"pgp-signature; name"))
)
add(
    "malformed",
    "a Content-Type of 1 MB of semicolons",
    lambda: _header(b"Content-Type: application/pkcs7-mime" + b";" * 1_000_000),
)
add("malformed", "a header of 9 MB", lambda: _header(b"X: " + b"y" * 9_000_000))
add("not-encrypted", "a header of 100,000 fields", lambda: b"X:\r\n" * 100_000 + b"\r\n")
add("not-encrypted", "a header folded 100,000 times", lambda: b"X:" + b"\r\n y" * 100_000 + b"\r\n\r\n")
add("malformed", "a header without colons", lambda: _header(b"hello"))
add("malformed", "a header that begins with a fold", lambda: _header(b" X: y"))
add(
    "malformed",
    "9 MB of almost boundaries",
    lambda: encrypted(signed().replace(b"X-Webmail-Sender", b"--=_b1x\r\n" * 900_000 + b"X-Webmail-Sender")),
)
add(
    "malformed",
    "9 MB of boundaries",
    lambda: encrypted(signed().replace(b"X-Webmail-Sender", b"--=_b1\r\n" * 900_000 + b"X-Webmail-Sender")),
)
add(
    "malformed",
    "a boundary line that doesn't end",
    lambda: encrypted(signed().replace(b"--=_b1--", b"--=_b1" + b" " * 4_000_000)),
)


def _with_part(part: bytes) -> bytes:
    return signed().replace(b"--=_b1--", b"--=_b1\r\n" + part + b"\r\n--=_b1--")


def _header(line: bytes) -> bytes:
    return line + b"\r\n" + wrapped()


# ---- envelope and options -------------------------------------------------------------------------------------------


def _content(head: bytes, kind: bytes = b"message/rfc822") -> bytes:
    return encrypted(make.clear_signed(SIGNER, head + b"Content-Type: " + kind + b"\r\n\r\n" + ORIGINAL))


SENDER, TO = b"X-Webmail-Sender: <anna@example.org>\r\n", b"X-Webmail-Recipient: <bob@example.com>\r\n"
ENVELOPES: dict[str, tuple[str, bytes]] = {
    "no recipient": ("addresses", SENDER),
    "no sender": ("addresses", TO),
    "two senders": ("addresses", SENDER + SENDER + TO),
    "a recipient that is none": ("addresses", SENDER + TO + b"X-Webmail-Recipient: bob\r\n"),
    "an empty recipient": ("addresses", SENDER + TO + b"X-Webmail-Recipient: <>\r\n"),
    "two recipients in one field": ("addresses", SENDER + b"X-Webmail-Recipient: <a@example.com>, <b@example.com>\r\n"),
    "a recipient with a control": ("addresses", SENDER + b"X-Webmail-Recipient: <b\0ob@example.com>\r\n"),
    "a recipient that climbs": ("addresses", SENDER + b"X-Webmail-Recipient: <../../etc@..>\r\n"),
    "a recipient that is no UTF-8": ("addresses", SENDER + b"X-Webmail-Recipient: <b\xff@example.com>\r\n"),
    "a bad sender": ("addresses", b"X-Webmail-Sender: anna\r\n" + TO),
    "an encoded message": ("malformed", SENDER + TO + b"Content-Transfer-Encoding: base64\r\n"),
    "5,000 recipients": (
        "limit",
        SENDER + b"".join(b"X-Webmail-Recipient: <b%d@example.com>\r\n" % i for i in range(5000)),
    ),
}
for _name, (_code, _head) in ENVELOPES.items():
    add(_code, f"wrapped: {_name}", lambda h=_head: _content(h))  # type: ignore[misc]
add("profile", "neither wrapped nor protected", lambda: _content(b"", b"text/plain"))
add("profile", "wrapped fields without a wrapped message", lambda: _content(SENDER + TO, b"text/plain"))
add("malformed", "wrapped: an empty message", lambda: encrypted(make.clear_signed(SIGNER, make.entity(b""))))
PROTECTED: dict[str, tuple[str, bytes]] = {
    "no To": ("addresses", b"From: anna@example.org\r\n"),
    "two From": ("addresses", b"From: a@example.org\r\nFrom: b@example.org\r\nTo: bob@example.com\r\n"),
    "two authors": ("addresses", b"From: a@example.org, b@example.org\r\nTo: bob@example.com\r\n"),
    "no author": ("addresses", b"From: ;\r\nTo: bob@example.com\r\n"),
    "a recipient that is none": ("addresses", b"From: a@example.org\r\nTo: bob@example.com, carol\r\n"),
    "an open quote": ("addresses", b'From: a@example.org\r\nTo: "bob@example.com\r\n'),
    "an open comment": ("addresses", b"From: a@example.org\r\nTo: bob@example.com (" + b"(" * 200_000 + b"\r\n"),
    "an open angle": ("addresses", b"From: a@example.org\r\nTo: <bob@example.com\r\n"),
    "two in angles": ("addresses", b"From: a@example.org\r\nTo: <bob@example.com> <carol@example.com>\r\n"),
    "an open group": ("addresses", b"From: a@example.org\r\nTo: all: bob@example.com\r\n"),
    "a route": ("addresses", b"From: a@example.org\r\nTo: <@x.example:bob@example.com>\r\n"),
    "words before": ("addresses", b"From: a@example.org\r\nTo: carol bob@example.com\r\n"),
    "commas by the 100,000": ("addresses", b"From: a@example.org\r\nTo: " + b"," * 200_000 + b"\r\n"),
    "a field of 300 KB": ("limit", b"From: a@example.org\r\nTo: " + b"b@example.com," * 21_000 + b"\r\n"),
}
for _name, (_code, _head) in PROTECTED.items():
    add(_code, f"protected: {_name}", lambda h=_head: _content(h, b"text/plain"))  # type: ignore[misc]

KEYS = tunnel.TunnelKeys(
    (messenger("rsa2048").recipient, messenger("p256").recipient),
    (SIGNER.certificate, gateway("p256").certificate),
)
