"""The border of the tunnel: whatever bytes come in, a verified message or a refusal goes out, and nothing else."""

import base64
import logging
import os
import time
from functools import cache
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger import tunnel
from messenger.tunnel import decrypting, key_transport, verifying
from tests import cms_makers as make
from tests.hostile_mails import KEYS
from tests.tunnel_fixtures import ORIGINAL, gateway, keys, messenger, pair, wrapped

SIGNER, RSA, EC = gateway("rsa2048"), messenger("rsa2048").certificate, messenger("p256").certificate


@cache
def envelopes() -> list[bytes]:
    """Encoded CMS of several kinds, each valid."""
    plain = make.clear_signed(SIGNER)
    opaque = make.opaque_signed(SIGNER, style=make.Style(100))
    return [
        make.enveloped(plain, RSA),
        make.enveloped(opaque, RSA, style=make.Style(400)),
        make.auth_enveloped(plain, RSA),
        make.auth_enveloped(opaque, EC, style=make.Style(400, nested=True)),
        make.enveloped(plain, EC),
    ]


@cache
def plains() -> list[bytes]:
    """What is inside of the encryption, each valid."""
    return [
        make.clear_signed(SIGNER),
        make.opaque_signed(SIGNER),
        make.opaque_signed(SIGNER, style=make.Style(100)),
        make.clear_signed(gateway("p256")),
    ]


def mutate(data: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for kind, place, piece in edits:
        place %= len(data) + 1
        if kind == "replace":
            data = data[:place] + piece + data[place + len(piece) :]
        elif kind == "insert":
            data = data[:place] + piece + data[place:]
        elif kind == "delete":
            data = data[:place] + data[place + len(piece) :]
        else:
            data = data[:place] + bytes(byte ^ 1 for byte in data[place : place + 1]) + data[place + 1 :]
    return data


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "flip"]),
        st.integers(0, 10_000),
        st.binary(min_size=1, max_size=6)
        | st.sampled_from([b"\x30\x80", b"\0\0", b"\x04\x00", b"\r\n", b"--", b"=_b1"]),
    ),
    min_size=1,
    max_size=4,
)


def opens_to_the_original_or_refuses(mail: bytes) -> None:
    try:
        opened = tunnel.unwrap(mail, KEYS)
    except tunnel.Refused:
        return
    assert opened.raw == ORIGINAL
    assert opened.rcpt_tos == ("bob@example.com",)
    assert opened.mail_from == "anna@example.org"


@settings(max_examples=300, deadline=None)
@given(which=st.integers(0, 4), edits=EDITS)
def test_an_altered_envelope_never_opens_to_something_else(which, edits):
    opens_to_the_original_or_refuses(make.mail(mutate(envelopes()[which], edits)))


@settings(max_examples=300, deadline=None)
@given(which=st.integers(0, 3), edits=EDITS)
def test_an_altered_signature_never_opens_to_something_else(which, edits):
    opens_to_the_original_or_refuses(make.mail(make.enveloped(mutate(plains()[which], edits), RSA)))


@settings(max_examples=150, deadline=None)
@given(edits=EDITS)
def test_an_altered_opaque_structure_never_opens_to_something_else(edits):
    signed = base64.b64decode(plains()[1].split(b"\r\n\r\n", 1)[1])

    opens_to_the_original_or_refuses(make.mail(make.enveloped(make.opaque(mutate(signed, edits)), RSA)))


@settings(max_examples=150, deadline=None)
@given(edits=EDITS)
def test_an_altered_mail_never_opens_to_something_else(edits):
    opens_to_the_original_or_refuses(mutate(wrapped(sender="rsa2048"), edits))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    for mail in (data, make.mail(data), b"Content-Type: application/pkcs7-mime\r\n" + data):
        with pytest.raises(tunnel.Refused):
            tunnel.unwrap(mail, KEYS)


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError])
def test_what_a_library_raises_on_hostile_input_is_a_refusal(monkeypatch, caplog, error):
    def fail(*_: object) -> None:
        raise error("from the depths")

    monkeypatch.setattr(verifying, "read", fail)

    with caplog.at_level(logging.WARNING), pytest.raises(tunnel.Refused, match="from the depths"):
        tunnel.unwrap(wrapped(), keys())

    assert "Traceback" in caplog.text


@pytest.mark.parametrize("error", [MemoryError, OSError, SystemError, KeyboardInterrupt])
def test_what_is_no_verdict_on_the_mail_is_no_refusal(monkeypatch, error):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(decrypting, "decrypt", fail)

    with pytest.raises(error):
        tunnel.unwrap(wrapped(), keys())


