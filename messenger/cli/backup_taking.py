"""Make a backup: each part of the site into its folder, then the list. Killed at any moment it is marked incomplete."""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import tree, tree_taking
from ..accounts import Accounts
from ..config import Config
from ..mailbox import backup as mail
from ..tree import Row
from ..tree_taking import Rules
from . import account_database, backup_keys, backup_list, backup_parts, rows
from .backup_keys import Key
from .backup_named import Source, sources, strays
from .backup_parts import ACCOUNTS, GATEWAY, LEDGER, MAIL, ORDER, SETTINGS, SPOOL
from .files import sync_folder, write_whole
from .status import CANT_CREATE, NO_INPUT, USAGE, Failed

#: How far it is, is said so often.
SAY_SECONDS = 10
_KEY_OCTETS = 1 << 20
_SPOOL_FOLDERS = ("new", "failed", "tries", "done")
DATABASE = "accounts.sqlite"


@dataclass
class Backup:
    """One run into *target*; *say* is told how far it is."""

    config: Config
    settings: Path
    target: Path
    say: Callable[[str], None]
    passphrase: bytes = b""
    files: int = 0
    octets: int = 0
    #: What was not there before.
    new: int = 0
    keys: list[str] = field(default_factory=list)
    _said: float = field(default_factory=time.monotonic)

    def run(self, now: int) -> None:
        """Make the backup, or bring the one that is there up to date. Raises OSError and MessengerError."""
        mark = self.target / backup_list.INCOMPLETE
        mark.write_text(f"begun {rows.moment(now)}; without an end this is no backup: run it again\n")
        sync_folder(self.target)
        head = {
            "made": rows.moment(now),
            "version": version("webmail-messenger"),
            "settings": str(self.settings),
        }
        draft = self.target / f".{backup_list.NAME}.draft"
        with backup_list.Writer(draft, head) as written:
            self._list = written
            self._earlier = backup_list.Earlier(self.target)
            self._take_settings()
            places = backup_parts.places(self.config)
            self._take_tree(LEDGER, places[LEDGER])
            self._take_spool(places[SPOOL])
            self._take_tree(GATEWAY, places[GATEWAY].parent, Rules(lambda path: path == places[GATEWAY].name))
            self._take_mail(places[MAIL].resolve(), places[ACCOUNTS].exists())
            if places[ACCOUNTS].exists():
                self._take_accounts(places[ACCOUNTS])
            written.end()
            self.files, self.octets = written.files, written.octets
        os.sync()  # every file before the list that names it
        draft.rename(self.target / backup_list.NAME)
        sync_folder(self.target)
        mark.unlink()
        sync_folder(self.target)

    def _take_settings(self) -> None:
        found = [one for one in backup_parts.named(self.config) if one.path.exists()]
        named = [one.path for one in found]
        clear = [*sources([self.settings, *(one.path for one in found if not one.secret)])]
        secret = [*sources(one.path for one in found if one.secret)]
        for path in strays(named):
            self.say(f"left out: {path} is a link that leads out of its folder")
        kept = {row.path: row for row in self._before(SETTINGS, SETTINGS)}
        taken = []
        for source in {one.path: one for one in clear}.values():
            with suppress(FileNotFoundError):  # in a folder that a service writes to
                taken.append(self._take_setting(source, kept))
        if self.passphrase:
            sealed = backup_keys.seal([_key(source) for source in secret], self.passphrase)
            write_whole(self.target / backup_keys.NAME, sealed, 0o600)
            self.keys = [str(source.path) for source in secret]
        self._remove_others(self.target / SETTINGS, {row.path for row in taken})
        folders = [
            tree.row_of(str(folder).lstrip("/"), folder.stat())
            for folder in sorted({source.path.parent for source in (*clear, *secret)})
            if folder.is_relative_to(self.settings.parent)
        ]
        self._list.tree(SETTINGS, backup_list.under(SETTINGS, folders + taken))
        self._list_keys()

    def _take_setting(self, source: Source, kept: Mapping[str, Row]) -> Row:
        stored = str(source.path).lstrip("/")
        place = self.target / SETTINGS / stored
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sha256, before = tree.digest(source.root, source.name), kept.get(stored)
        if before is None or before.sha256 != sha256 or not place.is_file():
            self.new += 1
            return tree.row_of(stored, *tree.copy(source.root, source.name, self.target / SETTINGS, stored))
        return tree.row_of(stored, tree.read(source.root, source.name, 0)[0], sha256)

    def _list_keys(self) -> None:
        """Also those of an earlier run: a backup without the keys takes none away."""
        sealed = self.target / backup_keys.NAME
        if sealed.is_file():
            row = tree.row_of(backup_keys.NAME, sealed.stat(), tree.digest(self.target, backup_keys.NAME))
            self._list.tree(SETTINGS, [row])

    def _take_tree(self, part: str, source: Path, rules: Rules = Rules()) -> None:  # noqa: B008 -- frozen
        taken = self._taken(part, source, rules)
        if taken:
            self._add(part, part, taken)

    def _take_spool(self, source: Path) -> None:
        taken = self._taken(SPOOL, source, Rules(lambda path: path.split("/")[0] in _SPOOL_FOLDERS))
        if taken is None:
            return
        for path in [path for path in taken.rows if path.startswith("new/")]:
            # Sent while we looked on: then it isn't waiting as well.
            if path.replace("new/", "done/", 1) in taken.rows:
                del taken.rows[path]
                (self.target / SPOOL / path).unlink()
        self._add(SPOOL, SPOOL, taken)

    def _taken(self, part: str, source: Path, rules: Rules) -> tree_taking.Taken | None:
        if not source.is_dir():
            return None
        self._made(part)
        return tree_taking.take(source.resolve(), self.target / part, "", self._before(part, part), rules)

    def _take_mail(self, root: Path, needed: bool) -> None:
        if not root.is_dir():
            if needed:
                text = f"{root}: no mail root there, though there are accounts; mount its disk, then run this again"
                raise Failed(text, NO_INPUT)
            return
        self._made(MAIL)
        self._list.tree(MAIL, backup_list.under(MAIL, mail.domains(root)))
        there = set()
        for person in mail.persons(root):
            name = f"{MAIL}/{person}"
            there.add(person)
            taken = mail.take_person(root, person, self.target / MAIL, self._before(name, MAIL))
            self._add(name, MAIL, taken)
        for person in [*mail.persons(self.target / MAIL)]:
            if person not in there:
                _remove(self.target / MAIL / person)

    def _take_accounts(self, database: Path) -> None:
        self._made(ACCOUNTS)
        copy, draft = self.target / ACCOUNTS / DATABASE, self.target / ACCOUNTS / f".{DATABASE}.draft"
        draft.unlink(missing_ok=True)
        with account_database.as_owner(database):
            accounts = Accounts(database)
            accounts.hold()
        try:
            # As ourselves again: the database's owner can't write into a backup.
            with draft.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
            accounts.copy_to(draft)
        finally:
            with account_database.as_owner(database):
                accounts.close()
        draft.rename(copy)
        folder, facts = tree.row_of("", database.parent.stat()), database.stat()
        row = tree.row_of(DATABASE, facts, tree.digest(copy.parent, DATABASE))
        size = Row(row.path, row.mode, row.user, row.group, copy.stat().st_size, row.modified, row.sha256)
        self._list.tree(ACCOUNTS, backup_list.under(ACCOUNTS, [folder, size]))
        self.new += 1

    def _before(self, name: str, part: str) -> list[Row]:
        return backup_list.inside(part, self._earlier.rows(name, ORDER))

    def _made(self, part: str) -> None:
        (self.target / part).mkdir(mode=0o700, exist_ok=True)

    def _add(self, name: str, part: str, taken: tree_taking.Taken) -> None:
        self._list.tree(name, backup_list.under(part, taken.rows.values()))
        self.new += taken.new
        if time.monotonic() - self._said > SAY_SECONDS:
            self._said = time.monotonic()
            self.say(f"{self._list.files:,} files so far, {self.new:,} of them new or changed; at {name}")

    def _remove_others(self, folder: Path, kept: set[str]) -> None:
        for path in [*folder.rglob("*")]:
            if not path.is_dir() and str(path.relative_to(folder)) not in kept:
                path.unlink()


