"""One Maildir folder: its file names, its directories, and what the operating system may say about them.

Ground of ``mailbox``; nobody else needs it. A folder is reached directory by directory from the mail root, and no
symbolic link below the root is followed: who may write into the tree must not point us out of it.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path
from typing import Self

from .errors import MessengerError

#: Intake and reader are different users of one group; the group of a new file is that of its directory.
DIRECTORY_MODE = 0o2770
FILE_MODE = 0o660

#: Draft, flagged, passed on, replied, seen, trashed: https://cr.yp.to/proto/maildir.html
FLAGS = "DFPRST"
INFO = ":2,"
#: Where cur/ holds no more files than this, listing it is the faster way to find one.
FEW = 300
# Every name that a message in cur/ has while it bears no flags but these. Trying all is faster than listing a folder
# of thousands, and does not depend on its size. Not in here: Dovecot's keywords (a to z), and flags of other programs.
INFOS = ("", *(INFO + "".join(chosen) for count in range(7) for chosen in combinations(FLAGS, count)))

# Who changes flags may take a message from a name not tried yet to one that was. So where that can have happened we
# look again, the other way round, and twice: one rename is seen for sure, several at once almost so.
_LOOKS = (INFOS, INFOS[::-1], INFOS, INFOS[::-1])

#: More than the clock of a file system takes from one tick to the next.
TICK_NANOSECONDS = 1_000_000_000

_DIRECTORIES = ("tmp", "new", "cur")
_REACH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FULL = "; make room or raise the quota, senders' queues hold the mail meanwhile"
_DENIED = f"; its folders must belong to the group of intake and reader, with mode {DIRECTORY_MODE:o}"
_LINK = "; a file or a symbolic link stands in the way, and below the mail root none is followed: use a bind mount"
_MENDS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "; mount it for writing again, after a look at why the kernel changed it",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.ENOTDIR: _LINK,
    errno.ELOOP: _LINK,
}

# A name goes into addresses of pages and into log lines: visible ASCII without "/", and without ":", where flags begin.
# Not longer than leaves room for flags, and for what a file in tmp/ is called.
_NAME = re.compile(r"(?!\.)[!-.0-9;-~]{1,200}")
# Bytes that are no UTF-8 come as surrogates, which go into no address and no database.
_FOLDER = re.compile(r"[^./\x00-\x1f\x7f\ud800-\udfff]+(?:\.[^./\x00-\x1f\x7f\ud800-\udfff]+)*")
_FOLDER_OCTETS = 200


class MailboxError(MessengerError):
    """The mail store can't do this now; the sender's queue tries again."""

    temporary = True


class NoSuchFolder(MailboxError):
    """The folder isn't there, and this call doesn't make one."""


@dataclass(frozen=True)
class Folder:
    """Open descriptors of one folder's directories."""

    base: int
    tmp: int
    new: int
    cur: int

    def file_of(self, name: str) -> tuple[int, str] | None:
        """Return directory and file name of the message *name*, or None. Constant time for the standard flags."""
        # new/ first: a message moves from new/ to cur/, never back.
        if _is_there(name, self.new):
            return self.new, name
        seen = self.seen_file_of(name)
        return (self.cur, seen) if seen else None

    def seen_file_of(self, name: str) -> str | None:
        """Return the file name of the message *name* in cur/, or None. Constant time, for the standard flags."""
        for infos in _LOOKS:
            few = self._few_seen()
            if few is None:
                tried = (name + info for info in infos)
                found = next((one for one in tried if _is_there(one, self.cur)), None)
            else:
                found = next((one for one in few if one.partition(":")[0] == name), None)
            # Who hasn't logged in yet has nothing there; many mails are for such people.
            if found or few == [] or os.fstat(self.cur).st_mtime_ns < time.time_ns() - TICK_NANOSECONDS:
                return found
        return None

    def _few_seen(self) -> list[str] | None:
        """List cur/ where it holds few files; None where it holds more."""
        with os.scandir(self.cur) as files:
            few = [file.name for file in islice(files, FEW + 1)]
        return few if len(few) <= FEW else None

    def has_folder(self, folder: str) -> bool:
        """Tell whether there is such a folder below this one, which is the inbox."""
        return _is_there(f".{folder}", self.base)

    def folders(self) -> Iterator[str]:
        """Yield the folders below this one, which is the inbox."""
        with os.scandir(self.base) as entries:
            for entry in entries:
                name = entry.name.removeprefix(".")
                if name != entry.name and is_folder(name) and entry.is_dir(follow_symlinks=False):
                    yield name

    def has_keywords(self) -> bool:
        """Tell whether Dovecot has given keywords here: then file_of() may miss what is there."""
        return _is_there("dovecot-keywords", self.base)

    def names(self) -> set[str]:
        """Return the names of the messages that are there, in time that grows with the folder."""
        files = (file for directory in (self.new, self.cur) for file in os.listdir(directory))  # noqa: PTH208
        return {file.partition(":")[0] for file in files}

    def file_of_slowly(self, name: str) -> tuple[int, str] | None:
        """Do the same whatever the flags are, in time that grows with the folder."""
        for directory in (self.new, self.cur):
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.partition(":")[0] == name:
                        return directory, entry.name
        return None


