"""Take one tree into a backup while others write to it: again and again, until nothing has moved meanwhile.

A file may be moved from where we are to look to where we have looked. So the tree is listed before it is taken and
after, and only what two lists agree on ends it. Files that never change, such as messages, are known by a name of their
own wherever they lie, and cost no reading if they were taken before. Knows no mail and no settings.
"""

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import tree
from .tree import Row

#: So often a tree may change while it is taken before both the old and the new are kept.
PASSES = 6
# What a file system says that can't give this file a second name there.
_NO_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES)


@dataclass(frozen=True)
class Rules:
    """What kind of tree it is."""

    #: Whether the path (from the root of the tree) is taken at all.
    wanted: Callable[[str], bool] = lambda path: True
    #: A name for a file that never changes and may move; None for any other file.
    identity: Callable[[str], str | None] = lambda path: None
    #: Whether files with an identity may be hard links.
    link: bool = False


@dataclass
class Taken:
    rows: dict[str, Row]
    #: Files that were copied or linked now, and not there before.
    new: int


def take(source: Path, target: Path, below: str, earlier: Iterable[Row], rules: Rules) -> Taken:
    """Take the folder *below* of *source* into *target*, where an earlier backup (its rows are *earlier*) may lie.

    Returns the rows for the list, folders first; what is no more is removed from *target*. Raises OSError.
    """
    return _Taking(source, target, below, earlier, rules).run()


class _Taking:
    def __init__(self, source: Path, target: Path, below: str, earlier: Iterable[Row], rules: Rules) -> None:
        self._below = below
        self._source, self._target, self._rules = source, target, rules
        self._earlier = {row.path: row for row in earlier}
        identified = ((rules.identity(row.path), row) for row in self._earlier.values() if not row.is_folder)
        self._by_identity = {identity: row for identity, row in identified if identity}
        self._facts: dict[str, tuple[int, int, int]] = {}
        self._rows: dict[str, Row] = {}
        self._new = 0

    def run(self) -> Taken:
        folders: dict[str, os.stat_result] = {}
        gone: dict[str, Row] = {}
        found = tree.listing(self._source, self._below, self._rules.wanted)
        for _ in range(PASSES):
            folders |= found.folders
            self._make(folders)
            for path in [path for path in self._rows if path not in found.files]:
                gone[path] = self._rows.pop(path)
                self._facts.pop(path, None)
            for path, facts in sorted(found.files.items()):
                self._take(path, facts)
            again = tree.listing(self._source, self._below, self._rules.wanted)
            if again.names == found.names == {*self._rows}:
                folders = again.folders
                break
            found = again
        else:
            # It never held still. Better a message twice than never.
            there = {self._rules.identity(path) for path in self._rows}
            self._rows |= {path: row for path, row in gone.items() if self._rules.identity(path) not in there}
        self._rows = {path: row for path, row in self._rows.items() if _is_file(self._target / path)}
        self._make(folders)
        self._tidy(folders)
        rows = {path: tree.row_of(path, facts) for path, facts in sorted(folders.items())}
        return Taken(rows | dict(sorted(self._rows.items())), self._new)

    def _make(self, folders: Iterable[str]) -> None:
        for path in sorted(folders):
            place = self._target / path
            if place.is_file() or place.is_symlink():
                place.unlink()
            place.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _take(self, path: str, facts: os.stat_result) -> None:
        known = facts.st_ino, facts.st_size, facts.st_mtime_ns
        if self._facts.get(path) == known:
            return
        with suppress(FileNotFoundError):  # moved or gone since; the next list knows
            identity = self._rules.identity(path)
            if identity:
                self._rows[path] = tree.row_of(path, facts, self._steady(path, identity, facts))
            else:
                self._rows[path] = tree.row_of(path, *self._changing(path, facts))
            self._facts[path] = known

    def _steady(self, path: str, identity: str, facts: os.stat_result) -> str:
        """Take a file that never changes: nothing to do where an earlier backup has it, by whatever path."""
        before = self._by_identity.get(identity)
        same = before is not None and (before.size, before.modified) == (facts.st_size, facts.st_mtime_ns)
        if _is_same(self._target / path, facts):
            if same and before is not None and before.path == path:
                return before.sha256
            return tree.digest(self._target, path)
        if same and before is not None and _is_same(self._target / before.path, facts):
            tree.link(self._target, before.path, self._target, path)
            return before.sha256
        self._new += 1
        if self._rules.link:
            try:
                tree.link(self._source, path, self._target, path)
                return tree.digest(self._target, path)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
        return tree.copy(self._source, path, self._target, path)[1]

    def _changing(self, path: str, facts: os.stat_result) -> tuple[os.stat_result, str]:
        """Take any other file, but leave the copy that is there if it has the same bytes."""
        before = self._earlier.get(path)
        if before and _is_same(self._target / path, facts) and tree.digest(self._source, path) == before.sha256:
            return facts, before.sha256
        self._new += 1
        return tree.copy(self._source, path, self._target, path)

    def _tidy(self, folders: Iterable[str]) -> None:
        """Remove what an earlier backup, or a run that was stopped, has left and nobody wants any more."""
        kept = {*folders} | _above(self._rows)
        for above, names, files in os.walk(self._target / self._below, topdown=False):
            here = os.path.relpath(above, self._target)
            prefix = "" if here == "." else f"{here}/"
            for name in files:
                if prefix + name not in self._rows:
                    Path(above, name).unlink()
            for name in names:
                if prefix + name not in kept:
                    with suppress(OSError):
                        Path(above, name).rmdir()


def _is_same(place: Path, facts: os.stat_result) -> bool:
    """Whether *place* is that file, or a copy of it."""
    try:
        found = place.lstat()
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)


def _is_file(place: Path) -> bool:
    return place.is_file() and not place.is_symlink()


def _above(paths: Iterable[str]) -> set[str]:
    """The folders that lead to *paths*."""
    found = {""}
    for path in paths:
        while path := os.path.dirname(path):  # noqa: PTH120 -- a Path costs ten times as much
            if path in found:
                break
            found.add(path)
    return found
