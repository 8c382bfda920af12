"""`openssl cms` on the other side: what it writes we open, what we write it reads."""

import pytest

from messenger import tunnel
from tests import cms_makers as make
from tests.tunnel_fixtures import ORIGINAL, gateway, keys, messenger, wrapped

PSS = ("-keyopt", "rsa_padding_mode:pss")
OAEP = ("-keyopt", "rsa_padding_mode:oaep")
SIGNATURES = [
    ("rsa2048", ("-md", "sha256")),
    ("rsa2048", ("-md", "sha384")),
    ("rsa2048", ("-md", "sha512", "-keyid")),
    ("rsa2048", ("-md", "sha256", "-nocerts")),
    ("rsa2048", ("-md", "sha256", *PSS)),
    ("rsa2048", ("-md", "sha512", *PSS, "-keyopt", "rsa_pss_saltlen:64")),
    ("p256", ("-md", "sha256")),
    ("p384", ("-md", "sha384")),
    ("p521", ("-md", "sha512")),
]
FORMS = [("-crlfeol",), ("-nodetach",), ("-nodetach", "-stream"), ("-binary",), ("-nodetach", "-binary", "-stream")]
CIPHERS = ["-aes-128-cbc", "-aes-192-cbc", "-aes-256-cbc", "-aes-128-gcm", "-aes-256-gcm"]
RECIPIENTS = [
    ("rsa2048", ()),
    ("rsa2048", ("-keyid",)),
    ("rsa2048", OAEP),
    ("rsa2048", (*OAEP, "-keyopt", "rsa_oaep_md:sha256")),
    ("rsa2048", (*OAEP, "-keyopt", "rsa_oaep_md:sha512", "-keyopt", "rsa_mgf1_md:sha256")),
    ("rsa2048", (*OAEP, "-keyopt", "rsa_oaep_label:616263")),
    ("p256", ()),
    ("p256", ("-keyid",)),
    ("p256", ("-keyopt", "ecdh_kdf_md:sha256")),
    ("p384", ("-keyopt", "ecdh_kdf_md:sha384")),
    ("p521", ("-keyopt", "ecdh_kdf_md:sha512", "-aes128-wrap")),
    ("p256", ("-keyopt", "ecdh_kdf_md:sha224", "-aes192-wrap")),
    ("p256", ("-keyopt", "ecdh_cofactor_mode:1", "-keyopt", "ecdh_kdf_md:sha256", "-aes256-wrap")),
]


# openssl 3.0 cannot stream RSA-PSS ("illegal zero content").
SIGNED = [
    (kind, arguments, form)
    for kind, arguments in SIGNATURES
    for form in FORMS
    if not ("-stream" in form and PSS[1] in arguments)
]


@pytest.mark.parametrize(("kind", "arguments", "form"), SIGNED, ids=str)
def test_signatures_by_openssl_verify(tmp_path, kind, arguments, form):
    plain = make.openssl_signed(tmp_path, make.entity(), gateway(kind), *arguments, *form)
    mail = make.openssl_mail(tmp_path, plain, messenger())

    assert tunnel.unwrap(mail, keys(sender=kind)).raw == ORIGINAL


@pytest.mark.parametrize("streaming", [(), ("-stream",), ("-binary", "-stream")], ids=str)
@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize(("kind", "arguments"), RECIPIENTS, ids=str)
def test_encryption_by_openssl_opens(tmp_path, kind, arguments, cipher, streaming):
    mail = make.openssl_mail(
        tmp_path, make.clear_signed(gateway()), messenger(kind), *streaming, *arguments, cipher=cipher
    )

    assert tunnel.unwrap(mail, keys(recipient=kind)).raw == ORIGINAL


def test_a_large_mail_streamed_by_openssl_opens(tmp_path):
    raw = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 60 * 1000 + b"\r\n"
    plain = make.openssl_signed(tmp_path, make.entity(raw), gateway(), "-nodetach", "-binary", "-stream")

    mail = make.openssl_mail(tmp_path, plain, messenger(), "-stream", "-binary")

    assert tunnel.unwrap(mail, keys()).raw == raw


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("recipient", ["rsa2048", "p256", "p384", "p521"])
@pytest.mark.parametrize("sender", ["rsa2048", "p256", "p384", "p521"])
def test_openssl_reads_what_we_write(tmp_path, sender, recipient, modern):
    mail = wrapped(sender=sender, recipient=recipient, modern=modern)
    certificate, key = messenger(recipient).write(tmp_path, "recipient")
    signer, _ = gateway(sender).write(tmp_path, "signer")

    plain = make.openssl("cms", "-decrypt", "-recip", certificate, "-inkey", key, stdin=mail)
    content = make.openssl("cms", "-verify", "-CAfile", signer, "-purpose", "any", stdin=plain)

    assert content.replace(b"\r\n", b"\n").endswith(b"\n\n" + ORIGINAL.replace(b"\r\n", b"\n"))
