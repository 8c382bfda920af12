"""What leaves beside a mail: tunnel mails that Messenger opens, S/MIME that openssl opens, copies for the filter."""

from dataclasses import replace

import pytest

from messenger import tunnel
from messenger.gateway.values import Choice, Seen, Way
from messenger.tunnel_fields import Fields
from messenger_milter.gateway_copies import HANDED, Keys, copies, with_subject

from . import cms_makers as make
from .tunnel_fixtures import NOW, gateway, keys, messenger

RAW = (
    b"From: Sam <sam@example.com>\r\nTo: Ann <ann@example.org>,\r\n Bob <BOB@example.org>\r\n"
    b"Subject: [secure] Plans\r\nDKIM-Signature: v=1; d=example.com;\r\n b=AAAA\r\n"
    b"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n.\r\nFrom here\r\n"
)
SEEN = Seen("sam@example.com", ("ann@example.org", "bob@example.org", "carl@example.net"), raw=RAW)
WEBMAIL = Choice(
    "ann@example.org", Way.WEBMAIL, webmail_sender="gateway@example.org", webmail_recipient="webmail@example.org"
)


def choice(recipient: str, way: Way = Way.WEBMAIL, **changes) -> Choice:
    return replace(WEBMAIL, recipient=recipient, way=way, **changes)


def made(*choices: Choice, signing_key=None, raw: bytes = RAW):
    return copies(
        SEEN,
        raw,
        choices,
        Keys(
            sender=gateway().sender,
            webmail_recipient=lambda address: messenger().certificate,
            certificate=lambda address: (
                {"ann@example.org": messenger("p256"), "bob@example.org": messenger()}.get(
                    address, messenger("p384")
                ).certificate
            ),
            signing_key=lambda address: signing_key,
            fields=Fields(),
        ),
        NOW,
    )


def opened(tmp_path, mail: bytes, recipient) -> bytes:
    certificate, key = recipient.write(tmp_path, "recipient")
    return make.openssl("cms", "-decrypt", "-recip", certificate, "-inkey", key, stdin=mail)


def test_all_who_go_by_webmail_share_one_tunnel_mail_that_carries_the_mail_byte_for_byte():
    [copy] = made(choice("ann@example.org", rules=("secure",)), choice("carl@example.net"))

    mail = tunnel.unwrap(copy.message, keys())

    assert (copy.mail_from, copy.rcpt_tos) == ("gateway@example.org", ("webmail@example.org",))
    assert (mail.raw, mail.mail_from, mail.rcpt_tos) == (
        RAW,
        "sam@example.com",
        ("ann@example.org", "carl@example.net"),
    )


def test_who_has_other_options_gets_a_tunnel_mail_of_their_own():
    pdf = choice("carl@example.net", Way.PDF, options=frozenset({"otp-pdf", "read-receipt"}))

    found = made(choice("ann@example.org"), pdf, choice("bob@example.org"))

    mails = [tunnel.unwrap(copy.message, keys()) for copy in found]
    assert {mail.rcpt_tos: mail.options for mail in mails} == {
        ("ann@example.org", "bob@example.org"): frozenset(),
        ("carl@example.net",): {"otp-pdf", "read-receipt"},
    }


def test_a_retry_makes_a_tunnel_mail_with_the_same_digest_and_message_id():
    [first], [second] = made(choice("ann@example.org")), made(choice("ann@example.org"))

    assert tunnel.unwrap(first.message, keys()).digest == tunnel.unwrap(second.message, keys()).digest
    assert _message_id(first.message) == _message_id(second.message)
    assert _message_id(first.message) != _message_id(made(choice("bob@example.org"))[0].message)


def test_an_smime_copy_is_one_for_all_who_are_named_and_openssl_opens_it_for_each(tmp_path):
    [copy] = made(choice("ann@example.org", Way.SMIME), choice("bob@example.org", Way.SMIME))

    assert (copy.mail_from, copy.rcpt_tos) == ("sam@example.com", ("ann@example.org", "bob@example.org"))
    for recipient in (messenger("p256"), messenger()):
        inside = opened(tmp_path, copy.message, recipient)
        assert inside.startswith(
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr"
        )
        assert inside.endswith(b"\xc3\x9fe\r\n.\r\nFrom here\r\n")


def test_an_smime_copy_keeps_the_header_and_nothing_of_the_content_outside():
    [copy] = made(choice("ann@example.org", Way.SMIME))

    head, _, body = copy.message.partition(b"\r\n\r\n")

    assert b"Subject: [secure] Plans\r\n" in head
    assert b"To: Ann <ann@example.org>,\r\n Bob <BOB@example.org>\r\n" in head
    assert head.count(b"Content-Type") == head.count(b"MIME-Version") == 1
    assert b"DKIM-Signature" not in head
    assert b"From here" not in body


def test_who_is_not_named_in_the_header_gets_an_smime_copy_that_shows_no_others():
    found = made(choice("ann@example.org", Way.SMIME), choice("carl@example.net", Way.SMIME))

    assert [copy.rcpt_tos for copy in found] == [("ann@example.org",), ("carl@example.net",)]


def test_a_sender_with_a_key_signs_before_encrypting(tmp_path):
    signer, _ = gateway("p256").write(tmp_path, "signer")

    [copy] = made(choice("ann@example.org", Way.SMIME), signing_key=gateway("p256").sender)

    inside = opened(tmp_path, copy.message, messenger("p256"))
    content = make.openssl("cms", "-verify", "-CAfile", signer, "-purpose", "any", stdin=inside)
    assert content.endswith(b"From here\r\n")


def test_a_copy_for_the_filter_is_the_mail_itself_with_a_mark():
    [copy] = made(choice("ann@example.org", Way.PGP), choice("carl@example.net", Way.PGP))

    assert (copy.mail_from, copy.rcpt_tos) == ("sam@example.com", ("ann@example.org", "carl@example.net"))
    assert copy.message == f"{HANDED}: pgp\r\n".encode() + RAW


def test_tunnel_mails_are_submitted_before_what_no_ledger_knows():
    found = made(choice("bob@example.org", Way.PGP), choice("ann@example.org", Way.SMIME), choice("carl@example.net"))

    assert [copy.way for copy in found] == [Way.WEBMAIL, Way.SMIME, Way.PGP]


@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (b"Subject: only a header\r\n\r\n", b""),
        (b"\r\nonly a body\r\n", b"only a body\r\n"),
        (b"Subject: no gap\r\n", b""),
        (b"Subject: two\r\n\r\n\r\nlines\r\n", b"\r\nlines\r\n"),
    ],
)
def test_odd_mails_are_carried_whole(tmp_path, raw, content):
    tunnelled, smime = made(choice("carl@example.net"), choice("ann@example.org", Way.SMIME), raw=raw)

    assert tunnel.unwrap(tunnelled.message, keys()).raw == raw
    assert opened(tmp_path, smime.message, messenger("p256")) == b"\r\n" + content
    assert b"only a body" not in smime.message


def test_another_subject_changes_nothing_else():
    assert with_subject(RAW, b"Plans") == RAW.replace(b"[secure] Plans", b"Plans")


def _message_id(mail: bytes) -> bytes:
    [line] = [line for line in mail.split(b"\r\n") if line.startswith(b"Message-ID:")]
    return line
