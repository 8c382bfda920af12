"""Mail that people look at, and that the gateway judges: any bytes are read, and what is shown is clean."""

# ruff: noqa: E501, SIM905 (words of a format are read best side by side)

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

from messenger import message, receipt, reply
from messenger.gateway import harvest
from messenger.gateway.protected import already_encrypted
from messenger.gateway.text import content_of
from messenger.message import clean, document, showing
from messenger.message.sanitise import sanitise
from messenger.message.text import text_html, unflowed
from messenger_reader import calendar_words, calendars
from tests.hostile_html import VECTORS
from tests.html_inspector import Inspector
from tests.reader_fixtures import PORTAL, portal

from .finding import ROOT
from .target import Broken, Feed, Target

_MAILS = ROOT / "tests" / "mail"
_DEPTH = 4
#: A page fetches one, and each reads the mail again.
_FETCHED = 5
_WORDS = (
    *(b"From: ", b"To: ", b"Subject: ", b"Date: ", b"Content-Type: ", b"Content-Disposition: ", b"Content-ID: "),
    *(b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"x-uuencode", b"\n", b"\r\n", b"\n\n", b"\t"),
    *(b"multipart/mixed", b"multipart/related", b"multipart/alternative", b"multipart/signed", b"multipart/digest"),
    *(b"; boundary=b", b'; boundary="b"', b"--", b"--b", b"--b--", b"\n--b\n", b"\n--b--\n", b"message/rfc822"),
    *(b"text/html", b"text/plain", b"text/calendar", b"application/pkcs7-mime", b"; format=flowed; delsp=yes"),
    *(b"; charset=", b"utf-8", b"utf-7", b"utf-16", b"iso-2022-jp", b"hz", b"~{", b"\x1b$B", b"\xff\xfe", b"\x00"),
    *(b"; filename*0*=", b"; filename*1=", b"; filename=", b"utf-8''%C3", b"=?utf-8?q?", b"=?utf-8?b?", b"?="),
    *(b"=C3", b"=", b"<a@b>", b"<", b">", b"(", b")", b'"', b"\\", b",", b";", b":", b"@", b"\xe2\x80\xae"),
    *(b"In-Reply-To: ", b"References: ", b"Reply-To: ", b"Return-Path: <", b"X-Webmail-Options: ", b"Delivered-To: "),
    *(b"&#", b"<b>", b"<table>", b"<style>", b"<!--", b"<svg>", b'<img src="cid:x">', b"begin 644 x\n", b"> "),
)  # fmt: skip
_TAGS = (
    *(b"<", b">", b"</", b"/>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?", b"<!DOCTYPE ", b'"', b"'", b"`", b"="),
    *(b"&#", b"&lt;", b"&#x", b"&colon;", b"&Tab;", b"\x00", b"\x0c", b"\n", b"\\", b"\\75 ", b"/*", b"*/", b";", b":"),
    *(f"<{name}>".encode() for name in "a b p div table td svg math style script title textarea noscript".split()),
    *(f"<{name}>".encode() for name in "template xmp plaintext iframe select option form body html img base".split()),
    *(f"</{name}>".encode() for name in "style svg math table a p title textarea noscript template".split()),
    *(b" style=", b" href=", b" src=", b" onerror=", b" class=", b" id=", b"javascript:", b"https://x.test/", b"cid:"),
    *(b"data:image/png;base64,iVBORw0KGgo=", b"data:text/html,", b"url(", b"var(--x)", b"image-set(", b"calc("),
    *(b"position:fixed", b"background:", b"font-family:", b"!important", b"@media ", b"@import ", b"{", b"}", b","),
)  # fmt: skip


