"""Key files: good ones load, each bad one gets a sentence with its path and what to do."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from messenger import tunnel
from messenger.tunnel import keys as tunnel_keys
from messenger.tunnel.keys import KeyFileError, load_certificate, load_recipient_key, load_sender_key
from tests.tunnel_fixtures import certify, gateway, messenger, pair, private_key, wrapped


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "p384", "p521", "x25519"])
def test_recipient_pairs_load(tmp_path, kind):
    found = load_recipient_key(*messenger(kind).write(tmp_path, "pair"))

    assert found.certificate == messenger(kind).certificate


@pytest.mark.parametrize("kind", ["rsa2048", "p256", "ed25519"])
def test_sender_pairs_load(tmp_path, kind):
    found = load_sender_key(*gateway(kind).write(tmp_path, "pair"))

    assert found.certificate == gateway(kind).certificate


def test_der_loads_as_pem_does(tmp_path):
    certificate, key = tmp_path / "pair.der", tmp_path / "pair.key"
    certificate.write_bytes(messenger().certificate.public_bytes(Encoding.DER))
    key.write_bytes(messenger().key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    assert load_recipient_key(certificate, key).certificate == messenger().certificate


def test_text_before_the_certificate_is_passed_over(tmp_path):
    path = tmp_path / "a.pem"
    path.write_bytes(b"subject=CN=x\n" + gateway().certificate.public_bytes(Encoding.PEM))

    assert load_certificate(path) == gateway().certificate


def _files(folder, pair_):
    certificate, key = pair_.write(folder, "pair")
    return {"certificate": certificate, "key": key}


def _bad(folder, change):
    paths = _files(folder, messenger())
    change(paths)
    with pytest.raises(KeyFileError) as refused:
        load_recipient_key(paths["certificate"], paths["key"])
    assert str(folder) in str(refused.value)
    assert refused.value.temporary
    return str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    assert "there is no such file" in _bad(tmp_path, lambda paths: paths["key"].unlink())


def test_a_folder_is_no_file(tmp_path):
    def change(paths):
        paths["key"].unlink()
        paths["key"].mkdir()

    assert "cannot be read" in _bad(tmp_path, change)


def test_an_empty_file_is_named(tmp_path):
    assert "the file is empty" in _bad(tmp_path, lambda paths: paths["key"].write_bytes(b" \n"))


def test_a_huge_file_is_not_read(tmp_path):
    assert "larger than" in _bad(tmp_path, lambda paths: paths["key"].write_bytes(bytes(300_000)))


def test_certificate_and_key_exchanged_are_noticed(tmp_path):
    def change(paths):
        paths["certificate"], paths["key"] = paths["key"], paths["certificate"]

    assert "name the certificate's own file" in _bad(tmp_path, change)


def test_a_certificate_for_a_key_is_noticed(tmp_path):
    found = _bad(tmp_path, lambda paths: paths.update(key=paths["certificate"]))

    assert "a private key was expected, this is a certificate" in found


def test_a_public_key_for_a_private_one_is_noticed(tmp_path):
    public = messenger().key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    assert "this is a public key" in _bad(tmp_path, lambda paths: paths["key"].write_bytes(public))


def test_a_key_with_a_password_is_noticed(tmp_path):
    locked = messenger().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))

    assert "openssl pkey -in" in _bad(tmp_path, lambda paths: paths["key"].write_bytes(locked))


@pytest.mark.parametrize(
    "garbage", [b"hello", b"0\x82\x01\x00\xff", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"ab" * 32]
)
def test_garbage_is_noticed_and_a_sentence_says_what_to_do(tmp_path, garbage):
    found = _bad(tmp_path, lambda paths: paths["certificate"].write_bytes(garbage))

    assert "an X.509 certificate (PEM or DER) was expected, found something else" in found
    assert "ParseError" not in found


def test_garbage_for_a_key_is_noticed(tmp_path):
    found = _bad(tmp_path, lambda paths: paths["key"].write_bytes(b"hello"))

    assert "a private key (PEM, PKCS#8) was expected, found something else" in found


def test_a_pkcs12_file_for_a_certificate_is_noticed(tmp_path):
    p12 = pkcs12.serialize_key_and_certificates(
        None, messenger().key, messenger().certificate, None, BestAvailableEncryption(b"secret")
    )

    assert "openssl pkcs12 -in" in _bad(tmp_path, lambda paths: paths["certificate"].write_bytes(p12))


def test_a_folder_for_a_certificate_is_not_a_question_of_rights(tmp_path):
    found = _bad(tmp_path, lambda paths: paths.update(certificate=tmp_path))

    assert "Is a directory" in found
    assert "group" not in found


def test_a_key_of_another_certificate_is_noticed(tmp_path):
    def change(paths):
        paths["key"] = pair("rsa2048", "else").write(tmp_path, "else")[1]

    assert "does not belong to the certificate" in _bad(tmp_path, change)


def test_a_short_rsa_key_is_noticed(tmp_path):
    def change(paths):
        paths.update(_files(tmp_path, pair("rsa1024", "weak")))

    assert "RSA with 1024 bits, at least 2048 are needed" in _bad(tmp_path, change)


def test_several_certificates_in_one_file_are_noticed(tmp_path):
    path = tmp_path / "two.pem"
    path.write_bytes(2 * gateway().certificate.public_bytes(Encoding.PEM))

    with pytest.raises(KeyFileError, match="found 2"):
        load_certificate(path)


def test_a_key_that_only_signs_is_no_recipient_and_one_that_only_agrees_no_sender(tmp_path):
    with pytest.raises(KeyFileError, match="cannot decrypt"):
        load_recipient_key(*gateway("ed25519").write(tmp_path, "a"))
    with pytest.raises(KeyFileError, match="cannot sign"):
        load_sender_key(*messenger("x25519").write(tmp_path, "b"))


def test_an_unknown_curve_is_noticed(tmp_path):
    odd = certify(ec.generate_private_key(ec.SECP256K1()), "odd")

    with pytest.raises(KeyFileError, match="secp256k1"):
        load_certificate(odd.write(tmp_path, "odd")[0])


def test_a_short_pinned_key_verifies_nothing():
    weak = pair("rsa1024", "weak")

    with pytest.raises(KeyFileError, match="RSA with 1024 bits"):
        tunnel.unwrap(wrapped(), tunnel.TunnelKeys((messenger().recipient,), (weak.certificate,)))


def test_nothing_is_wrapped_for_or_by_a_short_key():
    weak = pair("rsa1024", "weak")

    for changes in ({"recipient": weak.certificate}, {"sender": weak.sender}):
        with pytest.raises((KeyFileError, tunnel.WrapError), match="1024"):
            wrapped(**changes)


def test_the_fingerprint_is_lower_case_hex_as_openssl_knows_it():
    found = tunnel.fingerprint(gateway().certificate)

    assert len(found) == 64
    assert set(found) <= set("0123456789abcdef")


def test_every_kind_of_key_has_a_verdict():
    assert tunnel_keys.weakness(private_key("x25519")) == ""
    assert tunnel_keys.weakness(object()).startswith("is of a kind not used here")
