"""`messenger backup`, `restore`, `verify`: what a site consists of goes into a folder, and comes back the same."""

import errno
import json
import os
import shutil
import signal
import tempfile
import threading
from pathlib import Path

import pytest

from messenger import config, link, tree
from messenger.accounts import Accounts
from messenger.cli import backup_keys, main
from messenger.mailbox import backup, mailbox_of
from messenger.totp import load_key

from .account_commands_fixtures import Desk, desk_fixture, furnish  # noqa: F401
from .accounts_fixtures import ALICE, BOB, HASHER, HOME, NOW, PASSWORD, code_at, enrol
from .backup_fixtures import fill, named, vault_fixture  # noqa: F401
from .backup_fixtures import tree as everything
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .mailbox_fixtures import NAME, RAW

PASSPHRASE = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_sealing(monkeypatch):
    """Half a second each is for whoever guesses passphrases."""
    monkeypatch.setattr(backup_keys, "_COST", 2**10)


def opened(folder: Path) -> tuple[config.Config, Accounts]:
    found = config.load(folder / "messenger.toml")
    return found, Accounts(found.accounts.database, totp_key=load_key(found.accounts.totp_key), hasher=HASHER)


def names(folder: Path) -> dict[str, tuple]:
    """What is there but for times, which keys get anew."""
    return {name: found[:4] for name, found in everything(folder).items()}


def not_taken(name: str) -> bool:
    return "/tmp/" in f"/{name}" or name.endswith("maildirsize")


def test_what_was_backed_up_comes_back_into_an_empty_place_and_works(vault, tmp_path):
    (tmp_path / "phrase").write_text(f"{PASSPHRASE}\n")
    before, accounts = opened(vault.desk.folder)
    secret, codes = enrol(accounts, accounts.find(ALICE), NOW)

    done = vault.backup("--keys", "--passphrase-file", tmp_path / "phrase", "--json")
    back = vault.desk.run(
        "restore", vault.target, "--into", tmp_path / "new", "--passphrase-file", tmp_path / "phrase", "--json"
    )

    assert (done.status, back.status, back.err) == (0, 0, "")
    told = json.loads(back.out)
    assert (told["settings_made"], told["accounts"], told["failed"]) == (True, "restored", [])
    after, accounts = opened(tmp_path / "new")
    for old, new in ((before.mail.root, after.mail.root), (before.intake.ledger, after.intake.ledger)):
        assert everything(old, not_taken) == everything(new, not_taken)
    for folder in ("keys", "."):
        old, new = vault.desk.folder / folder, tmp_path / "new" / folder
        assert old.stat().st_mode == new.stat().st_mode
    assert names(vault.desk.folder / "keys") == names(tmp_path / "new" / "keys")
    assert sorted(path.name for path in after.pdf.spool.rglob("*")) == ["done", "new", "other", "sent"]
    assert (after.pdf.spool / "new" / "other").read_bytes() == b"another job"
    # The account: password, second factor, audit; and a link from a notice of before.
    assert accounts.verify(ALICE, PASSWORD, HOME, NOW)
    assert accounts.prove(accounts.find(ALICE).id, codes[0], HOME, NOW)
    assert accounts.prove(accounts.find(ALICE).id, code_at(secret, NOW + 60), HOME, NOW + 60)
    assert [event.event for event in accounts.trail(address=ALICE)][:1] == ["sign-up"]
    token = link.token(link.load_key(before.notice.link_key), ALICE, NOW)
    assert link.open_token(link.load_key(after.notice.link_key), token, NOW, 30) == ALICE
    # And the mail, for whoever delivers and reads there next.
    mailbox = mailbox_of(after.mail.root, ALICE)
    assert {(entry.flags, entry.folder) for folder in mailbox.folders() for entry in mailbox.list(folder)} == {
        ("", ""), ("FS", ""), ("", "Work.Later"),
    }  # fmt: skip
    assert not mailbox.deliver(RAW + b"1\r\n", named(RAW + b"1\r\n"))
    assert vault.desk.run("verify", vault.target, "--passphrase-file", tmp_path / "phrase").status == 0


