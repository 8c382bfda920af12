"""A mail's HTML becomes HTML that can only be looked at."""

import re

import pytest

from messenger.message import pictures, styles
from messenger.message.inlining import inlined
from messenger.message.sanitise import content_id, link, sanitise
from tests.hostile_html import VECTORS
from tests.html_inspector import DECLARATION, Inspector

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def clean(html: str, inline: dict[str, bytes] | None = None, *, remote: bool = False) -> str:
    return sanitise(html, inline or {}, remote).html


def ordered(html: str) -> list[list[str]]:
    """The tags and texts, the attributes of each in alphabetical order."""
    return [sorted(re.findall(r'[\w-]+="[^"]*"|[^\s]+', one)) for one in re.split("(<[^>]*>)", html)]


@pytest.mark.parametrize("name", VECTORS)
def test_nothing_hostile_is_left_of(name):
    cleaned = sanitise(VECTORS[name], {}, False)

    Inspector(convert_charrefs=True).feed(cleaned.html)
    assert not cleaned.body_style or all(map(DECLARATION.fullmatch, cleaned.body_style.split(";")))


@pytest.mark.parametrize("name", VECTORS)
def test_sanitising_twice_changes_nothing_in(name):
    once = clean(VECTORS[name])

    assert ordered(clean(once)) == ordered(once)


def test_the_tables_of_a_newsletter_keep_their_attributes():
    html = (
        '<table width="600" cellpadding="0" cellspacing="0" border="0" align="center" bgcolor="#f4f4f4" '
        'role="presentation"><tbody><tr><td align="center" valign="top" width="50%" height="20" nowrap="" '
        'colspan="2" style="padding:10px 20px">x</td></tr></tbody></table>'
    )

    cleaned = clean(html)

    assert set(re.findall(r'[a-z]+="[^"]*"', cleaned)) == set(re.findall(r'[a-z]+="[^"]*"', html))


def test_a_link_opens_outside_and_says_nothing_of_us():
    cleaned = clean('<a href="https://x.test/?a=1&amp;b=2" target="_top" rel="opener">x</a>')

    assert 'href="https://x.test/?a=1&amp;b=2"' in cleaned
    assert 'target="_blank"' in cleaned
    assert 'rel="noopener noreferrer nofollow"' in cleaned
    assert "_top" not in cleaned


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" https://x.test/a b ", "https://x.test/a%20b"),
        ("HTTPS://X.test", "HTTPS://X.test"),
        ("mailto:a@x.test?subject=hi", "mailto:a@x.test?subject=hi"),
        ("tel:+49301234", "tel:+49301234"),
        ("https://x.test/\u202egnp.exe", "https://x.test/gnp.exe"),
        ("java\nscript:x", None),
        ("data:text/html,x", None),
        ("//x.test", None),
        ("cid:x", None),
        ("", None),
    ],
)
def test_links_lead_to_web_pages_mail_and_telephones_alone(given, kept):
    assert link(given) == kept


def test_remote_pictures_are_counted_and_leave_their_words():
    cleaned = sanitise('<img src="http://a.test/1.png" alt="Our logo"><img src="//b.test/2.gif">', {}, False)

    assert cleaned.remote_pictures == 2
    assert "src" not in cleaned.html.replace("referrerpolicy", "")
    assert 'alt="Our logo"' in cleaned.html


def test_remote_pictures_are_loaded_on_demand_and_never_in_the_clear():
    cleaned = sanitise('<img src="http://a.test/1.png?x=1&amp;y"><img src="//b.test/2.gif">', {}, True)

    assert cleaned.remote_pictures == 0
    assert '<img src="https://a.test/1.png?x=1&amp;y" referrerpolicy="no-referrer">' in cleaned.html
    assert 'src="https://b.test/2.gif"' in cleaned.html


def test_a_picture_of_the_mail_is_put_in():
    cleaned = clean('<img src="cid:logo%40x"><img src="CID:other">', {"logo@x": PNG})

    assert cleaned.count("data:image/png;base64,iVBOR") == 1


