"""What the page says of a signature: each case its own truthful word, and "signed by" only where all of it holds."""

import base64
import time
from datetime import timedelta

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from messenger import message
from messenger_reader import trust
from messenger_reader.trust import State, Trust

from .cms_makers import clear, opaque, openssl, signed_data, signer_info
from .signed_mail import ANNA, HEAD, NOW, TEXT, anna, issued, office, root, signed
from .tunnel_fixtures import private_key

ROOTS = (root().pair.certificate,)


def judged(raw, roots=None, now=NOW):
    examined = trust.examine(raw, message.read(raw))
    return trust.judge(examined, ROOTS if roots is None else roots, int(now.timestamp()))


def state(raw, **more):
    return judged(raw, **more).state


@pytest.mark.parametrize("arguments", [(), ("-nodetach",), ("-nodetach", "-stream"), ("-keyid",), ("-md", "sha512")])
def test_a_mail_signed_by_its_sender_is_signed_by_them_and_shows_its_text(tmp_path, arguments):
    raw = signed(tmp_path, None, TEXT, *arguments)

    assert judged(raw) == Trust(State.SIGNED, ANNA, "Example Root")
    assert message.read(raw).text == "What Anna signed."
    assert "What Anna signed." in message.summary(raw, len(raw)).preview
    assert "What Anna signed." in message.show(raw).html


def test_line_ends_changed_on_the_way_and_fields_put_on_top_do_no_harm(tmp_path):
    raw = signed(tmp_path)

    assert state(raw.replace(b"\r\n", b"\n")) is State.SIGNED
    assert state(b"Return-Path: <x@example.net>\nDelivered-To: alice@example.net\n" + raw) is State.SIGNED


def test_keys_of_other_kinds_sign_as_well(tmp_path):
    mails = [
        signed(tmp_path, issued("Anna", office(), address=ANNA, key=private_key("rsa2048"))),
        signed(tmp_path, issued("Anna", office(), address=ANNA, purpose=None)),
        signed(tmp_path, issued("Anna", office(), address="Anna@EXAMPLE.org")),
        signed(tmp_path, issued("Anna", root(), address=ANNA), chain=()),
    ]

    assert [state(raw) for raw in mails] == [State.SIGNED] * 4


def test_an_issuer_that_nobody_named_is_not_known(tmp_path):
    stranger = issued("Stranger", address=ANNA)

    assert state(signed(tmp_path, stranger, chain=())) is State.UNKNOWN_ISSUER
    assert state(signed(tmp_path), roots=()) is State.UNKNOWN_ISSUER
    assert state(signed(tmp_path, chain=())) is State.UNKNOWN_ISSUER  # the one between is missing
    assert judged(signed(tmp_path, stranger, chain=())).issuer == ""


def test_a_person_is_no_authority(tmp_path):
    forged = issued("Forged", type(root())(anna()), address=ANNA)

    assert state(signed(tmp_path, forged, chain=(anna().certificate, *office().above))) is State.UNKNOWN_ISSUER


def test_a_certificate_has_its_time(tmp_path):
    raw = signed(tmp_path)

    assert state(raw, now=NOW + timedelta(days=201)) is State.EXPIRED
    assert state(raw, now=NOW - timedelta(days=101)) is State.NOT_YET
    assert judged(raw, now=NOW + timedelta(days=201)).day == anna().certificate.not_valid_after_utc


def test_a_certificate_for_another_address_is_not_the_senders(tmp_path):
    eve = issued("Anna Beispiel", office(), address="eve@example.com")
    nobody = issued("anna@example.org", office())

    assert judged(signed(tmp_path, eve)) == Trust(State.OTHER_ADDRESS, "eve@example.com")
    assert judged(signed(tmp_path, nobody)) == Trust(State.OTHER_ADDRESS)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + "From: eve@example.com\r\n",
        HEAD.replace("From:", "From: eve@example.com,"),
        HEAD.replace("From:", "X-From:"),
        HEAD + "X-Filler: x\r\n" * 3_000 + "From: eve@example.com\r\n",
        HEAD.replace("From:", "From: friends: eve@example.com,"),
    ],
)
def test_a_mail_must_name_one_sender(tmp_path, head):
    # Behind thousands of fields the type isn't read either.
    found = {state(signed(tmp_path, head=head)), state(signed(tmp_path, None, TEXT, "-nodetach", head=head))}

    assert found == ({State.NONE} if "Filler" in head else {State.SEVERAL_SENDERS})


