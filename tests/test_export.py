"""All mail as one zip file: as it came, in any number, whatever happens to the mailbox meanwhile."""

import io
import os
import tracemalloc
from datetime import datetime
from zipfile import ZipFile
from zoneinfo import ZoneInfo

import pytest

from messenger.link import reference
from messenger.mailbox import MailboxError, mailbox_of
from messenger_reader.export import Words, archive

from .mail_pages_fixtures import deliver, logged_in, mail, mailbox_at
from .reader_fixtures import ALICE, BOB, portal

WORDS = Words("Inbox", "Not included", "These are missing:")
BERLIN = ZoneInfo("Europe/Berlin")
RECEIVED = 1_767_396_600  # 2 January 2026, 23:30 UTC
NOW = 1_800_000_000


@pytest.fixture(name="mailbox")
def mailbox_fixture(tmp_path):
    (tmp_path / "mail").mkdir()
    return mailbox_of(tmp_path / "mail", ALICE)


def put(mailbox, raw, name, folder="", received=RECEIVED, flags="S"):
    mailbox.deliver(raw, name, folder, flags)
    [path] = (mailbox.root / (f".{folder}" if folder else "") / "cur").glob(f"{name}:*")
    os.utime(path, (received, received))


def opened(pieces):
    file = ZipFile(io.BytesIO(b"".join(pieces)))
    assert file.testzip() is None
    return file


def archived(mailbox):
    return opened(archive(mailbox, BERLIN, WORDS, NOW))


def test_each_mail_is_a_file_with_its_bytes_in_the_folder_it_is_in(mailbox):
    raw = mail("Überraschung") + b"\x00\xff\r\n.\r\n"
    put(mailbox, raw, "a")
    put(mailbox, b"sent", "b", folder="Sent")
    put(mailbox, b"deep", "c", folder="Work.2026")

    file = archived(mailbox)

    assert {name: file.read(name) for name in file.namelist()} == {
        f"Inbox/2026-01-03 0030 {reference('a')}.eml": raw,
        f"Sent/2026-01-03 0030 {reference('b')}.eml": b"sent",
        f"Work/2026/2026-01-03 0030 {reference('c')}.eml": b"deep",
    }


def test_a_mail_that_nobody_has_opened_yet_is_in_it_and_stays_new(mailbox):
    mailbox.deliver(b"new", "n")

    assert len(archived(mailbox).namelist()) == 1
    assert [entry.new for entry in mailbox.list()] == [True]


def test_names_tell_the_time_in_the_readers_zone_and_nothing_of_the_content(mailbox):
    put(mailbox, mail("A secret subject"), "a" * 64)

    [info] = archived(mailbox).infolist()

    assert info.date_time == (2026, 1, 3, 0, 30, 0)
    assert "secret" not in info.filename


def test_the_mails_of_a_folder_are_in_the_order_they_came(mailbox):
    for number, received in enumerate((300, 100, 200)):
        put(mailbox, b"x", f"m{number}", received=RECEIVED + received)

    dates = [info.date_time for info in archived(mailbox).infolist()]

    assert dates == sorted(dates)


def test_an_empty_mailbox_and_one_that_never_was_give_an_empty_file(mailbox):
    assert archived(mailbox).namelist() == []
    mailbox.ensure()
    assert archived(mailbox).namelist() == []


def test_names_of_folders_are_safe_on_every_system(mailbox):
    for folder in ('a:b*"?<>|c', "back\\slash", "täglich"):
        put(mailbox, b"x", "x", folder=folder)

    folders = {name.rpartition("/")[0] for name in archived(mailbox).namelist()}

    assert folders == {"a_b______c", "back_slash", "täglich"}


def test_two_names_that_would_be_the_same_are_told_apart(mailbox):
    put(mailbox, b"one", "x", folder="a:b")
    put(mailbox, b"two", "x", folder="a*b")

    file = archived(mailbox)

    assert sorted(file.read(name) for name in file.namelist()) == [b"one", b"two"]
    assert len(set(file.namelist())) == 2


