"""Where the reader keeps what it can make again: one folder per mailbox below the cache, for its own eyes only.

Here, not in the reader, because whoever deletes a person's mail on the command line must remove this too.
"""

import errno
import re
import shutil
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from .errors import MessengerError

#: Another request of the same person may put something in while it is emptied.
TRIES = 8
_SHELF, _FOLDER = re.compile(r"[0-9a-f]{2}"), re.compile(r"[0-9a-f]{64}")


class CacheStays(MessengerError):
    """What is kept of a mailbox can't be removed now."""

    temporary = True


def folder_of(cache: Path, address: str) -> Path:
    """The folder for *address*; nothing of the address is in its name. Delete it at will."""
    name = sha256(address.encode()).hexdigest()
    return cache / name[:2] / name


def make(folder: Path) -> None:
    """Make *folder* and what lies above it, each closed to everybody else: subjects are in there."""
    if not folder.is_dir():
        if folder.parent != folder:
            make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def remove(cache: Path, address: str) -> None:
    """Remove what is kept for *address*. Raises CacheStays if that can't be done: subjects are in there."""
    remove_folder(folder_of(cache, address))


def orphans(cache: Path, addresses: Iterable[str]) -> Iterator[Path]:
    """Yield the folders of nobody: all but those for *addresses*."""
    known = {folder_of(cache, address).name for address in addresses}
    for shelf in sorted(cache.iterdir()) if cache.is_dir() else ():
        if not _SHELF.fullmatch(shelf.name) or shelf.is_symlink() or not shelf.is_dir():
            continue
        for folder in sorted(shelf.iterdir()):
            ours = _FOLDER.fullmatch(folder.name) and folder.name.startswith(shelf.name)
            if ours and folder.name not in known and not folder.is_symlink():
                yield folder


def remove_folder(folder: Path) -> None:
    """Remove one of the folders of the cache."""
    for _ in range(TRIES):
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            if not folder.exists():
                return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise CacheStays(f"{folder}: can't remove it: {error.strerror}; remove it by hand") from error
        else:
            return
    raise CacheStays(f"{folder}: can't remove it: files come faster than they can be removed")
