"""Put a backup back: every file with its bytes, time, mode and owner. What is there already is never replaced."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .. import accounts, tree
from ..config import Config, parse, read_text
from ..mailbox import backup as mail
from ..tree import Row
from . import account_database, backup_keys, backup_list, backup_parts, settings_file
from .backup_parts import ACCOUNTS, GATEWAY, LEDGER, MAIL, SETTINGS, SPOOL
from .backup_taking import DATABASE
from .files import locked, write_whole
from .places import make_path
from .status import CANT_CREATE, USAGE, Failed

_TREES = (LEDGER, SPOOL, GATEWAY)


@dataclass
class Restore:
    """One run from *source*."""

    source: Path
    #: The settings file to be: made from the backup if it isn't there.
    settings: Path
    #: Everything goes below this folder, and settings are changed to say so; None: to where it was.
    into: Path | None = None
    #: Put what is missing into places that hold something.
    merge: bool = False
    passphrase: bytes = b""
    files: int = 0
    keys: int = 0
    accounts: str = "none"
    made_settings: bool = False
    #: What was left out, and why.
    failed: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Restore all of it. Raises Failed before anything is written where a place isn't empty; OSError."""
        self._head = backup_list.head_of(self.source)
        self._refuse_if_inside()
        # Opened first: nothing is restored for a passphrase that doesn't fit, or by half a list.
        keys = self._opened_keys()
        backup_list.read_through(self.source)
        old = Path(self._head["settings"])
        config = self._planned(old)
        self._places = backup_parts.places(config)
        if not self.merge:
            self._refuse_if_filled()
        with locked(self.source):  # nor may a backup be made there meanwhile
            self._put(keys, old)

    def _put(self, keys: list[backup_keys.Key], old: Path) -> None:
        self._put_settings(old)
        self._put_keys(keys, old)
        for name, rows in backup_list.trees(self.source):
            part = name.split("/")[0]
            inside = backup_list.inside(part, rows)
            if not inside:
                continue  # removed while the backup was made
            if part == MAIL:
                self._put_mail(name, inside)
            elif part in _TREES:
                self._put_tree(part, inside)
            elif part == ACCOUNTS:
                self._put_accounts(inside)
        os.sync()

    def _opened_keys(self) -> list[backup_keys.Key]:
        sealed = self.source / backup_keys.NAME
        if not self.passphrase or not sealed.is_file():
            return []
        return backup_keys.opened(sealed.read_bytes(), self.passphrase)

    def _planned(self, old: Path) -> Config:
        """The settings that will hold: those that are there, else those of the backup."""
        self.made_settings = not self.settings.exists()
        text = read_text(self._stored(old)) if self.made_settings else read_text(self.settings)
        if self.made_settings and self.into:
            text = settings_file.changed(text, _moved(parse(text, old), old.parent, self.into))
        self._text = text
        return parse(text, self.settings)

    def _stored(self, path: Path) -> Path:
        return self.source / SETTINGS / str(path).lstrip("/")

    def _refuse_if_inside(self) -> None:
        """A site in the folder of its backup would go with the next one."""
        if self.settings.resolve().is_relative_to(self.source.resolve()):
            raise Failed(f"{self.settings}: would lie in the backup itself; name another folder", USAGE)

    def _refuse_if_filled(self) -> None:
        if self.into and self.made_settings and self.into.is_dir() and any(self.into.iterdir()):
            mend = "name a new folder, or say --merge to end a restore that was stopped"
            raise Failed(f"{self.into}: not empty; {mend}", CANT_CREATE)
        for part, place in self._places.items():
            if part == ACCOUNTS:
                filled = place.exists() and _has_accounts(place)
            elif part == GATEWAY:
                filled = place.exists()
            else:
                filled = _holds_a_file(place)
            if filled:
                mend = "move it away, or restore with --merge, which adds what is missing and replaces nothing"
                raise Failed(f"{place}: not empty; {mend} (it also ends a restore that was stopped)", CANT_CREATE)

    def _put_settings(self, old: Path) -> None:
        for name, rows in backup_list.trees(self.source):
            if name != SETTINGS:
                return
            for row in rows:
                stored = Path("/") / row.path.removeprefix(f"{SETTINGS}/")
                if row.path == backup_keys.NAME:
                    continue
                if row.is_folder:
                    self._make_root(self._place_of(stored, old.parent), row)
                elif stored != old:
                    self._put_file(row, self._place_of(stored, old.parent))
                elif self.made_settings:
                    self._own(old, row)

    def _own(self, old: Path, row: Row) -> None:
        """Write the settings file itself: its places may have changed."""
        make_path(self.settings.parent)
        if tree.digest(self.source, row.path) != row.sha256:
            raise Failed(f"{self.source / row.path}: damaged; take another backup")
        write_whole(self.settings, self._text.encode(), 0o600, replace=False)
        with self.settings.open("rb") as file:
            tree.own(file.fileno(), row)
        self.files += 1

    def _place_of(self, stored: Path, old_folder: Path) -> Path:
        if stored.is_relative_to(old_folder):
            return self.settings.parent / stored.relative_to(old_folder)
        return _outside(self.into, stored) if self.into else stored

    def _put_file(self, row: Row, place: Path) -> None:
        make_path(place.parent)
        with self._noting(row):
            self.files += tree.put(self.source, row.path, place.parent.resolve(), replace(row, path=place.name))

    def _put_keys(self, keys: list[backup_keys.Key], old: Path) -> None:
        for row, data in keys:
            place = self._place_of(Path("/") / row.path, old.parent)
            make_path(place.parent)
            if not place.exists():
                write_whole(place, data, 0o600, replace=False)
                with place.open("rb") as file:
                    tree.own(file.fileno(), row)
                self.keys += 1

    def _put_mail(self, name: str, rows: list[Row]) -> None:
        root = self._places[MAIL]
        if name == MAIL:
            self._make_root(root, rows[0])
            for row in rows[1:]:
                tree.make(root, row)
            return

        def failed(row: Row, error: Exception) -> None:
            self.failed.append(f"{MAIL}/{row.path}: {_reason(error)}")

        person = name.removeprefix(f"{MAIL}/")
        self.files += mail.put_person(root.resolve(), person, self.source / MAIL, rows, failed)

    def _put_tree(self, part: str, rows: list[Row]) -> None:
        root = self._places[part].parent if part == GATEWAY else self._places[part]
        self._make_root(root, rows[0])
        tree.sweep(root.resolve(), "")
        for row in rows[1:]:
            if row.is_folder:
                tree.make(root.resolve(), row)
                continue
            with self._noting(row):
                self.files += tree.put(self.source / part, row.path, root.resolve(), row)

    def _put_accounts(self, rows: list[Row]) -> None:
        database = self._places[ACCOUNTS]
        folder, row = rows
        self._make_root(database.parent, folder)
        if database.exists() and _has_accounts(database):
            self.accounts = "kept"
            return
        if tree.digest(self.source / ACCOUNTS, DATABASE) != row.sha256:
            self.failed.append(f"{ACCOUNTS}/{DATABASE}: other bytes than were backed up")
            return
        with accounts.opened_copy(self.source / ACCOUNTS / DATABASE) as copy:
            if not database.exists():
                with database.open("xb") as file:
                    tree.own(file.fileno(), row)
            with account_database.as_owner(database):
                accounts.put_back(copy, database)
        self.accounts = "restored"
        self.files += 1

    def _make_root(self, place: Path, row: Row) -> None:
        """Make the folder a part lies in; one that is there, as setup leaves it, stays as it is."""
        if not place.is_dir():
            make_path(place.parent)
            tree.make(place.parent.resolve(), replace(row, path=place.name))

    def _noting(self, row: Row) -> "_Noting":
        return _Noting(self.failed, row.path)