@pytest.mark.parametrize("content", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"", b"BM123", b"<html>", b"GIF8"])
def test_what_is_no_picture_by_its_bytes_is_not_put_in(content):
    assert "src" not in clean('<img src="cid:a">', {"a": content}).replace("referrerpolicy", "")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF1234WEBPVP8 ", "image/webp"),
        (b"RIFF1234WAVE", ""),
    ],
)
def test_a_pictures_type_is_what_its_bytes_say(content, kind):
    assert pictures.kind(content) == kind


def test_a_picture_over_two_megabytes_stays_an_attachment():
    assert pictures.data_uri(PNG + bytes(pictures.PICTURE)) == ""


def test_a_picture_inside_the_html_is_read_by_the_same_rules():
    cleaned = clean('<img src="data:image/jpeg;base64,iVBORw0KGgo=">')

    assert 'src="data:image/png;base64,iVBORw0KGgo="' in cleaned


def test_content_ids_are_compared_without_brackets_and_percent_signs():
    assert content_id("cid:%3Ca%40b%3E") == "a@b"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("color:red", "color:red"),
        ("COLOR : #FF0000 ; margin:0 auto", "color:#FF0000;margin:0 auto"),
        ("font:bold 12px/1.5 'Segoe UI',Arial", "font:bold 12px/1.5 'Segoe UI',Arial"),
        ("color:rgba(0,0,0,.5)", "color:rgba(0,0,0,0.5)"),
        ("background:#eee url(x) no-repeat", "background-color:#eee"),
        ("background:linear-gradient(red,blue)", ""),
        ("background-color:\\72 ed;color:blue", "color:blue"),
        ("width:calc(1px + 2px)", ""),
        ("width:var(--x)", ""),
        ("position:fixed;top:0", ""),
        ("margin:99999999px", ""),
        ("color:red!important", "color:red"),
        ("font-family:'a\"b'", ""),
        ("color:red}p{color:blue", ""),
        ("display:none", "display:none"),
        ("width:" + "9" * 5000, ""),
        ("", ""),
    ],
)
def test_of_a_style_stays_what_is_listed(given, kept):
    assert styles.clean(given) == kept


@pytest.mark.parametrize(
    ("given", "kept"), [("ffffff", "#ffffff"), ("#abc", "#abc"), ("red", "red"), ("expression(1)", ""), ("#12", "")]
)
def test_legacy_colours_are_colours(given, kept):
    assert styles.color(given) == kept


def test_the_colours_of_the_body_are_kept_apart():
    cleaned = sanitise('<body bgcolor="#111111" text="white" style="margin:9px;font-size:15px">x</body>', {}, False)

    assert cleaned.body_style == "background-color:#111111;color:white;font-size:15px"


def test_the_language_and_direction_of_the_mail_are_kept_apart():
    cleaned = sanitise('<html lang="ar" dir="rtl"><body lang="<x>">x</body></html>', {}, False)

    assert (cleaned.language, cleaned.direction) == ("ar", "rtl")


def test_the_rules_of_a_style_sheet_go_into_the_elements():
    sheet = "<style>p.a,h1{margin:0}.a{color:red}p{color:blue}#i{color:green!important}td .b{display:none}</style>"

    cleaned = clean(
        f'{sheet}<p class="a">1</p><p id=i style="color:black">2</p><table><tr><td><i class=b>3</i></table>'
    )

    assert '<p style="color:blue;color:red;margin:0">1</p>' in cleaned
    assert '<p style="color:blue;color:black;color:green">2</p>' in cleaned
    assert '<i style="display:none">3</i>' in cleaned
    assert "class" not in cleaned


def test_a_style_sheet_can_not_blow_a_mail_up():
    html = f"<style>.a{{{'margin:0;' * 10_000}}}</style>" + "<p class=a>x</p>" * 5_000

    assert len(inlined(html)) < len(html) + 600_000


def test_rules_for_other_media_and_states_are_left_out():
    sheet = "<style>@media print{p{color:red}}p:hover{color:red}a[href]{color:red}p+p{color:red}</style>"

    assert "red" not in clean(f"{sheet}<p>1</p><p>2</p>")


def test_unseen_characters_do_not_come_back_as_references():
    assert clean("a&#x202e;b&#8238;c&#0;d&#x7f;e") == "abcde"


def test_a_picture_without_its_bytes_keeps_its_size():
    assert 'width="40" height="30"' in clean('<img src="http://a.test/x" width="40" height="30">')
