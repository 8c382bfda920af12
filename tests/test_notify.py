"""The notice, read as a mail client reads it."""

import email
import email.policy
import os
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from hypothesis import given, settings
from hypothesis import strategies as st

import messenger
from messenger import colours
from messenger.envelope import AddressError
from messenger.notify import Notice, NoticeError, Site, check_templates, letter

PACKAGE = Path(messenger.__file__).parent
NOW = datetime(2026, 11, 24, 6, 31, tzinfo=UTC)
SITE = Site("Example Bank", "https://portal.example.org", "notice@portal.example.org", time_zone="Europe/Berlin")
LINK = "https://portal.example.org/l/abc-def_1"


def written(to="anna@example.org", name="Eva Example", address="eva@example.com", site=SITE, **more):
    return letter(Notice(to, name, address, "K7QF-M2XA", LINK, "d41d8cd9@portal.example.org", **more), site, NOW)


def received(*arguments, **keywords):
    """The notice as a client sees it."""
    return email.message_from_bytes(written(*arguments, **keywords), policy=email.policy.default)


def text_of(mail):
    return mail.get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(mail):
    return mail.get_body(("html",)).get_content().replace("\r\n", "\n")


class Page(HTMLParser):
    """What a page shows and where it leads."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.links, self.attributes, self.words = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attrs]
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def shown(self):
        return " ".join(" ".join(self.words).split())


def test_a_notice_says_who_wrote_when_and_where_to_read_it():
    mail = received()

    for shown in (" ".join(text_of(mail).split()), Page(html_of(mail)).shown):
        assert "Eva Example" in shown
        assert "eva@example.com" in shown
        assert "K7QF-M2XA" in shown
        assert "24 November 2026, 07:31 CET" in shown
        assert "Example Bank" in shown
        assert "https://portal.example.org" in shown
        assert "by hand" in shown
    assert f"\n{LINK}\n" in text_of(mail)
    assert Page(html_of(mail)).links == [LINK]


def test_a_notice_is_a_mail_that_machines_understand():
    mail = received()

    assert str(mail["From"]) == "Example Bank <notice@portal.example.org>"
    assert str(mail["To"]) == "anna@example.org"
    assert mail["Date"].datetime == NOW
    assert mail["Message-ID"] == "<d41d8cd9@portal.example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "OOF" in mail["X-Auto-Response-Suppress"]
    assert "NDR" not in mail["X-Auto-Response-Suppress"].replace(" ", "").split(",")
    assert mail["MIME-Version"] == "1.0"
    assert mail["Content-Language"] == "en"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail.defects == []
    assert list(mail.iter_attachments()) == []


def test_a_notice_travels_over_any_mail_server():
    raw = written(name="Zoë 日本", site=Site("Bücher & Söhne", SITE.portal_url, SITE.notice_from, "de"))

    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.count(b"\n") == raw.count(b"\r\n")


def test_the_subject_is_the_same_whoever_writes():
    assert received()["Subject"] == received(name="Someone Else", address="x@y")["Subject"]
    assert received()["Subject"] == "A protected message for you at Example Bank"


def test_a_notice_loads_nothing_from_anywhere():
    page = Page(html_of(received()))

    assert not {"img", "script", "link", "iframe", "form", "input", "table", "svg", "base"} & set(page.tags)
    assert not re.search(r"url\(|@import|http-equiv|src=", html_of(received()))
    assert [name for _, name, _ in page.attributes if name.startswith("on")] == []


HOSTILE = [
    "Eva\r\nBcc: victim@example.org",
    "Eva\nX-Injected: yes",
    "Eva\x00\x1b[31m",
    "\u202egro.elpmaxe@avE",
    "<script>alert(1)</script>",
    "<a href='https://evil.example/'>Your bank</a>",
    '"><img src=x onerror=alert(1)>',
    "{{ site.notice_from }}{% raw %}",
    "%(site_name)s %s %n",
    "=?utf-8?q?Eva=0d=0aBcc:_victim=40example.org?=",
    'Eva (comment) "quoted" \\',
    "x" * 100_000,
    "\ud800 broken",
    "\u2028Eva\u2029",
    "  Eva\t\t Example  ",
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_changes_nothing_but_the_name(name):
    mail, usual = received(name=name), received()

    assert [(key, value) for key, value in mail.items() if key != "Content-Type"] == [
        (key, value) for key, value in usual.items() if key != "Content-Type"
    ]
    assert Page(html_of(mail)).tags.count("img") == 0
    assert Page(html_of(mail)).links == [LINK]
    assert set(Page(html_of(mail)).tags) <= set(Page(html_of(usual)).tags)
    assert len(text_of(mail).splitlines()) == len(text_of(usual).splitlines())
    for shown in (text_of(mail), html_of(mail)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
        assert len(shown) < 20_000


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_stranger_calls_himself_a_notice_comes_out(name, address):
    mail = received(name=name, address=address)

    assert mail.defects == []
    assert Page(html_of(mail)).links == [LINK]
    assert mail.keys() == received().keys()


@pytest.mark.parametrize(
    "name", ["ceo@example.org", "CEO <ceo@example.org>", "ceo\uff20example.org", "ceo\u200b@example.org"]
)
def test_a_name_that_poses_as_an_address_is_left_out(name):
    assert "ceo" not in text_of(received(name=name))
    assert "ceo" not in html_of(received(name=name))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Log in at https://evil.example/now", "Log in at https: evil. example now"),
        ("www.evil.example", "www. evil. example"),
        ("Dr.Eva Example", "Dr. Eva Example"),
        ("Eva E. Example", "Eva E. Example"),
        ("Example & Söhne", "Example & Söhne"),
    ],
)
def test_a_name_is_never_made_a_link_by_a_mail_client(name, shown):
    assert f" {shown} <eva@example.com>" in text_of(received(name=name))


def test_a_long_name_is_cut():
    assert f"{'x' * 79}… <" in text_of(received(name="x" * 500))


def test_mail_without_a_sender_is_announced_too():
    mail = received(name="", address="")

    assert "From: an automatic sender without an address\n" in text_of(mail)
    assert "an automatic sender without an address" in Page(html_of(mail)).shown


def test_a_sender_with_a_domain_that_poses_as_another_is_shown_as_it_travels():
    assert "eva@xn--80ak6aa92e.com" in text_of(received(address="eva@xn--80ak6aa92e.com"))
    assert "eva@bücher.example" in text_of(received(address="eva@xn--bcher-kva.example"))


@pytest.mark.parametrize(
    ("to", "header"),
    [
        ("anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ('"anna b"@example.org', '"anna b"@example.org'),
        ("änna@example.org", "änna@example.org"),
        ("用户@xn--r8jz45g.xn--zckzah", "用户@xn--r8jz45g.xn--zckzah"),
    ],
)
def test_a_recipient_with_an_unusual_address_gets_the_notice(to, header):
    mail = received(to=to)

    assert str(mail["To"]) == header
    assert f"\r\nTo: {header}\r\n".encode() in written(to=to)


@pytest.mark.parametrize("to", ["anna@example.org\r\nBcc: eve@example.org", "", "anna"])
def test_what_is_no_address_gets_no_notice(to):
    with pytest.raises(AddressError):
        written(to=to)


def test_german_is_spoken_where_the_site_speaks_german():
    mail = received(site=Site("Beispielbank", SITE.portal_url, SITE.notice_from, "de", time_zone="Europe/Berlin"))

    assert mail["Subject"] == "Eine geschützte Nachricht für Sie bei Beispielbank"
    assert mail["Content-Language"] == "de"
    for shown in (text_of(mail), Page(html_of(mail)).shown):
        assert "24. November 2026, 07:31 MEZ" in shown
        assert "Nachricht lesen" in shown
        assert "message" not in shown.lower().replace("messenger", "")
    assert 'lang="de"' in html_of(mail)


def test_austrian_german_is_german():
    assert "Nachricht" in received(site=Site("Bank", SITE.portal_url, SITE.notice_from, "de_AT"))["Subject"]


def test_a_language_without_a_catalogue_is_named_with_the_mend():
    with pytest.raises(NoticeError, match="'fr', only in de, en; choose one") as refusal:
        check_templates(Site("Banque", SITE.portal_url, SITE.notice_from, "fr"))
    assert refusal.value.temporary


@pytest.mark.parametrize("language", sorted(path.parents[1].name for path in PACKAGE.glob("locale/*/*/messenger.po")))
def test_every_sentence_has_a_translation(language):
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "messenger.po").open("rb") as file:
        catalogue = read_po(file, locale=language)

    found = extract_from_dir(
        PACKAGE / "templates", method_map=[("**", "jinja2.ext:babel_extract")], options_map={"**": {"silent": "false"}}
    )
    sentences = {message for _, _, message, *_ in found}

    assert len(sentences) > 10
    assert {message.id for message in catalogue if message.id} == sentences
    for message in catalogue:
        assert message.string, message.id
        assert set(re.findall(r"%\(\w+\)s", message.string)) == set(
            re.findall(r"%\(\w+\)s", message.id or message.string)
        )
        assert not message.fuzzy or not message.id


# -- what the person asks for


def test_the_phrase_of_the_person_is_repeated():
    mail = received(phrase="Blue hippo & co")

    assert "\nYour phrase: Blue hippo & co\n" in text_of(mail)
    assert "Your phrase Blue hippo & co" in Page(html_of(mail)).shown


def test_who_has_no_phrase_reads_nothing_of_one():
    mail = received()

    assert "phrase" not in text_of(mail).lower() + html_of(mail).lower()
    assert "CET\nReference:" in text_of(mail)


@pytest.mark.parametrize("phrase", HOSTILE)
def test_a_hostile_phrase_changes_nothing_but_the_phrase(phrase):
    mail, usual = received(phrase=phrase), received(phrase="x")

    assert [(key, value) for key, value in mail.items() if key != "Content-Type"] == [
        (key, value) for key, value in usual.items() if key != "Content-Type"
    ]
    assert Page(html_of(mail)).links == [LINK]
    assert set(Page(html_of(mail)).tags) <= set(Page(html_of(usual)).tags)
    assert len(text_of(mail).splitlines()) <= len(text_of(usual).splitlines())
    for shown in (text_of(mail), html_of(mail)):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", shown)
        assert len(shown) < 20_000


def test_a_person_is_written_to_in_the_language_and_the_zone_of_that_person():
    mail = received(language="de", time_zone="America/New_York", phrase="Blaues Flusspferd")

    assert mail["Subject"] == "Eine geschützte Nachricht für Sie bei Example Bank"
    assert mail["Content-Language"] == "de"
    assert "24. November 2026, 01:31" in text_of(mail)
    assert "\nIhr Kennsatz: Blaues Flusspferd\n" in text_of(mail)
    assert mail["Date"].datetime == NOW


def test_an_english_reader_of_a_german_site_is_written_to_in_english():
    mail = received(site=replace(SITE, language="de"), language="en")

    assert mail["Subject"] == "A protected message for you at Example Bank"


@pytest.mark.parametrize(
    ("language", "time_zone"), [("xx", ""), ("../de", ""), ("", "Mars/Olympus"), ("", "../../x"), ("de_XX", "\0")]
)
def test_a_wish_that_cannot_be_met_never_keeps_a_notice_back(language, time_zone):
    mail = received(language=language, time_zone=time_zone)

    assert "07:31" in text_of(mail)
    assert mail["Content-Language"] in ("en", "de-XX")


def test_a_broken_catalogue_that_only_one_person_asked_for_is_passed_over_and_named_by_the_check(tmp_path):
    folder = tmp_path / "locale" / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messenger.po").write_text('msgid "x\nmsgstr nonsense\n')
    site = replace(SITE, templates=tmp_path)

    assert received(site=site, language="fr")["Content-Language"] == "en"
    with pytest.raises(NoticeError, match=r"fr.*messenger\.po"):
        check_templates(site)


# -- templates of the site's own


def test_templates_from_before_there_were_phrases_still_work(tmp_path):
    site = with_templates(tmp_path, notice_txt="{{ sender_name }}: {{ link }}\n", notice_html="<p>{{ link }}</p>")

    check_templates(site)

    assert text_of(received(site=site, phrase="Blue hippo")) == f"Eva Example: {LINK}\n"


def with_templates(tmp_path, **files):
    for name, content in files.items():
        (tmp_path / name.replace("_", ".", 1).replace("subject.", "notice-subject.")).write_text(content)
    return Site("Example Bank", SITE.portal_url, SITE.notice_from, templates=tmp_path)


def test_a_site_puts_its_own_text_in_the_place_of_ours(tmp_path):
    site = with_templates(tmp_path, notice_txt="Dear customer, {{ sender_name }} wrote: {{ link }}\n")

    mail = received(site=site)

    assert text_of(mail) == f"Dear customer, Eva Example wrote: {LINK}\n"
    assert Page(html_of(mail)).links == [LINK]


def test_a_changed_template_is_read_at_once(tmp_path):
    site = with_templates(tmp_path, notice_txt="one")
    first = text_of(received(site=site))

    with_templates(tmp_path, notice_txt="another")
    os.utime(tmp_path / "notice.txt", (1_700_000_000, 1_700_000_000))

    assert (first, text_of(received(site=site))) == ("one\n", "another\n")


def test_a_sites_own_html_is_escaped_too(tmp_path):
    site = with_templates(tmp_path, notice_html="<p>{{ sender_name }}</p>")

    assert html_of(received(name="<b>Eva", site=site)).strip() == "<p>b Eva</p>"
    assert html_of(received(name="Eva & 'Co'", site=site)).strip() == "<p>Eva &amp; &#39;Co&#39;</p>"


def test_the_subject_knows_nothing_of_the_mail(tmp_path):
    (tmp_path / "notice-subject.txt").write_text("Mail from {{ sender_name }}")

    with pytest.raises(NoticeError, match="'sender_name' is undefined"):
        check_templates(Site("Bank", SITE.portal_url, SITE.notice_from, templates=tmp_path))


def test_a_subject_of_many_lines_becomes_one(tmp_path):
    (tmp_path / "notice-subject.txt").write_text("\nMail\r\nBcc: eve@example.org\n")

    mail = received(site=Site("Bank", SITE.portal_url, SITE.notice_from, templates=tmp_path))

    assert mail["Subject"] == "Mail Bcc: eve@example.org"
    assert mail["Bcc"] is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("Hello\n{% if %}", "line 2"),
        ("{{ sender_name", "notice.txt, line 1"),
        ("{{ subject_of_the_mail }}", "'subject_of_the_mail' is undefined"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% include 'missing.txt' %}", "missing.txt"),
    ],
)
def test_a_template_with_a_mistake_is_named_and_lets_mail_wait(tmp_path, content, words):
    (tmp_path / "notice.txt").write_text(content)

    with pytest.raises(NoticeError) as refusal:
        check_templates(Site("Bank", SITE.portal_url, SITE.notice_from, templates=tmp_path))

    assert words in str(refusal.value)
    assert "notice.txt" in str(refusal.value)
    assert refusal.value.temporary


def test_a_template_that_is_not_utf8_is_named(tmp_path):
    (tmp_path / "notice.txt").write_bytes(b"Gr\xfc\xdfe")

    with pytest.raises(NoticeError, match=r"notice\.txt"):
        check_templates(Site("Bank", SITE.portal_url, SITE.notice_from, templates=tmp_path))


def test_a_folder_for_templates_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NoticeError, match="elsewhere"):
        check_templates(Site("Bank", SITE.portal_url, SITE.notice_from, templates=tmp_path / "elsewhere"))


def test_a_site_adds_a_language_by_a_catalogue(tmp_path):
    folder = tmp_path / "locale" / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messenger.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "A protected message for you at %(site_name)s"\nmsgstr "Un message protégé chez %(site_name)s"\n'
    )

    mail = received(site=Site("Banque", SITE.portal_url, SITE.notice_from, "fr", tmp_path))

    assert mail["Subject"] == "Un message protégé chez Banque"
    assert "24 novembre 2026" in text_of(mail)


def test_a_catalogue_with_a_mistake_is_named(tmp_path):
    folder = tmp_path / "locale" / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "messenger.po").write_text('msgid "x\nmsgstr nonsense\n')

    with pytest.raises(NoticeError, match=r"messenger\.po"):
        check_templates(Site("Banque", SITE.portal_url, SITE.notice_from, "fr", tmp_path))


def test_a_language_written_from_right_to_left_is_shown_so(tmp_path):
    folder = tmp_path / "locale" / "he" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    shutil.copy(PACKAGE / "locale" / "de" / "LC_MESSAGES" / "messenger.po", folder)

    assert 'dir="rtl"' in html_of(received(site=Site("Bank", SITE.portal_url, SITE.notice_from, "he", tmp_path)))


def test_our_own_templates_are_good():
    for language in ("en", "de", "en_GB"):
        check_templates(Site("Bank", SITE.portal_url, SITE.notice_from, language))


def test_templates_that_may_not_be_read_are_a_sentence(tmp_path, monkeypatch):
    def shut(path):
        raise PermissionError(13, "Permission denied", str(path))

    site = replace(SITE, templates=tmp_path)
    monkeypatch.setattr("jinja2.loaders.os.path.isfile", lambda path: False)
    monkeypatch.setattr(Path, "exists", shut)

    with pytest.raises(
        NoticeError, match=r"notice-subject\.txt: can't read notice-subject\.txt; put it into that folder"
    ):
        check_templates(site)


def test_the_button_has_the_site_s_colours():
    site = replace(SITE, accents=colours.accents("#b00020", ""))

    html = received(site=site).get_body(("html",)).get_content()

    assert "background: #b00020; border: 1px solid #b00020" in html
    assert ".go { background: #ff" in html
    assert "#0f5c66" not in html