def test_a_refusal_is_one_line_and_holds_nothing_of_the_content():
    with pytest.raises(tunnel.Refused) as refused:
        tunnel.unwrap(make.mail(make.enveloped(b"Subject: secret\r\n\r\nvery secret", RSA)), KEYS)

    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value) == f"{refused.value.code}: {refused.value.reason}"


# ---- which key opens does not show ----------------------------------------------------------------------------------


def _refusal(mail: bytes) -> str:
    with pytest.raises(tunnel.Refused) as refused:
        tunnel.unwrap(mail, KEYS)
    return str(refused.value)


@pytest.mark.parametrize("scheme", ["pkcs1", "sha256"])
@pytest.mark.parametrize("envelope", [make.enveloped, make.auth_enveloped])
def test_a_wrong_key_and_an_altered_mail_are_refused_in_the_same_words(envelope, scheme):
    other = pair("rsa2048", "else").certificate

    def garble(content: bytes) -> bytes:
        return bytes(byte ^ 0x55 for byte in content)

    wrong = envelope(ORIGINAL, lambda key: [make.transport(key, other, scheme=scheme, claim=RSA)])
    altered = envelope(ORIGINAL, lambda key: [make.transport(key, RSA, scheme=scheme)], bend=garble)

    assert _refusal(make.mail(wrong)) == _refusal(make.mail(altered))


def test_right_and_wrong_padding_of_cbc_are_refused_in_the_same_words():
    """Blocks appended after the end: with one byte in 256 the padding is right."""
    vector = bytes(16)

    found = {
        _refusal(
            make.mail(make.enveloped(make.clear_signed(SIGNER), RSA, bend=lambda c, i=i: c + vector + _last(c, i)))
        )
        for i in range(256)
    }

    assert len(found) <= 2
    assert all("undecipherable" in words or "something after the end" in words for words in found)


def _last(content: bytes, i: int) -> bytes:
    return content[32:47] + bytes((content[47] ^ i,))


@pytest.mark.parametrize("which", range(4))
def test_blocks_put_elsewhere_tell_nothing_about_what_they_hold(which):
    """Where a pasted block decides over taking or refusing, it must not be what it holds that decides."""
    plain = [*plains()[:3], make.opaque(_signed_data(), encoding="binary")][which]
    blocks = (len(plain) // 16 + 1) * 16

    for place in range(0, blocks, 16):
        taken = set()
        for _ in range(6):
            pasted = os.urandom(16) + os.urandom(16)
            mail = make.enveloped(plain, RSA, bend=lambda c, at=place, p=pasted: c[:at] + p + c[at:])  # type: ignore[misc]
            try:
                tunnel.unwrap(make.mail(mail), KEYS)
                taken.add(True)
            except tunnel.Refused:
                taken.add(False)
        assert len(taken) == 1, place


def _signed_data() -> bytes:
    content = make.entity()
    return make.signed_data([make.signer_info(content, SIGNER)], content=content, certificates=[SIGNER.certificate])


@pytest.mark.parametrize("length", [16, 24, 32])
def test_a_content_key_of_the_wrong_length_is_replaced_by_chance(length, monkeypatch):
    mail = make.enveloped(make.clear_signed(SIGNER), lambda key: [make.transport(b"k" * (length - 1), RSA)])

    assert _refusal(make.mail(mail)).startswith("undecipherable")


def test_time_tells_nothing_of_the_key():
    """Not a measurement, only a net for the gross: an early way out would be several times faster."""
    other = pair("rsa2048", "else").certificate
    body = make.clear_signed(SIGNER, make.entity(ORIGINAL + b"x" * 300_000))
    wrong = make.mail(make.enveloped(body, lambda key: [make.transport(key, other, claim=RSA)]))
    right = make.mail(make.enveloped(body, RSA, bend=lambda content: content[:-16] + bytes(16)))

    def cost(mail: bytes) -> float:
        times = []
        for _ in range(9):
            started = time.process_time()
            _refusal(mail)
            times.append(time.process_time() - started)
        return median(times)

    assert 0.2 < cost(wrong) / cost(right) < 5


def test_without_implicit_rejection_in_the_library_a_wrong_key_still_gives_random_bytes(monkeypatch):
    """OpenSSL before 3.2 raises on bad padding."""

    class Old:
        def decrypt(self, *_: object) -> bytes:
            raise ValueError("Decryption failed")

    sealed = key_transport.Sealed(messenger().recipient, b"", b"", b"\1" * 256)

    assert key_transport._decrypt(Old(), sealed, None) == b""  # type: ignore[arg-type]