def test_a_second_run_takes_only_what_changed(vault):
    first = json.loads(vault.backup("--json").out)
    alice = vault.desk.mailbox(ALICE)
    moved, flagged, gone = (named(RAW + b"%d\r\n" % number) for number in (1, 2, 3))
    before = {path.name.split(":")[0]: path.stat().st_ino for path in vault.target.rglob("*:2,*")}
    alice.move(moved, "", "Trash")
    alice.flag(flagged, add="R")
    alice.remove(gone, "")
    alice.deliver(RAW, NAME)

    second = json.loads(vault.backup("--json").out)
    third = json.loads(vault.backup("--json").out)

    kept = [path for path in (vault.target / "mail").rglob("*") if len(path.name.split(":")[0]) == 64]
    assert (first["new"] > 10, second["new"], third["new"]) == (True, 3, 1)  # new mail, Trash's mark, the accounts
    assert not [path for path in kept if path.name.startswith(gone)]
    assert [path.parent.parent.name for path in kept if path.name.startswith(moved)] == [".Trash"]
    assert next(path for path in kept if path.name.startswith(moved)).stat().st_ino == before[moved]
    assert vault.verify().status == 0


def test_messages_are_links_where_they_can_be_and_copies_elsewhere(vault, tmp_path, monkeypatch):
    def links(target: Path) -> set[int]:
        return {path.stat().st_nlink for path in (target / "mail").rglob("*") if path.name.startswith(NAME)}

    vault.backup()
    real = tree.link

    def across_disks(source, path, target, to):
        if source != target:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, path, target, to)

    monkeypatch.setattr(tree, "link", across_disks)
    other = vault.run("backup", tmp_path / "other")
    again = json.loads(vault.run("backup", tmp_path / "other", "--json").out)

    assert other.status == 0
    assert (links(vault.target), links(tmp_path / "other")) == ({2}, {1})
    assert again["new"] == 1
    assert vault.desk.run("verify", tmp_path / "other").status == 0


def test_mail_that_moves_while_it_is_backed_up_is_never_missed(vault, monkeypatch):
    """Somebody files each message in a folder that was looked at already, just before it would have been taken."""
    alice = vault.desk.mailbox(ALICE)
    for number in range(30):
        alice.deliver(RAW + b"more %d" % number, named(RAW + b"more %d" % number), flags="S")
    alice.deliver(RAW, NAME, ".".join("A"))
    listing, moves = tree.listing, []

    def moving(root, below, wanted):
        found = listing(root, below, wanted)
        if ALICE.split("@")[0] in below and len(moves) < 20:
            name = alice.list()[0].name
            moves.append(name)
            alice.move(name, "", "A")
        return found

    monkeypatch.setattr(tree, "listing", moving)
    assert vault.backup().status == 0

    there = {entry.name for folder in alice.folders() for entry in alice.list(folder)}
    person = vault.target / "mail" / "example.net" / "alice"
    kept = [path.name.split(":")[0] for path in person.rglob("*") if path.parent.name in ("new", "cur")]
    assert set(kept) == there
    assert len(moves) > 5
    monkeypatch.undo()
    assert vault.verify().status == 0


def test_a_domain_that_comes_while_the_backup_is_made_is_in_it(vault, tmp_path, monkeypatch):
    domains = backup.domains

    def late(root):
        yield from domains(root)
        mailbox_of(root, "zoe@zebra.example").deliver(RAW, NAME)

    monkeypatch.setattr(backup, "domains", late)
    vault.backup()

    done = vault.desk.run("restore", vault.target, "--into", tmp_path / "new")

    assert (done.status, vault.verify().status) == (0, 0)
    assert mailbox_of(tmp_path / "new" / "mail", "zoe@zebra.example").read(NAME) == RAW


