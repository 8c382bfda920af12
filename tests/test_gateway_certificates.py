"""Certificates of people outside: found by what they say, kept up with, and passed over where they are no good."""

import logging
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from messenger import chain
from messenger.gateway.certificates import Certificates, SigningKeys
from messenger.tunnel import KeyFileError, fingerprint

from .signed_mail import issued
from .tunnel_fixtures import Pair, private_key

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BOB = "bob@partner.example"
P256 = private_key("p256")
SIGN, ENCIPHER, AGREE = 0, 2, 4


def certificate(
    *addresses,
    subject="",
    usage=(AGREE,),
    purpose=ExtendedKeyUsageOID.EMAIL_PROTECTION,
    begin=NOW - timedelta(days=10),
    until=NOW + timedelta(days=10),
    key=P256,
):
    names = [x509.NameAttribute(NameOID.COMMON_NAME, "Somebody")]
    if subject:
        names.append(x509.NameAttribute(NameOID.EMAIL_ADDRESS, subject))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(x509.Name(names))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(until)
    )
    if addresses:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(general, addresses))), critical=False)
    if usage is not None:
        builder = builder.add_extension(x509.KeyUsage(*(at in usage for at in range(9))), critical=True)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def general(address):
    if address.isascii():
        return x509.RFC822Name(address)
    content = address.encode()
    return x509.OtherName(ObjectIdentifier("1.3.6.1.5.5.7.8.9"), bytes((0x0C, len(content))) + content)


def put(folder: Path, name: str, *several, der=False):
    encoding = Encoding.DER if der else Encoding.PEM
    (folder / name).write_bytes(b"".join(one.public_bytes(encoding) for one in several))


def found(folder, address=BOB, now=NOW):
    one = Certificates(folder).of(address, now)
    return one and fingerprint(one)


def test_an_address_is_found_where_the_standards_let_it_stand(tmp_path):
    put(tmp_path, "1.pem", certificate("BOB@Partner.Example", "second@partner.example"))
    put(tmp_path, "2.der", certificate("jörg@bücher.example"), der=True)
    put(tmp_path, "3.crt", certificate(subject="subject@partner.example"))
    put(tmp_path, "4.crt", certificate("alternative@partner.example", subject="old@partner.example"))
    put(tmp_path, "chain.pem", certificate("first@partner.example"), certificate(), certificate("more@partner.example"))

    known = Certificates(tmp_path)

    assert all(
        known.of(address, NOW)
        for address in (
            BOB,
            "second@partner.example",
            "jörg@xn--bcher-kva.example",
            "subject@partner.example",
            "alternative@partner.example",
            "first@partner.example",
            "more@partner.example",
        )
    )
    # RFC 8550, section 3: the subject's address is for certificates that have no other.
    assert known.of("old@partner.example", NOW) is None
    assert known.of("partner.example", NOW) is None


def test_a_certificate_counts_only_if_mail_can_be_encrypted_to_it(tmp_path):
    rsa2048 = private_key("rsa2048")
    cases = {
        "agrees": (certificate(BOB), True),
        "says nothing": (certificate(BOB, usage=None, purpose=None), True),
        "any purpose": (certificate(BOB, purpose=ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE), True),
        "rsa": (certificate(BOB, usage=(ENCIPHER, SIGN), key=rsa2048), True),
        "signs alone": (certificate(BOB, usage=(SIGN,)), False),
        "rsa that agrees": (certificate(BOB, usage=(AGREE,), key=rsa2048), False),
        "for web servers": (certificate(BOB, purpose=ExtendedKeyUsageOID.SERVER_AUTH), False),
        "weak": (certificate(BOB, usage=None, key=private_key("rsa1024")), False),
        "other curve": (certificate(BOB, key=_secp256k1()), False),
        "ed25519": (certificate(BOB, usage=None, key=private_key("ed25519")), False),
        "x25519": (_for_x25519(private_key("x25519")), True),
    }
    for name, (one, counts) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        put(folder, "bob.pem", one)

        assert (found(folder) is not None) is counts, name


def _secp256k1():
    return ec.generate_private_key(ec.SECP256K1())


def _for_x25519(key):
    made = certificate(BOB)
    builder = x509.CertificateBuilder(
        made.issuer, made.subject, key.public_key(), 7, NOW - timedelta(1), NOW + timedelta(1), list(made.extensions)
    )
    return builder.sign(P256, hashes.SHA256())


def test_a_certificate_has_its_time_and_of_several_the_newest_is_taken(tmp_path):
    old, new, future = (
        certificate(BOB, begin=NOW + timedelta(days=begin), until=NOW + timedelta(days=until))
        for begin, until in ((-100, 50), (-50, 10), (20, 100))
    )
    put(tmp_path, "a.pem", new)
    put(tmp_path, "b.pem", old, future)

    assert found(tmp_path) == fingerprint(new)
    assert found(tmp_path, now=NOW + timedelta(days=15)) == fingerprint(old)
    assert found(tmp_path, now=NOW + timedelta(days=30)) == fingerprint(future)
    assert found(tmp_path, now=NOW + timedelta(days=101)) is None
    assert found(tmp_path, now=NOW - timedelta(days=101)) is None


