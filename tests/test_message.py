"""Reading a mail: bytes to plain values. The mails are files named after their oddity."""

import dataclasses
import time
from pathlib import Path

import pytest

from messenger import message
from messenger.message import Part, Person

MAILS = Path(__file__).parent / "mail"
ALL = sorted(path.stem for path in MAILS.glob("*.eml"))


def raw(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


def read(name: str) -> message.Message:
    return message.read(raw(name))


def names(name: str) -> list[str]:
    return [one.filename for one in read(name).attachments]


def strings(value: object) -> list[str]:
    """Every string in a value, however deep."""
    if isinstance(value, str):
        return [value]
    if dataclasses.is_dataclass(value):
        return [one for field in dataclasses.fields(value) for one in strings(getattr(value, field.name))]
    return [one for inner in value for one in strings(inner)] if isinstance(value, tuple) else []


@pytest.mark.parametrize("name", ALL)
def test_any_mail_is_read_shown_and_summed_up(name):
    mail = read(name)

    shown = message.show(raw(name))
    summary = message.summary(raw(name), len(raw(name)))

    assert shown.html.startswith("<!DOCTYPE html>")
    assert summary.subject == mail.subject
    assert summary.date == mail.date
    assert message.sender(raw(name)) == summary.sender


@pytest.mark.parametrize("name", ALL)
def test_every_listed_part_can_be_fetched(name):
    for listed in read(name).attachments:
        fetched, content = message.part(raw(name), listed.number)

        assert fetched == dataclasses.replace(listed, size=len(content))


@pytest.mark.parametrize("name", ALL)
def test_nothing_to_be_shown_holds_an_unseen_character(name):
    mail = dataclasses.replace(read(name), html=None)

    for text in strings(mail):
        assert not [one for one in text if (one < " " and one not in "\n\t") or "\x7f" <= one < "\xa0"], text
        assert not set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c") & set(text)


@pytest.mark.parametrize("name", ALL)
def test_a_mail_cut_anywhere_is_still_read(name):
    whole = raw(name)

    for length in {0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1} - {-1}:
        message.read(whole[:length])
        message.summary(whole[:length], len(whole))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain-crlf", "line one\nline two"),
        ("plain-undeclared-latin-1", "Grüße € 5"),
        ("plain-undeclared-utf-8", "Grüße € 5"),
        ("plain-iso-2022-jp", "こんにちは、世界"),
        ("plain-gb18030", "你好，朱镕基 €"),
        ("plain-windows-1251", "Привет, мир"),
        ("plain-windows-1252-as-latin-1", "“quoted” € 5"),
        ("plain-shift-jis", "①日本語～"),
        ("plain-koi8-r", "Привет"),
        ("plain-big5", "您好"),
        ("plain-euc-kr", "안녕하세요 똠"),
        ("plain-utf-16", "Grüße\nzwei"),
        ("plain-utf-7-attack", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
        ("html-utf-7-attack", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-"),
        ("plain-python-codec", "\\u003cscript\\u003e"),
        ("plain-unknown-charset", "qapla’"),
        ("plain-wrong-charset", "Grüße"),
        ("plain-controls", "red [31mtext nul gnp.exe end\npage"),
        ("plain-flowed", "This is one long line.\n> quoted and flowed\n>> deeper\nstuffed\n-- \nAnna"),
        ("plain-flowed-delsp", "日本語"),
        ("plain-uuencoded", "see below\n\nbegin 644 a.txt\n#:&D*\n`\nend"),
        ("quoted-printable", "Grüße weiter"),
        ("quoted-printable-broken", "100=% =ZZ ü"),
        ("base64-broken", "Hello, world"),
        ("encoding-unknown", "plain all the same"),
        ("multipart-encoded", "fine all the same"),
        ("html-charset-in-meta", "Привет"),
        ("content-type-rubbish", "body"),
        ("content-type-text", "body"),
        ("markdown-alone", "# Title"),
        ("body-only", "no field anywhere\nsecond line"),
        ("no-blank-line", "This is not a field\nmore"),
        ("mbox-from-line", "body"),
        ("message-id-empty", "body"),
        ("boundary-missing", "the text"),
        ("boundary-not-in-body", "Just this text."),
        ("boundary-never-closed", "first\n\nsecond"),
        ("boundary-with-specials", "first\n\nsecond"),
        ("boundary-begins-like-another", "outer\n\ninner plain\n\nouter again"),
        ("boundary-inside-base64", "text"),
        ("parts-without-headers", "first\n\nsecond"),
        ("pictures-between-texts", "before\n\nafter"),
        ("mailing-list-footer", "plain\n\n_____\nList <list@example.org>"),
        ("empty", ""),
        ("headers-only", ""),
        ("html-empty", ""),
        ("attachment-alone", ""),
    ],
)
def test_the_text_of(name, text):
    assert read(name).text == text


@pytest.mark.parametrize(
    ("name", "html"),
    [
        ("alternative", "<p>the <b>rich</b> one</p>"),
        ("alternative-rich-first", "<p>rich</p>"),
        ("related-start-last", '<p>last <img src="cid:logo@example.org"></p>'),
        ("mixed-in-alternative", "<p>one</p>\n<p>two</p>"),
        ("plain-utf-8", None),
        ("html-as-attachment", None),
    ],
)
def test_the_html_of(name, html):
    assert read(name).html == html


def test_the_best_alternative_is_shown_and_the_plain_one_is_there_too():
    mail = read("alternative-in-related-in-mixed")

    assert (mail.text, mail.html) == ("plain", '<p>rich <img src="cid:logo@example.org"></p>')
    assert mail.attachments == (
        Part("1.2", "logo.png", "image/png", 78, True, "logo@example.org"),
        Part("2", "r.pdf", "application/pdf", 15, False, ""),
    )


def test_html_alone_gives_a_text_too():
    assert read("html-only").text == (
        "Offer\n\nHello Bert,\nsee our offer <https://example.org/offer> or https://example.org.\n\n- one\n- two\n\n"
        "1. first\n2. second\n\n> quoted\n> text\n\na\t1\nb\t2\n\nx\n  y\n\n[logo]"
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("attachment-name-path", ["passwd", "con.txt", "bashrc", "part-5.bin", "x" * 146 + ".pdf"]),
        ("attachment-name-bidi", ["invoicefdp.exe", "a b c.txt"]),
        ("attachment-name-rfc-2231", ["Grüße aus K.pdf", "£ rates.pdf", "ab.pdf"]),
        ("attachment-name-rfc-2047", ["Rechnung Ä.pdf", "Rechnung Ä ä.pdf"]),
        ("attachment-without-name", ["part-2.jpg", "part-4.bin"]),
        ("attachment-winmail-dat", ["winmail.dat"]),
        ("attachment-alone", ["only.pdf"]),
        ("alternative-calendar", ["part-3.ics"]),
        ("delivery-report", ["part-2.txt", "part-3.eml"]),
        ("signed-clear", ["smime.p7s"]),
        ("digest", ["part-1.eml", "part-2.eml"]),
    ],
)
def test_the_names_of_the_attachments_of(name, found):
    assert names(name) == found