class _Elements(Inspector):
    """Remembers what it has looked at."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: set[tuple[str, str, str | None]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        self.seen |= {(tag, *one) for one in [*attrs, ("", None)]}


def _elements(html: str) -> set[tuple[str, str, str | None]]:
    found = _Elements()
    found.feed(html)
    found.close()
    return found.seen


def _samples(most: int) -> list[bytes]:
    return [raw for path in sorted(_MAILS.glob("*.eml")) if len(raw := path.read_bytes()) <= most]


def _message(_home: Path) -> Feed:
    fed = 0

    def feed(raw: bytes) -> None:
        nonlocal fed
        fed += 1
        _look_at(raw, _DEPTH)
        if fed % 50 == 0:  # by way of the child that sanitises, which takes longer
            message.show(raw)
            message.printed(raw)

    return feed


def _look_at(raw: bytes, depth: int) -> None:
    mail = message.read(raw)
    for one in mail.attachments[:_FETCHED]:
        fetched, content = message.part(raw, one.number)
        if len(content) != fetched.size or not 0 < len(fetched.filename) <= 150 or "/" in fetched.filename:
            raise Broken(f"attachment {fetched}")
        message.part_text(raw, one.number, 500)
        if message.is_mail(one) and depth:
            with suppress(message.NoSuchPart):
                _look_at(message.inner(raw, one.number), depth - 1)
    list(message.contents(raw, {one.number for one in mail.attachments}))
    if message.sender(raw) != message.summary(raw, len(raw)).sender:
        raise Broken("one sender in the list, another on the page")
    message.summary(raw[:300], len(raw))
    message.protection(raw, mail.text)
    receipt.asked_for(raw, ("example.org", "b"))
    _check_lines(mail)
    answered = reply.recipients(mail, "alice@example.net", ("example.org",), to_all=True)
    for said in (reply.subject_of_answer(mail.subject), reply.subject_of_forward(mail.subject), str(answered.to)):
        if "\n" in said or "\r" in said:
            raise Broken("a line end in a header field")
    reply.thread(mail)
    reply.quoted(mail.text)


def _check_lines(mail: message.Message) -> None:
    """What stands in one line of a page holds nothing that is not seen."""
    for person in (*mail.senders, *mail.to, *mail.cc, *mail.reply_to):
        for words in (person.name, person.address):
            if clean.line(words) != words:
                raise Broken(f"unseen characters in {words!a}")
    if clean.line(mail.subject) != mail.subject:
        raise Broken(f"unseen characters in {mail.subject!a}")


def _html(_home: Path) -> Feed:
    def feed(data: bytes) -> None:
        html = clean.block(data.decode("utf-8", "replace"))
        if showing.too_much(html):
            return
        made = sanitise(html, {"x": b"\x89PNG\r\n\x1a\n" + bytes(9)}, False)
        _elements(made.html)
        if "</style" in made.body_style or "<" in made.body_style:
            raise Broken("a tag in the body's style")
        document.sheet("x", made)
        again = sanitise(made.html, {}, False).html
        # Where a <p> was left inside another, there are more of them afterwards; nothing else may appear.
        if _elements(again) - _elements(made.html):
            raise Broken("sanitised twice, there is something that wasn't there")

    return feed


class _Shown(HTMLParser):
    """The text that a browser shows, and the elements there are."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        link = tag == "a" and set(given) == {"href", "target", "rel"}
        if not link and not (tag == "span" and given == {"class": "quoted"}):
            raise Broken(f"an element out of plain text: {tag} {given}")
        if link and not (given["href"] or "").lower().startswith(("http://", "https://", "mailto:")):
            raise Broken(f"a link out of plain text: {given['href']!r}")

    def handle_data(self, data: str) -> None:
        self.text += data


def _text(_home: Path) -> Feed:
    def feed(data: bytes) -> None:
        words = clean.block(data.decode("utf-8", "replace"))
        unflowed(words, True)
        html = text_html(words)
        if unescape(re.sub("<[^>]*>", "", html)) != words:
            raise Broken("text and its HTML differ")
        shown = _Shown()
        shown.feed(html)
        shown.close()

    return feed


def _gateway(_home: Path) -> Feed:
    now = datetime(2026, 11, 24, tzinfo=UTC)

    def feed(raw: bytes) -> None:
        already_encrypted(raw)
        content_of(raw)
        harvest.certificates_in(raw, (), now)

    return feed


def _calendar(home: Path) -> Feed:
    # The words are in a language, and that is a request's.
    portal(home).app.test_request_context("/", base_url=PORTAL).push()

    def feed(data: bytes) -> None:
        try:
            found = calendars.read(data)
        except calendars.NotACalendar:
            return
        for entry in found.entries:
            calendar_words.repeats(entry)
            calendar_words.when(entry)
            calendar_words.status(entry, found)
        calendar_words.title(found)

    return feed


def _calendars() -> list[bytes]:
    event = (
        "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY;LANGUAGE=de:Treffen\\, am Montag\r\nDTSTART;TZID=Europe/Berlin:20261124T100000\r\n"
        'DURATION:PT1H\r\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU;COUNT=5\r\nORGANIZER;CN="Anna":mailto:anna@example.org\r\n'
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.com\r\nLOCATION:Raum 1\r\nDESCRIPTION:Zeile 1\\nZeile 2\r\nEND:VEVENT\r\n"
    )
    day = "BEGIN:VEVENT\r\nUID:2\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\nEND:VEVENT\r\n"
    card = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Anna\r\nTEL;TYPE=cell:+49\r\nEMAIL:a@b.example\r\nEND:VCARD\r\n"
    return [card.encode()] + [
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nMETHOD:REQUEST\r\n{one}END:VCALENDAR\r\n".encode() for one in (event, day)
    ]


MESSAGE = Target(_message, lambda: _samples(8000), _WORDS, size=150_000)
HTML = Target(_html, lambda: [one.encode("utf-8", "replace") for one in VECTORS.values() if len(one) < 3000], _TAGS)
TEXT = Target(
    _text,
    lambda: [b"See https://x.test/(a)?b=1&c=2, or <http://y.test>.\n> quoted\n>> twice\nmailto:a@b.example", b"-- \nx"],
    (b"http://", b"https://", b"mailto:", b"&amp;", b"&", b"<", b">", b'"', b"'", b"\n> ", b"\n", b" \n", b")", b"]"),
)
GATEWAY = Target(_gateway, lambda: _samples(8000), _WORDS, size=150_000)
CALENDAR = Target(
    _calendar,
    _calendars,
    (
        *(b"BEGIN:VEVENT\r\n", b"END:VEVENT\r\n", b"BEGIN:VCALENDAR\r\n", b"END:VCALENDAR\r\n", b"BEGIN:VTIMEZONE\r\n"),
        *(b"DTSTART", b"DTEND", b"DUE", b"DURATION", b"RRULE:", b"FREQ=", b"UNTIL=", b"INTERVAL=", b"BYMONTHDAY="),
        *(b";TZID=", b";VALUE=DATE", b"P99999999W", b"-P1D", b"99991231", b"00010101T000000Z", b"\r\n ", b";", b":"),
    ),
)
