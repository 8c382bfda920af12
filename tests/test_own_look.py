"""What a site brings along: its logo, its colours, its help text and its links, on every page or named at the start."""

import re
import zlib

import pytest

from messenger_reader import checks, own_look
from messenger_reader.marked_text import html
from messenger_reader.own_look import LookError

from .reader_fixtures import ALICE, settings_for
from .reader_fixtures import portal as portal_at

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></svg>'
PNG = b"\x89PNG\r\n\x1a\n" + zlib.compress(b"picture")
TYPES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0 picture",
    "image/webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "image/svg+xml": SVG,
}


@pytest.mark.parametrize("content_type", TYPES)
def test_a_logo_is_known_by_its_bytes_whatever_its_name(tmp_path, content_type):
    path = tmp_path / "logo.txt"
    path.write_bytes(TYPES[content_type])

    assert own_look.logo(path).content_type == content_type


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"GIF89a", "expected a PNG, SVG, JPEG or WebP"),
        (b"", "expected a PNG"),
        (b"<svg><path/></svg>", "xmlns"),
        (SVG[:-3], "whole XML"),
        (b"<html xmlns='http://www.w3.org/1999/xhtml'/>", "expected a PNG"),
        (PNG + bytes(100 * 1024), "at most 100 KB"),
    ],
    ids=["gif", "empty", "no namespace", "cut", "html", "large"],
)
def test_a_logo_that_no_browser_would_show_is_refused_with_what_to_do(tmp_path, data, word):
    (tmp_path / "logo").write_bytes(data)

    with pytest.raises(LookError, match=word):
        own_look.logo(tmp_path / "logo")


def test_files_that_are_missing_stop_the_start_with_a_sentence(tmp_path):
    with pytest.raises(LookError, match=r"logo: can't read .*put the file there"):
        portal_at(tmp_path, site='logo = "none.png"')
    with pytest.raises(LookError, match=r"help_text: can't read"):
        portal_at(tmp_path, site='help_text = "none.md"')


def test_the_check_before_the_start_says_the_same(tmp_path):
    settings = settings_for(tmp_path, site='logo = "none.png"')

    assert [line for line in checks.problems(settings) if "logo" in line]


def test_logo_colours_and_links_are_on_every_page_in_no_more_requests(tmp_path):
    (tmp_path / "logo.svg").write_bytes(SVG)
    site = portal_at(
        tmp_path,
        site='logo = "logo.svg"\ncolour = "#b00020"\nimprint_url = "https://clinic.example/imprint"\n'
        'privacy_url = "mailto:privacy@clinic.example"',
    )
    browser = site.browser()

    page = site.get(browser, "/login").text
    files = set(re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', page))

    assert len(files) == 2  # the logo is the icon too
    assert 'href="https://clinic.example/imprint"' in page
    assert 'href="mailto:privacy@clinic.example"' in page
    answers = {path.partition("?")[0]: site.get(browser, path) for path in files}
    style, logo = answers["/site/style.css"], answers["/site/logo"]
    assert "--brand: #b00020; --brand-ink: #ffffff;" in style.text
    assert "prefers-color-scheme: dark) { :root { --brand: #ff" in style.text
    assert logo.data == SVG
    assert logo.headers["Content-Security-Policy"].endswith("sandbox")
    for answer in (style, logo):
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers


def test_without_settings_nothing_of_a_site_s_own_is_there(tmp_path):
    site = portal_at(tmp_path)

    page = site.get(site.browser(), "/login").text

    assert "/site/" not in page
    assert site.get(site.browser(), "/site/logo").status_code == 404
    assert 'class="ends"' not in page


def test_the_help_desk_s_text_is_on_the_help_page_in_the_reader_s_language(tmp_path):
    (tmp_path / "help.md").write_text("# Help desk\nClinic <b>North</b>\nhelp@clinic.example\n")
    (tmp_path / "help.de.md").write_text("# Auskunft\nKlinik Nord\n")
    site = portal_at(tmp_path, site='help_text = "help.md"')
    browser = site.browser()

    english = site.get(browser, "/help").text
    site.headers["Accept-Language"] = "de"
    german = site.get(browser, "/help").text

    assert "<h3>Help desk</h3>" in english
    assert "Clinic &lt;b&gt;North&lt;/b&gt;<br>" in english
    assert '<a href="mailto:help@clinic.example">' in english
    assert "<h3>Auskunft</h3>" in german
    assert site.sign_up(browser, ALICE).status_code == 303


def test_marks_become_html_and_everything_else_is_escaped():
    text = "# Ask\r\nCall [030 12](tel:+493012), **always**.\r\n\r\n- see https://a.example/x).\r\n- <script>\r\n"

    assert html(text) == (
        '<h3>Ask</h3>\n<p>Call <a href="tel:+493012">030 12</a>, <strong>always</strong>.</p>\n'
        '<ul><li>see <a href="https://a.example/x">https://a.example/x</a>).</li><li>&lt;script&gt;</li></ul>'
    )


@pytest.mark.parametrize(
    "text", ["[x](javascript:alert(1))", '[x](https://a.example/"onclick=1)', "<img src=x>", "https://<b>"]
)
def test_no_mark_leads_to_a_script(text):
    made = str(html(text))

    assert "<img" not in made
    assert "<b>" not in made
    assert "javascript" not in made or "href" not in made
    assert '"onclick' not in made
