"""Through the tunnel and out again: what we write, we read, byte for byte."""

import email
import email.policy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger import tunnel
from messenger.errors import MessengerError
from messenger.tunnel_fields import Fields
from tests.tunnel_fixtures import NOW, ORIGINAL, gateway, keys, messenger, wrapped

KINDS = ["rsa2048", "p256", "p384", "p521"]


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize("recipient", [*KINDS, "x25519"])
@pytest.mark.parametrize("sender", KINDS)
def test_what_was_wrapped_comes_out_byte_for_byte(sender, recipient, modern):
    mail = wrapped(sender=sender, recipient=recipient, modern=modern, options=["otp-pdf", "read-receipt"])

    opened = tunnel.unwrap(mail, keys(recipient, sender))

    assert opened.raw == ORIGINAL
    assert opened.mail_from == "anna@example.org"
    assert opened.rcpt_tos == ("bob@example.com",)
    assert opened.options == {"otp-pdf", "read-receipt"}
    assert opened.profile == "wrapped"
    assert opened.signer == tunnel.fingerprint(gateway(sender).certificate)
    assert re.fullmatch("[0-9a-f]{64}", opened.digest)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=400), modern=st.booleans())
def test_any_bytes_come_out_as_they_went_in(body, modern):
    raw = b"Subject: x\r\n\r\n" + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    assert tunnel.unwrap(wrapped(raw, modern=modern), keys()).raw == raw


def test_line_ends_become_those_of_mail_before_signing():
    opened = tunnel.unwrap(wrapped(b"Subject: x\n\none\r\ntwo\n"), keys())

    assert opened.raw == b"Subject: x\r\n\r\none\r\ntwo\r\n"


@pytest.mark.parametrize("raw", [b"Subject: x\r\n\r\nno line end", b"\r\nbody", b"X: --\r\n\r\n--a\r\n--a--\r\n\r\n"])
def test_odd_endings_survive(raw):
    assert tunnel.unwrap(wrapped(raw), keys()).raw == raw


def test_a_mail_kept_in_a_file_with_unix_line_ends_opens_the_same():
    mail = wrapped()

    assert tunnel.unwrap(mail.replace(b"\r\n", b"\n"), keys()) == tunnel.unwrap(mail, keys())


def test_headers_with_unix_line_ends_and_a_body_with_those_of_mail_open_the_same():
    head, body = wrapped().split(b"\r\n\r\n", 1)

    assert tunnel.unwrap(head.replace(b"\r\n", b"\n") + b"\r\n\r\n" + body, keys()).raw == ORIGINAL


def test_every_recipient_travels_once_and_hidden_ones_too():
    opened = tunnel.unwrap(wrapped(rcpt_tos=["b@example.com", "C@Example.net", "B@example.com"]), keys())

    assert opened.rcpt_tos == ("b@example.com", "c@example.net")


def test_an_answering_machine_has_no_sender():
    assert tunnel.unwrap(wrapped(mail_from=""), keys()).mail_from == ""


def test_international_addresses_travel():
    opened = tunnel.unwrap(wrapped(rcpt_tos=["jürgen@bücher.example"], mail_from="änne@example.org"), keys())

    assert opened.rcpt_tos == ("jürgen@xn--bcher-kva.example",)
    assert opened.mail_from == "änne@example.org"


def test_the_outside_tells_nothing_of_the_inside():
    mail = wrapped()

    head = mail.split(b"\r\n\r\n")[0]
    read = email.message_from_bytes(mail, policy=email.policy.default)

    assert b"offer" not in mail
    assert b"anna" not in head
    assert b"bob" not in head
    assert read["Subject"] == "Protected message"
    assert read["From"].addresses[0].addr_spec == "gateway@example.org"
    assert read["To"].addresses[0].addr_spec == "webmail@example.org"
    assert read["Date"].datetime == NOW
    assert read["MIME-Version"] == "1.0"
    assert max(map(len, mail.split(b"\r\n"))) <= 998


def test_the_same_message_wrapped_twice_has_one_digest_and_two_ciphertexts():
    first, second = wrapped(), wrapped()

    assert first != second
    assert tunnel.unwrap(first, keys()).digest == tunnel.unwrap(second, keys()).digest


def test_names_of_rules_travel_under_the_signature_and_change_nothing_else(caplog):
    opened = tunnel.unwrap(wrapped(rules=["secure in the subject", "iban"]), keys())

    assert opened.raw == tunnel.unwrap(wrapped(), keys()).raw
    assert opened.digest != tunnel.unwrap(wrapped(), keys()).digest
    assert not caplog.records


@pytest.mark.parametrize(
    "changes",
    [
        {"rcpt_tos": []},
        {"rcpt_tos": ["bob@example.com\r\nX-Webmail-Options: otp-pdf"]},
        {"mail_from": "anna"},
        {"webmail_sender": "gateway@example.org>\r\nBcc: <eve@example.net"},
        {"webmail_recipient": "not an address"},
        {"message_id": "<a@b>\r\nX: y"},
        {"options": ["self-destruct"]},
        {"rules": ["secure\r\nX-Webmail-Recipient: <eve@example.net>"]},
        {"raw": b"\r\n"},
        {"fields": Fields(sender=())},
        {"fields": Fields(recipient=("X-To: a@example.net\r\nX",))},
    ],
)
def test_wrapping_refuses_what_would_break_a_header(changes):
    with pytest.raises(MessengerError):
        wrapped(changes.pop("raw", ORIGINAL), **changes)


def test_a_site_with_its_own_field_names_reads_what_it_writes():
    fields = Fields(sender=("X-Von", "X-Webmail-Sender"), recipient=("X-An",), options=("X-Wunsch",))

    mail = wrapped(fields=fields, options=["otp-pdf"])

    opened = tunnel.unwrap(mail, keys(), tunnel.Policy(fields=fields))
    assert (opened.rcpt_tos, opened.options) == (("bob@example.com",), {"otp-pdf"})


def test_several_keys_of_ours_and_several_pinned_senders_hold_during_a_rollover():
    rolling = tunnel.TunnelKeys(
        (messenger("p256").recipient, messenger("rsa2048").recipient),
        (gateway("p256").certificate, gateway("rsa2048").certificate),
    )

    old = tunnel.unwrap(wrapped(sender="rsa2048", recipient="rsa2048"), rolling)
    new = tunnel.unwrap(wrapped(sender="p256", recipient="p256"), rolling)

    assert old.signer == tunnel.fingerprint(gateway("rsa2048").certificate)
    assert new.signer == tunnel.fingerprint(gateway("p256").certificate)


def test_an_original_over_a_megabyte_with_long_lines_survives():
    raw = b"Subject: x\r\n\r\n" + b"y" * 1_500_000 + b"\r\n" + bytes(range(256)).replace(b"\n", b"") * 100

    assert tunnel.unwrap(wrapped(raw), keys()).raw == raw
