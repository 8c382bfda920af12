"""What people see of mails that programs got wrong, or right in an unusual way: one file for each, one line for each.

Beside ``test_message.py``, which asks what holds for any mail.
"""

import time
from pathlib import Path

import pytest

from messenger import message

MAILS = Path(__file__).parent / "mail"

#: Name, text, attachments, and what is named as odd.
Expected = tuple[str, str] | tuple[str, str, tuple[str, ...]] | tuple[str, str, tuple[str, ...], tuple[str, ...]]
EXPECTED: list[Expected] = [
    ("charset-with-rubbish-behind", "Привет, мир"),
    ("charset-python-alias", "Grüße ¶"),
    ("charset-cp936", "你好，朱镕基"),
    ("charset-gb2312-but-utf-8", "你好，发票 17%", (), ("bad-encoding",)),
    ("charset-utf-8-but-latin", "Grüße aus Köln, 5 €", (), ("bad-encoding",)),
    ("charset-utf-8-with-one-bad-byte", "Grüße � aus Köln", (), ("bad-encoding",)),
    ("charset-ascii-but-utf-8", "Grüße 😀"),
    ("charset-empty", "Grüße", (), ("unknown-charset",)),
    ("charset-twice", "Привет"),
    ("charset-hz", "中文 ok"),
    ("charset-iso-2022-kr", "안녕하세요"),
    ("charset-windows-874", "สวัสดี"),
    ("charset-utf-8-bom", "hello"),
    ("emoji-zwj", "Familie 👨\u200d👩\u200d👧\u200d👦 und 🏳️\u200d🌈"),
    ("combining-letters", "Grüße, ế, क्षि"),
    ("rtl-mixed", "שלום Bert, השעה 10:30. See RFC 5322.\ntxt.exe end"),
    ("cjk-vertical-and-full-width", "ＡＢＣ「日本語」"),
    ("header-8bit-raw", "body"),
    ("header-8bit-latin-1", "body"),
    ("header-encoded-word-in-quotes", "body"),
    ("header-encoded-word-folded", "body"),
    ("header-encoded-word-unknown-charset", "body"),
    ("header-encoded-word-never-ends", "body"),
    ("header-encoded-word-with-line-end", "body"),
    ("header-folded-with-nothing", "body"),
    ("header-nul", "body"),
    ("header-names-in-any-case", "Grüße"),
    ("header-space-before-colon", "Привет"),
    ("header-subject-twice", "body"),
    ("header-content-type-twice", "Привет <b>"),
    ("header-byte-order-mark", "body"),
    (
        "header-blank-line-first",
        "From: Anna Beispiel <anna@example.org>\nSubject: header blank line first\n"
        "Content-Type: text/plain; charset=utf-8\n\nbody",
        (),
        ("no-from", "no-date"),
    ),
    ("lines-cr-only", "line one\nline two", ("a.csv",)),
    ("lines-crlf-and-lf", "line one\nline two\n\nthree"),
    ("lines-cr-cr-lf", "line one\n\nline two"),
    ("lines-without-last-end", "the end"),
    ("lines-unicode-separators", "one\ntwo\nthree\nfour"),
    ("base64-with-junk", "Grüße"),
    ("base64-with-footer-behind", "Grüße aus Köln\nThe list <list@example.org>"),
    ("base64-that-is-none", "This is plain text, and Grüße.\nNothing is encoded."),
    ("base64-in-two-pieces", "Hello, world"),
    ("encoding-with-comment", "Grüße"),
    ("encoding-uuencode", "see the file", ("a.txt",)),
    ("quoted-printable-soft-break-at-end", "the last line"),
    ("quoted-printable-lower-case", "Grüße =="),
    ("quoted-printable-character-over-two-lines", "Grüße"),
    ("quoted-printable-spaces-at-line-end", "one  \ntwo  \nthree  four"),
    ("quoted-printable-dots-and-from", "From here\n.\n..end"),
    ("boundary-empty", "--\n\nthe text\n----", (), ("bad-structure",)),
    ("boundary-of-another", "the text", ("a.csv",), ("bad-structure",)),
    ("boundary-missing-end", "the text", ("a.csv",)),
    ("boundary-with-spaces-behind", "first\n\nsecond"),
    ("boundary-rfc-2231", "the text"),
    ("boundary-in-single-quotes", "the text"),
    ("boundary-in-the-text", "not a delimiter: --b\n --b\n--bc\n--b-\nstill text"),
    ("multipart-without-parts", "All there is stands before.", (), ("bad-structure",)),
    ("multipart-part-right-after-fields", "the text", (), ("bad-structure",)),
    ("alternative-html-first", "plain"),
    ("alternative-plain-empty", "only here"),
    ("alternative-amp", "plain", ("part-2.html",)),
    ("alternative-enriched-alone", "<bold>hello</bold>", ("part-1.txt",)),
    ("apple-mixed-html-twice", "before\n\nafter", ("a.pdf",)),
    ("outlook-related-outside", "plain [cid:image001.png@01D00000.00000000]", ("image001.png",)),
    ("outlook-winmail-alone", "", ("winmail.dat",)),
    ("text-attached-alone", "the note", ("note.txt",)),
    ("message-alone", "", ("part-1.eml",)),
    ("nested-message-3-levels", "outermost", ("part-2.eml",)),
    ("partial", "Subject: in pieces\n\nthe first half", ("part-1.bin",)),
    ("external-body", "see there", ("part-2.bin",)),
    (
        "delivery-report-alone",
        "Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; carol@example.com\n"
        "Action: failed\nStatus: 5.1.1",
        ("part-1.txt",),
    ),
    ("delivery-report-with-fields-only", "Your mail could not be delivered.", ("part-2.txt", "part-3.txt")),
    ("calendar-alone", "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR", ("part-1.ics",)),
    ("attachment-name-rfc-2231-in-pieces", "see the file", ("Grüße aus Koeln.pdf",)),
    ("attachment-name-rfc-2231-wrong-charset", "see the file", ("q’.pdf",)),
    ("attachment-name-8bit", "see the file", ("Grüße.pdf",)),
    ("attachment-name-unquoted-spaces", "see the file", ("two words here.pdf",)),
    ("attachment-empty", "see the file", ("empty.pdf",)),
    ("flowed-with-quotes-and-signature", "> quoted that goes on\n> > deeper \n> > too\nmine is long\n\n-- \nAnna"),
    ("html-charset-in-meta-wrong", "Grüße"),
    ("html-utf-16", "Grüße"),
    ("html-in-plain-only", "<p>not markup &amp; kept</p>"),
    ("html-never-closed", "one\ttwo\n\nthree four"),
    ("html-outlook-conditional", "Dear Bert,\n\nseen"),
    ("html-rtl", "שלום Bert"),
    ("pgp-mime-encrypted", "", ("part-1.asc", "encrypted.asc")),
    ("pgp-mime-signed", "signed text", ("signature.asc",)),
    (
        "pgp-inline-signed",
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nsigned text\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEz\n-----END PGP SIGNATURE-----",
    ),
    ("smime-encrypted", "", ("smime.p7m",)),
    ("trace-and-mbox-line", "body"),
    ("trace-and-cr-only", "line one\nline two"),
]
#: Of those whose subject is not their name.
SUBJECTS = {
    "emoji-zwj": "👨\u200d👩\u200d👧\u200d👦 zu Besuch",
    "rtl-mixed": "שלום Bert",
    "header-8bit-raw": "Grüße aus Köln",
    "header-8bit-latin-1": "Grüße aus Köln",
    "header-encoded-word-in-quotes": "café au lait",
    "header-encoded-word-folded": "Grüße aus Köln",
    "header-encoded-word-unknown-charset": "qapla’ now",
    "header-encoded-word-never-ends": "=?utf-8?B?R3LDvMOf",
    "header-encoded-word-with-line-end": "Hello Bcc: x@example.net",
    "header-folded-with-nothing": "folded twice",
    "header-nul": "ab",
    "header-blank-line-first": "",
}
#: What the sanitiser gets, where it matters which part it was made of.
HTML = {
    "alternative-html-first": "<p>rich</p>",
    "alternative-plain-empty": "<p>only <i>here</i></p>",
    "alternative-amp": "<p>rich</p>",
    "alternative-enriched-alone": None,
    "apple-mixed-html-twice": "<p>before</p>\n<p>after</p>",
    "outlook-related-outside": '<p>rich <img src="cid:image001.png@01D00000.00000000"></p>',
    "html-in-plain-only": None,
    "html-utf-16": "<p>Grüße</p>\n",
    "text-attached-alone": None,
}


