"""Codes by RFC 6238, each used once; secrets sealed for one address."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from messenger import totp
from messenger.totp import TotpError

#: RFC 6238, appendix B: the key of the SHA-1 vectors, which have eight digits; ours are the last six of them.
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_CODES = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
KEY = bytes(range(32))
ALICE = "alice@example.net"
NOW = 1_800_000_000


@pytest.mark.parametrize(("now", "code"), RFC_CODES.items())
def test_codes_are_those_of_the_rfc(now, code):
    assert totp.code(RFC_SECRET, totp.step_of(now)) == code[-6:]


def test_a_secret_has_160_bits_and_no_two_are_alike():
    secrets = {totp.new_secret() for _ in range(50)}

    assert len(secrets) == 50
    assert {len(base64.b32decode(secret)) for secret in secrets} == {20}


def test_this_code_and_the_one_before_count_and_no_other():
    here = totp.step_of(NOW)

    found = {offset: totp.match(RFC_SECRET, totp.code(RFC_SECRET, here + offset), NOW) for offset in range(-3, 3)}

    assert found == {-3: None, -2: None, -1: here - 1, 0: here, 1: None, 2: None}


def test_a_step_that_was_used_and_those_before_it_are_refused():
    here = totp.step_of(NOW)
    before, this = (totp.code(RFC_SECRET, step) for step in (here - 1, here))

    assert totp.match(RFC_SECRET, this, NOW, after=here) is None
    assert totp.match(RFC_SECRET, before, NOW, after=here) is None
    assert totp.match(RFC_SECRET, before, NOW, after=here - 1) is None
    assert totp.match(RFC_SECRET, this, NOW, after=here - 1) == here


@pytest.mark.parametrize("spell", [lambda c: f" {c} ", lambda c: f"{c[:3]} {c[3:]}", lambda c: f"{c[:3]}-{c[3:]}",
                                   lambda c: "".join(chr(0xFF10 + int(d)) for d in c)])  # fmt: skip
def test_a_code_may_be_typed_as_the_app_shows_it(spell):
    code = totp.code(RFC_SECRET, totp.step_of(NOW))

    assert totp.match(RFC_SECRET, spell(code), NOW) is not None


@pytest.mark.parametrize("given", ["", "000000000000", "12345", "abcdef", "é" * 6, "\ud800", "\x00" * 6, "9" * 100_000])
def test_anything_else_is_no_code(given):
    assert totp.match(RFC_SECRET, given, NOW) is None


def test_an_authenticator_app_learns_whose_secret_it_is():
    uri = urlsplit(totp.uri(RFC_SECRET, ALICE, "Post: the & one"))

    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert parse_qs(uri.query) == {"secret": [RFC_SECRET], "issuer": ["Post  the & one"]}
    assert uri.path.endswith("alice%40example.net")


def test_what_is_sealed_opens_with_the_same_key_for_the_same_address_alone():
    sealed = totp.seal(KEY, RFC_SECRET, ALICE)

    assert totp.open_sealed(KEY, sealed, ALICE) == RFC_SECRET
    for key, address in ((KEY[::-1], ALICE), (KEY, "bob@example.net")):
        with pytest.raises(TotpError, match="another TOTP key"):
            totp.open_sealed(key, sealed, address)


def test_sealing_twice_gives_two_texts_and_neither_shows_the_secret():
    one, two = (totp.seal(KEY, RFC_SECRET, ALICE) for _ in range(2))

    assert one != two
    assert RFC_SECRET not in one


@pytest.mark.parametrize("damage", [lambda s: s[:-1] + ("A" if s[-1] != "A" else "B"), lambda s: s[:10], lambda s: "",
                                    lambda s: "é", lambda s: s[:20] + "!" + s[21:]])  # fmt: skip
def test_what_is_damaged_does_not_open(damage):
    with pytest.raises(TotpError):
        totp.open_sealed(KEY, damage(totp.seal(KEY, RFC_SECRET, ALICE)), ALICE)


def test_without_a_key_nothing_is_sealed():
    with pytest.raises(TotpError, match="0 bytes"):
        totp.seal(b"", RFC_SECRET, ALICE)


def test_a_key_is_64_hexadecimal_digits_on_one_line(tmp_path):
    path = tmp_path / "totp.key"
    path.write_text(KEY.hex() + "\n")

    assert totp.load_key(path) == KEY


@pytest.mark.parametrize("found", [b"", b"abcd", KEY.hex().encode() * 2, b"\xff" * 32, b"-----BEGIN PRIVATE KEY-----"])
def test_a_file_that_is_no_key_is_named_without_a_word_of_what_it_holds(tmp_path, found):
    path = tmp_path / "totp.key"
    path.write_bytes(found)

    with pytest.raises(TotpError, match=r"totp\.key: expected 64 hexadecimal digits") as error:
        totp.load_key(path)

    assert "PRIVATE" not in str(error.value)
    assert not error.value.temporary


def test_a_missing_key_says_who_makes_one(tmp_path):
    with pytest.raises(TotpError, match="`messenger setup` makes one"):
        totp.load_key(tmp_path / "totp.key")


def test_a_key_that_is_not_ours_to_read_says_what_to_change(tmp_path):
    with pytest.raises(TotpError, match="can't read the TOTP key"):
        totp.load_key(tmp_path)