def _is_there(file_name: str, directory: int) -> bool:
    return os.access(file_name, os.F_OK, dir_fd=directory, follow_symlinks=False)


def is_name(name: str) -> bool:
    """Tell whether *name* can be a message's unique name, as far as we use them."""
    return _NAME.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """Return *name* if it can be a message's unique name."""
    if not is_name(name):
        raise ValueError(f"expected a Maildir name of visible ASCII without '/' and ':', found {name!r}")
    return name


def checked_flags(flags: str) -> str:
    """Return *flags* in the order Maildir wants, each once."""
    if unknown := set(flags) - set(FLAGS):
        raise ValueError(f"expected Maildir flags of {FLAGS}, found {''.join(sorted(unknown))!r}")
    return "".join(sorted(set(flags)))


def split(file_name: str) -> tuple[str, str] | None:
    """Return unique name and flags of a file in new/ or cur/, or None where it isn't a message of ours to show."""
    name, _, info = file_name.partition(":")
    if not _NAME.fullmatch(name):
        return None
    flags = info[2:] if info.startswith("2,") else ""
    return name, "".join(sorted(set(flags))) if len(flags) > 1 else flags


def is_folder(name: str) -> bool:
    """Tell whether *name* can be that of a folder other than the inbox, as far as we use them."""
    return _FOLDER.fullmatch(name) is not None and len(name.encode()) <= _FOLDER_OCTETS


def folder_parts(folder: str) -> tuple[str, ...]:
    """Return the directories that lead from the Maildir to *folder*: none for the inbox, one for any other."""
    if not folder:
        return ()
    if not is_folder(folder):
        raise ValueError(f"expected a folder's name without '/' and empty parts, found {folder!r}")
    return (f".{folder}",)


