"""A mail becomes an encrypted PDF, whatever the mail is."""

import io
import re
import subprocess
import time
import unicodedata

import pikepdf
import pytest

from messenger_pdfotp import protect, render_worker
from messenger_pdfotp.make import Wishes, make
from messenger_pdfotp.protect import File
from messenger_pdfotp.renderer import Rendered, RenderError

from .hostile_html import VECTORS
from .pdf_fixtures import PASSWORD, SCRIPTS, SITE, job, mail, opened, renderer, text_of, with_files

__all__ = ["renderer"]


def made(raw, renderer, **wishes):
    return make(job(raw), SITE, PASSWORD, renderer, Wishes(**wishes))


def test_the_right_password_opens_it_and_no_other_does(renderer, tmp_path):
    (tmp_path / "a.pdf").write_bytes(made(mail(), renderer).content)

    right = subprocess.run(
        ["qpdf", f"--password={PASSWORD}", "--check", tmp_path / "a.pdf"], capture_output=True, text=True, check=False
    )
    wrong = subprocess.run(["qpdf", "--password=x", "--check", tmp_path / "a.pdf"], capture_output=True, check=False)
    none = subprocess.run(["pdftotext", tmp_path / "a.pdf", "-"], capture_output=True, text=True, check=False)

    assert right.returncode == 0, right.stderr
    assert re.search(r"^R = 6$", right.stdout, re.MULTILINE)
    assert "file encryption method: AESv3" in right.stdout
    assert "not allowed" not in right.stdout.replace("modify anything: not allowed", "")
    assert wrong.returncode == 2
    assert none.returncode == 1
    assert "Incorrect password" in none.stderr
    assert b"contract" not in (tmp_path / "a.pdf").read_bytes()


def test_it_shows_who_wrote_to_whom_when_and_what(renderer, tmp_path):
    words = text_of(made(mail(), renderer).content, tmp_path)

    for expected in (
        *("Example Messages", "Contract", "From Bob Brown <bob@example.com>", "To Anna <anna@partner.example>"),
        *("24 November 2026, 09:30 UTC", "the contract is ready.", "Answer this message", "1/1"),
    ):
        assert expected in words


def test_it_can_be_read_aloud_and_found_by_its_title(renderer):
    with opened(made(mail(html="<h3>Figures</h3><p>x</p>", Subject="Überblick"), renderer).content) as pdf:
        assert pdf.Root.MarkInfo.Marked
        assert pdf.Root.Lang == "en"
        assert pdf.docinfo["/Title"] == "Überblick"
        assert pdf.Root.ViewerPreferences.DisplayDocTitle
        with pdf.open_metadata() as metadata:
            assert metadata["pdfuaid:part"] == "1"
        with pdf.open_outline() as outline:
            assert [item.title for item in outline.root] == ["Überblick"]
            assert [item.title for item in outline.root[0].children] == ["Answer this message"]


def test_each_script_is_drawn_with_letters_not_with_boxes(renderer, tmp_path):
    raw = mail("\n\n".join(SCRIPTS.values()) + "\n\nDigits 0123 😀 👍🏽 🇩🇪\n")

    content = made(raw, renderer).content

    words = unicodedata.normalize("NFKC", text_of(content, tmp_path))
    for script in ("Chinese", "Japanese", "Korean", "Devanagari"):
        assert unicodedata.normalize("NFKC", SCRIPTS[script]) in words, script
    assert "Digits 0123" in words  # not set in the emoji font, which draws wide ones
    with opened(content) as pdf:
        fonts = {
            str(font.BaseFont) for font in pdf.objects if isinstance(font, pikepdf.Dictionary) and "/BaseFont" in font
        }
    for name in ("Arabic", "Hebrew", "CJK", "Thai", "Devanagari", "Emoji"):
        assert any(name in font for font in fonts), (name, fonts)


