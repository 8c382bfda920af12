"""Find mailboxes and old messages, and remove a mailbox that is empty: what ``messenger cleanup`` needs.

Part of mailbox.py: nobody else reads this. A mailbox that is removed may get mail in that very moment. So its folders
go by ``rmdir``, tmp/ first: where a delivery has a file in hand that fails, and all stays; where it hasn't yet, the
delivery fails instead, and the sender's queue tries again.
"""

import errno
import os
from collections.abc import Iterator, Mapping, Set
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from . import mailbox_delivery
from .envelope import AddressError
from .mailbox_paths import MAILDIR, address_of
from .mailbox_removal import PREFIX
from .maildir import Folder, NoSuchFolder, opened_domain, split

_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAIL = ("tmp", "new", "cur")


def mailboxes(mail_root: Path) -> Iterator[str]:
    """Yield the address of each mailbox below *mail_root*, one domain after the other; what is no mailbox is passed by.

    OSError if the root can't be read.
    """
    for domain in _folders(mail_root):
        with suppress(FileNotFoundError):
            for person in _folders(domain):
                with suppress(AddressError):
                    yield address_of(mail_root, person / MAILDIR)


def unfinished(mail_root: Path) -> Iterator[str]:
    """Yield the domains where a removal was begun and not ended, by a crash."""
    for domain in _folders(mail_root):
        with suppress(FileNotFoundError), os.scandir(domain) as entries:
            if any(entry.name.startswith(PREFIX) for entry in entries):
                yield domain.name


def older(place: Folder, before: float, *, by_move: bool) -> list[str]:
    """Return the messages of a folder that came before *before* (Unix seconds), or were moved there before it.

    A move shows in the time of the file's last change, which is also that of its last flag: never too early.
    """
    found = []
    for directory in (place.new, place.cur):
        with os.scandir(directory) as files:
            for file in files:
                parts = split(file.name)
                if parts is None:
                    continue
                with suppress(FileNotFoundError):
                    facts = file.stat(follow_symlinks=False)
                    if (facts.st_ctime if by_move else facts.st_mtime) < before:
                        found.append(parts[0])
    return found


def is_abandoned(mail_root: Path, domain: str, person: str, before: float) -> bool:
    """Tell whether ``remove_empty`` would find nothing that keeps it from removing."""
    with ExitStack() as held:
        return _opened(held, mail_root, domain, person, before) is not None


def remove_empty(mail_root: Path, domain: str, person: str, before: float, now: float) -> bool:
    """Remove ``<mail_root>/<domain>/<person>`` if no message is in it and nothing there has changed since *before*.

    Returns whether it is gone. What we don't know, if it isn't empty, keeps all of it.
    """
    with ExitStack() as held:
        found = _opened(held, mail_root, domain, person, before, now)
        if found is None:
            return False
        for name, base in found.maildirs.items():
            if not _take(base, found.root, name, _MAIL):
                return False
        gone = _take(found.root, found.home, MAILDIR, _MAIL) and _take(found.home, found.above, person, found.others)
        os.fsync(found.above)
        return gone


@dataclass(frozen=True)
class _Abandoned:
    """Open directories of a mailbox in which there is nothing to keep."""

    above: int
    home: int
    root: int
    maildirs: Mapping[str, int]
    #: Empty folders beside the Maildir.
    others: tuple[str, ...]


def _opened(
    held: ExitStack, mail_root: Path, domain: str, person: str, before: float, now: float | None = None
) -> _Abandoned | None:
    """Open the mailbox, or return None if it is to be kept. With *now*, what a crash left in tmp/ is removed."""
    try:
        above = held.enter_context(opened_domain(mail_root, domain))
        home = _open(held, person, above)
        root = _open(held, MAILDIR, home)
    except (NoSuchFolder, FileNotFoundError):
        return None
    if now is not None:
        with suppress(FileNotFoundError):
            mailbox_delivery.remove_leftovers(_open(held, "tmp", root), now)
    if not _is_left(held, home, ".", before) or not _is_left(held, root, ".", before):
        return None
    maildirs = {name: _open(held, name, root) for name in _inner(root) if name.startswith(".")}
    others = tuple(name for name in _inner(home) if name != MAILDIR)
    if any(_names(held, home, name) for name in others) or not _is_empty(held, root, before, {*maildirs}):
        return None
    if not all(_is_empty(held, base, before) for base in maildirs.values()):
        return None
    return _Abandoned(above, home, root, maildirs, others)


def _is_empty(held: ExitStack, base: int, before: float, besides: Set[str] = frozenset()) -> bool:
    """Whether no message is in a Maildir folder, or on its way there, and nothing has changed since *before*."""
    inner = {*_inner(base)}
    if inner - {*_MAIL} - besides:
        return False
    return all(_is_left(held, base, name, before) and not _names(held, base, name) for name in inner & {*_MAIL})


def _take(directory: int, above: int, name: str, folders: tuple[str, ...]) -> bool:
    """Remove *directory*, which *above* calls *name*: its *folders* first, each only if it is empty; then its files."""
    try:
        for folder in folders:
            with suppress(FileNotFoundError):
                os.rmdir(folder, dir_fd=directory)
        for file in os.listdir(directory):
            os.unlink(file, dir_fd=directory)
        os.rmdir(name, dir_fd=above)
    except OSError as error:
        # Mail has come, the folders were made anew, or something is mounted there.
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.EPERM, errno.EBUSY, errno.ENOENT):
            raise
        return False
    return True


def _is_left(held: ExitStack, directory: int, name: str, before: float) -> bool:
    """Whether nothing was made or removed in the folder *name* since *before*."""
    try:
        return os.fstat(_open(held, name, directory)).st_mtime < before
    except FileNotFoundError:
        return True


def _names(held: ExitStack, directory: int, name: str) -> list[str]:
    return os.listdir(_open(held, name, directory))


def _inner(directory: int) -> list[str]:
    with os.scandir(directory) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _open(held: ExitStack, name: str, directory: int) -> int:
    descriptor = os.open(name, _READ, dir_fd=directory)
    held.callback(os.close, descriptor)
    return descriptor


def _folders(path: Path) -> Iterator[Path]:
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                yield Path(entry.path)
