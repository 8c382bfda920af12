"""The certificates we make say what they are for, and others agree."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from messenger import tunnel
from messenger.envelope import AddressError
from messenger.tunnel.certificates import make_pair
from tests import cms_makers as make
from tests.tunnel_fixtures import NOW, ORIGINAL, Pair, wrapped


@pytest.mark.parametrize(
    ("key_type", "kind"), [("rsa-3072", rsa.RSAPrivateKey), ("ec-p256", ec.EllipticCurvePrivateKey)]
)
def test_a_pair_is_of_the_kind_asked_for_and_lasts_ten_years(key_type, kind):
    certificate, key = make_pair("webmail@example.org", key_type, "recipient", NOW)

    assert isinstance(key, kind)
    assert key.key_size == {"rsa-3072": 3072, "ec-p256": 256}[key_type]
    assert certificate.not_valid_before_utc < NOW
    assert timedelta(days=3650) < certificate.not_valid_after_utc - NOW < timedelta(days=3654)


@pytest.mark.parametrize(
    ("role", "key_type", "usage"),
    [
        ("sender", "rsa-3072", "digital_signature"),
        ("sender", "ec-p256", "digital_signature"),
        ("recipient", "rsa-3072", "key_encipherment"),
        ("recipient", "ec-p256", "key_agreement"),
    ],
)
def test_key_usage_is_one_thing_by_role_and_key(role, key_type, usage):
    certificate, _ = make_pair("webmail@example.org", key_type, role, NOW)

    found = certificate.extensions.get_extension_for_class(x509.KeyUsage)

    names = ("digital_signature", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign")
    assert found.critical
    assert [name for name in names if getattr(found.value, name)] == [usage]


def test_the_certificate_is_for_mail_and_names_its_address():
    certificate, _ = make_pair("Webmail@Example.ORG", "ec-p256", "sender", NOW)

    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == ["webmail@example.org"]
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.EMAIL_PROTECTION
    ]
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_an_international_address_stands_as_smtputf8_mailbox():
    certificate, _ = make_pair("wäbmail@example.org", "ec-p256", "sender", NOW)

    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    other = names.get_values_for_type(x509.OtherName)[0]
    assert other.type_id.dotted_string == "1.3.6.1.5.5.7.8.9"
    assert other.value[2:].decode() == "wäbmail@example.org"


def test_a_long_address_fits():
    certificate, _ = make_pair("w" * 64 + "@" + "d" * 60 + ".example", "ec-p256", "sender", NOW)

    assert certificate.subject


def test_no_address_no_certificate():
    with pytest.raises(AddressError):
        make_pair("webmail", "ec-p256", "sender", NOW)


@pytest.mark.parametrize("key_type", ["rsa-3072", "ec-p256"])
def test_openssl_trusts_the_pair_for_mail(tmp_path, key_type):
    now = datetime.now(UTC)
    sender = Pair(*make_pair("gateway@example.org", key_type, "sender", now))
    recipient = Pair(*make_pair("webmail@example.org", key_type, "recipient", now))
    mail = wrapped(sender=sender.sender, recipient=recipient.certificate)
    certificate, key = recipient.write(tmp_path, "recipient")
    signer, _ = sender.write(tmp_path, "signer")

    plain = make.openssl("cms", "-decrypt", "-recip", certificate, "-inkey", key, stdin=mail)
    content = make.openssl("cms", "-verify", "-CAfile", signer, "-purpose", "smimesign", stdin=plain)

    assert b"See you on Monday" in content
    opened = tunnel.unwrap(mail, tunnel.TunnelKeys((recipient.recipient,), (sender.certificate,)))
    assert opened.raw == ORIGINAL
    assert opened.signer == tunnel.fingerprint(sender.certificate)
    assert make.openssl("x509", "-noout", "-text", stdin=sender.certificate.public_bytes(Encoding.PEM))
