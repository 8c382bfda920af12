"""Whatever the bytes are, reading and showing them gives an answer."""

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messenger import message
from messenger.message import parse, transfer

_WORDS = st.sampled_from(
    [
        *(b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"Content-Disposition: ", b"Content-ID: "),
        *(b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"\n", b"\r\n", b"\n\n", b" ", b"\t"),
        *(b"multipart/mixed", b"multipart/related", b"multipart/alternative", b"; boundary=b", b'; boundary="b"'),
        *(b"--", b"--b", b"--b--", b"\n--b\n", b"\n--b--\n", b"text/html", b"text/plain", b"message/rfc822"),
        *(b"; charset=", b"utf-8", b"utf-7", b"utf-16", b"iso-2022-jp", b"hz", b"~{", b"\x1b$B", b"\xff\xfe", b"\x00"),
        *(b"; filename*0*=", b"; filename=", b"utf-8''%C3", b"=?utf-8?q?", b"=?utf-8?b?", b"?=", b"=C3", b"="),
        *(b"<a@b>", b"<", b">", b"(", b")", b'"', b"\\", b",", b";", b":", b"@", b"\xe2\x80\xae", b"A" * 100),
        *(b"&#", b"<b>", b"<table>", b"<style>", b"<!--", b"<svg>", b'<img src="cid:x">', b"<body bgcolor=", b"p{"),
    ]
)
_MAILS = [path.read_bytes() for path in sorted((Path(__file__).parent / "mail").glob("*.eml"))]
_BYTES = st.one_of(
    st.binary(max_size=400), st.lists(st.one_of(_WORDS, st.binary(max_size=4)), max_size=60).map(b"".join)
)
_FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def altered(draw: st.DrawFn) -> bytes:
    """A mail of ours with a piece taken out, doubled or replaced."""
    mail = draw(st.sampled_from(_MAILS))
    start = draw(st.integers(0, len(mail)))
    end = draw(st.integers(start, min(len(mail), start + 80)))
    return mail[:start] + draw(st.one_of(_BYTES, st.just(mail[start:end] * 2), st.just(b""))) + mail[end:]


def look_at(raw: bytes) -> None:
    mail = message.read(raw)
    for one in mail.attachments:
        fetched, content = message.part(raw, one.number)
        assert fetched.filename
        assert len(fetched.filename) <= 150
        assert len(content) == fetched.size
    assert message.sender(raw) == message.summary(raw, len(raw)).sender
    message.summary(raw[:300], len(raw))
    shown = message.show(raw)
    assert shown.html.encode()
    message.text_html(mail.text)


@_FEW
@given(_BYTES)
def test_any_bytes_are_read(raw):
    look_at(raw)


@_FEW
@given(altered())
def test_any_altered_mail_is_read(raw):
    look_at(raw)


@_FEW
@given(altered())
def test_parts_lie_inside_each_other_and_in_order(raw):
    root, _ = parse.tree(raw)

    for node in root.walk():
        assert 0 <= node.start <= node.end <= len(raw)
        at = node.start
        for part in node.parts:
            assert at <= part.start
            assert part.end <= node.end or part.start == part.end
            at = part.end
        assert transfer.size(raw, node) >= 0
