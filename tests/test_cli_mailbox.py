"""`messenger mailbox list, export, import, move, delete`: one person's mail, whole."""

import json
import mailbox as standard
import tarfile
import zipfile

import pytest

from messenger import pdf_record, preferences
from messenger.accounts import Accounts
from messenger.cli import account_acts
from messenger.mailbox import Mailbox
from messenger.pdf_password import id_of
from messenger.pdf_record import Record
from messenger.preferences import Preferences
from messenger.totp import load_key

from .account_commands_fixtures import Desk, desk_fixture  # noqa: F401
from .account_words_fixtures import events
from .accounts_fixtures import ALICE, BOB, CAROL, HASHER, HOME, NOW, PASSWORD, code_at, enrol
from .backup_fixtures import named
from .cli_fixtures import Done, made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .mailbox_fixtures import NAME, RAW

ODD = b"Subject: odd\nStatus: RO\n\nFrom here on\n>From there\n\nFrom the end, without a line end"


def run(desk: Desk, *words: object) -> Done:
    return desk.run("mailbox", *words, "--config", desk.folder / "messenger.toml")


def contents(box: Mailbox) -> set[tuple]:
    return {
        (entry.name, folder, entry.flags, entry.received, box.read(entry.name, folder))
        for folder in box.folders()
        for entry in box.list(folder)
    }


@pytest.fixture
def alice(desk) -> Mailbox:
    box = desk.mailbox(ALICE)
    box.deliver(RAW, NAME, received=NOW)
    box.deliver(ODD, named(ODD), "Work.Später", "FS", received=NOW - 86_400)
    box.deliver(b"A: 1\r\n\r\nwith CR\r\n", "c" * 64, "Trash", "S", received=NOW - 3_600)
    return box


def test_mailboxes_are_listed_with_what_is_in_them(desk, alice):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(BOB).ensure()

    done, table = run(desk, "list", "--json"), run(desk, "list")

    octets = sum(len(raw) for *_, raw in contents(alice))
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"address": ALICE, "messages": 3, "octets": octets, "account": True},
        {"address": BOB, "messages": 0, "octets": 0, "account": False},
    ]
    assert f"{ALICE}  3" in table.out


@pytest.mark.parametrize("suffix", ["tar", "zip"])
def test_a_maildir_in_a_file_brings_folders_flags_and_dates_to_another_mailbox_once(desk, alice, tmp_path, suffix):
    file = tmp_path / f"alice.{suffix}"
    out = run(desk, "export", ALICE, "--out", file, "--json")

    back = [run(desk, "import", BOB, file, "--json") for _ in range(2)]
    same = run(desk, "import", ALICE, file, "--json")

    assert json.loads(out.out) == {"address": ALICE, "act": "export", "file": str(file), "messages": 3}
    assert [json.loads(done.out)["imported"] for done in (*back, same)] == [3, 0, 0]
    assert contents(desk.mailbox(BOB)) == contents(alice)
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) if suffix == "tar" else zipfile.ZipFile(file) as opened:
        names = opened.getnames() if suffix == "tar" else opened.namelist()
    assert f"Maildir/.Work.Später/cur/{named(ODD)}:2,FS" in names
    assert events(desk)[0][0] == "export-mail"
    assert [event for event, _ in events(desk, "--account", BOB)] == ["import-mail", "import-mail"]


def test_an_mbox_is_one_that_others_read_and_comes_back_as_it_was(desk, alice, tmp_path):
    file = tmp_path / "alice.mbox"

    assert run(desk, "export", ALICE, "--out", file).status == 0

    assert len(standard.mbox(file)) == 3
    same = json.loads(run(desk, "import", ALICE, file, "--json").out)
    other = json.loads(run(desk, "import", BOB, file, "--folder", "Old", "--json").out)
    assert (same["imported"], same["there_already"], other["imported"]) == (0, 3, 3)
    found = {
        (raw.rstrip(b"\n"), folder, flags, received) for _, folder, flags, received, raw in contents(desk.mailbox(BOB))
    }
    assert (ODD, "Old", "S", NOW - 86_400) in found


def test_a_maildir_of_another_program_is_imported_and_what_is_none_is_refused(desk, tmp_path):
    other = standard.Maildir(tmp_path / "other", create=True)
    message = standard.MaildirMessage(RAW.decode())
    message.set_subdir("cur")
    message.set_flags("SR")
    other.add(message)
    other.add_folder("Sent").add(b"Subject: sent\n\nx\n")
    (tmp_path / "letter.odt").write_bytes(b"nothing of the kind")
    (tmp_path / "bad.zip").write_bytes(b"PK\x05\x06" + bytes(18) + b"")

    done = run(desk, "import", BOB, tmp_path / "other")
    refused = [run(desk, "import", BOB, tmp_path / name) for name in ("letter.odt", "missing.tar", ".")]

    assert done.out == f"{BOB}: 2 messages imported, 0 were there already\n"
    assert sorted((entry.flags, folder) for folder in ("", "Sent") for entry in desk.mailbox(BOB).list(folder)) == [
        ("", "Sent"), ("RS", ""),
    ]  # fmt: skip
    assert [one.status for one in refused] == [65, 66, 65]
    assert "no mbox, Maildir, tar or zip" in refused[0].err


