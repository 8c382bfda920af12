"""Attachments: listed in words, and messages within messages; nobody sees those of another person."""

import io
from zipfile import ZipFile

import pytest

from messenger.link import reference
from messenger.message import Part
from messenger_reader import file_words

from .attachment_fixtures import PNG, alice_fixture, site_fixture, with_files, words  # noqa: F401
from .mail_pages_fixtures import deliver, logged_in, mail, with_file
from .reader_fixtures import BOB, portal
from .test_message_nested import around


def written(site):
    lines = site.app.extensions["messenger"].accounts.trail()
    return [(line.event, line.detail) for line in lines if line.event in ("read", "download")]


# -- the list


@pytest.mark.parametrize(
    ("filename", "content_type", "said", "preview"),
    [
        ("a.pdf", "application/pdf", "PDF document", "pdf"),
        ("a.pdf", "application/octet-stream", "PDF document", "pdf"),
        ("a.xlsx", "application/octet-stream", "Excel table", ""),
        ("a", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "Word document", ""),
        ("photo.JPG", "image/jpeg", "Picture", "picture"),
        ("a.svg", "image/svg+xml", "Web page", ""),
        ("a.html", "text/html", "Web page", ""),
        ("bill.pdf.exe", "application/pdf", "Program", "pdf"),
        ("bill.exe", "image/png", "Program", "picture"),
        ("bill.pdf", "application/x-msdownload", "Program", ""),
        ("notes.txt", "text/plain", "Text", "text"),
        ("a.csv", "text/csv", "Table as text", "text"),
        ("invite.ics", "text/calendar", "Calendar entry", "calendar"),
        ("a.vcf", "text/x-vcard", "Contact", "contact"),
        ("winmail.dat", "application/octet-stream", "Outlook’s own format", ""),
        ("part-2.dat", "application/ms-tnef", "Outlook’s own format", ""),
        ("old.eml", "application/octet-stream", "Message", "mail"),
        ("strange", "application/x-made-up", "File", ""),
        ("exe", "application/x-made-up", "File", ""),
    ],
)
def test_a_file_is_called_by_what_it_would_be_opened_as(site, filename, content_type, said, preview):
    with site.app.test_request_context():
        kind = file_words.kind_of(Part("2", filename, content_type, 1, False, ""))

    assert (kind.words, kind.preview) == (said, preview)
    assert kind.dangerous == (said in ("Program", "Web page"))


def test_the_list_says_what_each_is_and_leads_to_it(site, alice):
    raw = with_files(
        ("Überweisung.csv", "text/csv", b"a;b"),
        ("x.exe", "application/pdf", b"MZ"),
        ("winmail.dat", "application/ms-tnef", b"x"),
    )
    name = deliver(site, raw)

    page = site.get(alice, f"/message/{name}").text

    for said in (
        "3 attachments",
        "Überweisung.csv Table as text, 3 B",
        "x.exe Program, 2 B",
        "can take over",
        "how Outlook packs",
    ):
        assert said in words(page)
    for address in ("preview/2", "attachment/2", "attachment/3", "attachment/4", "attachments.zip"):
        assert f'href="/message/{name}/{address}"' in page
    assert f'href="/message/{name}/preview/4"' not in page


def test_the_list_speaks_german(tmp_path):
    site = portal(tmp_path, site='language = "de"')
    alice = logged_in(site)
    name = deliver(site, with_files(("a.pdf", "application/pdf", b"x"), ("b.xlsx", "application/vnd.ms-excel", b"x")))

    page = site.get(alice, f"/message/{name}").text

    for said in ("PDF-Dokument", "Excel-Tabelle", "2 Anhänge", "Ansehen", "Alle zusammen"):
        assert said in page


# -- a message in a message