def test_pictures_of_the_mail_are_in_it_and_those_from_elsewhere_are_not(renderer):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    html = f'<p>x<img src="data:image/png;base64,{pixel}" alt="a dot"><img src="http://127.0.0.1:9/x.png" alt="remote">'

    with opened(made(mail(html=html), renderer).content) as pdf:
        images = [one for one in pdf.objects if isinstance(one, pikepdf.Stream) and one.get("/Subtype") == "/Image"]

    assert len([one for one in images if (one.Width, one.Height) == (1, 1)]) >= 1
    assert all((one.Width, one.Height) == (1, 1) for one in images)


def test_attachments_are_inside_under_names_that_differ(renderer):
    raw = with_files(("a.txt", b"one"), ("a.txt", b"two"), ("Übersicht.csv", b"three"))

    with opened(made(raw, renderer, original=True).content) as pdf:
        found = {name: spec.get_file().read_bytes() for name, spec in pdf.attachments.items()}

    assert found == {"a.txt": b"one", "a (2).txt": b"two", "Übersicht.csv": b"three", "message.eml": raw}


class Blank:
    """A renderer that costs nothing."""

    def render(self, _html, _css, _identifier) -> Rendered:
        out = io.BytesIO()
        with pikepdf.new() as pdf:
            pdf.add_blank_page()
            pdf.save(out)
        return Rendered(out.getvalue(), 1)


def test_a_thousand_attachments_of_one_name_cost_no_more_than_a_thousand():
    names = [File("a.txt", "text/plain", b"")] * 10_000
    raw = with_files(*[("../a.txt", b"x" * 100)] * 900)
    begun = time.process_time()

    pdf = made(raw, Blank())
    differing = protect._names(names)

    assert time.process_time() - begun < 10  # it was a minute
    assert len(set(differing)) == 10_000
    with opened(pdf.content) as inside:
        assert {"a.txt", "a (2).txt", "a (900).txt"} <= {*inside.attachments}


def test_no_name_of_an_attachment_climbs_or_hides_its_kind():
    names = ("../../etc/passwd", "..\\..\\evil.exe", "a\u202efdp.exe", "ZERO.txt", "/", "...", "n" * 5000)

    raw = with_files(*[(name, b"x") for name in names]).replace(b"ZERO", b"a\0\x07b")

    with opened(made(raw, Blank()).content) as inside:
        found = [*inside.attachments]

    assert len(found) == len(names)
    assert not [name for name in found if re.search(r"[/\\\u202e\x00-\x1f]|^\.", name) or not 0 < len(name) <= 150]


def test_files_of_a_mail_that_is_too_large_wait_in_the_portal(renderer, tmp_path):
    pdf = made(with_files(("big.bin", bytes(50_000))), renderer, files_limit=40_000)

    assert pdf.files_waiting
    with opened(pdf.content) as inside:
        assert not inside.attachments
    words = text_of(pdf.content, tmp_path)
    assert "big.bin" in words
    assert "They wait for you in the portal: https://messages.example.com" in words.replace("// ", "//")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0\0\0",
        b"From: a@example.com\r\n\r\n",
        b"no header at all",
        mail(text=""),
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n",
        b"Subject: =?utf-8?q?=00=1b[31m_x?=\r\nContent-Type: text/html\r\n\r\n<p>\xff\xfe",
    ],
    ids=["nothing", "zeros", "no body", "no header", "no text", "no parts", "wrong bytes"],
)
def test_whatever_comes_there_is_a_pdf_of_it(raw, renderer):
    pdf = made(raw, renderer)

    assert pdf.pages == 1
    assert pdf.fallback == ""
    assert pdf.unconfined == ()


