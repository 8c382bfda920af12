"""Tunnel mails as other programs write them: every form of docs/tunnel.md is opened."""

import logging
from datetime import UTC, datetime

import pytest

from messenger import tunnel
from messenger.tunnel_fields import Fields
from tests import cms_makers as make
from tests.tunnel_fixtures import ORIGINAL, certify, gateway, keys, messenger, pair, private_key

RSA = messenger("rsa2048")
SIGNER = gateway("rsa2048")


def opened(mail: bytes, recipient: str = "rsa2048", sender: str = "rsa2048", **policy: object) -> tunnel.TunnelMail:
    return tunnel.unwrap(mail, keys(recipient, sender), tunnel.Policy(**policy))  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", ["128", "192", "256"])
def test_aes_cbc_opens(bits):
    mail = make.mail(make.enveloped(make.clear_signed(SIGNER), RSA.certificate, bits=bits))

    assert opened(mail).raw == ORIGINAL


@pytest.mark.parametrize("bits", ["128", "256"])
@pytest.mark.parametrize("tag_length", [12, 13, 16])
def test_aes_gcm_opens(bits, tag_length):
    mail = make.auth_enveloped(make.clear_signed(SIGNER), RSA.certificate, bits=bits, tag_length=tag_length)

    assert opened(make.mail(mail)).raw == ORIGINAL


def test_aes_gcm_with_authenticated_attributes_opens():
    attributes = [make.attribute("1.2.840.113549.1.9.3", make.oid("data"))]

    mail = make.auth_enveloped(make.clear_signed(SIGNER), RSA.certificate, attributes=attributes)

    assert opened(make.mail(mail)).raw == ORIGINAL


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "pkcs1"},
        {"scheme": "sha1"},
        {"scheme": "sha256"},
        {"scheme": "sha384"},
        {"scheme": "sha512"},
        {"scheme": "sha256", "mask": "sha1"},
        {"scheme": "sha512", "mask": "sha256"},
        {"scheme": "sha256", "label": b"for the webmail"},
        {"scheme": "sha1", "label": b""},
        {"scheme": "pkcs1", "by": "ski"},
        {"scheme": "sha256", "by": "ski"},
    ],
    ids=str,
)
@pytest.mark.parametrize("envelope", [make.enveloped, make.auth_enveloped])
def test_rsa_key_transport_opens(envelope, options):
    mail = envelope(make.clear_signed(SIGNER), lambda key: [make.transport(key, RSA.certificate, **options)])

    assert opened(make.mail(mail)).raw == ORIGINAL


