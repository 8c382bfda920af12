"""Attachments: listed in words, looked at in a sandbox, saved one by one or all at once."""

import io
import re
import tracemalloc
from email.message import EmailMessage
from email.policy import SMTP
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from messenger.link import reference
from messenger.message import Part
from messenger_reader import file_words, previews
from messenger_reader.zip_stream import ZipStream, safe_name

from . import pdf_makers
from .mail_pages_fixtures import deliver, logged_in, mail, with_file
from .reader_fixtures import BOB, portal
from .test_calendars import INVITATION
from .test_contacts import VERSION_3
from .test_message_nested import MAILS, around

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
PDF = pdf_makers.pages("The first page", "The second page")
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module", name="site")
def site_fixture(tmp_path_factory):
    return portal(tmp_path_factory.mktemp("portal"))


@pytest.fixture(scope="module", name="alice")
def alice_fixture(site):
    return logged_in(site)


def with_files(*files: tuple[str, str, bytes]) -> bytes:
    """A mail of parts 2, 3, ...: name, type, content."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["Subject"], made["Date"] = "bob@example.org", "Files", "Fri, 02 Jan 2026 23:30:00 +0000"
    made.set_content("See the files.\n")
    for filename, content_type, content in files:
        maintype, _, subtype = content_type.partition("/")
        made.add_attachment(content, maintype=maintype, subtype=subtype, filename=filename)
    return made.as_bytes()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


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


# -- previews


def test_a_picture_is_shown_by_an_answer_that_may_do_nothing(site, alice):
    name = deliver(site, with_file(PNG, "image/png", "Bild ü.png"))

    page = site.get(alice, f"/message/{name}/preview/2")
    answer = site.get(alice, f"/message/{name}/preview/2/content")

    assert f'<img src="/message/{name}/preview/2/content" alt="Bild ü.png">' in page.text
    assert "Picture, 58 B" in words(page.text)
    assert answer.data == PNG
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"].startswith("inline; filename=")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("; sandbox")


@pytest.mark.parametrize(
    ("content", "content_type", "filename"),
    [
        (b"<svg onload='alert(1)'/>", "image/png", "a.png"),
        (PNG, "image/svg+xml", "a.svg"),
        (PNG, "text/html", "a.png"),
        (b"<html>" + PNG, "image/png", "a.png"),
        (EVIL.encode(), "text/html", "a.txt"),
        (EVIL.encode(), "application/xhtml+xml", "a.txt"),
        (EVIL.encode(), "application/pdf", "a.pdf"),
        (b"MZ", "application/octet-stream", "a.exe"),
        (b"BM" + bytes(50), "image/bmp", "a.bmp"),
        (PNG + bytes(previews.PICTURE_BYTES), "image/png", "large.png"),
    ],
    ids=range(10),
)
def test_what_is_not_what_it_claims_or_nothing_we_show_is_only_saved(site, alice, content, content_type, filename):
    name = deliver(site, with_file(content, content_type, filename))

    page = site.get(alice, f"/message/{name}/preview/2")
    answer = site.get(alice, f"/message/{name}/preview/2/content")

    assert page.status_code == 200
    assert "note warn" in page.text
    assert "<img" not in page.text
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("content", "content_type", "shown"),
    [
        ("Grüße".encode(), 'text/plain; charset="utf-8"', "Grüße"),
        ("Grüße".encode("latin-1"), "text/plain; charset=iso-8859-1", "Grüße"),
        ("Привет".encode("koi8-r"), "text/plain; charset=koi8-r", "Привет"),
        ("a;b\r\nü;1".encode("utf-16"), "text/csv", "a;b\nü;1"),
        (EVIL.encode(), "text/plain", EVIL),
        (b"+ADw-script+AD4-", "text/plain; charset=utf-7", "+ADw-script+AD4-"),
    ],
    ids=range(6),
)
def test_a_text_of_any_charset_is_shown_as_plain_text(site, alice, content, content_type, shown):
    raw = with_file(content, "application/x-test", "a.txt").replace(b"application/x-test", content_type.encode())
    name = deliver(site, raw)

    page = site.get(alice, f"/message/{name}/preview/2").text
    answer = site.get(alice, f"/message/{name}/preview/2/content")

    [frame] = re.findall("<iframe[^>]*>", page)
    assert " sandbox " in frame
    assert f'src="/message/{name}/preview/2/content"' in frame
    assert answer.text == shown
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].endswith("; sandbox")


def test_of_a_long_text_the_beginning_is_shown(site, alice):
    name = deliver(site, with_file(b"word " * 200_000, "text/plain", "long.txt"))

    assert "This is the beginning" in site.get(alice, f"/message/{name}/preview/2").text
    assert len(site.get(alice, f"/message/{name}/preview/2/content").text) == previews.TEXT_CHARACTERS


def test_a_pdf_is_shown_page_by_page_as_pictures(site, alice):
    name = deliver(site, with_file(PDF, "application/pdf", "a.pdf"))

    first = site.get(alice, f"/message/{name}/preview/2").text
    second = site.get(alice, f"/message/{name}/preview/2?page=2").text
    answer = site.get(alice, f"/message/{name}/preview/2/content?page=2")

    assert "Page 1 of 2" in first
    assert f'href="/message/{name}/preview/2?page=2">Next page' in first
    assert "The second page" in second
    assert "Next page" not in second
    assert answer.data.startswith(b"\xff\xd8\xff")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Security-Policy"].endswith("; sandbox")
    for odd in ("0", "-1", "9", "99999999", "x", "²", ""):
        assert re.search("Page [12] of 2", site.get(alice, f"/message/{name}/preview/2?page={odd}").text)


def test_a_broken_pdf_is_a_sentence(site, alice):
    name = deliver(site, with_file(b"%PDF-1.7 and no more", "application/pdf", "a.pdf"))

    assert "damaged, locked" in site.get(alice, f"/message/{name}/preview/2").text
    assert site.get(alice, f"/message/{name}/preview/2/content").status_code == 404


def test_where_many_pdfs_are_looked_at_one_has_to_come_again(site, alice, monkeypatch):
    name = deliver(site, with_file(PDF, "application/pdf", "busy.pdf"))

    def busy(*_args):
        raise previews.pdf_pages.Busy("busy")

    monkeypatch.setattr(previews.pdf_pages, "read", busy)
    monkeypatch.setattr(previews.pdf_pages, "draw", busy)

    assert "try again in a moment" in site.get(alice, f"/message/{name}/preview/2").text
    assert site.get(alice, f"/message/{name}/preview/2/content").status_code == 503


def test_an_invitation_is_readable_in_the_readers_zone(tmp_path):
    site = portal(tmp_path, site='time_zone = "America/New_York"')
    alice = logged_in(site)
    name = deliver(site, with_file(INVITATION.encode(), "text/calendar", "invite.ics"))

    page = words(site.get(alice, f"/message/{name}/preview/2").text)

    for said in (
        "Invitation",
        "Besprechung",
        "Monday, 2 March 2026, 04:00 – 05:30",
        "Your time zone: America/New_York",
        "There: 10:00, time zone W. Europe Standard Time",
        "every 2 weeks on Monday and Thursday, until 1 May 2026",
        "Raum 2",
        "Erika Mustermann &lt;erika@example.org&gt;",
        "(no answer yet)",
        "Nothing is answered",
    ):
        assert said in page, page
    assert "<form" not in page


def test_an_invitation_is_read_where_the_message_is(site, alice):
    raw = (MAILS / "alternative-calendar.eml").read_bytes()
    raw = re.sub(rb"BEGIN:VCALENDAR.*END:VCALENDAR", INVITATION.encode().replace(b"\\", b"\\\\"), raw, flags=re.DOTALL)
    name, forwarded = deliver(site, raw), deliver(site, around(raw))

    for page in (f"/message/{name}", f"/message/{forwarded}/part/2"):
        assert "<dt>When</dt>" in site.get(alice, page).text
    assert "<dt>When</dt>" not in site.get(alice, f"/message/{forwarded}").text


def test_an_invitation_that_can_not_be_read_is_one_of_the_files(site, alice):
    name = deliver(site, with_file(b"BEGIN:VCALENDAR", "text/calendar", "invite.ics"))

    page = site.get(alice, f"/message/{name}").text

    assert "invite.ics" in page
    assert "<dt>When</dt>" not in page


def test_a_contact_is_readable(site, alice):
    name = deliver(site, with_file(VERSION_3.encode(), "text/vcard", "erika.vcf"))

    page = words(site.get(alice, f"/message/{name}/preview/2").text)

    for said in ("Dr. Erika Maria Mustermann", "+49 170 1234 (mobile)", "Am Weg 1, Berlin, 10115, Germany (private)"):
        assert said in page


@pytest.mark.parametrize(("content_type", "filename"), [("text/calendar", "a.ics"), ("text/vcard", "a.vcf")])
def test_what_can_not_be_read_is_a_sentence(site, alice, content_type, filename):
    name = deliver(site, with_file(b"rubbish\xff", content_type, filename))

    assert "can’t be shown" in site.get(alice, f"/message/{name}/preview/2").text


def test_what_files_say_is_drawn_as_text(site, alice):
    calendar = INVITATION.replace("Besprechung", EVIL).replace("Raum 2", EVIL).replace("Erika", EVIL)
    contact = VERSION_3.replace("Erika", EVIL).replace("+49", EVIL)
    raw = with_files(
        (f"{EVIL}.ics", "text/calendar", calendar.encode()),
        (f"{EVIL}.vcf", "text/vcard", contact.encode()),
        (f"{EVIL}.pdf", "application/pdf", pdf_makers.pages("<script>alert")),
    )
    name = deliver(site, raw)

    for path in ("", "/preview/2", "/preview/3", "/preview/4"):
        assert "<script" not in site.get(alice, f"/message/{name}{path}").text, path


# -- all at once


def test_all_attachments_are_saved_as_one_file(site, alice):
    raw = with_files(("Grüße.txt", "text/plain", b"one"), ("a.bin", "application/x-a", b"\x00\xff" * 2_000_000))
    name = deliver(site, raw)

    answer = site.get(alice, f"/message/{name}/attachments.zip")
    file = ZipFile(io.BytesIO(answer.data))

    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={reference(name)}.zip"
    assert file.testzip() is None
    assert {one.filename: (len(file.read(one)), one.date_time) for one in file.infolist()} == {
        "Grüße.txt": (3, (2026, 1, 2, 23, 30, 0)),
        "a.bin": (4_000_000, (2026, 1, 2, 23, 30, 0)),
    }
    assert file.getinfo("Grüße.txt").flag_bits & 0x800  # the name is UTF-8


def test_a_thousand_parts_are_listed_and_saved(site, alice):
    piece = b"--b\r\nContent-Type: application/x-one; name=same.bin\r\n\r\n" + bytes(50_000) + b"\r\n"
    raw = b"Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + piece * 999 + b"--b--\r\n"
    name = deliver(site, raw)

    assert "999 attachments" in site.get(alice, f"/message/{name}").text
    answer = site.get(alice, f"/message/{name}/attachments.zip")

    names = ZipFile(io.BytesIO(answer.data)).namelist()
    assert (len(set(names)), names[0], names[-1]) == (999, "same.bin", "same (999).bin")


HOSTILE = [
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x.txt", "con", "CON.txt", "nul.tar.gz", "COM1",
    "lpt¹.txt", "a.txt.", "a.txt ", " ", "", ".", "..", "...", "a:b", "a\x00b", "x\u202egpj.exe", "-rf", "~", "\ud800",
    "ä" * 300, "日" * 300 + ".pdf", "a" * 300 + "." + "b" * 300, ".htaccess", "aux .txt",
]  # fmt: skip


@pytest.mark.parametrize("given", HOSTILE)
def test_a_name_in_a_zip_file_is_safe_on_every_system(given):
    stem, extension = safe_name(given)
    name = stem + extension

    assert stem
    assert len(name.encode()) <= 200
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f\u202e]', name)
    assert name not in (".", "..")
    assert name[-1] not in ". "
    assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", name)


def test_names_that_some_system_takes_for_the_same_are_told_apart():
    file = ZipStream(ZoneInfo("UTC"))
    given = ["A.txt", "a.TXT", "a (2).txt", "a.txt", "\u00e4", "a\u0308"] + ["same"] * 10_000

    taken = [file.free(*safe_name(name)) for name in given]

    assert taken[:6] == ["A.txt", "a (2).TXT", "a (2) (2).txt", "a (3).txt", "\u00e4", "\u00e4 (2)"]
    assert len({name.casefold() for name in taken}) == len(given)


def test_a_zip_file_takes_no_more_memory_than_a_piece():
    file, content = ZipStream(ZoneInfo("UTC")), bytes(50_000_000)
    tracemalloc.start()

    size = sum(len(piece) for piece in file.add("a.bin", content, 0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert size < 1_000_000
    assert peak < 8_000_000


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