def test_hostile_html_asks_for_nothing_and_leaves_a_pdf(renderer, tmp_path):
    html = (
        "".join(VECTORS.values())[:200_000]
        + "<style>@import url(file:///etc/passwd)</style><link rel=attachment href=file:///etc/passwd>"
    )

    pdf = made(mail(html=html), renderer)

    with opened(pdf.content) as inside:
        assert not inside.attachments
        assert "/OpenAction" not in inside.Root
        assert "/JavaScript" not in str(inside.Root.get("/Names", ""))
    assert "root:x:0:0" not in text_of(pdf.content, tmp_path)


class Refusing:
    """A renderer that can't lay out what is too long, as the real one at its limits."""

    def __init__(self, renderer, most):
        self.renderer, self.most, self.seen = renderer, most, []

    def render(self, html, css, identifier) -> Rendered:
        self.seen.append(len(html))
        if len(html) > self.most:
            raise RenderError("it takes more than 20 seconds to lay out")
        return self.renderer.render(html, css, identifier)


def test_what_cannot_be_laid_out_as_written_is_its_text_and_says_so(renderer, tmp_path):
    raw = mail("short text", html="<p>" + "<b>x</b>" * 2000)

    pdf = made(raw, Refusing(renderer, 10_000))

    assert pdf.fallback == "text"
    words = text_of(pdf.content, tmp_path)
    assert "short text" in words
    assert "You see its text." in words


def test_what_cannot_be_laid_out_at_all_is_attached_and_says_so(renderer, tmp_path):
    raw = mail("word " * 4000)

    pdf = made(raw, Refusing(renderer, 6_000))

    assert pdf.fallback == "bare"
    assert "attached to this document as message.eml" in text_of(pdf.content, tmp_path)
    with opened(pdf.content) as inside:
        assert inside.attachments["message.eml"].get_file().read_bytes() == raw


def test_a_mail_of_two_hundred_pages_is_laid_out(renderer):
    pdf = made(mail(("The board met at nine. " * 40 + "\n\n") * 850), renderer)

    # A machine of half the speed needs more than its 20 s, and shows the first pages.
    assert (pdf.fallback, pdf.pages) in {("", 200), ("", 201)} or (pdf.fallback == "cut" and pdf.pages > 50)


def test_a_mail_that_was_not_read_to_its_end_goes_along_whole(renderer, tmp_path):
    part = b"--x\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n\r\nx\r\n"
    raw = b"From: a@example.com\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + part * 1010 + b"--x--\r\n"

    pdf = made(raw, renderer)

    assert pdf.fallback == "cut"
    with opened(pdf.content) as inside:
        assert inside.attachments["message.eml"].get_file().read_bytes() == raw
    assert "attached to this document as message.eml" in text_of(pdf.content, tmp_path)


def test_a_page_links_to_the_web_and_to_nothing_else(renderer):
    html = "".join(
        f'<p><a href="{target}">x</a>'
        for target in (
            "https://example.org/",
            "file:///etc/passwd",
            "javascript:app.alert(1)",
            "smb://host/x",
            "//host/x",
        )
    )

    with opened(made(mail(html=html), renderer).content) as inside:
        actions = [one.A for page in inside.pages for one in page.get("/Annots", []) if "/A" in one]

    assert {str(action.S) for action in actions} == {"/URI"}
    assert all(str(action.URI).startswith("https://") for action in actions)
    assert "https://example.org/" in {str(action.URI) for action in actions}


def test_the_same_mail_has_the_same_pages_each_time(renderer):
    first, second = (made(mail(), renderer) for _ in range(2))

    with opened(first.content) as one, opened(second.content) as other:
        assert one.trailer.ID[0] == other.trailer.ID[0]
        assert one.pages[0].Contents.read_bytes() == other.pages[0].Contents.read_bytes()


def test_no_picture_but_those_of_four_kinds_is_read():
    fetcher = render_worker._Fetcher()

    for url in ("file:///etc/passwd", "http://x/", "data:image/svg+xml;base64,PHN2Zz4=", "data:text/css,x", "ftp://x/"):
        with pytest.raises(render_worker.Refused):
            fetcher.fetch(url)
