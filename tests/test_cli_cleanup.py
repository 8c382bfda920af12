"""`messenger cleanup`: what is old goes, what isn't stays, and a run that was stopped is finished by the next."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from messenger import cache_folder, pdf_password, pdf_record
from messenger.cli import cleanup_steps
from messenger.cli.files import locked
from messenger.mailbox import remove
from messenger.pdf_record import Record

from .account_commands_fixtures import desk_fixture, text_of  # noqa: F401
from .accounts_fixtures import HOME, PASSWORD
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .mailbox_fixtures import RAW, REPOSITORY

DAY = 86_400
NOTHING = {"messages": 0, "trash": 0, "pdfs": 0, "accounts": 0, "mailboxes": 0, "caches": 0, "audit": 0, "expired": 0}


def days_ago(count):
    return int(time.time()) - count * DAY


def settle(desk, **values):
    """Write settings by their names, which differ from section to section."""
    path = desk.folder / "messenger.toml"
    lines = [
        next((f"{name} = {value}" for name, value in values.items() if line.startswith(f"{name} =")), line)
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")


def clean(desk, *words):
    return desk.run("cleanup", *words, "--config", desk.folder / "messenger.toml")


def counts(desk, *words):
    done = clean(desk, "--json", *words)
    assert done.status == 0, done.err
    return json.loads(done.out)


def age(path, days):
    """Make *path* look untouched for so many days."""
    os.utime(path, (days_ago(days),) * 2)


def leave_alone(mailbox, days):
    for path in (mailbox.root.parent, *mailbox.root.parent.rglob("*")):
        if path.is_dir():
            age(path, days)


def deliver(mailbox, name, days, folder=""):
    mailbox.deliver(RAW, name, folder)
    age(next((mailbox.root / (f".{folder}" if folder else "")).glob(f"[nc]*/{name}*")), days)


def later(monkeypatch, days):
    """Let the command run so many days from now: what a file was last changed can't be set."""
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real + days * DAY)


def names(mailbox, folder=""):
    return sorted(entry.name for entry in mailbox.list(folder))


def test_a_site_that_keeps_everything_loses_nothing(desk):
    anna = desk.mailbox("anna@example.net")
    deliver(anna, "old", 4000)
    desk.sign_up("bob@example.net", days_ago(4000))

    assert counts(desk) == {"dry_run": False, **NOTHING, "failed": 0}
    assert names(anna) == ["old"]


def test_mail_goes_when_it_is_older_than_the_site_keeps_it(desk):
    settle(desk, retention_days=30)
    anna = desk.mailbox("anna@example.net")
    for folder in ("", "Sent", "Archive"):
        deliver(anna, f"old{folder}", 31, folder)
        deliver(anna, f"new{folder}", 29, folder)
    anna.flag("old", add="F")
    deliver(anna, "thrown-away", 400)
    anna.move("thrown-away", "", "Trash")

    assert counts(desk, "--dry-run")["messages"] == 3
    assert len(names(anna)) == 2
    assert counts(desk) == {"dry_run": False, **NOTHING, "messages": 3, "failed": 0}

    assert [names(anna, folder) for folder in ("", "Sent", "Archive", "Trash")] == [
        ["new"], ["newSent"], ["newArchive"], ["thrown-away"]
    ]  # fmt: skip


def test_the_trash_is_emptied_of_what_was_thrown_away_long_ago(desk, monkeypatch):
    anna = desk.mailbox("anna@example.net")
    deliver(anna, "mail", 400)
    anna.move("mail", "", "Trash")
    later(monkeypatch, 29)
    assert counts(desk)["trash"] == 0
    later(monkeypatch, 2)

    assert counts(desk)["trash"] == 1
    assert names(anna, "Trash") == []


def test_what_is_used_stays_in_the_sum_of_the_quota(desk):
    settle(desk, retention_days=30)
    anna = desk.mailbox("anna@example.net")
    deliver(anna, "old", 31)
    deliver(anna, "new", 29)
    anna.usage(10_000, time.time())

    clean(desk)

    assert anna.usage(10_000, time.time()).messages == 1
    assert (anna.root / "maildirsize").read_text().endswith(f"-{len(RAW)} -1\n")