class _Held(list[int]):
    """Descriptors that are closed at the end of a ``with``."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self:
            os.close(self.pop())


@contextmanager
def opened(mail_root: Path, parts: tuple[str, ...], create: bool = False) -> Iterator[Folder]:
    """Open the folder that *parts* lead to; NoSuchFolder if it isn't there and *create* is not set.

    What the operating system complains of while it is open becomes a MailboxError with a mend.
    """
    with _mended(mail_root.joinpath(*parts)), _Held() as held:
        yield _opened(held, mail_root, parts, create)


@contextmanager
def opened_domain(mail_root: Path, domain: str, create: bool = False) -> Iterator[int]:
    """Open the directory that the mailboxes of *domain* are in; complaints become a MailboxError as above."""
    with _mended(mail_root / domain), _Held() as held:
        root = _open_root(held, mail_root)
        if create:
            _make(domain, root)
            os.fsync(root)
        try:
            directory = _open(held, domain, root)
        except FileNotFoundError as error:
            raise NoSuchFolder(f"{mail_root / domain}: no such folder") from error
        yield directory


@contextmanager
def _mended(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        mend = _MENDS.get(error.errno or 0, "")
        raise MailboxError(f"{path}: {error.strerror or error}{mend}") from error


def _open(held: _Held, name: str, directory: int, how: int = _READ) -> int:
    descriptor = os.open(name, how, dir_fd=directory)
    held.append(descriptor)
    return descriptor


def _opened(held: _Held, mail_root: Path, parts: tuple[str, ...], create: bool) -> Folder:
    try:
        return _folder(held, mail_root, parts)
    except FileNotFoundError as error:
        if not create:
            raise NoSuchFolder(f"{mail_root.joinpath(*parts)}: no such folder") from error
    _create(mail_root, parts)
    return _folder(held, mail_root, parts)


def _folder(held: _Held, mail_root: Path, parts: tuple[str, ...]) -> Folder:
    base = _open_first(held, mail_root, parts[0])
    for part in parts[1:-1]:
        base = _open(held, part, base, _REACH)
    base = _open(held, parts[-1], base)
    try:
        return Folder(base, *(_open(held, name, base) for name in _DIRECTORIES))
    except FileNotFoundError:
        # Never finished, or restored from a backup that leaves out what is empty.
        _create(mail_root, parts)
        return Folder(base, *(_open(held, name, base) for name in _DIRECTORIES))


def _open_first(held: _Held, mail_root: Path, part: str) -> int:
    """Open the directory *part* of the mail root. Links may lead to the root; *part* itself must be none."""
    try:
        descriptor = os.open(f"{mail_root}/{part}", _REACH)
    except FileNotFoundError:
        _open_root(held, mail_root)  # says so if it is the root that is missing
        raise
    held.append(descriptor)
    return descriptor


def _open_root(held: _Held, mail_root: Path) -> int:
    try:
        descriptor = os.open(mail_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        # Never made here: its disk may not be mounted, and mail put under a mount point is lost to sight.
        raise MailboxError(
            f"{mail_root}: no mail root there; mount its disk, or let `messenger setup` make the folder"
        ) from error
    held.append(descriptor)
    return descriptor


def _create(mail_root: Path, parts: tuple[str, ...]) -> None:
    """Make the folder and all above it. tmp comes last: who finds it, finds everything else safe on disk."""
    with _Held() as held:
        base = _open_root(held, mail_root)
        for part in parts:
            _make(part, base)
            # Also when somebody else made it: he may not have come to this yet.
            os.fsync(base)
            base = _open(held, part, base)
        for name in ("new", "cur"):
            _make(name, base)
        if parts[-1].startswith("."):
            _mark(base)
        os.fsync(base)
        _make("tmp", base)


def _mark(base: int) -> None:
    """Say in the way of Maildir++ that this is a folder of the Maildir above, not one by itself."""
    with suppress(FileExistsError):
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open("maildirfolder", how, FILE_MODE, dir_fd=base), "wb") as mark:
            os.fchmod(mark.fileno(), FILE_MODE)


def make_folder(name: str, directory: int) -> None:
    """Make a folder with the mode that ours have, unless it is there."""
    _make(name, directory)


def _make(name: str, directory: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, DIRECTORY_MODE & 0o777, dir_fd=directory)
    descriptor = os.open(name, _READ, dir_fd=directory)
    try:
        # Whatever the umask is, and with the bit that hands the group on; also what a crash left half made.
        found = os.fstat(descriptor)
        if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != DIRECTORY_MODE:
            os.fchmod(descriptor, DIRECTORY_MODE)
    finally:
        os.close(descriptor)