def prepare(target: Path, config: Config, settings: Path) -> None:
    """Make the folder for a backup, or see that it is one. Raises Failed."""
    state = [path for path in backup_parts.places(config).values() if path.is_absolute()]
    for place in (path.resolve() for path in state):
        if target.resolve().is_relative_to(place) or (place.is_dir() and place.is_relative_to(target.resolve())):
            raise Failed(f"{target}: lies inside {place}, or around it; name a folder apart from what is saved", USAGE)
    if not settings.is_file():
        raise Failed(f"{settings}: no settings there; name them with --config", NO_INPUT)
    target.mkdir(mode=0o700, exist_ok=True)
    ours = (target / backup_list.NAME).exists() or (target / backup_list.INCOMPLETE).exists()
    if not ours and any(target.iterdir()):
        text = f"{target}: holds other files than a backup; name an empty folder, or one of an earlier backup"
        raise Failed(text, CANT_CREATE)
    if target.stat().st_uid != os.geteuid():
        text = f"{target}: belongs to {tree.user_name(target.stat().st_uid)}, who could read and change all of it"
        raise Failed(f"{text}; chown {tree.user_name(os.geteuid())} {target}", CANT_CREATE)
    if target.stat().st_mode & 0o077:
        text = f"{target}: others may enter it, and whole mailboxes will be in there; chmod 700 {target}"
        raise Failed(text, CANT_CREATE)


def as_object(run: Backup) -> dict[str, Any]:
    """What `messenger backup --json` prints."""
    return {
        "target": str(run.target),
        "files": run.files,
        "octets": run.octets,
        "new": run.new,
        "keys": len(run.keys),
    }


def _key(source: Source) -> Key:
    facts, data = tree.read(source.root, source.name, _KEY_OCTETS)
    return Key(tree.row_of(str(source.path).lstrip("/"), facts), data)


def _remove(folder: Path) -> None:
    for above, folders, files in os.walk(folder, topdown=False):
        for name in files:
            Path(above, name).unlink()
        for name in folders:
            Path(above, name).rmdir()
    folder.rmdir()
