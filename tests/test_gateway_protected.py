"""What is encrypted already: real messages of openssl and gpg, and mails that only say so."""

import base64
import random
import subprocess

import pytest

from messenger import tunnel
from messenger.gateway.protected import already_encrypted
from tests.tunnel_fixtures import NOW, messenger

#: Of gpg, for a key on Curve25519; for a passphrase, in binary; and one that is only signed.
ARMOR = b"""-----BEGIN PGP MESSAGE-----

hF4DH1TubMhuZycSAQdAtrW4MDdakGKQAvSkMoZ4wuhXmtoQB13aNiQu0YgqXH4w
t6HUVYyYVNspZmrwqey72JyRKBlnbwIq9QOIQbIkDZ2Zj1qbs27KniweUGJRre03
0mYBknj+5AMalEcyTcI7rshPRRfCJLPNle5/9HX2NvxWcdLn9Gw1XlALYWnwnkKm
kHAP6wyFskDVhwmDmCG4WCzFP6+C/EGkXzRk11ry/9+kQlibqVtunK+ysmO9KU0w
H2010gODjgQ=
=DaAF
-----END PGP MESSAGE-----
"""
BINARY = base64.b64decode(
    "jA0ECQMCYdZxKXQgVzRg0jgBJIEPUNphjY4HJnIncKOjzSMOU3b1b+zl0sMJ38WQseI4AL9BeAQHJzapU1yhNMvQCBqXf/tfdw=="
)
SIGNED_ONLY = b"""-----BEGIN PGP MESSAGE-----

owGbwMvMwCFW/f9y2Ru7D3aMp4WSGLJZr18JzkzPS01RyM/LqeTqKGVhEONgkBVT
ZFkaZ/zC0WK/3ZEIf36YHlYmkAYGLk4BmMi9KkaG/r1Nuicmffp4esfrKIPC7F+n
P3hfXuyeW3R0jZ/nFol2XYb/Ea1SDN/D9s9RCsv92b/WsWLSPzmRA5VVHz8XRs5Q
MnLgBAA=
=NOL4
-----END PGP MESSAGE-----
"""
TEXT = b"Content-Type: text/plain\r\n\r\n" + b"See you on Monday.\r\n" * 80
SMIME = b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"


def mail(content_type, body, encoding=b"", more=b""):
    fields = [b"From: anna@example.org", b"Subject: x", b"MIME-Version: 1.0", b"Content-Type: " + content_type]
    fields += [b"Content-Transfer-Encoding: " + encoding] if encoding else []
    return b"\r\n".join([*fields, *([more] if more else []), b"", b""]) + body


def smime(cms, content_type=SMIME, encoding=b"base64"):
    return mail(content_type, base64.encodebytes(cms) if encoding == b"base64" else cms, encoding)


def pgp_mime(message=ARMOR, *, preamble=b"", epilogue=b"", version=b"Version: 1", third=b"", fields=b""):
    parts = [
        b"Content-Type: application/pgp-encrypted\r\n\r\n" + version + b"\r\n",
        b"Content-Type: application/octet-stream; name=encrypted.asc\r\n" + fields + b"\r\n" + message + b"\r\n",
        *([third] if third else []),
    ]
    body = preamble + b"".join(b"--b\r\n" + part for part in parts) + b"--b--\r\n" + epilogue
    return mail(b'multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b', body)


@pytest.fixture(scope="module")
def openssl(tmp_path_factory):
    """CMS of `openssl cms`, by its words."""
    home = tmp_path_factory.mktemp("cms")
    certificate, key = messenger().write(home, "recipient")
    text = home / "text"
    text.write_bytes(TEXT)

    def run(*words, certify=True):
        command = ["openssl", "cms", *words, "-binary", "-outform", "DER", *([str(certificate)] if certify else [])]
        command[2:2] = ["-in", str(text)]
        return subprocess.run(command, capture_output=True, check=True).stdout

    run.signed = run("-sign", "-nodetach", "-signer", str(certificate), "-inkey", str(key), certify=False)
    return run


def test_what_openssl_encrypted_is_encrypted_in_base64_in_binary_and_in_pieces(openssl):
    cbc, gcm = openssl("-encrypt", "-aes256"), openssl("-encrypt", "-aes-256-gcm")
    in_pieces = openssl("-encrypt", "-aes128", "-stream")

    assert already_encrypted(smime(cbc))
    assert already_encrypted(smime(gcm, b"application/x-pkcs7-mime; smime-type=authEnveloped-data"))
    assert already_encrypted(smime(in_pieces))
    assert already_encrypted(smime(cbc, encoding=b"binary"))
    assert already_encrypted(smime(cbc, b'application/octet-stream; name="smime.p7m"'))
    assert already_encrypted(smime(cbc).replace(b"\r\n", b"\n"))


def test_what_is_signed_or_cut_off_or_hardly_encrypted_is_not(openssl):
    cbc = openssl("-encrypt", "-aes256")

    assert not already_encrypted(smime(openssl.signed))
    assert not already_encrypted(smime(cbc[:-1]))
    assert not already_encrypted(smime(cbc[:40]))
    assert not already_encrypted(smime(b""))
    # The same content, as if encrypted with something that nobody knows.
    aes = bytes.fromhex("060960864801650304012a")
    assert cbc.count(aes) == 1
    assert not already_encrypted(smime(cbc.replace(aes, aes[:-1] + b"\x63")))