def test_a_thousand_certificates_are_read_once_and_then_only_what_has_changed(tmp_path, monkeypatch):
    for number in range(1000):
        put(tmp_path, f"{number}.pem", certificate(f"person{number}@partner.example"))
    read = []
    load = x509.load_pem_x509_certificates
    monkeypatch.setattr(x509, "load_pem_x509_certificates", lambda content: read.append(1) or load(content))
    known = Certificates(tmp_path)

    begun = time.process_time()
    assert known.of("person999@partner.example", NOW)
    assert time.process_time() - begun < 2
    begun = time.process_time()
    for second in range(30):
        assert known.of("person7@partner.example", NOW + timedelta(seconds=second))
    assert time.process_time() - begun < 2
    assert len(read) == 1000

    put(tmp_path, "7.pem", certificate("person7@else.example"))
    put(tmp_path, "new.pem", certificate("new@partner.example"))
    (tmp_path / "8.pem").unlink()
    later = NOW + timedelta(seconds=200)
    assert known.of("person7@partner.example", later) is None
    assert known.of("person7@else.example", later)
    assert known.of("new@partner.example", later)
    assert known.of("person8@partner.example", later) is None
    assert len(read) == 1002


def test_broken_files_are_named_in_the_log_and_stop_nobody_elses_mail(tmp_path, caplog):
    put(tmp_path, "good.pem", certificate(BOB))
    (tmp_path / "empty.pem").touch()
    (tmp_path / "text.pem").write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    (tmp_path / "big.der").write_bytes(b"0" * 300_000)
    half = certificate("half@partner.example").public_bytes(Encoding.DER)
    (tmp_path / "half.der").write_bytes(half[:-100])
    put(tmp_path, "nobody.pem", certificate())
    (tmp_path / ".draft").write_text("not looked at")
    (tmp_path / "folder").mkdir()
    (tmp_path / "gone.pem").symlink_to("nowhere")

    with caplog.at_level(logging.WARNING):
        known = Certificates(tmp_path)
        assert known.of(BOB, NOW)
        assert known.of(BOB, NOW + timedelta(seconds=5))

    said = [record.getMessage() for record in caplog.records]
    assert sorted(one.split(": ")[0].rpartition("/")[2] for one in said) == [
        "big.der",
        "empty.pem",
        "half.der",
        "nobody.pem",
        "text.pem",
    ]


def test_odd_certificates_are_passed_over_whatever_is_bent_in_them(tmp_path):
    whole = certificate(BOB).public_bytes(Encoding.DER)
    for place in range(0, len(whole), 3):
        bent = bytearray(whole)
        bent[place] ^= 0x41
        (tmp_path / f"{place}.der").write_bytes(bent)

    assert Certificates(tmp_path).check() >= 0


def test_a_folder_that_cannot_be_read_is_no_leave_to_send_in_clear(tmp_path):
    with pytest.raises(KeyFileError, match="expected") as caught:
        Certificates(tmp_path / "none").of(BOB, NOW)

    assert caught.value.temporary


def test_a_sender_signs_with_their_own_pair_while_it_is_valid(tmp_path, caplog):
    keys = SigningKeys(tmp_path)
    pair = issued("Anna", address="anna@example.org", begin=NOW - timedelta(1), until=NOW + timedelta(1))
    pair.write(tmp_path, "anna@example.org")
    secret = tmp_path / "secret"
    secret.mkdir()
    pair.write(secret, "x@example.org")

    assert keys.of("anna@example.org", NOW).certificate == pair.certificate
    assert keys.of("bert@example.org", NOW) is None
    assert keys.of("anna@example.org", NOW + timedelta(2)) is None
    assert "is not signed" in caplog.text
    assert keys.of("secret/x@example.org", NOW) is None  # a local part may hold a slash, and no folder is meant
    assert keys.of("../secret/x@example.org", NOW) is None


def test_a_senders_pair_is_read_again_when_it_changes_and_a_broken_one_is_temporary(tmp_path):
    keys = SigningKeys(tmp_path)
    first = issued("Anna", begin=NOW - timedelta(1), until=NOW + timedelta(1))
    certificate_path, key_path = first.write(tmp_path, "anna@example.org")
    assert keys.of("anna@example.org", NOW).certificate == first.certificate

    second = issued("Anna", begin=NOW - timedelta(1), until=NOW + timedelta(1), key=private_key("p384"))
    second.write(tmp_path, "anna@example.org")
    os.utime(certificate_path, ns=(1, 1))
    assert keys.of("anna@example.org", NOW).certificate == second.certificate

    Pair(first.certificate, private_key("p256")).write(tmp_path, "anna@example.org")
    with pytest.raises(KeyFileError, match="does not belong") as caught:
        keys.of("anna@example.org", NOW)
    assert caught.value.temporary
    key_path.unlink()
    assert keys.of("anna@example.org", NOW) is None


def test_extensions_that_stand_twice_or_say_nonsense_are_an_error_of_ours():
    class Twice:
        @property
        def extensions(self):
            raise x509.DuplicateExtension("twice", NameOID.COMMON_NAME)

    with pytest.raises(ValueError, match="twice"):
        chain.addresses(Twice())