@pytest.mark.parametrize("name", ["nested-message", "nested-message-base64"])
def test_a_mail_in_a_mail_is_an_attachment_that_can_be_read(name):
    _, content = message.part(raw(name), "2")

    inner = message.read(content)

    assert (inner.subject, inner.text) == ("the inner one", "inner text")
    assert message.part(content, inner.attachments[0].number)[1] == b"inner file"


def test_a_part_that_is_not_there_is_an_error_of_ours():
    with pytest.raises(message.NoSuchPart, match="7"):
        message.part(raw("alternative"), "7")


@pytest.mark.parametrize(
    ("name", "problems"),
    [
        ("alternative", ()),
        ("several-from", ("several-from",)),
        ("several-authors", ("several-authors",)),
        ("no-from", ("no-from", "no-date")),
        ("empty", ("no-from", "no-date")),
        ("dates-odd", ("bad-date",)),
        ("boundary-missing", ("bad-structure",)),
        ("parts-nested-deep", ("too-deep", "bad-structure")),
        ("plain-utf-7-attack", ("unknown-charset",)),
        ("plain-wrong-charset", ("bad-encoding",)),
    ],
)
def test_what_is_odd_is_named_in(name, problems):
    assert read(name).problems == problems


def test_a_thousand_parts_are_read_and_more_are_counted_as_one():
    part = b"--b\nContent-Type: application/pdf\n\nx\n"
    mail = message.read(b"From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n" + part * 5000 + b"--b--\n")

    assert len(mail.attachments) == 999
    assert "too-many-parts" in mail.problems


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain" + b";" * 1_000_000,
        b"Content-Type: text/plain" + b";a" * 500_000,
        b'Content-Type: text/plain; a="' + b"\\" * 1_000_000,
        b"X: y\n" * 200_000 + b"X: y",
        b"Subject: x" + b"\n y" * 300_000,
        b"To: " + b"(" * 60_000,
        b"To: @" + b":" * 60_000,
        b"To: <" + b"," * 60_000,
        b"Subject: " + b"=?" * 30_000,
        b"Subject: " + b"=?utf-8?q?a?= " * 4_000,
    ],
)
def test_monstrous_fields_cost_no_time_and_do_not_hide_the_body(head):
    mail = message.read(b"From: a@b.test\n" + head + b"\n\nthe body")

    assert mail.text == "the body"
    assert mail.senders == (Person("", "a@b.test"),)


