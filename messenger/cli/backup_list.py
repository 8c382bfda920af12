"""The list of a backup: what is in it, with digests, owners and modes. One JSON object a line, read and written so.

{"format": 1, "made": …, "version": …, "settings": …}     first
{"tree": "mail/example.org/anna"}                         what follows was taken together
{"path": …, "mode": "0660", "user": …, "group": …, "size": …, "modified": …, "sha256": …}
{"end": 2, "sha256": …}                                   last: how many rows, and the digest of all lines above
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..tree import Row
from .status import DATA, NO_INPUT, Failed

NAME = "MANIFEST"
#: Lies in the folder while a backup is being made.
INCOMPLETE = "INCOMPLETE"
FORMAT = 1
# No list brings a program that runs as root: set-user-ID bits are nothing of ours.
_FILE_MODES, _FOLDER_MODES = 0o777, 0o2777


class Writer:
    """Writes a list; ``end`` makes it one."""

    def __init__(self, path: Path, head: Mapping[str, Any]) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.files = self.octets = self._rows = 0
        self._line({"format": FORMAT, **head})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._file.close()

    def tree(self, name: str, rows: Iterable[Row]) -> None:
        """Add what was taken together; a row's path is written as it lies in the backup, which *rows* already say."""
        self._line({"tree": name})
        for row in rows:
            self._line(_object(row))
            self._rows += 1
            self.files += not row.is_folder
            self.octets += row.size

    def end(self) -> None:
        self._line({"end": self._rows, "sha256": self._digest.hexdigest()})
        self._file.flush()

    def _line(self, value: Mapping[str, Any]) -> None:
        # ASCII: a name that is no UTF-8 comes through as it is.
        line = json.dumps(value).encode("ascii") + b"\n"
        self._file.write(line)
        self._digest.update(line)


def head_of(folder: Path) -> dict[str, Any]:
    """Return the first line of the list; Failed unless *folder* is a whole backup."""
    if not folder.is_dir():
        raise Failed(f"{folder}: no such folder; name the one that `messenger backup` wrote", NO_INPUT)
    if (folder / INCOMPLETE).exists():
        mend = "run `messenger backup` into it again, or take another backup"
        raise Failed(f"{folder}: not a whole backup: one was begun there and did not end; {mend}", DATA)
    try:
        with (folder / NAME).open("rb") as file:
            head = json.loads(file.readline())
    except FileNotFoundError as error:
        raise Failed(f"{folder}: no backup: there is no file {NAME} in it; name the right folder", NO_INPUT) from error
    except ValueError as error:
        raise _damaged(folder) from error
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise Failed(f"{folder}: a backup of another format; use the version of Messenger that made it", DATA)
    return head


def trees(folder: Path) -> Iterator[tuple[str, list[Row]]]:
    """Yield name and rows of each tree in the order they were taken. Failed if the list is damaged."""
    for name, pairs in groupby(_rows(folder), key=lambda pair: pair[0]):
        yield name, [row for _, row in pairs if row]


def read_through(folder: Path) -> None:
    """See that the list is whole to its last line. Failed if it is damaged."""
    for _ in _rows(folder):
        pass


class Earlier:
    """The list of an earlier backup in the same folder, read along while the next one is made in the same order."""

    def __init__(self, folder: Path) -> None:
        self._trees = _readable(folder)
        self._next: tuple[str, list[Row]] | None = next(self._trees, None)

    def rows(self, name: str, order: Iterable[str]) -> list[Row]:
        """Return the rows of one tree; *order* has the names of the parts as they are taken."""
        parts = [*order]
        while self._next and _rank(self._next[0], parts) < _rank(name, parts):
            self._next = next(self._trees, None)
        return self._next[1] if self._next and self._next[0] == name else []


def inside(part: str, rows: Iterable[Row]) -> list[Row]:
    """Return rows of *part* with their paths from there; "" is the part itself."""
    return [replace(row, path=row.path.removeprefix(part).removeprefix("/")) for row in rows]


def under(part: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield rows whose paths start at *part* as they are called in the list."""
    return (replace(row, path=f"{part}/{row.path}".rstrip("/")) for row in rows)


def _rank(name: str, parts: list[str]) -> tuple[int, list[str]]:
    part, *rest = name.split("/")
    return (parts.index(part) if part in parts else len(parts)), rest


def _readable(folder: Path) -> Iterator[tuple[str, list[Row]]]:
    """The trees of an earlier list, as far as it can be read: without it more is read and copied, and that is all."""
    try:
        yield from trees(folder)
    except (Failed, OSError):
        return


def _rows(folder: Path) -> Iterator[tuple[str, Row | None]]:
    name, count, digest = "", 0, hashlib.sha256()
    with (folder / NAME).open("rb") as file:
        for line in file:
            try:
                value = json.loads(line)
                if "end" in value:
                    if (value["end"], value["sha256"]) != (count, digest.hexdigest()) or file.read(1):
                        break
                    return
                if "tree" in value:
                    name = value["tree"]
                    yield name, None
                elif "path" in value:
                    count += 1
                    yield name, _row(value)
            except (ValueError, KeyError, TypeError) as error:
                raise _damaged(folder) from error
            digest.update(line)
    raise _damaged(folder)


def _damaged(folder: Path) -> Failed:
    return Failed(f"{folder / NAME}: damaged; take another backup", DATA)


def _object(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {"path": row.path, "mode": f"{row.mode:04o}", "user": row.user, "group": row.group}
    return found if row.is_folder else found | {"size": row.size, "modified": row.modified, "sha256": row.sha256}


def _row(value: Mapping[str, Any]) -> Row:
    path, parts = value["path"], value["path"].split("/")
    if path.startswith("/") or ".." in parts:
        raise ValueError(path)
    rest = (value["size"], value["modified"], value["sha256"]) if "sha256" in value else (0, 0, "")
    mode = int(value["mode"], 8) & (_FILE_MODES if rest[2] else _FOLDER_MODES)
    return Row(path, mode, value["user"], value["group"], *rest)