def test_clear_text_beside_or_inside_the_envelope_gives_the_lie_away(openssl):
    cbc = openssl("-encrypt", "-aes256")
    whole = smime(cbc)
    # CMS ends with the encrypted content: whole blocks.
    size = (len(TEXT) // 16 + 1) * 16
    clear = (b"Dear Bert, the price is 12,000. " * size)[:size]

    assert not already_encrypted(mail(SMIME, b"Dear Bert, the price is 12,000.\r\n", b"base64"))
    assert not already_encrypted(mail(SMIME, b"Dear Bert, the price is 12,000.\r\n"))
    assert not already_encrypted(whole + "Der Preis: 12.000 €\r\n".encode())
    assert not already_encrypted(whole + b"\r\nThe price\r\n")
    assert not already_encrypted(whole.replace(b"\r\n\r\n", b"\r\n\r\nThe price is 12000\r\n\r\n", 1))
    assert not already_encrypted(smime(cbc + b"the price"))
    assert not already_encrypted(smime(cbc[:-size] + clear))
    assert not already_encrypted(whole.replace(b"Subject: x", b"Content-Type: text/plain"))
    assert not already_encrypted(
        mail(b"multipart/mixed; boundary=m", b"--m\r\n\r\nclear\r\n--m\r\n" + whole + b"\r\n--m--\r\n")
    )


def test_pgp_mime_is_encrypted_when_its_message_is(openssl):
    as_base64 = base64.encodebytes(BINARY)

    assert already_encrypted(pgp_mime())
    assert already_encrypted(pgp_mime(preamble=b"This is an OpenPGP/MIME encrypted message (RFC 4880 and 3156)\r\n"))
    assert already_encrypted(pgp_mime(as_base64, fields=b"Content-Transfer-Encoding: base64\r\n"))
    assert not already_encrypted(pgp_mime(SIGNED_ONLY))
    assert not already_encrypted(pgp_mime(b"Dear Bert, the price is 12,000."))
    assert not already_encrypted(pgp_mime(ARMOR + b"and the price is 12,000."))
    assert not already_encrypted(pgp_mime(b"-----BEGIN PGP MESSAGE-----\r\n\r\nhF4D\r\n-----END PGP MESSAGE-----"))
    assert not already_encrypted(pgp_mime(ARMOR.replace(b"\n\n", b"\nComment: " + b"the price " * 20 + b"\n\n", 1)))
    assert not already_encrypted(pgp_mime(preamble=b"Dear Bert, " + b"the price is 12,000. " * 20 + b"\r\n"))
    assert not already_encrypted(pgp_mime(epilogue=b"The price is 12,000.\r\n"))
    assert not already_encrypted(pgp_mime(version=b"Version: 1\r\nThe price is 12,000."))
    assert not already_encrypted(pgp_mime(third=b"Content-Type: text/plain\r\n\r\nThe price is 12,000.\r\n"))
    assert not already_encrypted(pgp_mime().replace(b"application/octet-stream", b"text/plain"))


def test_packets_that_hold_clear_text_or_lead_nowhere_are_no_message():
    session_key, clear = BINARY[:15], b"Dear Bert, the price is 12,000. " * 6
    in_pieces = bytes((0xD2, 0xE9, 1)) + bytes(range(100, 256)) * 4  # one piece of 512 octets, and then the rest
    in_pieces = in_pieces[:514] + bytes((len(in_pieces) - 514,)) + in_pieces[514:]

    def is_encrypted(packets):
        return already_encrypted(pgp_mime(base64.encodebytes(packets), fields=b"Content-Transfer-Encoding: base64\r\n"))

    assert is_encrypted(session_key + in_pieces)
    assert not is_encrypted(session_key + in_pieces[:-1])
    assert not is_encrypted(session_key + bytes((0xD2, 192, len(clear) + 1 - 192, 1)) + clear)
    assert not is_encrypted(BINARY[15:])  # encrypted for nobody
    assert not is_encrypted(BINARY + b"\xcb\x10" + clear[:16])
    assert not is_encrypted(session_key)
    assert not is_encrypted(b"\xa3" + clear)


def test_an_armored_message_is_encrypted_only_as_the_only_text():
    text = b"text/plain; charset=us-ascii"

    assert already_encrypted(mail(text, ARMOR))
    assert already_encrypted(mail(text, b"\r\n" + ARMOR.replace(b"\n", b"\r\n"), b"7bit"))
    assert already_encrypted(mail(text, ARMOR.replace(b"=", b"=3D"), b"quoted-printable"))
    assert already_encrypted(mail(text, base64.encodebytes(ARMOR), b"base64"))
    assert not already_encrypted(mail(text, b"Dear Bert,\r\n" + ARMOR))
    assert not already_encrypted(mail(text, ARMOR + b"-- \r\nAnna"))
    assert not already_encrypted(mail(text, SIGNED_ONLY))
    assert not already_encrypted(mail(b"text/html", b"<p>" + ARMOR))
    assert not already_encrypted(
        mail(b"multipart/mixed; boundary=m", b"--m\r\n\r\n" + ARMOR + b"\r\n--m\r\n\r\nx\r\n--m--")
    )


def test_no_bytes_make_it_raise(openssl):
    chance = random.Random(6)
    whole = [smime(openssl("-encrypt", "-aes-256-gcm")), pgp_mime(), mail(b"text/plain", ARMOR)]

    for raw in whole:
        # Changed anywhere but in the ciphertext it may still be encrypted; that is not asked here.
        for _ in range(300):
            bent = bytearray(raw)
            for _ in range(chance.randint(1, 4)):
                bent[chance.randrange(len(bent))] = chance.randrange(256)
            already_encrypted(bytes(bent))
    assert not already_encrypted(b"")


def test_what_we_encrypt_ourselves_counts():
    entity = tunnel.seal(TEXT, recipients=[messenger().certificate], signer=None, date=NOW)

    assert already_encrypted(b"From: anna@example.org\r\n" + entity)