def test_a_certificate_for_web_servers_signs_no_mail(tmp_path):
    web = issued("Anna", office(), address=ANNA, purpose=ExtendedKeyUsageOID.SERVER_AUTH)

    assert state(signed(tmp_path, web)) is State.NOT_FOR_MAIL


def test_what_was_changed_or_added_is_altered(tmp_path):
    raw = signed(tmp_path)
    whole = signed(tmp_path, None, TEXT, "-nodetach")
    head, _, body = whole.replace(b"\r\n", b"\n").partition(b"\n\n")
    changed = base64.b64decode(body).replace(b"What Anna", b"What Eve ")

    assert state(raw.replace(b"What Anna", b"What Eve ")) is State.ALTERED
    assert state(raw.replace(b"text/plain; charset=utf-8", b"text/plain; charset=utf-7")) is State.ALTERED
    assert state(head + b"\n\n" + base64.encodebytes(changed)) is State.ALTERED


def test_several_signatures_and_old_methods_are_said_to_be_that(tmp_path):
    other, _ = issued("Bert", office(), address="bert@example.org").write(tmp_path, "other")

    two = signed(tmp_path, None, TEXT, "-signer", str(other), "-inkey", str(other.with_suffix(".key")))

    assert state(two) is State.SEVERAL_SIGNERS
    assert state(signed(tmp_path, None, TEXT, "-md", "sha1")) is State.SHA1


def test_a_signature_that_is_not_the_root_of_the_mail_says_nothing(tmp_path):
    raw = signed(tmp_path, head="")
    part = raw[raw.index(b"Content-Type") :]
    begin = f"{HEAD}Content-Type: multipart/mixed; boundary=outer\r\n\r\n".encode()
    with_footer = begin + b"--outer\r\n" + part + b"\r\n--outer\r\n\r\nSend me money.\r\n--outer--\r\n"
    nested = begin + b"--outer\r\nContent-Type: message/rfc822\r\n\r\n" + signed(tmp_path) + b"\r\n--outer--\r\n"

    assert state(with_footer) is State.INSIDE
    assert state(nested) is State.NONE  # the mail inside is one of its own


def test_what_stands_beside_the_signed_part_is_no_part_of_it(tmp_path):
    raw = signed(tmp_path).replace(b"\r\n", b"\n")
    mark = b"--" + raw[raw.index(b'boundary="') + 10 :].split(b'"')[0]
    extra = mark + b"\n\nSend me money.\n"
    first, last = raw.index(b"\n" + mark) + 1, raw.index(mark + b"--")

    for bent in (
        raw[:first] + extra + raw[first:],
        raw[:last] + extra + raw[last:],
        raw.replace(b"pkcs7-signature; name", b"octet-stream; name").replace(b'="application/pkcs7-signature', b'="x'),
        raw.replace(b"multipart/signed", b"multipart/mixed"),
        raw.replace(mark[2:], b"other", 1),
    ):
        assert bent != raw
        assert state(bent) in (State.UNCHECKED, State.NONE, State.ALTERED)


def test_a_sender_behind_thousands_of_fields_is_not_overlooked(tmp_path):
    raw = signed(tmp_path, None, TEXT, "-nodetach").replace(b"\r\n", b"\n")
    head, _, body = raw.partition(b"\n\n")

    many = head + b"\n" + b"X-Filler: x\n" * 3_000 + b"From: eve@example.com\n\n" + body

    assert state(many) is State.SEVERAL_SENDERS
    assert "headers-cut" in message.read(many).problems


