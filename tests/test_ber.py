"""The BER walker: forwards, once, within bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger.tunnel import der
from messenger.tunnel.ber import MAX_DEPTH, OCTET_STRING, SEQUENCE, Reader
from messenger.tunnel.refused import Refused


@pytest.mark.parametrize("data", ["3007020101 04027879", "3080020101 04027879 0000", "308107020101 04027879"])
def test_walks_definite_and_indefinite_frames_alike(data):
    reader = Reader(bytes.fromhex(data))

    reader.enter(SEQUENCE)
    number, text, more = reader.primitive(2), bytes(reader.octets()), reader.more()
    reader.leave()

    assert (number, text, more) == (b"\1", b"xy", False)
    assert reader.pos == len(reader.data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0403616263", b"abc"),
        ("040361626300", b"abc"),
        ("2480040161040262630000", b"abc"),
        ("24070401610402 6263", b"abc"),
        ("24802480040161040162000024030401630000", b"abc"),
        ("24800000", b""),
        ("2400", b""),
        ("2480 040161 24800000 0400 04026263 0000", b"abc"),
        ("2480 04810161 04820002 6263 0000", b"abc"),
    ],
)
def test_octet_strings_come_in_segments(data, expected):
    assert bytes(Reader(bytes.fromhex(data)).octets()) == expected


@pytest.mark.parametrize(
    "data",
    [
        "",
        "04",
        "0402 61",
        "2480 0401 61",
        "2480 0401 61 00",
        "2480 0201 61 0000",
        "2403 040361",
        "2404 2480 0401 0000 61",
        "0480 6161 0000",
        "1f81 0100",
        "0489 000000000000000001 61",
        "04ff" + "01" * 130,
        "3003020161",
    ],
)
def test_what_is_no_octet_string_is_refused(data):
    with pytest.raises(Refused):
        Reader(bytes.fromhex(data)).octets()


def test_an_indefinite_segment_cannot_reach_beyond_the_definite_one_around_it():
    with pytest.raises(Refused):
        Reader(bytes.fromhex("2480 2406 2480 04036162630000 0000 0000")).octets()


def test_leaving_an_element_with_something_unread_is_refused():
    for data in ("3003020101", "30800201010000"):
        reader = Reader(bytes.fromhex(data))
        reader.enter(SEQUENCE)

        with pytest.raises(Refused):
            reader.leave()


def test_an_element_longer_than_what_holds_it_is_refused():
    reader = Reader(bytes.fromhex("3003 0205 0102030405"))
    reader.enter(SEQUENCE)

    with pytest.raises(Refused):
        reader.primitive(2)


def test_nesting_ends_somewhere():
    for data in (b"\x30\x80" * (MAX_DEPTH + 2), b"\x24\x80" * (MAX_DEPTH + 2)):
        with pytest.raises(Refused):
            Reader(data).skip()
        with pytest.raises(Refused):
            Reader(data).octets()


def test_entering_too_deep_is_refused():
    reader = Reader(b"\x30\x80" * 100)
    for _ in range(MAX_DEPTH):
        reader.enter(SEQUENCE)

    with pytest.raises(Refused):
        reader.enter(SEQUENCE)


def test_skipping_passes_over_what_is_inside_unread():
    reader = Reader(bytes.fromhex("3080 3003ffffff a080 0500 0000 0000 05 00"))

    reader.skip()

    assert reader.primitive(5) == b""


def test_limits_are_kept():
    data = der.element(2, bytes(100))

    for read in (lambda r: r.primitive(2, 99), lambda r: r.element(99)):
        with pytest.raises(Refused):
            read(Reader(data))
    with pytest.raises(Refused):
        Reader(der.octet_string(bytes(100))).octets(OCTET_STRING, 99)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_refusal(data):
    for read in (Reader.skip, Reader.octets, Reader.algorithm, Reader.element, Reader.oid):
        reader = Reader(data)
        try:
            read(reader)
        except Refused:
            continue
        assert 0 < reader.pos <= len(data)


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.binary(max_size=300), max_size=8), definite=st.booleans(), seed=st.integers(0, 255))
def test_segments_join_to_the_whole(pieces, definite, seed):
    inner = b"".join(der.octet_string(piece) for piece in pieces)
    data = der.element(0x24, inner) if definite else b"\x24\x80" + inner + b"\0\0"

    reader = Reader(bytearray(data + bytes((seed,))))

    assert bytes(reader.octets()) == b"".join(pieces)
    assert reader.pos == len(data)


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths_written_are_lengths_read(length):
    content = bytes(length)

    assert Reader(der.octet_string(content)).octets() == content


@pytest.mark.parametrize(("value", "encoded"), [(0, "020100"), (127, "02017f"), (128, "02020080"), (256, "02020100")])
def test_integers_are_written_as_der_wants(value, encoded):
    assert der.integer(value).hex() == encoded