@pytest.mark.parametrize("scheme", ["sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("wrap", ["128", "192", "256"])
@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_ecdh_opens(curve, wrap, scheme):
    recipient = messenger(curve)
    mail = make.enveloped(
        make.clear_signed(SIGNER),
        lambda key: [make.agreement(key, [recipient.certificate], scheme=scheme, wrap=wrap)],
    )

    assert opened(make.mail(mail), curve).raw == ORIGINAL


@pytest.mark.parametrize("scheme", ["sha256", "sha512", "hkdf-sha256", "hkdf-sha384", "hkdf-sha512"])
@pytest.mark.parametrize("material", [None, b"salt of the sender"])
def test_x25519_opens(scheme, material):
    recipient = messenger("x25519")
    mail = make.auth_enveloped(
        make.clear_signed(SIGNER),
        lambda key: [make.agreement(key, [recipient.certificate], scheme=scheme, material=material)],
    )

    assert opened(make.mail(mail), "x25519").raw == ORIGINAL


@pytest.mark.parametrize(
    "options",
    [{"by": "ski"}, {"material": b"user keying material"}, {"compressed": True}, {"wrap_parameters": make.NULL}],
    ids=str,
)
def test_ecdh_opens_in_its_variants(options):
    recipient = messenger("p256")
    mail = make.enveloped(
        make.clear_signed(SIGNER), lambda key: [make.agreement(key, [recipient.certificate], **options)]
    )

    assert opened(make.mail(mail), "p256").raw == ORIGINAL


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_our_recipient_info_may_stand_anywhere(place):
    others = [pair("rsa2048", "somebody"), pair("p256", "somebody on a curve"), pair("rsa2048", "an archive")]

    def infos(key: bytes) -> list[bytes]:
        found = [make.recipient_info(key, other.certificate) for other in others]
        found.insert(place, make.recipient_info(key, RSA.certificate))
        return found

    assert opened(make.mail(make.enveloped(make.clear_signed(SIGNER), infos))).raw == ORIGINAL


def test_our_key_may_be_one_of_several_in_one_agreement():
    others = [pair("p256", "somebody on a curve").certificate, messenger("p256").certificate]

    mail = make.enveloped(make.clear_signed(SIGNER), lambda key: [make.agreement(key, others)])

    assert opened(make.mail(mail), "p256").raw == ORIGINAL


def test_recipients_by_password_are_passed_over():
    password = make.tlv(0xA3, make.tlv(2, b"\0"), make.algorithm("1.2.3"), make.tlv(4, b"x"))

    mail = make.enveloped(make.clear_signed(SIGNER), lambda key: [password, make.recipient_info(key, RSA.certificate)])

    assert opened(make.mail(mail)).raw == ORIGINAL


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize(
    ("kind", "scheme"), [("rsa2048", ""), ("rsa2048", "pss"), ("p256", ""), ("p384", ""), ("p521", ""), ("ed25519", "")]
)
@pytest.mark.parametrize("form", [make.clear_signed, make.opaque_signed])
@pytest.mark.parametrize("by", ["issuer", "ski"])
def test_signatures_verify(form, kind, scheme, digest, by):
    plain = form(gateway(kind), digest=digest, scheme=scheme, by=by)

    mail = opened(make.mail(make.enveloped(plain, RSA.certificate)), sender=kind)

    assert mail.raw == ORIGINAL
    assert mail.signer == tunnel.fingerprint(gateway(kind).certificate)


def test_the_digest_is_over_the_signed_content_whatever_the_signature_uses():
    first, second = (
        opened(make.mail(make.enveloped(form(SIGNER, digest=digest), RSA.certificate)))
        for form, digest in ((make.clear_signed, "sha256"), (make.opaque_signed, "sha512"))
    )

    assert first.digest == second.digest


@pytest.mark.parametrize(
    "style",
    [make.Style(1000), make.Style(77), make.Style(1000, nested=True), make.Style(100_000)],
    ids=["1000", "77", "nested", "one"],
)
@pytest.mark.parametrize("envelope", [make.enveloped, make.auth_enveloped])
@pytest.mark.parametrize("form", [make.clear_signed, make.opaque_signed])
def test_ber_opens(form, envelope, style):
    options = {"style": style} if form is make.opaque_signed else {}

    mail = envelope(form(SIGNER, **options), RSA.certificate, style=style)

    assert opened(make.mail(mail)).raw == ORIGINAL


@pytest.mark.parametrize("encoding", ["base64", "binary", "8bit", "BASE64"])
@pytest.mark.parametrize(
    "kind",
    [
        "pkcs7-mime; smime-type=enveloped-data",
        "x-pkcs7-mime; smime-type=enveloped-data",
        "pkcs7-mime",
        'PKCS7-Mime ; name="smime.p7m"',
        "octet-stream; name=smime.p7m",
        'octet-stream; name="SMIME.P7M"',
    ],
)
def test_types_and_encodings_in_use_open(kind, encoding):
    envelope = make.enveloped(make.clear_signed(SIGNER), RSA.certificate)
    mail = make.mail(envelope, kind=kind, encoding=encoding.lower()).replace(
        b"Encoding: base64", b"Encoding: " + encoding.encode()
    )

    assert opened(mail).raw == ORIGINAL


def test_a_missing_transfer_encoding_means_binary():
    envelope = make.enveloped(make.clear_signed(SIGNER), RSA.certificate)
    mail = make.mail(envelope, encoding="binary").replace(b"Content-Transfer-Encoding: binary\r\n", b"")

    assert opened(mail + b"\r\n").raw == ORIGINAL


@pytest.mark.parametrize("kind", ["pkcs7-mime; smime-type=signed-data", "x-pkcs7-mime", "octet-stream; name=smime.p7m"])
@pytest.mark.parametrize("encoding", ["base64", "binary"])
def test_opaque_signatures_come_in_several_types(kind, encoding):
    signed = make.signed_data([make.signer_info(make.entity(), SIGNER)], content=make.entity())

    plain = make.opaque(signed, kind=kind, encoding=encoding)

    assert opened(make.mail(make.enveloped(plain, RSA.certificate))).raw == ORIGINAL


def test_the_old_name_of_the_signature_type_is_known():
    content = make.entity()
    plain = make.clear(
        content, make.signed_data([make.signer_info(content, SIGNER)]), signature_type="x-pkcs7-signature"
    )

    assert opened(make.mail(make.enveloped(plain, RSA.certificate))).raw == ORIGINAL


@pytest.mark.parametrize("times", [0, 1, 2])
def test_the_pinned_certificate_need_not_travel(times):
    content = make.entity()
    signed = make.signed_data([make.signer_info(content, SIGNER)], certificates=[SIGNER.certificate] * times)

    assert opened(make.mail(make.enveloped(make.clear(content, signed), RSA.certificate))).raw == ORIGINAL


def test_signed_attributes_out_of_order_verify_as_they_stand():
    plain = make.clear_signed(SIGNER, sort=False)

    assert opened(make.mail(make.enveloped(plain, RSA.certificate))).raw == ORIGINAL


def test_signed_attributes_sent_out_of_order_verify_when_signed_in_order():
    content = make.entity()
    info = make.signer_info(content, SIGNER)
    found = sorted(make.attributes(content))
    signed = make.signed_data([info.replace(b"".join(found), b"".join(reversed(found)))])

    assert opened(make.mail(make.enveloped(make.clear(content, signed), RSA.certificate))).raw == ORIGINAL


def test_an_expired_pinned_certificate_is_accepted_with_a_warning(caplog):
    old = certify(private_key("p256"), "an old gateway", until=datetime(2021, 1, 1, tzinfo=UTC))
    mail = make.mail(make.enveloped(make.clear_signed(old), RSA.certificate))

    with caplog.at_level(logging.WARNING):
        found = tunnel.unwrap(mail, tunnel.TunnelKeys((RSA.recipient,), (old.certificate,)))

    assert found.raw == ORIGINAL
    assert "has expired on 2021-01-01" in caplog.text


def test_two_pinned_certificates_of_one_name_and_number_are_told_apart_by_their_keys():
    twins = [certify(private_key("p256"), "twins", serial=7) for _ in range(2)]
    pinned = tunnel.TunnelKeys((RSA.recipient,), tuple(twin.certificate for twin in twins))
    mail = make.mail(make.enveloped(make.clear_signed(twins[1]), RSA.certificate))

    assert tunnel.unwrap(mail, pinned).signer == tunnel.fingerprint(twins[1].certificate)


def test_a_certificate_without_key_identifier_is_found_by_the_usual_one():
    bare = certify(private_key("rsa2048"), "no key identifier", key_id=False)
    mail = make.enveloped(make.clear_signed(SIGNER), lambda key: [make.transport(key, bare.certificate, by="ski")])

    found = tunnel.unwrap(make.mail(mail), tunnel.TunnelKeys((bare.recipient,), (SIGNER.certificate,)))

    assert found.raw == ORIGINAL


@pytest.mark.parametrize("envelope", [make.enveloped, make.auth_enveloped])
def test_unprotected_attributes_are_passed_over(envelope):
    tag = 0xA1 if envelope is make.enveloped else 0xA2
    after = make.tlv(tag, make.attribute("1.2.3.4", b"\x04\x01x"))

    assert opened(make.mail(envelope(make.clear_signed(SIGNER), RSA.certificate, after=after))).raw == ORIGINAL


def test_originator_certificates_are_passed_over():
    originator = make.tlv(0xA0, make.tlv(0xA0, b"\x30\x00"))

    mail = make.enveloped(make.clear_signed(SIGNER), RSA.certificate, originator=originator)

    assert opened(make.mail(mail)).raw == ORIGINAL


def test_content_signed_with_crlf_and_sent_with_lf_verifies():
    plain = make.clear_signed(SIGNER).replace(b"\r\n", b"\n")

    assert opened(make.mail(make.enveloped(plain, RSA.certificate))).raw == ORIGINAL


def test_content_signed_with_lf_as_it_stands_verifies_and_stays():
    content = make.entity().replace(b"\r\n", b"\n")
    plain = make.clear(content, make.signed_data([make.signer_info(content, SIGNER)]))

    assert opened(make.mail(make.enveloped(plain, RSA.certificate))).raw == ORIGINAL.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("inner", ["=_b1x", "=_b1"[:-1], "x=_b1"])
def test_boundaries_that_resemble_each_other_are_told_apart(inner):
    raw = b"Subject: x\r\n\r\n" + f"--{inner}\r\n\r\na\r\n--{inner}--\r\nx--=_b1\r\n".encode()
    plain = make.clear_signed(SIGNER, make.entity(raw))

    assert opened(make.mail(make.enveloped(plain, RSA.certificate))).raw == raw


def test_white_space_after_a_boundary_is_forgiven():
    plain = make.clear_signed(SIGNER).replace(b"--=_b1\r\n", b"--=_b1 \t\r\n").replace(b"--=_b1--", b"--=_b1-- ")

    assert opened(make.mail(make.enveloped(plain, RSA.certificate))).raw == ORIGINAL


def test_triple_des_and_sha1_open_where_the_site_allows_them(tmp_path):
    plain = make.clear_signed(SIGNER, digest="sha1")
    mail = make.openssl_mail(tmp_path, plain, RSA, cipher="-des3")

    assert opened(mail, allow_3des=True, allow_sha1=True).raw == ORIGINAL


# ---- the profiles ---------------------------------------------------------------------------------------------------


def through(content: bytes, *, extra: str = "", **policy: object) -> tunnel.TunnelMail:
    return opened(make.mail(make.enveloped(make.clear_signed(SIGNER, content), RSA.certificate), extra=extra), **policy)


def test_options_come_with_the_wrapped_message_and_unknown_ones_are_logged(caplog):
    content = b"X-Webmail-Options: OTP-PDF , fly,,read-receipt\r\n" + make.entity()

    found = through(content)

    assert found.options == {"otp-pdf", "read-receipt"}
    assert "fly" in caplog.text


def test_field_names_can_have_aliases():
    fields = Fields(sender=("X-Webmail-Sender", "X-Von"), recipient=("X-An",), options=("X-Wunsch",))
    head = b"x-von: <anna@example.org>\r\nX-AN: bob@example.com\r\nX-Wunsch: otp-pdf\r\n"
    content = head + b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\n"

    found = through(content, fields=fields)

    assert (found.mail_from, found.rcpt_tos, found.options) == ("anna@example.org", ("bob@example.com",), {"otp-pdf"})


PROTECTED = (
    b'From: Anna <anna@example.org>\r\nTo: Bob <bob@example.com>, team: c@example.net, "d, e"@example.net;\r\n'
    b"Cc: colleague@example.org (nearby),\r\n <f@example.com>\r\nSubject: The offer\r\n"
    b'Content-Type: text/plain; hp="cipher"\r\n\r\nSee you.\r\n'
)


def test_protected_header_fields_give_envelope_and_message():
    found = through(PROTECTED, own_domains=("Example.ORG",))

    assert found.profile == "protected"
    assert found.raw == PROTECTED
    assert found.mail_from == "anna@example.org"
    assert found.rcpt_tos == ("bob@example.com", "c@example.net", '"d, e"@example.net', "f@example.com")


def test_outer_header_fields_count_only_where_the_site_says_so():
    extra = "Cc: Bob <bob@example.com>\r\nX-Otp: Yes\r\nX-Receipt: no\r\nX-Long: a\r\n b\r\n"
    fields = Fields(outer_otp=("X-OTP",), outer_receipt=("X-Receipt",))
    content = b"Content-Type: text/plain\r\n\r\nSee you.\r\n"

    found = through(content, extra=extra, accept_outer_headers=True, fields=fields, own_domains=("example.org",))

    assert found.profile == "outer"
    assert found.mail_from == "gateway@example.org"
    assert found.rcpt_tos == ("bob@example.com",)
    assert found.options == {"otp-pdf"}
    assert found.raw == (
        b"From: gateway@example.org\r\nTo: webmail@example.org\r\nSubject: Protected\r\nCc: Bob <bob@example.com>\r\n"
        b"X-Otp: Yes\r\nX-Receipt: no\r\nX-Long: a\r\n b\r\nMIME-Version: 1.0\r\n" + content
    )


def test_a_forwarded_message_without_our_fields_is_not_taken_for_a_wrapped_one():
    content = b"Content-Type: message/rfc822\r\n\r\n" + ORIGINAL
    extra = "Cc: bob@example.com\r\n"

    found = through(content, extra=extra, accept_outer_headers=True, own_domains=("example.org",))

    assert found.profile == "outer"