def test_what_comes_and_is_read_meanwhile_is_all_in_a_whole_backup(vault):
    stop, sent = threading.Event(), []

    def live() -> None:
        mailbox, number = vault.desk.mailbox(BOB), 0
        while not stop.is_set():
            raw = RAW + b"live %d" % number
            mailbox.deliver(raw, named(raw))
            mailbox.flag(named(raw), add="S")
            sent.append(named(raw))
            vault.desk.accounts().audit("read", "done", None, HOME, NOW)
            number += 1

    thread = threading.Thread(target=live)
    thread.start()
    try:
        before = len(sent)
        done = vault.backup()
    finally:
        stop.set()
        thread.join()

    assert done.status == 0
    kept = {path.name.split(":")[0] for path in (vault.target / "mail" / "example.net" / "bob").rglob("*")}
    assert {*sent[:before], NAME} <= kept
    assert vault.verify().status == 0


def killed_at(count: int, where: str, words: list[object]) -> int:
    """Run a command in a process that kills itself as it calls *where* for the *count*-th time; return its signal."""
    child = os.fork()
    if not child:
        module, name = (tree, where) if hasattr(tree, where) else (os, where)
        real, calls = getattr(module, name), []

        def dying(*given, **more):
            calls.append(1)
            if len(calls) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given, **more)

        setattr(module, name, dying)
        try:
            main([str(word) for word in words])
        finally:
            os._exit(1)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("count", "at"), [(6, "copy"), (9, "digest"), (1, "sync")])
def test_a_backup_that_was_killed_is_marked_and_the_next_run_makes_it_whole(vault, count, at):
    words = ["backup", vault.target, "--config", vault.desk.folder / "messenger.toml"]

    assert killed_at(count, at, words) == signal.SIGKILL

    refused = [vault.verify(), vault.desk.run("restore", vault.target, "--into", vault.target.parent / "x")]
    assert {done.status for done in refused} == {65}
    assert "not a whole backup: one was begun there and did not end; run `messenger backup`" in refused[0].err
    assert (vault.backup().status, vault.verify().status) == (0, 0)
    assert not [*vault.target.rglob(".draft-*"), *vault.target.rglob("INCOMPLETE")]


def test_a_full_disk_says_so_and_leaves_the_mark(vault, monkeypatch):
    monkeypatch.setattr(tree, "copy", lambda *given: (_ for _ in ()).throw(OSError(28, "No space left on device")))

    done = vault.backup()

    assert done.status == 73
    assert "No space left on device; make room there" in done.err
    assert f"{vault.target} is marked as incomplete; run this again, and it goes on" in done.err
    monkeypatch.undo()
    assert (vault.backup().status, vault.verify().status) == (0, 0)


def test_verify_names_what_is_missing_and_what_is_damaged(vault):
    vault.backup()
    files = sorted(path for path in (vault.target / "mail").rglob("*") if path.parent.name == "new")
    files[0].unlink()
    bad = bytearray(files[1].read_bytes())
    bad[3] ^= 1
    files[1].unlink()
    files[1].write_bytes(bad)

    done = vault.verify("--json")

    told = json.loads(done.out)
    assert (done.status, told["ok"]) == (65, False)
    assert (told["missing"], told["damaged"]) == (
        [str(files[0].relative_to(vault.target))],
        [str(files[1].relative_to(vault.target))],
    )
    assert f"damaged: {told['damaged'][0]}" in done.err


def test_verify_sees_a_damaged_list_and_a_damaged_database(vault):
    vault.backup()
    database = vault.target / "accounts" / "accounts.sqlite"
    whole = database.read_bytes()
    database.write_bytes(whole[:5000] + b"\xff" * 3000 + whole[8000:])
    broken = vault.verify()
    database.write_bytes(whole)
    manifest = vault.target / "MANIFEST"
    manifest.write_bytes(manifest.read_bytes().replace(b'"size": ', b'"size": 1', 1))

    assert broken.status in (65, 75)
    assert "accounts.sqlite" in broken.err
    assert (vault.verify().status, vault.verify().err) == (65, f"messenger: {manifest}: damaged; take another backup\n")
    # Even then the next run makes all of it good.
    assert (vault.backup().status, vault.verify().status) == (0, 0)


