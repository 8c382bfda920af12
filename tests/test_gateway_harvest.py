"""Certificates of people who write to us: kept where the signature, the address and the chain hold, and only there."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from messenger.gateway import harvest
from messenger.gateway.certificates import Certificates
from messenger.tunnel import fingerprint

from .signed_mail import ANNA, HEAD, NOW, TEXT, issued, office, root, signed
from .tunnel_fixtures import Pair, private_key

ROOTS = (root().pair.certificate,)
KEY = private_key("p256")


def person(address=ANNA, by=None, *, sign=True, agree=True, begin=NOW - timedelta(10), key=KEY):
    """A certificate for signing, for encryption, or both, as some issuers make them apart."""
    plain = issued("Anna Beispiel", by or office(), address=address, begin=begin, key=key)
    builder = x509.CertificateBuilder(
        plain.certificate.issuer,
        plain.certificate.subject,
        key.public_key(),
        x509.random_serial_number(),
        begin,
        NOW + timedelta(200),
    )
    for extension in plain.certificate.extensions:
        value = extension.value
        if isinstance(value, x509.KeyUsage):
            value = x509.KeyUsage(sign, False, False, False, agree, False, False, False, False)
        builder = builder.add_extension(value, extension.critical)
    return Pair(builder.sign((by or office()).pair.key, hashes.SHA256()), key)


def kept(raw, roots=ROOTS, now=NOW):
    found = harvest.certificates_in(raw, roots, now)
    return found and (found.address, found.certificate)


def test_the_certificate_of_a_trusted_signer_is_kept_and_found_by_their_address(tmp_path):
    anna, folder = person(), tmp_path / "certificates"
    folder.mkdir()
    raw = signed(tmp_path, anna)

    path = harvest.keep(raw, folder, ROOTS, NOW)

    assert path == folder / f"{ANNA}-{fingerprint(anna.certificate)}.pem"
    assert path.read_bytes() == anna.certificate.public_bytes(Encoding.PEM)
    assert [one.name for one in folder.iterdir()] == [path.name]
    assert harvest.keep(raw, folder, ROOTS, NOW) is None
    assert Certificates(folder).of(ANNA, NOW) == anna.certificate


def test_where_signing_and_encryption_have_certificates_apart_the_second_is_kept(tmp_path):
    signer = person(agree=False)
    other = person(sign=False, key=private_key("p256")).certificate
    for_another = person("eve@example.org", sign=False, key=private_key("p256")).certificate
    of_nobody = issued("Eve", address=ANNA, key=private_key("p256")).certificate

    assert kept(signed(tmp_path, signer, chain=[for_another, of_nobody, other, *office().above])) == (ANNA, other)
    assert kept(signed(tmp_path, signer, chain=[for_another, of_nobody, *office().above])) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: signed(folder, person("eve@example.org")),
        lambda folder: signed(folder, person(agree=False)),
        lambda folder: signed(folder, person(), chain=()),
        lambda folder: signed(folder, person(), head=HEAD + "From: eve@example.com\r\n"),
        lambda folder: signed(folder, person(), head=HEAD.replace("From:", "From: eve@example.com,")),
        lambda folder: signed(folder, person()).replace(b"What Anna", b"What Eve "),
        lambda folder: signed(folder, issued("Eve", address=ANNA, purpose=None), chain=()),
        lambda folder: signed(folder, issued("A", office(), address=ANNA, purpose=ExtendedKeyUsageOID.SERVER_AUTH)),
        lambda folder: signed(folder, person(key=private_key("rsa2048"), sign=True)),  # RSA never agrees on a key
        lambda _: HEAD.encode() + b"\r\nnot signed\r\n",
        lambda _: b"",
    ],
)
def test_anything_less_is_not_kept(tmp_path, make):
    assert kept(make(tmp_path)) is None


def test_a_certificate_is_kept_in_its_time_and_below_known_issuers_alone(tmp_path):
    raw = signed(tmp_path, person())

    assert kept(raw) is not None
    assert kept(raw, now=NOW + timedelta(201)) is None
    assert kept(raw, now=NOW - timedelta(11)) is None
    assert kept(raw, roots=()) is None
    assert kept(raw, roots=(issued("Other Root", ca=True).certificate,)) is None


def test_of_one_address_only_so_many_are_kept_the_newest(tmp_path):
    folder = tmp_path / "certificates"
    folder.mkdir()
    mine = folder / f"{ANNA}.pem"
    mine.write_text("put here by hand")
    several = [person(begin=NOW - timedelta(20 - count)) for count in range(harvest.PER_ADDRESS + 2)]

    for one in several:
        assert harvest.keep(signed(tmp_path, one), folder, ROOTS, NOW)
    assert harvest.keep(signed(tmp_path, several[0]), folder, ROOTS, NOW) is None  # older than all that are there

    newest = {f"{ANNA}-{fingerprint(one.certificate)}.pem" for one in several[2:]}
    assert {path.name for path in folder.iterdir()} == newest | {mine.name}


@pytest.mark.parametrize("address", ["a/../../b@example.org", ".x@example.org", "x" * 64 + "@" + "y." * 90 + "org"])
def test_no_address_becomes_a_path_of_its_own(tmp_path, address):
    found = harvest.Kept(address, person().certificate)

    assert harvest._place(tmp_path, found) is None


def test_a_full_disk_leaves_no_half_of_a_certificate(tmp_path, monkeypatch):
    folder = tmp_path / "certificates"
    folder.mkdir()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(harvest.os, "fsync", full)

    with pytest.raises(OSError, match="No space"):
        harvest.keep(signed(tmp_path, person()), folder, ROOTS, NOW)
    assert list(folder.iterdir()) == []


def test_large_mails_that_are_not_signed_cost_little():
    assert kept(HEAD.encode() + b"\r\n" + TEXT * 200_000) is None