class _Noting(suppress):
    """Notes what keeps one file from being put, and goes on with the next."""

    def __init__(self, failed: list[str], path: str) -> None:
        super().__init__(ValueError, FileNotFoundError)
        self._failed, self._path = failed, path

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        done = bool(super().__exit__(kind, error, trace))
        if done:
            self._failed.append(f"{self._path}: {_reason(error)}")
        return done


def as_object(run: Restore) -> dict[str, Any]:
    """What `messenger restore --json` prints."""
    return {
        "source": str(run.source),
        "settings": str(run.settings),
        "settings_made": run.made_settings,
        "files": run.files,
        "accounts": run.accounts,
        "keys": run.keys,
        "failed": run.failed,
    }


def _reason(error: Exception) -> str:
    return "isn't in the backup any more" if isinstance(error, FileNotFoundError) else "other bytes than were backed up"


def _moved(config: Config, old: Path, into: Path) -> dict[tuple[str, str], Any]:
    """What the settings must say so that everything is below *into*."""
    found: dict[tuple[str, str], Any] = {
        ("mail", "root"): str(into / MAIL),
        ("intake", "ledger"): str(into / LEDGER),
        ("pdf", "spool"): str(into / SPOOL),
        ("accounts", "database"): str(into / ACCOUNTS / DATABASE),
        ("reader", "cache"): str(into / "cache"),
        ("gateway", "observed"): str(into / GATEWAY / config.gateway.observed.name),
    }
    for section in fields(config):
        values = getattr(config, section.name)
        for key in fields(values):
            value = getattr(values, key.name)
            paths = [path for path in (value if isinstance(value, tuple) else (value,)) if isinstance(path, Path)]
            named = {one.path for one in backup_parts.named(config)}
            if paths and named.issuperset(paths):
                written = [_written(path, old, into) for path in paths]
                found[section.name, key.name] = written if isinstance(value, tuple) else written[0]
    return found


def _written(path: Path, old: Path, into: Path) -> str:
    return str(path.relative_to(old)) if path.is_relative_to(old) else str(_outside(into, path))


def _outside(into: Path, path: Path) -> Path:
    """Where below *into* a file goes that was not in the folder of the settings."""
    return into / "outside" / str(path).lstrip("/")


def _holds_a_file(place: Path) -> bool:
    return next(_walked(place), None) is not None


def _walked(place: Path) -> Iterator[str]:
    for _, _, files in os.walk(place):
        yield from files


def _has_accounts(database: Path) -> bool:
    with account_database.as_owner(database):
        return accounts.is_filled(database)