@pytest.mark.parametrize("received", [-(10**9), 0, 10**10, 10**15])
def test_a_time_that_no_zip_file_can_say_spoils_nothing(mailbox, monkeypatch, received):
    put(mailbox, b"x", "x")
    [entry] = mailbox.list()
    monkeypatch.setattr(type(mailbox), "list", lambda *_: [entry._replace(received=received)])

    [info] = archived(mailbox).infolist()

    assert 1980 <= info.date_time[0] <= 2107


def test_what_vanishes_meanwhile_is_left_out_and_named(mailbox):
    for number in range(3):
        put(mailbox, b"x", f"m{number}", received=RECEIVED + 60 * number)
    pieces = archive(mailbox, BERLIN, WORDS, NOW)
    first = next(pieces)
    mailbox.move("m1", "", "Elsewhere")
    (mailbox.root / ".Elsewhere" / "cur" / "m1:2,S").unlink()

    file = opened([first, *pieces])

    missing = f"Inbox/2026-01-03 0031 {reference('m1')}.eml"
    assert missing not in file.namelist()
    assert len(file.namelist()) == 3
    assert file.read("Not included.txt").decode() == f"These are missing:\r\n\r\n{missing}\r\n"


def test_what_can_not_be_read_is_named_too(mailbox, monkeypatch, caplog):
    put(mailbox, b"x", "x")

    def broken(*_):
        raise MailboxError("Input/output error")

    monkeypatch.setattr(type(mailbox), "read", broken)

    assert archived(mailbox).namelist() == ["Not included.txt"]
    assert "x: not in the export: MailboxError" in caplog.text


def test_no_more_than_one_mail_is_in_memory(mailbox):
    piece = os.urandom(1_000_000)
    for number in range(40):
        put(mailbox, piece + bytes([number]), f"m{number}")
    tracemalloc.start()

    size = sum(len(one) for one in archive(mailbox, BERLIN, WORDS, NOW))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size > 40_000_000
    assert peak < 10_000_000


def test_more_mails_than_an_old_zip_file_can_count_are_all_in_it(mailbox, monkeypatch):
    put(mailbox, b"x", "x")
    [entry] = mailbox.list()
    many = [entry._replace(name=f"m{number}", received=RECEIVED + 60 * number) for number in range(66_000)]
    monkeypatch.setattr(type(mailbox), "list", lambda *_: many)
    monkeypatch.setattr(type(mailbox), "read", lambda *_: b"x")

    assert len(ZipFile(io.BytesIO(b"".join(archive(mailbox, BERLIN, WORDS, NOW)))).namelist()) == 66_000


# -- the page


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    return portal(tmp_path)


def trail(site):
    return [(e.event, e.outcome, e.address, e.detail) for e in site.app.extensions["messenger"].accounts.trail()]


def test_a_person_gets_all_of_their_own_mail_and_it_is_written_down(site):
    alice = logged_in(site)
    deliver(site, mail("Mine"))
    deliver(site, mail("Not mine"), BOB)

    answer = site.get(alice, "/account/export")
    file = ZipFile(io.BytesIO(answer.data))

    assert answer.mimetype == "application/zip"
    day = f"{datetime.fromtimestamp(NOW, ZoneInfo('UTC')):%Y-%m-%d}"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="messages {day}.zip"'
    assert answer.headers["Cache-Control"] == "no-store"
    assert [file.read(name) for name in file.namelist()] == [mail("Mine")]
    assert trail(site)[-1] == ("export", "done", ALICE, "")


def test_looking_at_the_address_alone_takes_nothing_along(site):
    alice = logged_in(site)
    deliver(site, mail("Mine"))

    answer = alice.head("/account/export", base_url=site.base, headers=site.headers)

    assert (answer.status_code, answer.data) == (200, b"")
    assert "export" not in [event for event, *_ in trail(site)]


def test_names_in_the_file_are_in_the_persons_language(site):
    alice = logged_in(site)
    deliver(site, mail("Mine"))
    site.app.extensions["messenger"].accounts.settle(1, language="de")

    [name] = ZipFile(io.BytesIO(site.get(alice, "/account/export").data)).namelist()

    assert name.startswith("Posteingang/")


def test_exporting_marks_nothing_as_read(site):
    alice = logged_in(site)
    deliver(site, mail("Mine"))

    assert site.get(alice, "/account/export").data

    assert [entry.flags for entry in mailbox_at(site).list()] == [""]
