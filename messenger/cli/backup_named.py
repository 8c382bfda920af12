"""The files that settings name, each with the place where it really lies, for a backup that root makes.

A file or folder that the settings name is an administrator's, and may be a link. What lies in such a folder may be a
service's (certificates that a gateway collects): a link there that leads out of the folder would show that service
through root's eyes what it may not see, or keep a key in the clear.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .. import tree


@dataclass(frozen=True)
class Source:
    """One file: as it is named, and below which root it is read without following links."""

    path: Path
    root: Path
    name: str


def sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Yield the files that *paths* are, or that lie in the folders that they are, sorted."""
    for path in paths:
        root = path.resolve()
        if root.is_dir():
            found = {name: name for name in tree.listing(root, "", lambda _: True).files} | _links(root)
            for name, lies in sorted(found.items()):
                yield Source(path / name, root, lies)
        elif root.is_file():
            yield Source(path, root.parent, root.name)


def strays(paths: Iterable[Path]) -> list[Path]:
    """Return the links in folders among *paths* that are left out, because they lead out of their folder."""
    return [
        path / link.relative_to(path.resolve())
        for path in paths
        if path.is_dir()
        for link in sorted(path.resolve().rglob("*"))
        if link.is_symlink() and _place(link, path.resolve()) is None
    ]


def _links(root: Path) -> dict[str, str]:
    """Links to files of the same folder, as c_rehash(1) makes them."""
    found = {}
    for link in root.rglob("*"):
        if link.is_symlink() and (place := _place(link, root)):
            found[str(link.relative_to(root))] = str(place.relative_to(root))
    return found


def _place(link: Path, root: Path) -> Path | None:
    with suppress(OSError, RuntimeError):  # RuntimeError: it leads in a circle
        place = link.resolve(strict=True)
        if place.is_file() and place.is_relative_to(root):
            return place
    return None