def test_an_account_nobody_uses_goes_and_its_owner_is_told_while_the_mail_stays(desk):
    settle(desk, unused_days=365)
    anna = desk.mailbox("anna@example.net")
    desk.sign_up("anna@example.net", days_ago(400), language="de")
    desk.sign_up("bob@example.net", days_ago(400))
    desk.sign_up("carol@example.net", days_ago(300))
    desk.accounts().verify("bob@example.net", PASSWORD, HOME, days_ago(10))
    deliver(anna, "mail", 390)

    assert counts(desk, "--dry-run")["accounts"] == 1
    assert desk.letters() == []
    assert counts(desk)["accounts"] == 1

    assert [row.account.address for row in desk.accounts().list_accounts()] == ["bob@example.net", "carol@example.net"]
    assert names(anna) == ["mail"]
    (letter,) = desk.letters()
    assert letter["To"] == "anna@example.net"
    assert "Ihr Konto" in text_of(letter)
    assert "admin:" in desk.audit("--account", "anna@example.net").out


def test_a_letter_that_is_not_sent_is_a_trouble_and_the_account_is_gone(desk):
    settle(desk, unused_days=365)
    desk.sign_up("anna@example.net", days_ago(400))
    desk.break_mail()

    done = clean(desk)

    assert done.status == 75
    assert "anna@example.net: the account is deleted, but the letter about it was not sent" in done.err
    assert list(desk.accounts().list_accounts()) == []


def test_an_empty_mailbox_without_an_account_goes_once_its_link_is_good_no_more(desk):
    boxes = {name: desk.mailbox(f"{name}@example.net") for name in ("empty", "account", "mail", "invited")}
    for box in boxes.values():
        box.ensure()
        (box.root.parent / "preferences.json").write_text("{}")
    boxes["mail"].deliver(RAW, "mail", "PDF", "S")
    desk.sign_up("account@example.net", days_ago(100))
    for name in ("empty", "account", "mail"):
        leave_alone(boxes[name], 31)

    assert counts(desk, "--dry-run")["mailboxes"] == 1
    assert boxes["empty"].exists()
    assert counts(desk)["mailboxes"] == 1

    assert [box.root.parent.exists() for box in boxes.values()] == [False, True, True, True]


def test_what_is_known_of_read_receipts_goes_with_its_message(desk):
    box = desk.mailbox("anna@example.net")
    deliver(box, "there", 20, "Archive")
    kept = box.root.parent / "receipts"
    kept.mkdir()
    for name, days in (("there", 20), ("gone", 20), ("gone.just-now", 1)):
        (kept / f"{name}.json").write_text("{}")
        age(kept / f"{name}.json", days)

    clean(desk, "--dry-run")
    before = len(list(kept.iterdir()))
    assert clean(desk).status == 0

    assert (before, sorted(path.name for path in kept.iterdir())) == (3, ["gone.just-now.json", "there.json"])


def test_what_is_known_of_a_pdf_goes_with_its_message_once_its_password_is_shown_no_more(desk, monkeypatch):
    settle(desk, password_days=30, retention_days=90)
    box = desk.mailbox("anna@example.net")
    folder = box.root.parent
    for number, days in enumerate((20, 40, 100)):
        digest = f"{number}b" * 32
        deliver(box, digest, days, "PDF")
        pdf_id = pdf_password.id_of(digest, "anna@example.net")
        pdf_record.keep(folder, Record(pdf_id, digest, 0, days_ago(days), "bob@example.com"))
    (folder / "pdfs" / ".half-written").touch()
    age(folder / "pdfs" / ".half-written", 1)

    now = counts(desk)
    left = len(pdf_record.every(folder))
    later(monkeypatch, 200)
    after = counts(desk)

    assert (now["messages"], now["pdfs"], left) == (1, 1, 2)
    assert (after["messages"], after["pdfs"]) == (2, 2)
    assert after["mailboxes"] or [*(folder / "pdfs").iterdir()] == []


def test_a_password_that_is_shown_for_ever_keeps_its_record_and_an_empty_mailbox_until_the_person_is_deleted(desk):
    settle(desk, password_days=0)
    box = desk.mailbox("anna@example.net")
    folder = box.root.parent
    pdf_record.keep(
        folder,
        Record(
            pdf_id := pdf_password.id_of("0b" * 32, "anna@example.net"), "0b" * 32, 0, days_ago(4000), "b@c.example"
        ),
    )

    found = counts(desk)
    kept = [record.pdf_id for record in pdf_record.every(folder)]
    remove(desk.config().mail.root, "example.net", "anna")

    assert (found["pdfs"], found["mailboxes"], kept) == (0, 0, [pdf_id])
    assert not folder.exists()


