"""What somebody lays into the spool or beside a mailbox stops nobody, and shows nobody else's password."""

import json
import os
import threading
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from messenger import pdf_password, pdf_record
from messenger.mailbox import mailbox_of
from messenger.pdf_record import Record
from messenger.pdf_spool import JOB_OCTETS, Tries
from messenger_pdfotp import service
from messenger_pdfotp.make import Wishes, make

from .pdf_fixtures import PASSWORD, SITE, job, mail, opened, renderer, with_files
from .reader_fixtures import ALICE, BOB, KEY
from .test_pdf_password_pages import DIGEST, sent, shown, site
from .test_pdfotp_make import Blank
from .test_pdfotp_work import JOB, NOW, desk

__all__ = ["desk", "renderer", "site"]

ODD = {
    "symbolic link": lambda path, beside: path.symlink_to(beside),
    "dangling link": lambda path, _: path.symlink_to("nowhere"),
    "hard link": lambda path, beside: path.hardlink_to(beside),
    "folder": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "huge": lambda path, _: (path.touch(), os.truncate(path, 2**40)),
}
RECORD = Record(pdf_password.id_of(DIGEST, ALICE), DIGEST, 0, 1_800_000_000, "bob@example.org")
FIELDS = [
    {"generation": -1},
    {"generation": 2**32},
    {"generation": 0.5},
    {"created": 10**18},
    {"created": -(10**18)},
    {"created": True},
    {"shown": 10**18},
    {"shown_from": "\ud800"},
    {"sender": "\ud800"},
    {"sender": None},
    {"sender": "x" * 7000},
    {"name": "../../../bob/Maildir/cur/x"},
    {"name": "a\0b"},
    {"name": ""},
    {"pdf_id": "../x"},
    {"pdf_id": RECORD.pdf_id.upper()},
]


def test_no_odd_file_among_the_records_stops_a_page_nor_the_help_desk(site):
    pdf_id, theirs, browser = sent(site), sent(site, BOB), site.browser()
    site.sign_up(browser)
    folder = mailbox_of(site.home / "mail", ALICE).root.parent
    path = folder / "pdfs" / f"{pdf_id}.json"
    bobs = mailbox_of(site.home / "mail", BOB).root.parent / "pdfs" / f"{theirs}.json"
    contents = [json.dumps(asdict(RECORD) | odd) for odd in FIELDS] + ["", "[]", '"pdf_id"', "[" * 9000, "9" * 8000]

    makes = [*ODD.values(), *(lambda path, _, text=text: path.write_text(text) for text in contents)]
    for lay in makes:
        path.rmdir() if path.is_dir() else path.unlink()
        lay(path, bobs)

        answers = [site.get(browser, page) for page in ("/pdfs", f"/pdfs/{pdf_id}", f"/pdfs/{pdf_id}/answer")]
        found = pdf_record.find(folder, pdf_id)  # what the help desk asks

        assert [one.status_code for one in answers] == [200, 404, 404], lay
        assert [shown(one.text) for one in answers] == ["", "", ""]
        assert found is None


def test_a_record_of_somebody_else_shows_nobodys_password(site):
    theirs, browser = sent(site, BOB), site.browser()
    site.sign_up(browser)
    bobs = mailbox_of(site.home / "mail", BOB).root.parent / "pdfs" / f"{theirs}.json"
    mine = mailbox_of(site.home / "mail", ALICE).root.parent / "pdfs" / f"{theirs}.json"
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_bytes(bobs.read_bytes())

    page = site.get(browser, f"/pdfs/{theirs}").text

    # The address is part of a password: hers isn't his.
    assert shown(page) == pdf_password.password(KEY, ALICE, 0, theirs)
    assert pdf_password.password(KEY, BOB, 0, theirs) not in page


@pytest.mark.parametrize(
    "make", [ODD["dangling link"], ODD["symbolic link"], ODD["pipe"], lambda p, _: p.write_text("{")]
)
def test_a_record_that_cannot_be_used_is_written_anew_so_that_the_password_can_be_shown(tmp_path, make):
    (tmp_path / "beside").write_text("theirs")
    (tmp_path / "pdfs").mkdir()
    make(tmp_path / "pdfs" / f"{RECORD.pdf_id}.json", tmp_path / "beside")

    assert pdf_record.keep(tmp_path, RECORD)
    assert pdf_record.find(tmp_path, RECORD.pdf_id) == RECORD
    assert (tmp_path / "beside").read_text() == "theirs"
    assert not pdf_record.keep(tmp_path, replace(RECORD, generation=1))


def test_the_longest_sender_there_can_be_is_found_again(tmp_path):
    longest = replace(RECORD, sender="\U0001f600" * pdf_record.TEXT_CHARACTERS)

    pdf_record.keep(tmp_path, longest)

    assert pdf_record.find(tmp_path, RECORD.pdf_id) == longest


