"""`messenger mailbox import` of what somebody wrote to harm us, or what a disk has damaged: a sentence, never more."""

import bz2
import gzip
import io
import lzma
import os
import random
import subprocess
import sys
import tarfile
import zipfile

import pytest

from messenger.cli import mail_archive
from messenger.cli.mail_archive import read
from messenger.cli.status import DATA, Failed

from .account_commands_fixtures import desk_fixture  # noqa: F401
from .accounts_fixtures import ALICE, BOB, NOW
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .test_cli_mailbox import run

RAW = b"Subject: x\n\nhello\n"


def tar_of(*members: tuple[str, bytes, dict], mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, raw, facts in members:
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            for key, value in facts.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(raw))
    return file.getvalue()


def zip_of(count: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(count):
            archive.writestr(f"Maildir/cur/{number}:2,S", random.Random(number).randbytes(300) + b"a" * 900)
    return file.getvalue()


@pytest.mark.parametrize("mtime", [-5, 10**20, "inf", "nan"])
def test_a_time_that_no_clock_ever_shows_is_as_none(desk, tmp_path, mtime):
    facts = {"pax_headers": {"mtime": mtime}} if isinstance(mtime, str) else {"mtime": mtime}
    (tmp_path / "a.tar").write_bytes(tar_of(("Maildir/cur/a", RAW, facts)))

    done = run(desk, "import", BOB, tmp_path / "a.tar")

    assert done.status == 0, done.err
    assert len(desk.mailbox(BOB).list()) == 1


@pytest.mark.parametrize("date", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_day_that_no_calendar_has_is_as_none(desk, tmp_path, date):
    data = bytearray(zip_of(1))
    at = data.find(b"PK\x01\x02")
    data[at + 12 : at + 16] = date
    (tmp_path / "a.zip").write_bytes(data)

    assert run(desk, "import", BOB, tmp_path / "a.zip").status == 0
    assert len(desk.mailbox(BOB).list()) == 1


def test_a_file_that_was_cut_or_altered_anywhere_is_refused_with_a_sentence(tmp_path):
    rest = tar_of(*((f"Maildir/cur/{number}", random.Random(number).randbytes(700), {}) for number in range(9)))
    whole = [rest, gzip.compress(rest), bz2.compress(rest), lzma.compress(rest), zip_of(9)]
    chance = random.Random(7)
    path, said = tmp_path / "a", set()
    for number in range(300):
        data = bytearray(whole[number % len(whole)])
        if number % 3:
            data[chance.randrange(len(data))] = chance.randrange(256)
            data[-1 - chance.randrange(900)] = chance.randrange(256)
        else:
            del data[chance.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            said |= {type(one).__name__ for one in read(path)}
        except Failed as error:
            said |= {error.status, str(error).partition(" (")[0]}

    assert {each for each in said if isinstance(each, int)} == {DATA}
    assert {"Message", f"{path}: a damaged file"} <= said


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "mbox", "maildir"])
def test_what_unpacks_to_more_than_any_mail_is_refused_before_it_fills_the_memory(tmp_path, kind):
    path, raw = tmp_path / f"a.{kind}", b"Subject: much\n\n" + b"\n" * 200_000
    if kind == "tar.gz":
        path.write_bytes(tar_of(("Maildir/cur/a", raw, {}), mode="w:gz"))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("Maildir/cur/a", raw)
    elif kind == "mbox":
        path.write_bytes(b"From x\n" + raw)
    else:
        (path / "cur").mkdir(parents=True)
        (path / "cur" / "a").write_bytes(raw)

    with pytest.raises(Failed, match="no mail; take it out") as caught:
        list(read(path, limit=100_000))

    assert caught.value.status == DATA
    assert [len(one.raw) for one in read(path, limit=300_000)] != []


def test_links_and_pipes_in_a_maildir_lead_root_nowhere(tmp_path):
    (tmp_path / "secret").write_bytes(b"Subject: of root alone\n\n")
    (tmp_path / "M" / "cur").mkdir(parents=True)
    (tmp_path / "M" / "cur" / "a").symlink_to(tmp_path / "secret")
    (tmp_path / "M" / "new").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "M" / "cur" / "b")
    (tmp_path / "M" / "cur" / "c").write_bytes(RAW)

    assert [one.raw for one in read(tmp_path / "M")] == [RAW]


def test_a_file_that_is_swapped_for_a_link_while_we_read_is_passed_by(tmp_path, monkeypatch):
    (tmp_path / "secret").write_bytes(b"Subject: of root alone\n\n")
    (tmp_path / "M" / "cur").mkdir(parents=True)
    message = tmp_path / "M" / "cur" / "a"
    message.write_bytes(RAW)
    described = mail_archive._described

    def swapping(parts):
        message.unlink()
        message.symlink_to(tmp_path / "secret")
        return described(parts)

    monkeypatch.setattr(mail_archive, "_described", swapping)

    assert list(read(tmp_path / "M")) == []


@pytest.mark.parametrize("folder", [".", "..", "A\nB", "x" * 300, "\x1b[31m"])
def test_folders_that_nobody_should_have_are_refused_with_a_sentence(desk, tmp_path, folder):
    (tmp_path / "a.tar").write_bytes(tar_of((f"Maildir/.{folder}/cur/a", RAW, {})))

    done = run(desk, "import", BOB, tmp_path / "a.tar")

    assert done.status == 65
    assert "--folder" in done.err
    assert "\x1b" not in done.err
    assert run(desk, "import", BOB, tmp_path / "a.tar", "--folder", "Old").status == 0


def test_a_message_that_ends_like_a_zip_file_leaves_the_mbox_one(tmp_path):
    (tmp_path / "a.mbox").write_bytes(b"From x\n" + RAW + b"\nFrom x\nSubject: y\n\n" + zip_of(2))

    assert [one.raw[:10] for one in read(tmp_path / "a.mbox")] == [b"Subject: x", b"Subject: y"]


def test_two_imports_at_once_leave_each_message_once(desk, tmp_path):
    (tmp_path / "a.tar").write_bytes(tar_of(*((f"Maildir/cur/{n}", RAW + b"%d\n" % n, {}) for n in range(40))))
    (tmp_path / "b.mbox").write_bytes(b"".join(b"From x\n" + RAW + b"%d\n\n" % n for n in range(40)))
    settings = ("--config", desk.folder / "messenger.toml")
    running = [_started("mailbox", "import", BOB, tmp_path / name, *settings) for name in ("a.tar", "b.mbox", "a.tar")]

    assert [one.wait(60) for one in running] == [0, 0, 0]
    assert len(desk.mailbox(BOB).list()) == 40


def test_of_two_moves_to_one_address_the_second_finds_it_taken(desk):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(ALICE).deliver(RAW, "a" * 64)
    desk.mailbox(BOB).deliver(RAW, "b" * 64)
    new, settings = "carol@example.net", ("--config", desk.folder / "messenger.toml")
    running = [_started("mailbox", "move", old, new, *settings) for old in (ALICE, BOB)]

    assert sorted(one.wait(60) for one in running) == [0, 73]
    assert len(desk.mailbox(new).list()) == 1


def _started(*words):
    program = [sys.executable, "-c", "from messenger.cli import main; main()"]
    return subprocess.Popen([*program, *map(str, words)], stdout=subprocess.DEVNULL)
