"""Header blocks, byte for byte: where they end, what a field is, and what is none."""

import pytest

from messenger.tunnel import Refused, mime


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_folded_field_is_one_value_and_keeps_its_place(line_end):
    block = line_end.join((b"To: a,", b"\t b", b"X:", b"tO : c", b"", b"To: body"))

    part = mime.entity(block)

    assert part.values("TO") == [b"a,\t b", b"c"]
    assert part.one("x") == b""
    assert block[part.body :] == b"To: body"


@pytest.mark.parametrize(
    "block", [b"A: 1\nB: 2\r\n\r\nbody", b"A: 1\r\nB: 2\n\nbody", b"A: 1\r\nB: 2\r\n\nbody\r\n\r\n"]
)
def test_the_first_empty_line_ends_the_header_whatever_the_line_ends_are(block):
    part = mime.entity(block)

    assert (part.one("a"), part.one("b")) == (b"1", b"2")
    assert block[part.body :].startswith(b"body")


@pytest.mark.parametrize("empty", [b"\n", b"\r\n"])
def test_an_entity_may_have_no_header(empty):
    part = mime.entity(b"--\n" + empty + b"A: 1\n\n", 3)

    assert (part.fields, part.body) == ({}, 3 + len(empty))


@pytest.mark.parametrize("line", [b" a: b", b"\ta: b"])
def test_a_header_block_does_not_begin_with_the_rest_of_a_field(line):
    with pytest.raises(Refused, match="is no header field"):
        mime.entity(line + b"\n\nbody")


@pytest.mark.parametrize("line", [b"a", b": b", b"a b: c", b"\xe4: b", b"a\n b: c", b"a\n\tb: c"])
@pytest.mark.parametrize("before", [b"", b"X: y\n"])
def test_a_line_that_is_no_field_is_refused(before, line):
    with pytest.raises(Refused, match="is no header field"):
        mime.entity(before + line + b"\n\nbody")


def test_a_header_block_without_end_is_refused():
    with pytest.raises(Refused, match="no header block"):
        mime.entity(b"A: 1\n" * (mime.MAX_HEADER // 5 + 1) + b"\n")
