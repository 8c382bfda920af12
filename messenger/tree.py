"""Copy trees of files that others write to meanwhile, and put them back: rows in a list, digests, owners and modes.

What is below a root is reached folder by folder and no symbolic link is followed: who may write into a tree must not
lead root out of it. Knows no mail, no settings and no list as a file.
"""

import errno
import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from secrets import token_hex

#: Begins the name of a file that is being written; a mailbox takes no such file for a message.
DRAFT = ".draft-"
BLOCK_OCTETS = 1 << 20
_REACH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: a pipe of that name must not hold us.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


_VANISHED = (FileNotFoundError, NotADirectoryError)


@dataclass(frozen=True, slots=True)
class Row:
    """One file or folder, as it was taken."""

    #: From the root of the tree; "" is the root itself.
    path: str
    mode: int
    #: Names, or "#" and the number where there is none.
    user: str
    group: str
    size: int = 0
    #: Nanoseconds since 1970.
    modified: int = 0
    #: In hexadecimal; "" for a folder.
    sha256: str = ""

    @property
    def is_folder(self) -> bool:
        return not self.sha256


@dataclass
class Listing:
    """What was there when one looked."""

    folders: dict[str, os.stat_result] = field(default_factory=dict)
    files: dict[str, os.stat_result] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        return {*self.files}


def listing(root: Path, below: str, wanted: Callable[[str], bool]) -> Listing:
    """Return the folders and regular files in *below*, a folder below *root* ("" is *root*), with paths from *root*.

    What isn't *wanted*, by its path from there, and links are passed by. Raises OSError where something can't be
    read; what vanishes meanwhile isn't there.
    """
    found = Listing()
    above, name = os.path.split(below)
    with suppress(*_VANISHED), opened_folder(root, above) as directory:
        for folder, folders, files, handle in os.fwalk(name or ".", dir_fd=directory, onerror=_unless_vanished):
            here = os.path.normpath(os.path.join(above, folder))  # noqa: PTH118 -- no place of its own, only words
            prefix = "" if here == "." else f"{here}/"
            found.folders[prefix.rstrip("/")] = os.fstat(handle)
            folders[:] = sorted(inner for inner in folders if wanted(prefix + inner))
            for file in files:
                if not file.startswith(DRAFT) and wanted(prefix + file):
                    with suppress(FileNotFoundError):
                        facts = os.stat(file, dir_fd=handle, follow_symlinks=False)
                        if stat.S_ISREG(facts.st_mode):
                            found.files[prefix + file] = facts
    return found


def _unless_vanished(error: OSError) -> None:
    if not isinstance(error, _VANISHED) and error.errno != errno.ELOOP:
        raise error


@contextmanager
def opened_folder(root: Path, path: str) -> Iterator[int]:
    """Open the folder *path* below *root*; links may lead to the root, and nowhere from there."""
    with ExitStack() as held:
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        held.callback(os.close, directory)
        for part in filter(None, path.split("/")):
            directory = os.open(part, _REACH, dir_fd=directory)
            held.callback(os.close, directory)
        yield directory


def sweep(root: Path, below: str) -> None:
    """Remove the drafts that a ``put`` which was killed has left in the folder *below* of *root*; of nobody else's."""
    above, name = os.path.split(below)
    with suppress(*_VANISHED), opened_folder(root, above) as directory:
        for _, _, files, handle in os.fwalk(name or ".", dir_fd=directory, onerror=_unless_vanished):
            for file in files:
                if file.startswith(DRAFT):
                    with suppress(FileNotFoundError):
                        os.unlink(file, dir_fd=handle)


def digest(root: Path, path: str) -> str:
    """Return the SHA-256 of a file. Raises OSError."""
    above, name = os.path.split(path)
    with opened_folder(root, above) as directory:
        return _read(name, directory, None)[1]


def read(root: Path, path: str, limit: int) -> tuple[os.stat_result, bytes]:
    """Return facts and the first *limit* octets of a regular file. Raises OSError."""
    above, name = os.path.split(path)
    with opened_folder(root, above) as directory, os.fdopen(_open(name, directory), "rb") as file:
        return os.fstat(file.fileno()), file.read(limit)


