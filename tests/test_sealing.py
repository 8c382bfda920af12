"""Mail of ours for the inside: what `openssl cms` makes of it."""

import pytest

from messenger import tunnel

from . import cms_makers as make
from .tunnel_fixtures import NOW, Pair, gateway, messenger

ENTITY = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Gr=C3=BC=C3=9Fe\r\n.\r\nFrom here\r\n"
)


def sealed(*recipients: Pair, signer: Pair | None = None) -> bytes:
    return tunnel.seal(
        ENTITY,
        recipients=[one.certificate for one in recipients],
        signer=signer.sender if signer else None,
        date=NOW,
    )


def opened(tmp_path, mail: bytes, recipient: Pair) -> bytes:
    certificate, key = recipient.write(tmp_path, "recipient")
    return make.openssl("cms", "-decrypt", "-recip", certificate, "-inkey", key, stdin=mail)


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384"])
def test_openssl_opens_it_and_the_bytes_agree(tmp_path, kind):
    assert opened(tmp_path, sealed(messenger(kind)), messenger(kind)) == ENTITY


def test_each_of_several_recipients_opens_it(tmp_path):
    mail = sealed(messenger("rsa2048"), messenger("p256"), gateway("rsa2048"))

    for recipient in (messenger("rsa2048"), messenger("p256"), gateway("rsa2048")):
        assert opened(tmp_path, mail, recipient) == ENTITY
    with pytest.raises(OSError, match="openssl cms"):
        opened(tmp_path, mail, gateway("p384"))


def test_signed_first_it_verifies_inside(tmp_path):
    signer, _ = gateway("p256").write(tmp_path, "signer")

    plain = opened(tmp_path, sealed(messenger(), signer=gateway("p256")), messenger())
    content = make.openssl("cms", "-verify", "-CAfile", signer, "-purpose", "any", stdin=plain)

    assert plain.startswith(b"Content-Type: multipart/signed;")
    assert content == ENTITY


def test_without_recipients_it_is_signed_in_the_clear(tmp_path):
    signer, _ = gateway().write(tmp_path, "signer")

    mail = sealed(signer=gateway())

    assert ENTITY in mail
    assert make.openssl("cms", "-verify", "-CAfile", signer, "-purpose", "any", stdin=mail) == ENTITY


@pytest.mark.parametrize(
    "entity", [b"Content-Type: text/plain\r\n\r\n\xc3\xbc\r\n", b"Content-Type: text/plain\n\nx\n"]
)
def test_what_would_not_survive_the_way_is_not_signed(entity):
    with pytest.raises(tunnel.WrapError, match="seven bits"):
        tunnel.seal(entity, recipients=[messenger().certificate], signer=None, date=NOW)


def test_a_weak_key_is_not_encrypted_to():
    with pytest.raises(tunnel.KeyFileError, match="1024 bits"):
        sealed(gateway("rsa1024"))