def raw(name: str) -> bytes:
    return (MAILS / f"{name}.eml").read_bytes()


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected[0])
def test_it_is_read_as(expected):
    name, text, files, problems = (*expected, *((), ())[len(expected) - 2 :])

    mail = message.read(raw(name))

    assert mail.subject == SUBJECTS.get(name, name.replace("-", " "))
    assert mail.text == text
    assert tuple(one.filename for one in mail.attachments) == files
    assert mail.problems == problems
    if name in HTML:
        assert mail.html == HTML[name]
    preview = message.summary(raw(name), len(raw(name))).preview
    own_words = " ".join(line for line in text.split("\n") if not line.startswith(">"))
    assert bool(preview) is bool(text)
    assert " ".join(own_words.split()).startswith(preview)


def test_what_programs_wrote_into_attachments_is_what_is_saved():
    assert message.part(raw("encoding-uuencode"), "2")[1] == b"hi\n\x00"[:3]
    assert message.part(raw("lines-cr-only"), "2")[1] == b"1,2"
    assert message.part(raw("boundary-of-another"), "2")[1] == b"1,2"
    assert message.part(raw("attachment-empty"), "2")[1] == b""


def test_a_mail_three_levels_down_is_read():
    deepest = message.read(message.inner(raw("nested-message-3-levels"), "2-2-2"))

    assert (deepest.subject, deepest.text) == ("level 3", "deepest")


