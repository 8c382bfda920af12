"""A site with everything in it that a backup must bring back, and what tests look at in a copy of it."""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from messenger import pdf_record, preferences
from messenger.pdf_password import id_of
from messenger.pdf_record import Record
from messenger.preferences import Preferences

from .account_commands_fixtures import Desk
from .accounts_fixtures import ALICE, BOB, NOW
from .cli_fixtures import Done
from .mailbox_fixtures import NAME, RAW


@dataclass(frozen=True)
class Vault:
    """A filled site, and the folder it is backed up to."""

    desk: Desk
    target: Path

    def run(self, *words: object) -> Done:
        return self.desk.run(*words, "--config", self.desk.folder / "messenger.toml")

    def backup(self, *words: object) -> Done:
        return self.run("backup", self.target, *words)

    def verify(self, *words: object) -> Done:
        return self.desk.run("verify", self.target, *words)


def named(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def fill(desk: Desk) -> None:
    desk.sign_up(ALICE, NOW)
    mailbox = desk.mailbox(ALICE)
    for number in range(4):
        raw = RAW + b"%d\r\n" % number
        mailbox.deliver(raw, named(raw), "" if number else "Work.Later", "FS" if number % 2 else "")
        os.utime(next(mailbox.root.rglob(f"{named(raw)}*")), (NOW - number, NOW - number))
    desk.mailbox(BOB).deliver(RAW, NAME)
    home = mailbox.root.parent
    preferences.write(home, Preferences(phrase="seven green herons"))
    pdf_record.keep(home, Record(id_of(NAME, ALICE), NAME, 0, NOW, "eva@example.org"))
    config = desk.config()
    (config.mail.root / ".receipts").mkdir()
    (config.mail.root / ".receipts" / "one").write_bytes(b"owed")
    (config.intake.ledger / "ab").mkdir(parents=True)
    (config.intake.ledger / "ab" / "cd.anna").touch()
    for folder in ("new", "done", "tmp"):
        (config.pdf.spool / folder).mkdir(parents=True)
    (config.pdf.spool / "tmp" / "draft").write_bytes(b"half a jo")
    (config.pdf.spool / "done" / "sent").touch()
    (config.pdf.spool / "new" / "other").write_bytes(b"another job")
    (desk.folder / "gateway.toml").write_text("")


def tree(root: Path, left_out: Callable[[str], bool] = lambda _: False) -> dict[str, tuple]:
    """Each file below *root* with bytes, mode, owner and time; each folder with mode and owner."""
    found = {}
    for path in sorted(root.rglob("*")):
        name, facts = str(path.relative_to(root)), path.lstat()
        if left_out(name):
            continue
        common = stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid
        found[name] = (*common, path.read_bytes(), facts.st_mtime_ns) if path.is_file() else common
    return found


@pytest.fixture(name="vault")
def vault_fixture(desk, tmp_path) -> Vault:
    fill(desk)
    return Vault(desk, tmp_path / "backup")