def test_encrypted_mail_and_pgp_are_called_what_they_are(tmp_path):
    alice = issued("Alice", office(), address="alice@example.net", key=private_key("rsa2048"))
    certificate, _ = alice.write(tmp_path, "alice")
    encrypted = openssl("cms", "-encrypt", "-aes256", "-recip", certificate, stdin=TEXT)
    inline = b"From: a@b.test\n\n-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----\n"

    assert state(HEAD.encode() + encrypted) is State.SMIME_ENCRYPTED
    assert state(inline) is State.PGP_ENCRYPTED
    assert state(inline.replace(b"PGP MESSAGE", b"PGP SIGNED MESSAGE")) is State.PGP_SIGNED
    assert state(b"From: a@b.test\n\n> -----BEGIN PGP MESSAGE-----\nquoted\n") is State.NONE


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pgp-mime-encrypted", State.PGP_ENCRYPTED),
        ("pgp-mime-signed", State.PGP_SIGNED),
        ("pgp-inline-signed", State.PGP_SIGNED),
        ("smime-encrypted", State.SMIME_ENCRYPTED),
        ("signed-clear", State.UNCHECKED),
        ("alternative", State.NONE),
    ],
)
def test_samples_are_called_what_they_are(name, found, request):
    assert state((request.path.parent / "mail" / f"{name}.eml").read_bytes()) is found


def test_odd_signatures_are_never_an_error_and_halves_never_trusted(tmp_path):
    raw = signed(tmp_path)
    protection = message.protection(raw, "")
    begin = raw.index(base64.encodebytes(protection.cms)[:40])

    def with_cms(cms):
        return raw[:begin] + base64.encodebytes(cms) + raw[raw.index(b"\n------", begin) :]

    assert state(with_cms(protection.cms)) is State.SIGNED
    for place in range(0, len(protection.cms), 40):
        bent = bytearray(protection.cms)
        bent[place] ^= 0x41
        assert state(with_cms(bytes(bent))) not in (State.NONE, State.INSIDE)
        assert state(with_cms(protection.cms[:place])) in (State.UNCHECKED, State.ALTERED)


def test_a_large_mail_is_examined_soon():
    line = b"QUJD" * 19 + b"\r\n"
    content = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + line * 160_000
    info = signer_info(content, anna())
    beside = clear(content, signed_data([info], certificates=[anna().certificate]))
    inside = opaque(signed_data([info], content=content, certificates=[anna().certificate]))

    for raw in (HEAD.encode() + beside.replace(b"\r\n", b"\n"), HEAD.encode() + inside):
        read = message.read(raw)
        begun = time.process_time()
        assert trust.examine(raw, read).state is State.SIGNED
        assert time.process_time() - begun < 1
        assert read.attachments[0].size == 160_000 * 57


def test_a_hostile_signature_costs_no_time(tmp_path):
    many = [issued(f"Nobody {count}", office()).certificate for count in range(14)]
    head = b"\x30\x80\x06\x09" + bytes.fromhex("2a864886f70d010702") + b"\xa0\x80\x30\x80\x02\x01\x01\x31\x00"
    head += b"\x30\x80\x06\x09" + bytes.fromhex("2a864886f70d010701") + b"\xa0\x80\x24\x80"
    segments = f"{HEAD}Content-Type: application/pkcs7-mime\r\n\r\n".encode() + head + b"\x04\x01x" * 1_000_000
    raw = signed(tmp_path, chain=many)

    begun = time.process_time()
    assert state(raw) is State.UNKNOWN_ISSUER
    assert state(segments) is State.UNCHECKED

    assert time.process_time() - begun < 5


def test_a_signature_with_content_beside_it_and_inside_is_not_checked():
    two = clear(TEXT, signed_data([signer_info(TEXT, anna())], content=TEXT, certificates=[anna().certificate]))

    assert state(HEAD.encode() + two) is State.UNCHECKED
