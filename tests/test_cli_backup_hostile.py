"""`messenger backup` and `restore`, run by root, where a service or whoever keeps the backup means ill."""

import errno
import hashlib
import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from messenger import tree
from messenger.cli import backup_keys
from messenger.cli.backup_list import trees
from messenger.cli.files import locked

from .account_commands_fixtures import desk_fixture  # noqa: F401
from .backup_fixtures import vault_fixture  # noqa: F401
from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def cheap_sealing(monkeypatch):
    """Half a second each is for whoever guesses passphrases."""
    monkeypatch.setattr(backup_keys, "_COST", 2**10)


def stored(vault) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (vault.target / "settings").rglob("*") if path.is_file()}


def test_links_in_a_folder_that_a_service_fills_show_it_nothing_through_roots_eyes(vault, tmp_path):
    folder = vault.desk.folder / "certificates"
    (folder / "sub").mkdir(parents=True)
    (folder / "ann.pem").write_text("a certificate")
    (folder / "0a1b.0").symlink_to("ann.pem")
    (folder / "shadow").symlink_to(vault.desk.folder / "keys" / "totp.key")
    (folder / "sub" / "up").symlink_to(tmp_path)
    (folder / "round").symlink_to("round")
    os.mkfifo(folder / "pipe")
    settings = vault.desk.folder / "messenger.toml"
    settings.write_text(settings.read_text().replace('certificates = ""', 'certificates = "certificates"'))

    done = vault.backup()

    assert done.status == 0, done.err
    assert (stored(vault)["ann.pem"], stored(vault)["0a1b.0"]) == (b"a certificate", b"a certificate")
    secret = (vault.desk.folder / "keys" / "totp.key").read_bytes()
    assert not [name for name, data in stored(vault).items() if data == secret]
    assert {"shadow", "up", "round", "pipe"}.isdisjoint(path.name for path in vault.target.rglob("*"))
    assert f"left out: {folder / 'shadow'} is a link" in done.err
    assert vault.verify().status == 0


def test_a_settings_file_that_is_a_link_itself_is_taken(vault, tmp_path):
    real = tmp_path / "real.toml"
    (vault.desk.folder / "messenger.toml").rename(real)
    (vault.desk.folder / "messenger.toml").symlink_to(real)

    assert vault.backup().status == 0
    assert stored(vault)["messenger.toml"] == real.read_bytes()


def test_the_key_that_the_gateway_was_given_is_among_the_keys(vault, tmp_path):
    (tmp_path / "phrase").write_text("correct horse battery\n")
    key = vault.desk.folder / "keys" / "webmail-sender.key"

    vault.backup("--keys", "--passphrase-file", tmp_path / "phrase")
    vault.desk.run("restore", vault.target, "--into", tmp_path / "new", "--passphrase-file", tmp_path / "phrase")

    assert "webmail-sender.key" not in stored(vault)
    assert (tmp_path / "new" / "keys" / "webmail-sender.key").read_bytes() == key.read_bytes()


@only_root
def test_a_folder_of_somebody_else_is_no_place_for_everybodys_mail(vault):
    vault.target.mkdir(mode=0o700)
    os.chown(vault.target, 1, 1)

    done = vault.backup()

    assert done.status == 73
    assert f"chown root {vault.target}" in done.err
    assert [*vault.target.iterdir()] == []


def test_a_list_that_was_changed_brings_no_program_of_roots_and_leads_nowhere(vault, tmp_path):
    vault.backup()
    path = vault.target / "MANIFEST"
    lines = path.read_text().replace('"mode": "0660"', '"mode": "4775"').replace('"mode": "0664"', '"mode": "6775"')
    path.write_text(lines)
    rewrite_end(path)
    rows = [row for _, found in trees(vault.target) for row in found]
    path.write_text(lines.replace("mail/example", "mail/../../example", 1))
    rewrite_end(path)

    assert any(row.mode == 0o775 for row in rows)
    assert not [row for row in rows if not row.is_folder and row.mode & (stat.S_ISUID | stat.S_ISGID)]
    done = vault.desk.run("restore", vault.target, "--into", tmp_path / "new")
    assert (done.status, (tmp_path / "new").exists()) == (65, False), done.err


def rewrite_end(path: Path) -> None:
    """As somebody does who knows how the list is made."""
    *lines, _ = path.read_text().splitlines(keepends=True)
    count = sum('"path"' in line for line in lines)
    text = "".join(lines).encode()
    path.write_bytes(text + json.dumps({"end": count, "sha256": hashlib.sha256(text).hexdigest()}).encode() + b"\n")


def test_a_restore_that_was_killed_or_had_no_room_is_ended_and_leaves_no_draft(vault, tmp_path, monkeypatch):
    vault.backup()
    into, calls, put = tmp_path / "new", [], tree.own

    def full(handle, row):
        if len(calls) > 30:
            raise OSError(errno.ENOSPC, "No space left on device")
        calls.append(row)
        put(handle, row)

    with monkeypatch.context() as patch:
        patch.setattr(tree, "own", full)
        first = vault.desk.run("restore", vault.target, "--into", into)
    message = next(path for path in (into / "mail").rglob("*") if path.parent.name in ("new", "cur"))
    message.with_name(f"{tree.DRAFT}0123").write_bytes(b"half a mess")  # as SIGKILL leaves it
    with locked(vault.target):
        meanwhile = vault.desk.run("restore", vault.target, "--into", into, "--merge")
    second = vault.desk.run("restore", vault.target, "--into", into, "--merge")

    assert (first.status, meanwhile.status, second.status) == (73, 75, 0), first.err + meanwhile.err + second.err
    assert "make room. What is restored so far stays; the same with --merge goes on" in first.err
    assert not [path for path in into.rglob("*") if path.name.startswith(tree.DRAFT)]
    stored = {path.name for path in (vault.target / "mail").rglob("*") if path.is_file()}
    assert {path.name for path in (into / "mail").rglob("*") if path.is_file()} == stored


def test_a_trial_goes_into_a_folder_of_its_own_and_never_into_the_backup(vault, tmp_path):
    vault.backup()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("mine")

    full = vault.desk.run("restore", vault.target, "--into", tmp_path / "full")
    inside = vault.desk.run("restore", vault.target, "--into", vault.target / "try")
    merged = vault.desk.run("restore", vault.target, "--into", tmp_path / "full", "--merge")

    assert (full.status, inside.status, merged.status) == (73, 64, 0), full.err + inside.err + merged.err
    assert "not empty" in full.err
    assert "in the backup itself" in inside.err
    assert vault.verify().status == 0


@only_root
def test_root_opens_no_database_that_a_service_put_a_link_in_place_of(vault, tmp_path):
    database = vault.desk.config().accounts.database
    shutil.copy(database, tmp_path / "of-root.sqlite")
    before = (tmp_path / "of-root.sqlite").read_bytes()
    os.chown(database.parent, 1, 1)
    rooted = vault.run("account", "list")
    database.unlink()
    database.symlink_to(tmp_path / "of-root.sqlite")
    linked = vault.run("account", "list")

    assert (rooted.status, linked.status) == (77, 77)
    assert f"chown daemon: {database}*" in rooted.err
    assert "a link; name where it leads" in linked.err
    assert (tmp_path / "of-root.sqlite").read_bytes() == before