def copy(source: Path, path: str, target: Path, to: str) -> tuple[os.stat_result, str]:
    """Copy a file with its mode, time and, as root, owner over what *to* below *target* is; return facts and digest.

    *to* appears whole, and its folder must be there.
    """
    above, name = os.path.split(path)
    into, new_name = os.path.split(to)
    draft = f"{DRAFT}{token_hex(8)}"
    with opened_folder(source, above) as directory, opened_folder(target, into) as folder:
        try:
            handle = os.open(draft, _WRITE, 0o600, dir_fd=folder)
            try:
                facts, sha256 = _read(name, directory, handle)
                if os.geteuid() == 0:
                    os.fchown(handle, facts.st_uid, facts.st_gid)
                os.fchmod(handle, stat.S_IMODE(facts.st_mode))
                os.utime(handle, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
            finally:
                os.close(handle)
            os.rename(draft, new_name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
    return facts, sha256


def link(source: Path, path: str, target: Path, to: str) -> None:
    """Give a file of *source* a second name in *target*, in place of what that was. OSError if it can't be."""
    above, name = os.path.split(path)
    into, new_name = os.path.split(to)
    draft = f"{DRAFT}{token_hex(8)}"
    with opened_folder(source, above) as directory, opened_folder(target, into) as folder:
        os.link(name, draft, src_dir_fd=directory, dst_dir_fd=folder, follow_symlinks=False)
        try:
            os.rename(draft, new_name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with suppress(FileNotFoundError):  # a rename onto another name of the same file leaves both
                os.unlink(draft, dir_fd=folder)


def put(source: Path, stored: str, target: Path, row: Row) -> bool:
    """Put the file *stored* below *source* back as ``row.path`` below *target*; False if something is there already.

    On disk when this returns, with the row's mode, time and, as root, owner. ValueError if the digest is another one.
    """
    above, name = os.path.split(stored)
    into, new_name = os.path.split(row.path)
    draft = f"{DRAFT}{token_hex(8)}"
    with opened_folder(source, above) as directory, opened_folder(target, into) as folder:
        if _is_there(new_name, folder):
            return False
        try:
            handle = os.open(draft, _WRITE, 0o600, dir_fd=folder)
            try:
                if _read(name, directory, handle)[1] != row.sha256:
                    raise ValueError(f"{stored}: other bytes than were backed up")
                own(handle, row)
                os.utime(handle, ns=(row.modified, row.modified))
                os.fsync(handle)
            finally:
                os.close(handle)
            # A link, not a rename: it never replaces what came meanwhile.
            with suppress(FileExistsError):
                os.link(draft, new_name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                return True
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
    return False


def make(target: Path, row: Row) -> bool:
    """Make the folder ``row.path`` below *target*, whose folder above is there; False if it was there already."""
    above, name = os.path.split(row.path)
    with opened_folder(target, above) as directory:
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError:
            return False
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            own(handle, row)
        finally:
            os.close(handle)
    return True


def own(handle: int, row: Row) -> None:
    """Give an open file or folder the row's mode and, as root, its owner."""
    if os.geteuid() == 0:
        os.fchown(handle, _number(row.user, _uid), _number(row.group, _gid))
    os.fchmod(handle, row.mode)


def row_of(path: str, facts: os.stat_result, sha256: str = "") -> Row:
    """Return the row of a file with this digest, or of a folder."""
    size, modified = (facts.st_size, facts.st_mtime_ns) if sha256 else (0, 0)
    names = user_name(facts.st_uid), group_name(facts.st_gid)
    return Row(path, stat.S_IMODE(facts.st_mode), *names, size, modified, sha256)


@lru_cache(256)
def user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


@lru_cache(256)
def group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return f"#{number}"


def _number(name: str, look_up: Callable[[str], int]) -> int:
    """The owner of that name here; who isn't known here leaves what it is to root."""
    try:
        return int(name[1:]) if name.startswith("#") else look_up(name)
    except (KeyError, ValueError):
        return -1


@lru_cache(256)
def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


@lru_cache(256)
def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid


def _is_there(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _open(name: str, directory: int) -> int:
    """Open a regular file for reading; for whoever looks for one, a link or a pipe in its place is none."""
    try:
        handle = os.open(name, _READ, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(errno.ENOENT, "no regular file", name) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "no regular file", name)
    return handle


def _read(name: str, directory: int, into: int | None) -> tuple[os.stat_result, str]:
    """Read a file to its end, and write it to the descriptor *into*; return its facts and its SHA-256."""
    found = hashlib.sha256()
    handle = _open(name, directory)
    try:
        facts = os.fstat(handle)
        while block := os.read(handle, BLOCK_OCTETS):
            found.update(block)
            rest = memoryview(block)
            while into is not None and rest:
                rest = rest[os.write(into, rest) :]
    finally:
        os.close(handle)
    return facts, found.hexdigest()
