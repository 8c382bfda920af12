"""Mails about an account, read as a mail client reads them."""

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from messenger.account_letter import KINDS, LINKED, check_templates, letter
from messenger.envelope import AddressError
from messenger.notice_texts import NoticeError
from messenger.notify import Site

from .test_notify import HOSTILE, Page, html_of, text_of

NOW = datetime(2026, 11, 24, 6, 31, tzinfo=UTC)
SITE = Site("Example Bank", "https://portal.example.org", "notice@portal.example.org", time_zone="Europe/Berlin")
LINK = "https://portal.example.org/r/abc-def_1"


def received(kind="password-changed", to="anna@example.org", site=SITE, **more):
    if kind in LINKED:
        more.setdefault("link", LINK)
    raw = letter(kind, to, site, NOW, "d41d8cd9@portal.example.org", **more)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    return email.message_from_bytes(raw, policy=email.policy.default)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_letter_says_what_happened_in_text_and_html(kind, language):
    mail = received(kind, language=language)

    subject, text, page = mail["Subject"], " ".join(text_of(mail).split()), Page(html_of(mail)).shown
    heading = subject.removesuffix(" – Example Bank")
    assert heading
    assert heading != subject
    assert heading in page
    for shown in (text, page):
        assert "Example Bank" in shown
        assert "07:31" in shown
        assert "https://portal.example.org" in shown
    assert mail.defects == []
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == language
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert f'lang="{language}"' in html_of(mail)


def test_no_two_letters_say_the_same():
    assert len({received(kind)["Subject"] for kind in KINDS}) == len(KINDS)
    assert len({text_of(received(kind)) for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_only_letters_that_lead_back_in_have_a_link(kind):
    mail = received(kind)

    assert Page(html_of(mail)).links == ([LINK] if kind in LINKED else [])
    assert (f"\n{LINK}\n" in text_of(mail)) == (kind in LINKED)


def test_a_link_too_many_or_too_few_is_a_mistake_of_the_caller():
    for kind, link in (("reset", ""), ("deleted", LINK), ("unheard-of", "")):
        with pytest.raises(ValueError, match=kind):
            letter(kind, "anna@example.org", SITE, NOW, "a@b", link=link)


@pytest.mark.parametrize(("language", "words"), [("en", "1.6 GB of 2 GB"), ("de", "1,6 GB von 2 GB")])
def test_a_letter_about_a_mailbox_says_how_full_it_is(language, words):
    mail = received("mailbox-filling", language=language, used=1_610_000_000, quota=2_000_000_000)

    assert words in text_of(mail)
    assert words in Page(html_of(mail)).shown


def test_a_letter_says_from_where_it_was_done():
    mail = received(client="2001:DB8::1")

    assert "\nNetwork address: 2001:db8::1\n" in text_of(mail)
    assert "Network address 2001:db8::1" in Page(html_of(mail)).shown


def test_words_behind_a_network_address_are_left_out():
    text = text_of(received(client="fe80::1%call us at evil.example"))

    assert "fe80::1\n" in text
    assert "evil" not in text


@pytest.mark.parametrize("client", ["", "admin:root", "<b>", "1.2.3.4\r\nBcc: eve@example.org"])
def test_what_is_no_network_address_is_left_out(client):
    assert "Network" not in text_of(received(client=client)) + html_of(received(client=client))


def test_a_letter_repeats_the_phrase_that_only_the_site_and_the_person_know():
    assert "\nYour phrase: Blue hippo\n" in text_of(received(phrase="Blue hippo"))
    assert "phrase" not in text_of(received()) + html_of(received())


@pytest.mark.parametrize("phrase", HOSTILE)
def test_a_hostile_phrase_changes_nothing_but_the_phrase(phrase):
    mail, usual = received(phrase=phrase), received(phrase="x")

    assert [(key, value) for key, value in mail.items() if key != "Content-Type"] == [
        (key, value) for key, value in usual.items() if key != "Content-Type"
    ]
    assert Page(html_of(mail)).links == []
    assert set(Page(html_of(mail)).tags) <= set(Page(html_of(usual)).tags)
    assert len(text_of(mail).splitlines()) <= len(text_of(usual).splitlines())


def test_a_person_is_written_to_in_the_language_and_the_zone_of_that_person():
    mail = received("reset", language="de", time_zone="America/New_York")

    assert mail["Subject"] == "Neues Passwort wählen – Example Bank"
    assert "24. November 2026, 01:31" in text_of(mail)


@pytest.mark.parametrize("kind", KINDS)
def test_german_letters_hold_no_english(kind):
    mail = received(kind, language="de", client="192.0.2.1", phrase="Flusspferd")

    for shown in (text_of(mail), Page(html_of(mail)).shown):
        assert not re.search(r"\b(the|your|account|password|address|was|time)\b", shown, re.IGNORECASE)


def test_a_letter_loads_nothing_from_anywhere():
    for kind in KINDS:
        page = html_of(received(kind))
        assert not {"img", "script", "link", "iframe", "form", "input", "svg", "base"} & set(Page(page).tags)
        assert not re.search(r"url\(|@import|http-equiv|src=", page)


@pytest.mark.parametrize("to", ["anna@example.org\r\nBcc: eve@example.org", "", "anna"])
def test_what_is_no_address_gets_no_letter(to):
    with pytest.raises(AddressError):
        received(to=to)


def test_a_site_with_a_hostile_name_is_escaped_once():
    mail = received(site=replace(SITE, name="<Bank> & Söhne"))

    assert "&lt;Bank&gt; &amp; Söhne" in html_of(mail)
    assert "&amp;lt;" not in html_of(mail)
    assert "<Bank> & Söhne" in text_of(mail)


def test_a_site_puts_its_own_text_in_the_place_of_ours(tmp_path):
    (tmp_path / "account.txt").write_text("{{ kind }} at {{ happened }}\n")
    (tmp_path / "account-words.txt").write_text(
        "{% macro heading(kind) %}{{ kind }}{% endmacro %}{% macro action(kind) %}go{% endmacro %}"
        "{% macro subject(kind, site_name) %}{{ kind }}!{% endmacro %}"
        "{% macro lead(kind, site_name) %}…{% endmacro %}{% macro doubt(kind, site_name) %}?{% endmacro %}"
    )

    mail = received(site=replace(SITE, templates=tmp_path))

    assert text_of(mail) == "password-changed at 24 November 2026, 07:31 CET\n"
    assert mail["Subject"] == "password-changed!"


@pytest.mark.parametrize("name", ["account.txt", "account.html", "account-subject.txt"])
def test_a_template_with_a_mistake_is_named(tmp_path, name):
    (tmp_path / name).write_text("{% if kind == 'invite' %}{{ link_of_old }}{% endif %}")

    with pytest.raises(NoticeError, match=re.escape(name)) as refusal:
        check_templates(replace(SITE, templates=tmp_path))
    assert refusal.value.temporary


def test_our_own_templates_are_good():
    for language in ("en", "de", "en_GB"):
        check_templates(replace(SITE, language=language))
