"""Passwords and ids of encrypted PDFs."""

import hashlib
import hmac
import math
import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from messenger import pdf_password
from messenger.pdf_password import PdfPasswordError

KEY = bytes(range(32))
DIGEST = "ab" * 32
ADDRESS = "anna@partner.example"
ID = pdf_password.id_of(DIGEST, ADDRESS)
SYMBOLS = "23456789abcdefghjkmnpqrstuvwxyz"
ROW = re.compile(r"\| `(.+?)` \| (\d+) \| (\d+) \| `(.+?)` \| `(.+?)` \|")
DOCUMENT = (Path(__file__).parents[1] / "docs" / "pdf-passwords.md").read_text()


def by_the_document(address: str, generation: int, count: int) -> tuple[str, str]:
    """Derive as the document says, with nothing but HMAC and SHA-512 of the standard library."""

    def field(value: bytes) -> bytes:
        return len(value).to_bytes(2, "big") + value

    def grouped(stream: bytes, count: int) -> str:
        found = "".join(SYMBOLS[byte % 31] for byte in stream if byte <= 247)[:count]
        return "-".join(re.findall(".{1,4}", found))

    named = field(b"webmail-messenger pdf id 1") + field(bytes.fromhex(DIGEST)) + field(address.encode())
    pdf_id = grouped(hashlib.sha512(named).digest(), 16)
    info = field(b"webmail-messenger pdf password 1") + field(address.encode())
    info += field(generation.to_bytes(4, "big")) + field(pdf_id.encode())
    stream, block = b"", b""
    for number in range(1, 5):
        block = hmac.digest(KEY, block + info + bytes([number]), "sha256")
        stream += block
    return pdf_id, grouped(stream[:124], count)


@pytest.mark.parametrize(("address", "generation", "count", "pdf_id", "password"), ROW.findall(DOCUMENT))
def test_each_vector_in_the_document_is_what_is_derived(address, generation, count, pdf_id, password):
    assert pdf_password.id_of(DIGEST, address) == pdf_id
    assert pdf_password.password(KEY, address, int(generation), pdf_id, int(count)) == password
    assert by_the_document(address, int(generation), int(count)) == (pdf_id, password)


def test_the_document_has_vectors():
    assert len(ROW.findall(DOCUMENT)) == 4


def test_a_password_has_at_least_eighty_bits_and_no_symbols_that_look_alike():
    assert math.log2(len(SYMBOLS)) * pdf_password.PASSWORD_SYMBOLS_MIN >= 80
    assert pdf_password.SYMBOLS == SYMBOLS
    assert not set("0o1il") & set(pdf_password.SYMBOLS)


def test_passwords_differ_by_key_address_generation_and_id():
    other = pdf_password.id_of("cd" * 32, ADDRESS)

    passwords = {
        pdf_password.password(KEY, ADDRESS, 0, ID),
        pdf_password.password(bytes(32), ADDRESS, 0, ID),
        pdf_password.password(KEY, "bert@partner.example", 0, ID),
        pdf_password.password(KEY, ADDRESS, 1, ID),
        pdf_password.password(KEY, ADDRESS, 0, other),
    }

    assert len(passwords) == 5


def test_symbols_come_evenly():
    found = "".join(pdf_password.password(KEY, ADDRESS, number, ID, 60) for number in range(500)).replace("-", "")

    counts = [found.count(symbol) for symbol in SYMBOLS]

    # 30,000 symbols, 968 of each expected, standard deviation 31: six of them either way.
    assert 780 < min(counts) <= max(counts) < 1160


@given(st.text(alphabet=SYMBOLS, min_size=16, max_size=16), st.data())
def test_an_id_is_found_however_it_is_typed(plain, data):
    typed = "".join(
        (symbol.upper() if data.draw(st.booleans()) else symbol) + data.draw(st.sampled_from(["", "-", " ", "–"]))
        for symbol in plain
    )

    assert pdf_password.canonical_id(typed).replace("-", "") == plain


@given(st.text())
@example("")
@example("vzfr-eemf-zwnk-zhb0")
@example("vzfr eemf zwnk zhbd!")
def test_what_is_no_id_is_refused_without_repeating_it(given):
    plain = re.sub(r"[\s\u2010-\u2015-]", "", given).lower()
    assume(len(plain) != 16 or set(plain) - set(SYMBOLS))

    with pytest.raises(PdfPasswordError, match="expected the id of a PDF") as error:
        pdf_password.canonical_id(given)

    assert len(given) < 5 or given not in str(error.value)


@pytest.mark.parametrize("symbols", [0, 16, 61])
def test_too_short_and_too_long_passwords_are_refused(symbols):
    with pytest.raises(PdfPasswordError, match="expected 17 to 60 symbols"):
        pdf_password.password(KEY, ADDRESS, 0, ID, symbols)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(PdfPasswordError, match="32 are needed"):
        pdf_password.password(key, ADDRESS, 0, ID)


def test_what_is_no_digest_has_no_id():
    with pytest.raises(PdfPasswordError, match="digest of 64"):
        pdf_password.id_of("AB" * 32, ADDRESS)


def test_a_missing_key_names_the_command_and_a_broken_one_warns_of_a_new_one(tmp_path):
    path = tmp_path / "pdf.key"

    with pytest.raises(PdfPasswordError, match="no PDF key there; `messenger setup` makes one"):
        pdf_password.load_key(path)

    path.write_text("secret that must not be shown\n")
    with pytest.raises(PdfPasswordError, match="no PDF that was sent can be opened") as error:
        pdf_password.load_key(path)
    assert "secret" not in str(error.value)

    path.write_text(KEY.hex() + "\n")
    assert pdf_password.load_key(path) == KEY
