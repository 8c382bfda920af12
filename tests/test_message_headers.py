"""Header fields and addresses, as people should see them."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from messenger import message
from messenger.message import Person, addresses, charset, headers

MAILS = Path(__file__).parent / "mail"


def read(name: str) -> message.Message:
    return message.read((MAILS / f"{name}.eml").read_bytes())


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("Anna <a@x.test>", [Person("Anna", "a@x.test")]),
        ("a@x.test", [Person("", "a@x.test")]),
        ("a@x.test (Anna)", [Person("Anna", "a@x.test")]),
        ("Anna a@x.test", [Person("Anna", "a@x.test")]),
        ('"B, C" <b@x.test>, d@x.test', [Person("B, C", "b@x.test"), Person("", "d@x.test")]),
        ("a@x.test; b@x.test", [Person("", "a@x.test"), Person("", "b@x.test")]),
        ("Board: a@x.test, B <b@x.test>;, c@x.test", [Person("", one) for one in ("a@x.test",)] + [
            Person("B", "b@x.test"), Person("", "c@x.test")]),
        ("undisclosed-recipients:;", []),
        ('"a b"@x.test', [Person("", '"a b"@x.test')]),
        ('<"a>b"@x.test>', [Person("", '"a>b"@x.test')]),
        ("<@relay.test:a@x.test>", [Person("", "a@x.test")]),
        ("a@x.test <@relay.test: a@x.test>", [Person("a@x.test", "a@x.test")]),
        ("Anna <a@x.test", [Person("Anna", "a@x.test")]),
        ("Anna <a@x.test, b@x.test", [Person("Anna", "a@x.test"), Person("", "b@x.test")]),
        ("Anna", [Person("Anna", "")]),
        ("<>", []),
        ("", []),
        (",,;,", []),
        ('"quo\\"ted" <a@x.test>', [Person('quo"ted', "a@x.test")]),
        ("a@x.test)b@y.test", [Person("", "a@x.test)b@y.test")]),
        ("=?utf-8?q?A=2C_b=40x=2Etest?= <c@x.test>", [Person("A, b@x.test", "c@x.test", True)]),
        ("=?utf-8?q?a=40x=2Etest?=", [Person("a@x.test", "", True)]),
    ],
)  # fmt: skip
def test_the_persons_in(field, found):
    assert list(addresses.persons(field.encode())) == found


@pytest.mark.parametrize(
    ("name", "suspicious"),
    [
        ("Anna", False),
        ("a@x.test", False),
        ("<A@X.TEST>", False),
        ("boss@bank.test", True),
        ("boss＠bank.test", True),
        ("Anna (a@x.test)", True),
        ("Anna at home", False),
    ],
)
def test_a_name_that_looks_like_another_address_is_suspicious(name, suspicious):
    assert addresses.person(name, "a@x.test").suspicious is suspicious


def test_line_breaks_in_encoded_words_make_no_fields():
    mail = read("from-line-break")

    assert mail.senders == (Person("Anna Bcc: x@y.z", "anna@example.org", True),)
    assert mail.subject == "a X-Evil: 1"


def test_marks_that_turn_text_around_are_gone():
    mail = read("from-bidi")

    assert mail.subject == "infdp.exe"
    assert mail.senders == (Person("gro.elpmaxe@anna", "x@evil.test", True),)


def test_every_from_field_counts():
    assert [one.address for one in read("several-from").senders] == ["anna@example.org", "mallory@evil.test"]


def test_fields_with_bytes_above_127_are_read_as_what_they_may_be():
    mail = read("from-8bit-latin-1")

    assert mail.senders == (Person("Jürgen Müller", "j@example.org"),)
    assert mail.to == (Person("Käthe", "k@exämple.org"),)
    assert mail.subject == "Grüße"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("=?utf-8?q?a_b?=", "a b"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?iso-8859-1?q?=e9?= =?utf-8?q?=c3=a9?=", "éé"),
        ("=?utf-8*de?q?=c3=a9?=", "é"),
        ("=?utf-8?b?w6k?=", "é"),
        ("=?utf-8?b?w6?= =?utf-8?b?k?=", "Ã=?utf-8?b?k?="),
        ("=?utf-8?q?two words?=", "two words"),
        ("=?x-none?q?kept?=", "kept"),
        ("=?utf-7?q?+ADw-?=", "+ADw-"),
        ("=?=?=?", "=?=?=?"),
        ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
        ("a =?utf-8?q??= b", "a b"),
    ],
)
def test_the_encoded_words_of(given, text):
    assert headers.text(given.encode()) == text


def test_a_character_cut_in_two_between_encoded_words_is_whole_again():
    assert read("encoded-words-cut-in-a-character").subject == "こんにちは世界の皆さん"


@pytest.mark.parametrize(
    ("given", "kind", "parameters"),
    [
        (b"text/plain", "text/plain", {}),
        (b"TEXT/HTML; Charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        (b'a/b; x="1;2"; y=3', "a/b", {"x": "1;2", "y": "3"}),
        (b"a/b (comment); x = 1 ;; y", "a/b", {"x": "1"}),
        (b"a/b; x*=utf-8''%C3%A9; x=e", "a/b", {"x": "é"}),
        (b"a/b; x*1=b; x*0=a", "a/b", {"x": "ab"}),
        (b"a/b; x*0*=utf-8''%C3; x*1*=%A9; x*2=%", "a/b", {"x": "é%"}),
        (b'a/b; x="=?utf-8?q?=c3=a9?="', "a/b", {"x": "é"}),
        (b'a/b; x="C:\\dir\\a.txt"', "a/b", {"x": "C:\\dir\\a.txt"}),
        (b'a/b; x="unclosed', "a/b", {"x": "unclosed"}),
        (b"", "x/y", {}),
    ],
)
def test_the_parameters_of(given, kind, parameters):
    assert headers.parameters(given, "x/y") == (kind, parameters)


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        (b"Tue, 24 Nov 2026 09:30:00 +0100", datetime(2026, 11, 24, 9, 30, tzinfo=timezone(timedelta(hours=1)))),
        (b"24 Nov 26 09:30", datetime(2026, 11, 24, 9, 30, tzinfo=UTC)),
        (b"Tue, 24 Nov 2026 09:30:00 -0000 (UTC)", datetime(2026, 11, 24, 9, 30, tzinfo=UTC)),
        (b"Tue, 31 Feb 2026 99:99:99 +9999", None),
        (b"Fri, 31 Dec 9999 23:59:59 -2359", None),
        (b"yesterday", None),
        (b"", None),
        (b"1 Jan 99999999999999999999 00:00:00", None),
    ],
)
def test_the_moment_of(given, moment):
    assert headers.date(given) == moment


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("ISO-8859-1", "cp1252"),
        ("gb2312", "gb18030"),
        ("'utf-8'", "utf-8"),
        ("utf-7", None),
        ("unicode_escape", None),
        ("punycode", None),
        ("rot13", None),
        ("hex", None),
        ("mbcs", None),
        ("x" * 100, None),
        ("utf-8\0", None),
        ("ütf", None),
        ("", None),
    ],
)
def test_only_listed_charsets_are_decoded(name, codec):
    assert charset.codec_of(name) == codec


def test_the_fields_are_listed_as_they_came():
    assert read("encoded-words-cut-in-a-character").headers[0] == ("From", "a@example.org")
    assert read("encoded-words-cut-in-a-character").headers[1][1].startswith("=?utf-8?B?")