def test_a_message_in_a_message_is_a_message_of_its_own(site, alice):
    inner = with_file(PNG, "image/png", "deep.png").replace(b"Subject: With a file", b"Subject: Innermost")
    name = deliver(site, around(around(inner)))

    first = site.get(alice, f"/message/{name}/part/2").text
    second = site.get(alice, f"/message/{name}/part/2-2").text

    assert f'href="/message/{name}/part/2"' in site.get(alice, f"/message/{name}").text
    assert f'href="/message/{name}/part/2-2"' in first
    for said in ("Innermost", "See the file.", "Attached to: Fwd", "was not checked", "deep.png Picture"):
        assert said in words(second)
    assert f'href="/message/{name}/preview/2-2-2"' in second
    assert f'href="/message/{name}/part/2"' in second
    assert site.get(alice, f"/message/{name}/preview/2-2-2/content").data == PNG
    assert site.get(alice, f"/message/{name}/attachment/2-2-2").data == PNG
    assert site.get(alice, f"/message/{name}/attachment/2-2").data == inner
    assert site.get(alice, f"/message/{name}/preview/2-2").location == f"/message/{name}/part/2-2"
    zipped = ZipFile(io.BytesIO(site.get(alice, f"/message/{name}/attachments.zip?of=2-2").data))
    assert zipped.namelist() == ["deep.png"]


def test_the_body_of_a_message_in_a_message_is_in_the_same_frame(site, alice):
    name = deliver(site, around(mail("Inner", html="<p>Formatted <script>x</script><img src='https://a.example/'>")))

    page = site.get(alice, f"/message/{name}/part/2").text
    body = site.get(alice, f"/message/{name}/part/2/body")

    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert f'src="/message/{name}/part/2/body"' in page
    assert "Load pictures this time" in page
    assert "Formatted" in body.text
    assert "<script" not in body.text
    assert "img-src data:;" in body.headers["Content-Security-Policy"]
    assert (
        "img-src data: https:;"
        in site.get(alice, f"/message/{name}/part/2/body?pictures=1").headers["Content-Security-Policy"]
    )


# -- who sees what

FACES = (
    "/attachment/2", "/preview/2", "/preview/2/content", "/attachments.zip", "/part/2", "/part/2/body",
    "/attachments.zip?of=2", "/attachment/2-1", "/preview/2-1",
)  # fmt: skip


@pytest.mark.parametrize("face", FACES)
def test_nobody_sees_what_another_person_got(site, alice, face):
    name = deliver(site, around(mail("secret")), BOB)

    answer = site.get(alice, f"/message/{name}{face}")

    assert answer.status_code == 404
    assert b"secret" not in answer.data
    assert site.get(site.browser(), f"/message/{name}{face}").location.startswith("/login")


@pytest.mark.parametrize("path", ["9", "-1", "2-", "2-9", "1", "../1", "x" * 500, "2-" * 200 + "2", "%00", "²"])
def test_a_path_that_leads_nowhere_is_not_found(site, alice, path):
    name = deliver(site, with_file(b"x", "application/x-one", "a.bin"))

    for face in (
        f"/attachment/{path}",
        f"/preview/{path}",
        f"/preview/{path}/content",
        f"/part/{path}",
        f"/part/{path}/body",
    ):
        if path != "1" or "part" in face:
            assert site.get(alice, f"/message/{name}{face}").status_code == 404, face
    assert site.get(alice, f"/message/{name}/attachments.zip?of={path}").status_code == 404


def test_each_look_and_each_file_is_written_down_by_its_code(site, alice):
    name = deliver(site, with_files(("a.png", "image/png", PNG), ("b.eml", "application/octet-stream", mail("x"))))
    before = len(written(site))

    for face in ("preview/2", "preview/2/content", "attachment/2", "attachments.zip", "part/3", "part/3/body"):
        assert site.get(alice, f"/message/{name}/{face}").status_code == 200

    code = reference(name)
    assert written(site)[before:] == [
        ("read", f"{code} preview 2"),
        ("read", f"{code} preview 2 content"),
        ("download", f"{code} part 2"),
        ("download", f"{code} all attachments"),
        ("read", f"{code} part 3"),
        ("read", f"{code} part 3 body"),
    ]
