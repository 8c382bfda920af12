"""All attachments saved as one file, under names that are safe everywhere."""

import io
import re
import tracemalloc
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from messenger.link import reference
from messenger_reader.zip_stream import ZipStream, safe_name

from .attachment_fixtures import alice_fixture, site_fixture, with_files  # noqa: F401
from .mail_pages_fixtures import deliver

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