def test_restore_goes_into_empty_places_alone_and_merge_replaces_nothing(vault):
    vault.backup()
    alice = vault.desk.mailbox(ALICE)
    gone, read = named(RAW + b"1\r\n"), named(RAW + b"2\r\n")
    alice.remove(gone, "")
    alice.move(read, "", "Trash")
    alice.deliver(b"newer", named(b"newer"))
    (alice.root.parent / "preferences.json").write_text('{"phrase": "newer"}')

    refused = vault.run("restore", vault.target)
    merged = vault.run("restore", vault.target, "--merge", "--json")
    again = vault.run("restore", vault.target, "--merge", "--json")

    assert refused.status == 73
    assert "not empty; move it away, or restore with --merge" in refused.err
    assert (merged.status, json.loads(merged.out)["accounts"], json.loads(again.out)["files"]) == (0, "kept", 0)
    found = [(entry.name, folder) for folder in alice.folders() for entry in alice.list(folder)]
    assert sorted(name for name, _ in found) == sorted({name for name, _ in found})
    assert {(gone, ""), (read, "Trash"), (named(b"newer"), "")} <= {*found}
    assert "newer" in (alice.root.parent / "preferences.json").read_text()


def test_a_site_that_setup_has_just_made_is_empty_enough(vault, tmp_path):
    """The whole machine was lost: setup, then restore with the settings that are there."""
    vault.backup()
    found = vault.desk.config()
    for place in (found.mail.root, found.intake.ledger, found.pdf.spool):
        shutil.rmtree(place)
        place.mkdir(mode=0o2770)
    found.accounts.database.unlink()
    Accounts(found.accounts.database).close()  # as a reader that was started once

    done = vault.run("restore", vault.target)

    assert done.status == 0, done.err
    assert "there already, and used as they are" in done.out
    assert vault.desk.accounts().verify(ALICE, PASSWORD, HOME, NOW)
    assert len(vault.desk.mailbox(ALICE).list()) == 3


def test_a_damaged_message_is_left_out_and_named(vault, tmp_path):
    vault.backup()
    file = next(path for path in (vault.target / "mail").rglob("*") if path.parent.name == "new")
    file.unlink()
    file.write_bytes(b"something else")

    done = vault.desk.run("restore", vault.target, "--into", tmp_path / "new")

    assert done.status == 65
    assert f"left out: {file.relative_to(vault.target)}: other bytes than were backed up" in done.err
    assert not [*(tmp_path / "new").rglob(file.name), *(tmp_path / "new").rglob(".draft-*")]


def test_no_key_is_in_a_backup_unless_asked_for_and_then_it_is_sealed(vault, tmp_path):
    folder = vault.desk.folder / "keys"
    secrets = [path.read_bytes() for path in folder.glob("*.key")]
    vault.backup()
    plain = [path.read_bytes() for path in vault.target.rglob("*") if path.is_file()]
    (tmp_path / "phrase").write_text(PASSPHRASE)
    vault.backup("--keys", "--passphrase-file", tmp_path / "phrase")
    sealed = [path.read_bytes() for path in vault.target.rglob("*") if path.is_file()]

    assert len(secrets) >= 4
    assert not [secret for secret in secrets for content in plain + sealed if secret.strip() in content]
    keys = backup_keys.opened((vault.target / "keys.sealed").read_bytes(), PASSPHRASE.encode())
    assert {key.data for key in keys} >= {*secrets}
    # Without --keys those of before stay.
    vault.backup()
    assert json.loads(vault.verify("--json").out)["keys"] == "sealed"