def test_a_mail_of_fifty_megabytes_is_read():
    line = b"QUJD" * 19 + b"\r\n"
    attached = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + line * 640_000
    big = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n" + attached + b"--b--\r\n"

    mail = message.read(big)

    assert mail.text == "hello"
    assert mail.attachments[0].size == 640_000 * 57


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        (b"Content-Type: text/html\r\n\r\n" + b"<p>x</p>" * 1_500 + b"\r\n", "text-cut"),
        (b"Content-Type: text/html\r\n\r\n" + b"<p>" * 5_000 + b"\r\n", "text-cut"),
        (b"X: y\r\n" * 1_990 + b"\r\nx\r\n", "too-many-parts"),
    ],
)
def test_a_thousand_dear_parts_cost_no_more_than_one(part, problem):
    many = b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + (b"--b\r\n" + part) * 900

    begun = time.process_time()
    mail = message.read(many)

    assert problem in mail.problems
    assert time.process_time() - begun < 3


def test_a_very_long_text_is_cut_and_says_so():
    mail = message.read(b"From: a@b.test\n\n" + b"word\n" * 1_000_000)

    assert len(mail.text) == 1_000_000
    assert "text-cut" in mail.problems


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("attachment-alone", True),
        ("alternative-in-related-in-mixed", True),
        ("related", False),
        ("alternative", False),
        ("signed-clear", False),
        ("plain-utf-8", False),
    ],
)
def test_a_summary_knows_of_attachments_in(name, has):
    assert message.summary(raw(name), len(raw(name))).has_attachments is has


def test_a_summary_of_a_long_mail_expects_what_it_could_not_see():
    whole = raw("alternative-in-related-in-mixed")

    assert message.summary(whole[: whole.index(b"application/pdf")], len(whole)).has_attachments


def test_a_preview_is_one_line_of_the_senders_own_words():
    found = message.summary(raw("plain-flowed"), 1000)

    assert found.preview == "This is one long line. stuffed -- Anna"


def test_options_are_believed_in_the_three_topmost_lines_alone():
    assert message.delivered_options(raw("trace-options")) == {"otp-pdf", "read-receipt"}
    assert message.delivered_options(raw("trace-forged")) == frozenset()
    assert message.delivered_options(raw("plain-utf-8")) == frozenset()
    assert message.delivered_options(b"") == frozenset()


def test_a_picture_the_html_does_not_show_is_listed_as_a_file():
    whole = raw("related").replace(b"cid:logo@example.org", b"cid:other@example.org")

    assert [one.inline for one in message.read(raw("related")).attachments] == [True]
    assert [one.inline for one in message.read(whole).attachments] == [False]


def test_what_only_says_it_is_a_picture_is_listed_as_a_file():
    assert [one.inline for one in read("hostile-svg-picture").attachments] == [False]


def test_an_inner_multipart_that_is_never_closed_ends_with_its_outer_part():
    html = b"--i\nContent-Type: text/html\n\n<p>rich\n"
    inner = b"Content-Type: multipart/alternative; boundary=i\n\n--i\n\nplain\n" + html
    whole = b"Content-Type: multipart/mixed; boundary=o\n\n--o\n" + inner + b"--o\n\nfooter\n--o--\n"

    mail = message.read(whole)

    assert mail.text == "plain\n\nfooter"
    assert mail.html == '<p>rich\n<div style="white-space: pre-wrap">footer</div>'
