"""What a screen reader finds in a PDF (PDF/UA-1, ISO 14289-1), and how lines of each script run."""

import re
import subprocess
from dataclasses import replace

import pikepdf
import pytest

from messenger.colours import accents
from messenger.message import text_html
from messenger_pdfotp.make import Wishes, make
from messenger_pdfotp.paragraphs import decided, direction_of, paragraphs

from .pdf_fixtures import PASSWORD, SITE, job, mail, opened, renderer

__all__ = ["renderer"]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
HTML = f"""<h2>Figures</h2><p>First</p><ul><li>one</li></ul><table><tr><th>a</th><td>b</td></tr></table>
<p><img src="data:image/png;base64,{PIXEL}" alt="a dot"> <a href="https://example.org/">there</a></p>"""


@pytest.fixture(scope="module")
def pdf(renderer):
    raw = mail(html=HTML)
    with opened(make(job(raw), SITE, PASSWORD, renderer, Wishes()).content) as found:
        yield found


def elements(node):
    """Every structure element below *node*, and every piece of marked content it holds."""
    if isinstance(node, pikepdf.Array):
        for one in node:
            yield from elements(one)
    elif isinstance(node, pikepdf.Dictionary) and "/S" in node:
        yield node
        yield from elements(node.get("/K", pikepdf.Array()))


def test_headings_paragraphs_lists_tables_links_and_pictures_are_in_the_structure_tree(pdf):
    found = [*elements(pdf.Root.StructTreeRoot.K)]

    kinds = {str(one.S) for one in found}
    assert {"/Document", "/H1", "/H2", "/P", "/L", "/LI", "/Table", "/TR", "/TH", "/TD", "/Figure", "/Link"} <= kinds
    assert [str(one.Alt) for one in found if one.S == "/Figure"] == ["a dot"]


def test_the_document_says_its_language_its_title_and_the_order_of_the_tab_key(pdf):
    assert pdf.Root.Lang == "en"
    assert pdf.Root.MarkInfo.Marked
    assert pdf.Root.ViewerPreferences.DisplayDocTitle
    assert pdf.docinfo["/Title"] == "Contract"
    assert {str(page.Tabs) for page in pdf.pages} == {"/S"}
    links = [one for page in pdf.pages for one in page.get("/Annots", []) if one.Subtype == "/Link"]
    assert links
    assert all("/StructParent" in one and one.get("/Contents") for one in links)


def test_all_that_is_drawn_is_tagged_or_an_artifact(pdf):
    loose, artifacts = [], 0
    for page in pdf.pages:
        depth = 0
        for instruction in pikepdf.parse_content_stream(page):
            operator = str(instruction.operator)
            if operator in ("BDC", "BMC"):
                depth += 1
                artifacts += instruction.operands[0] == "/Artifact"
            elif operator == "EMC":
                depth -= 1
            elif operator in ("Tj", "TJ", "Do", "S", "f", "f*", "B") and not depth:
                loose.append(operator)
        assert depth == 0

    assert loose == []
    assert artifacts  # the page's number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello שלום", "ltr"),
        ("- שלום Hello", "rtl"),
        ("123 الرجاء", "rtl"),
        ("+49 30 12", "ltr"),
        ("\u2068שלום\u2069 says", "ltr"),  # P2: what is isolated doesn't count
        ("", "ltr"),
    ],
)
def test_a_line_runs_as_its_first_letter_does(text, expected):
    assert direction_of(text) == expected


def test_each_paragraph_and_each_run_of_lines_of_a_plain_text_has_its_own_direction():
    html = paragraphs(text_html("Hi\nthere\n\nשלום\n<b>\n\n> עולם\n> quoted\nend\n"))

    assert re.findall(r'<p dir="(\w+)">(.*?)</p>', html, re.DOTALL) == [
        ("ltr", "Hi\nthere"),
        ("rtl", "\nשלום"),
        ("ltr", "&lt;b&gt;"),
        ("rtl", '\n<span class="quoted">&gt; עולם</span>'),
        ("ltr", '<span class="quoted">&gt; quoted\n</span>end'),
    ]


def test_an_element_whose_direction_is_to_be_found_out_gets_that_of_its_first_letter():
    html = '<p dir="auto">1. <b>שלום</b> you</p><p class="x" dir="auto">Hello</p><p dir="auto"></p><p>עולם'

    assert re.findall(r'dir="(\w+)"', decided(html)) == ["rtl", "ltr", "ltr"]


def test_a_line_written_from_the_right_stands_at_the_right_in_an_english_text(renderer, tmp_path):
    raw = mail("English first\n\nשלום\nGerman\n")
    (tmp_path / "a.pdf").write_bytes(make(job(raw), SITE, PASSWORD, renderer, Wishes()).content)

    words = subprocess.run(
        ["pdftotext", "-bbox", "-upw", PASSWORD, tmp_path / "a.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout

    starts = {word: float(at) for at, word in re.findall(r'xMin="([\d.]+)".*>(\S+)</word>', words)}
    [hebrew] = [at for word, at in starts.items() if re.search("[א-ת]", word)]
    assert starts["German"] == starts["English"] < 100
    assert hebrew > 400


def test_the_page_has_the_colour_of_the_site(renderer):
    site = replace(SITE, accents=accents("#8a1c4a", ""))

    with opened(make(job(mail()), site, PASSWORD, renderer, Wishes()).content) as found:
        content = found.pages[0].Contents.read_bytes()

    assert b"0.541176" in content