def test_a_wrong_or_short_passphrase_is_told_before_anything_is_restored(vault, tmp_path):
    (tmp_path / "phrase").write_text(PASSPHRASE)
    (tmp_path / "wrong").write_text("another horse battery")
    (tmp_path / "short").write_text("horse\n")
    short = vault.backup("--keys", "--passphrase-file", tmp_path / "short")
    vault.backup("--keys", "--passphrase-file", tmp_path / "phrase")

    wrong = vault.desk.run("restore", vault.target, "--into", tmp_path / "new", "--passphrase-file", tmp_path / "wrong")

    assert (short.status, wrong.status) == (65, 65)
    assert "at least 12 characters" in short.err
    assert "this passphrase doesn't open the keys" in wrong.err
    assert not (tmp_path / "new").exists()
    assert vault.backup("--keys").status == 64


def test_a_target_that_is_something_else_is_refused(vault, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").touch()
    open_one = tmp_path / "open"
    open_one.mkdir(mode=0o755)

    full = vault.run("backup", tmp_path / "full")
    inside = vault.run("backup", vault.desk.config().mail.root / "backup")
    shared = vault.run("backup", open_one)
    nothing = vault.desk.run("verify", tmp_path / "full")

    assert (full.status, inside.status, shared.status, nothing.status) == (73, 64, 73, 66)
    assert "holds other files than a backup" in full.err
    assert "lies inside" in inside.err
    assert f"chmod 700 {open_one}" in shared.err
    assert vault.backup().status == 0
    shutil.rmtree(vault.desk.config().mail.root)
    assert "no mail root there, though there are accounts" in vault.backup().err


def test_links_in_the_mail_root_are_not_followed(vault, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "shadow").write_text("root:hash")
    home = vault.desk.mailbox(ALICE).root.parent
    (home / "out").symlink_to(tmp_path / "secret")
    (home / "file").symlink_to(tmp_path / "secret" / "shadow")
    (home.parent / "mallory").symlink_to(tmp_path / "secret")

    assert vault.backup().status == 0

    assert not [path for path in vault.target.rglob("*") if path.name in ("shadow", "out", "file", "mallory")]


@pytest.fixture
def open_place():
    """A folder that other users can reach."""
    base = Path(tempfile.mkdtemp(prefix="messenger-"))
    base.chmod(0o755)
    yield base
    shutil.rmtree(base)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_owners_and_modes_come_back(made_site, messenger, open_place):
    """Root makes the backup of a database whose owner may not even enter the backup."""
    site = open_place / "site"
    shutil.copytree(made_site, site)
    furnish(site)
    desk = Desk(site, messenger)
    fill(desk)
    found = desk.config()
    for path in (site, site / "state"):
        path.chmod(0o755)
    for path in [found.mail.root, *found.mail.root.rglob("*"), *found.accounts.database.parent.rglob("*")]:
        os.chown(path, 1, 2)
    os.chown(found.accounts.database.parent, 1, 1)

    made = messenger("backup", open_place / "backup", "--config", site / "messenger.toml")
    done = messenger("restore", open_place / "backup", "--into", open_place / "new")

    assert (made.status, done.status) == (0, 0), made.err + done.err
    new = config.load(open_place / "new" / "messenger.toml")
    assert everything(found.mail.root, not_taken) == everything(new.mail.root, not_taken)
    assert {(path.stat().st_uid, path.stat().st_gid) for path in new.mail.root.rglob("*")} == {(1, 2)}
    database = new.accounts.database
    assert (database.stat().st_uid, database.stat().st_mode & 0o777, database.parent.stat().st_uid) == (1, 0o600, 1)
    assert sorted(path.name for path in found.accounts.database.parent.iterdir()) == ["accounts.sqlite"]


def test_a_pdf_that_was_sent_while_it_was_copied_does_not_wait_in_the_backup(vault):
    spool = vault.desk.config().pdf.spool
    (spool / "new" / "sent").write_bytes(b"as it was seen before it left")

    assert vault.backup().status == 0

    assert sorted(path.name for path in (vault.target / "pdf").rglob("*")) == ["done", "new", "other", "sent"]
    assert vault.verify().status == 0