def _nested(depth: int) -> bytes:
    begin = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
    return begin + b"\nthe text\n" + b"".join(b"--b%d--\n" % n for n in reversed(range(depth)))


GIANTS = {
    "a line of a megabyte": b"\n" + b"x" * 1_000_000,
    "a line of a megabyte in quoted-printable": b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=78" * 350_000,
    "spaces behind soft breaks": b"Content-Transfer-Encoding: quoted-printable\n\nx" + (b"=" + b" " * 999) * 1_000,
    "pieces of base64": b"Content-Transfer-Encoding: base64\n\n" + b"eHh4eA==\n" * 110_000,
    "words in base64": b"Content-Transfer-Encoding: base64\n\n" + b"x x " * 250_000,
    "uuencode of empty lines": b"Content-Transfer-Encoding: x-uue\n\nbegin 644 a\n#>'AX\n" + b"\n" * 2_000_000,
    "uuencode that promises more": b"Content-Transfer-Encoding: x-uue\n\nbegin 644 a\n#>'AX\n" + b"M\n" * 1_000_000,
    "a file in uuencode": b"Content-Transfer-Encoding: x-uue\n\nbegin 644 a\n" + b"#>'AX\n" * 160_000,
    "lines with CR alone": b"\r" + b"x\r" * 500_000,
    "delimiters of nobody": b"Content-Type: multipart/mixed; boundary=z\n\n" + b"--%d\n\n" * 160_000,
    "parts one in another": _nested(5_000),
    "quotes in quotes": b"Content-Type: text/plain; format=flowed\n\nx\n" + b"> > > > > > > > \n" * 60_000,
}


@pytest.mark.parametrize("name", GIANTS)
def test_a_giant_is_read_soon(name):
    begun = time.process_time()

    mail = message.read(b"From: a@b.test\n" + GIANTS[name])
    message.summary((b"From: a@b.test\n" + GIANTS[name])[: message.HEAD], 1_000_000)

    assert time.process_time() - begun < 3
    assert mail.text.startswith("x") or mail.text.startswith("--") or "the text" in mail.text


def test_a_file_in_uuencode_is_not_much_longer_than_what_is_written():
    head = b"Content-Type: application/x\nContent-Transfer-Encoding: x-uue\n\nbegin 644 a\n"
    mails = [b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n' + head + line * 10_000 for line in (b"\n", b"M\n")]

    sizes = [len(message.part(mail, "1")[1]) for mail in mails]

    assert sizes[0] == 0  # an empty line holds nothing
    assert sizes[1] < 2 * 2 * 10_100
