"""Links in notices, and reference codes."""

import base64
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger import link
from messenger.link import LinkError

KEY = bytes(range(32))
NOW = 1_800_000_000
DAY = 86_400


def test_a_link_gives_back_the_address_it_was_made_for():
    token = link.token(KEY, "anna@example.org", NOW)

    assert link.open_token(KEY, token, NOW + 5, days=30) == "anna@example.org"


def test_a_link_carries_any_legal_address():
    address = '"' + "ü/" * 20 + '"@xn--bcher-kva.example'

    assert link.open_token(KEY, link.token(KEY, address, NOW), NOW, days=1) == address


@pytest.mark.parametrize(
    ("age", "good"), [(0, True), (30 * DAY, True), (30 * DAY + 1, False), (-300, True), (-301, False)]
)
def test_a_link_is_good_for_so_many_days(age, good):
    token = link.token(KEY, "anna@example.org", NOW)

    if good:
        assert link.open_token(KEY, token, NOW + age, days=30)
    else:
        with pytest.raises(LinkError):
            link.open_token(KEY, token, NOW + age, days=30)


def test_a_link_made_with_another_key_is_refused():
    token = link.token(bytes(32), "anna@example.org", NOW)

    with pytest.raises(LinkError):
        link.open_token(KEY, token, NOW, days=30)


def test_no_bit_of_a_link_can_be_changed():
    token = link.token(KEY, "anna@example.org", NOW)

    for position in range(len(token)):
        for other in "Aa0-_1B":
            changed = token[:position] + other + token[position + 1 :]
            if changed != token:
                with pytest.raises(LinkError):
                    link.open_token(KEY, changed, NOW, days=30)


def test_a_link_has_one_spelling_only():
    symbols = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for address in ("a@b", "aa@b", "aaa@b"):
        token = link.token(KEY, address, NOW)
        for other in symbols:
            changed = token[:-2] + other + token[-1:]
            if changed != token:
                with pytest.raises(LinkError):
                    link.open_token(KEY, changed, NOW, days=30)


@pytest.mark.parametrize(
    "change",
    [
        lambda token: "",
        lambda token: "1",
        lambda token: token[:-1],
        lambda token: token[:-1] + "2",
        lambda token: token + "1",
        lambda token: token + "=",
        lambda token: token + "\n",
        lambda token: " " + token,
        lambda token: token[:40],
        lambda token: token.replace(token[10], token[10] + "%"),
        lambda token: token + "ä",
        lambda token: "\ud800" * 90 + "1",
        lambda token: "A" * 100_000 + "1",
        lambda token: "1" * 60,
    ],
)
def test_what_is_no_link_is_refused_in_the_same_words(change):
    token = link.token(KEY, "anna@example.org", NOW)

    with pytest.raises(LinkError) as refusal:
        link.open_token(KEY, change(token), NOW, days=30)
    with pytest.raises(LinkError) as too_old:
        link.open_token(KEY, token, NOW + 31 * DAY, days=30)

    assert str(refusal.value) == str(too_old.value)


@settings(deadline=None)
@given(st.text(max_size=300))
def test_whatever_is_asked_for_a_link_is_opened_or_refused(text):
    with pytest.raises(LinkError):
        link.open_token(KEY, text, NOW, days=30)


def test_another_signature_with_the_same_key_is_no_link():
    payload = NOW.to_bytes(5, "big") + b"anna@example.org"
    signature = hmac.digest(KEY, payload, "sha256")
    token = base64.urlsafe_b64encode(signature + payload).decode().rstrip("=") + "1"

    with pytest.raises(LinkError):
        link.open_token(KEY, token, NOW, days=30)


def test_mail_clients_leave_a_link_whole():
    for number in range(64):
        token = link.token(KEY, f"anna.von.muenchhausen{number}@department.example.org", NOW + number)
        url = link.url("https://portal.example.org", token)
        assert len(url) < 200
        assert url[-1].isalnum()  # a hyphen at the end is often left out of what can be clicked
        assert url.removeprefix("https://portal.example.org/l/").replace("-", "").replace("_", "").isalnum()


def test_a_slash_at_the_end_of_the_portals_address_does_no_harm():
    assert link.url("https://portal.example.org/", "x") == "https://portal.example.org/l/x"


def test_a_key_of_another_size_is_refused():
    with pytest.raises(LinkError, match="32"):
        link.token(b"short", "anna@example.org", NOW)


def test_the_reference_is_the_same_for_digest_and_maildir_name():
    digest = "0123456789abcdef" * 4

    assert link.reference(digest) == link.reference(f"{digest},S=1234") == link.reference(f"{digest}.x")


def test_a_reference_can_be_read_out_on_the_telephone():
    codes = {link.reference(f"{number:064x}"[::-1]) for number in range(5000)}

    assert len(codes) == 5000
    for code in codes:
        assert len(code) == 9
        assert code[4] == "-"
        assert not set(code) & set("0O1IL2Z5S8BAEU")


def test_mail_that_came_another_way_has_a_reference_too():
    assert len(link.reference("1700000000.M1P2.host,S=3")) == 9
    assert link.reference("f" * 65) != link.reference("f" * 64)


def test_the_key_is_read_from_its_file(tmp_path):
    path = tmp_path / "link.key"
    path.write_text(KEY.hex() + "\n")

    assert link.load_key(path) == KEY


@pytest.mark.parametrize(
    ("content", "word"),
    [(None, "setup"), (b"", "64"), (b"secret-of-another-kind", "64"), (b"\xff" * 64, "64"), (b"a" * 63, "64")],
)
def test_a_key_file_that_is_none_is_named_with_its_mend_and_never_quoted(tmp_path, content, word):
    path = tmp_path / "link.key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(LinkError) as refusal:
        link.load_key(path)

    assert str(path) in str(refusal.value)
    assert word in str(refusal.value)
    assert "secret-of" not in str(refusal.value)


def test_a_folder_in_the_place_of_the_key_is_an_error_of_ours(tmp_path):
    with pytest.raises(LinkError, match="can't read"):
        link.load_key(tmp_path)