def test_caches_and_removals_that_were_left_behind_go(desk):
    cache = desk.config().reader.cache
    desk.sign_up("anna@example.net", days_ago(1))
    kept, orphan = (cache_folder.folder_of(cache, f"{name}@example.net") for name in ("anna", "gone"))
    for folder in (kept, orphan):
        cache_folder.make(folder)
        (folder / "inbox.sqlite").touch()
    (cache / "notes").mkdir()
    removed = desk.config().mail.root / "example.net" / ".removed.00"
    removed.mkdir(parents=True)

    assert counts(desk, "--dry-run")["caches"] == 1
    assert counts(desk)["caches"] == 1

    assert (kept.exists(), orphan.exists(), (cache / "notes").exists(), removed.exists()) == (True, False, True, False)


def test_old_lines_of_the_audit_and_what_has_expired_go(desk):
    settle(desk, audit_days=100)
    accounts = desk.accounts()
    number = desk.sign_up("anna@example.net", days_ago(200))
    accounts.open_session(number, HOME, days_ago(50))
    accounts.audit("read", "done", number, HOME, days_ago(50))

    assert (counts(desk, "--dry-run")["audit"], counts(desk, "--dry-run")["expired"]) == (1, 1)
    found = counts(desk)

    assert (found["audit"], found["expired"]) == (1, 1)
    assert [event.event for event in desk.accounts().trail()] == ["read", "prune-audit"]


def test_it_tells_each_kind_in_a_line_and_long_work_on_standard_error(desk, monkeypatch):
    monkeypatch.setattr(cleanup_steps, "PROGRESS_SECONDS", 0.0)
    settle(desk, retention_days=30)
    deliver(desk.mailbox("anna@example.net"), "old", 31)

    done = clean(desk, "--dry-run")

    assert done.out.splitlines()[0] == "messages older than [mail] retention_days: 1 would be removed"
    assert len(done.out.splitlines()) == len(NOTHING)
    assert "messenger: 0 mailboxes looked through, 0 messages" in done.err


def test_a_mailbox_that_fails_keeps_no_other_from_being_cleaned(desk):
    settle(desk, retention_days=30)
    broken, anna = desk.mailbox("aaa@example.net"), desk.mailbox("anna@example.net")
    for box in (broken, anna):
        deliver(box, "old", 31)
    (broken.root / "cur").rmdir()
    (broken.root / "cur").touch()

    done = clean(desk, "--json")

    assert done.status == 75
    assert "aaa@example.net: " in done.err
    assert json.loads(done.out)["messages"] == 1
    assert json.loads(done.out)["failed"] == 1
    assert names(anna) == []


def test_a_second_run_at_the_same_time_steps_back(desk):
    with locked(desk.config().accounts.database.parent):
        done = clean(desk)

    assert done.status == 75
    assert "another `messenger` command is at work there" in done.err


KILLED = """
import os, signal, sys
from messenger import mailbox
from messenger.cli import main
real, calls = mailbox.Mailbox.remove_all, []
def killed(self, names, folder):
    done = real(self, list(names)[:2], folder)
    os.kill(os.getpid(), signal.SIGKILL)
mailbox.Mailbox.remove_all = killed
main(["cleanup", "--config", sys.argv[1]])
"""


def test_a_run_that_was_killed_is_finished_by_the_next(desk):
    settle(desk, retention_days=30)
    anna = desk.mailbox("anna@example.net")
    for number in range(5):
        deliver(anna, f"old{number}", 31)
    anna.usage(10_000, time.time())

    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(desk.folder / "messenger.toml")], cwd=REPOSITORY, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(names(anna)) == 3

    assert counts(desk)["messages"] == 3
    assert anna.usage(10_000, time.time()).messages == 0


@pytest.mark.parametrize("missing", ["accounts", "mail"])
def test_what_is_missing_is_named(desk, missing):
    config = desk.config()
    if missing == "accounts":
        config.accounts.database.unlink()
    else:
        config.mail.root.rename(config.mail.root.with_name("elsewhere"))

    done = clean(desk)

    assert done.status == (66 if missing == "accounts" else 75)
    assert str(config.accounts.database if missing == "accounts" else config.mail.root) in done.err