def test_folders_among_the_leftovers_of_records_keep_nothing_from_going(tmp_path):
    pdf_record.keep(tmp_path, RECORD)
    (tmp_path / "pdfs" / ".folder").mkdir()
    (tmp_path / "pdfs" / ".left").touch()

    pdf_record.remove_leftovers(tmp_path, int((tmp_path / "pdfs" / ".left").stat().st_mtime) + 9999)
    pdf_record.remove_leftovers(tmp_path / "pdfs" / f"{RECORD.pdf_id}.json", NOW)

    assert sorted(path.name for path in (tmp_path / "pdfs").iterdir()) == [".folder", f"{RECORD.pdf_id}.json"]


def test_a_file_that_claims_to_be_huge_is_given_up_unread(desk):
    os.truncate(desk.spool.root / "new" / JOB.pdf_id, JOB_OCTETS + 1)

    assert not desk.work()

    [(_, reason)] = desk.told
    assert reason == f"expected a file of at most {JOB_OCTETS} bytes, found {JOB_OCTETS + 1}"
    assert desk.sent == []


@pytest.mark.parametrize(
    "odd", [{"waits": -(10**400)}, {"waits": -1}, {"count": -(10**9)}, {"count": int("9" * 4299)}, {"after": 2**40}]
)
def test_numbers_out_of_bounds_among_the_tries_count_as_none(desk, odd):
    (desk.spool.root / "tries" / JOB.pdf_id).write_text(json.dumps(asdict(Tries()) | odd))

    assert desk.spool.tries(JOB.pdf_id) == Tries()
    assert desk.spool.due(NOW) == [JOB.pdf_id]
    assert desk.work()


@pytest.mark.parametrize(
    "odd",
    [{"generation": -1}, {"generation": 2**40}, {"created": 10**18}, {"language": "../../etc"}, {"time_zone": "\0"}],
)
def test_odd_values_in_a_file_of_the_spool_end_with_it_and_keep_nobody_elses_waiting(desk, odd):
    (desk.spool.root / "new" / JOB.pdf_id).write_bytes(replace(JOB, **odd).to_bytes())

    for number in range(4):
        if desk.spool.due(NOW + 10_000 * number):
            desk.work(NOW + 10_000 * number)

    assert desk.spool.due(NOW + 99_999) == []
    assert len(desk.sent) + len(desk.spool.failed()) == 1


def test_what_cannot_be_tidied_away_or_tried_stops_neither_the_service_nor_the_next_file(desk, monkeypatch, caplog):
    spool, other = desk.spool, job(mail(), digest="cd" * 32)
    spool.put(other)
    for folder in ("tmp", "done"):
        (spool.root / folder / "folder").mkdir()
        os.utime(spool.root / folder / "folder", (1, 1))
        (spool.root / folder / "old").touch()
        os.utime(spool.root / folder / "old", (1, 1))
    worked = []

    def work(claim, *_):
        worked.append(claim.pdf_id)
        raise OverflowError("a fault of ours")

    monkeypatch.setattr(service, "work", work)
    monkeypatch.setattr(service, "LOOK_SECONDS", 0)

    assert spool.tidy(NOW, 400) == 2
    service._round(spool, SimpleNamespace(bench=desk.bench), threading.Event(), threading.Event())

    assert sorted(worked) == sorted([JOB.pdf_id, other.pdf_id])
    assert "a fault of ours" in caplog.text


def test_a_link_for_another_address_or_one_that_was_tampered_with_shows_nothing(site):
    theirs, browser = sent(site, BOB), site.browser()
    site.sign_up(browser)
    token = site.token(BOB)
    tampered = [
        token[:20] + ("A" if token[20] != "A" else "B") + token[21:],
        token[:-1] + "2",
        token[:-5] + "1",
        "x" * 400,
    ]

    for one in (token, *tampered):
        for path in (f"/l/{one}/{theirs}", f"/l/{one}/{theirs}/answer"):
            page = site.get(browser, path, follow_redirects=True)
            assert shown(page.text) == ""
            assert "A secret plan" not in page.text
    stranger = site.browser()
    for one in tampered:
        led = site.get(stranger, f"/l/{one}/{theirs}", follow_redirects=True)
        assert led.request.path == "/login"


@pytest.mark.parametrize("kind", [b"a b(#c/\xff\x80 d", b"app/" + b"#0(<" * 100, "app/\u00e4\u202e".encode(), b"a/\0b"])
def test_an_attachment_of_any_kind_goes_into_the_pdf(kind):
    raw = with_files(("a.bin", b"x")).replace(b"application/octet-stream", kind)

    made = make(job(raw), SITE, PASSWORD, Blank(), Wishes())

    with opened(made.content) as inside:
        assert [spec.get_file().read_bytes() for spec in inside.attachments.values()] == [b"x"]