def test_an_export_replaces_no_file_and_leaves_none_that_is_half(desk, alice, tmp_path, monkeypatch):
    (tmp_path / "there.tar").write_text("mine")
    there = run(desk, "export", ALICE, "--out", tmp_path / "there.tar")
    nobody = run(desk, "export", CAROL, "--out", tmp_path / "new.tar")
    monkeypatch.setattr(tarfile.TarFile, "addfile", lambda *given: (_ for _ in ()).throw(OSError(28, "No space left")))
    full = run(desk, "export", ALICE, "--out", tmp_path / "full.tar")

    assert (there.status, nobody.status, full.status) == (73, 67, 73)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["there.tar"]
    assert (tmp_path / "there.tar").read_text() == "mine"


def test_mail_and_account_move_to_another_address_and_log_in_there(desk, alice):
    accounts = Accounts(
        desk.config().accounts.database, totp_key=load_key(desk.config().accounts.totp_key), hasher=HASHER
    )
    account = accounts.sign_up(ALICE, PASSWORD, HOME, NOW)
    secret, codes = enrol(accounts, account, NOW)
    home = alice.root.parent
    preferences.write(home, Preferences(phrase="seven green herons"))
    record = Record(id_of(NAME, ALICE), NAME, 0, NOW, "eva@example.org")
    pdf_record.keep(home, record)
    before = contents(alice)
    desk.mailbox(CAROL).ensure()

    done = run(desk, "move", ALICE, CAROL, "--json")

    assert json.loads(done.out) == {
        "address": ALICE, "act": "move", "new_address": CAROL, "account": True, "messages": 3, "records_left": 1,
    }  # fmt: skip
    carol = desk.mailbox(CAROL)
    assert (contents(carol), alice.exists()) == (before, False)
    assert preferences.read(carol.root.parent).phrase == "seven green herons"
    # The password of a PDF hangs on the address it was sent to.
    assert (pdf_record.every(home), pdf_record.every(carol.root.parent)) == ([record], [])
    assert accounts.find(ALICE) is None
    assert accounts.verify(CAROL, PASSWORD, HOME, NOW).id == account.id
    assert accounts.prove(account.id, code_at(secret, NOW + 60), HOME, NOW + 60)
    assert accounts.prove(account.id, codes[0], HOME, NOW + 60)
    assert [event for event, _ in events(desk, "--account", ALICE)][-1] == "move"
    assert "move" in [event for event, _ in events(desk, "--account", CAROL)]
    # Mail to the address of before begins anew.
    assert alice.deliver(RAW, NAME)


def test_nobody_gets_the_mail_of_somebody_else_by_a_move(desk, alice):
    desk.sign_up(ALICE, NOW)
    desk.mailbox(BOB).deliver(RAW, NAME)
    desk.sign_up(CAROL, NOW)

    filled, taken = run(desk, "move", ALICE, BOB), run(desk, "move", ALICE, CAROL)
    desk.mailbox("dora@example.org").deliver(RAW, NAME)
    orphaned = run(desk, "move", "dora@example.org", CAROL)
    nobody, same = run(desk, "move", "dave@example.net", "erin@example.net"), run(desk, "move", ALICE, ALICE.upper())

    assert [one.status for one in (filled, taken, nobody, same)] == [73, 73, 67, 64]
    assert orphaned.status == 73
    assert "never one of dora@example.org" in orphaned.err
    assert not desk.mailbox(CAROL).exists()
    assert len(contents(alice)) == 3
    assert desk.accounts().find(ALICE)
    # A way that stays: one mailbox's mail into the other.
    assert "`messenger mailbox export` the one" in filled.err


def test_a_move_that_was_stopped_is_ended_by_the_same_command(desk, alice, monkeypatch):
    account = desk.sign_up(ALICE, NOW)
    preferences.write(alice.root.parent, Preferences(phrase="seven green herons"))
    with monkeypatch.context() as patched:
        patched.setattr(Mailbox, "move_to", lambda *given: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        first = run(desk, "move", ALICE, CAROL)

    second = run(desk, "move", ALICE, CAROL)

    assert (first.status, second.status) == (75, 0)
    assert desk.accounts().find(CAROL).id == account
    assert len(contents(desk.mailbox(CAROL))) == 3
    assert not alice.root.parent.exists()


def test_deleted_mail_is_gone_with_its_records_and_the_account_stays(desk, alice, monkeypatch):
    desk.sign_up(ALICE, NOW)

    unasked = run(desk, "delete", ALICE)
    monkeypatch.setattr(account_acts, "_on_terminal", lambda: True)
    declined = desk.run("mailbox", "delete", ALICE, "--config", desk.folder / "messenger.toml", given=b"n\n")
    done = run(desk, "delete", ALICE, "--yes", "--json")
    again = run(desk, "delete", ALICE, "--yes")

    assert (unasked.status, declined.status, done.status, again.status) == (64, 130, 0, 67)
    assert json.loads(done.out) == {"address": ALICE, "act": "delete", "messages": 3}
    assert not alice.root.parent.exists()
    assert desk.accounts().find(ALICE)
    assert [event for event, _ in events(desk, "--account", ALICE)][-1] == "delete-mail"
