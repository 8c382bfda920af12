"""Mailboxes: Maildir++ below the mail root, the one place where mail is kept. No other module opens a message file.

Bytes in, bytes out: what is in a mail is not looked at. A mail appears whole or not at all, is on disk when
``deliver`` returns, and is there once however often it is delivered. docs/mailbox.md has the details and the costs.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from secrets import token_hex

from .errors import MessengerError
from .mailbox_listing import Changes, Entry, changes, entries
from .mailbox_paths import address_of, path_of
from .mailbox_removal import remove
from .maildir import (
    FILE_MODE,
    INFO,
    TICK_NANOSECONDS,
    Folder,
    MailboxError,
    NoSuchFolder,
    checked_flags,
    checked_name,
    folder_parts,
    is_name,
    opened,
    split,
)

__all__ = ["Changes", "Entry", "Mailbox", "MailboxError", "NoSuchMessage", "address_of", "mailbox_of", "path_of"]

#: Where mail goes that its owner doesn't want to see any more. What lies there is not delivered again.
TRASH = "Trash"

#: What a crash left in tmp/ goes after as many seconds (https://cr.yp.to/proto/maildir.html: 36 hours).
LEFTOVER_SECONDS = 36 * 3600
#: The first delivery of an hour looks for such; the directory itself says when the last one was.
_HOUR = 3600

#: How often a message may change its file's name under our hands before we give up.
_TRIES = 8


class NoSuchMessage(MessengerError):
    """There is no message of that name in that folder."""


def mailbox_of(mail_root: Path, address: str) -> "Mailbox":
    """Return the mailbox of *address*, whether it exists yet or not."""
    return Mailbox(path_of(mail_root, address))


@dataclass(frozen=True)
class Mailbox:
    """One person's mail."""

    #: The Maildir, three levels below the mail root.
    root: Path

    def exists(self) -> bool:
        """Tell whether anything was ever delivered here."""
        try:
            with self._opened(""):
                return True
        except NoSuchFolder:
            return False

    def folders(self) -> list[str]:
        """Return the folders there are: the inbox, which is called "", then the others by name."""
        with suppress(NoSuchFolder), self._opened("") as place:
            return ["", *sorted(place.folders())]
        return []

    def state(self, folder: str = "") -> tuple[int, int]:
        """Return when new/ and cur/ last changed, in nanoseconds: other numbers mean that something has.

        The clock of a file system ticks every few milliseconds, so the same numbers say "no change" only once
        they are older than that.
        """
        try:
            with self._opened(folder) as place:
                return os.fstat(place.new).st_mtime_ns, os.fstat(place.cur).st_mtime_ns
        except NoSuchFolder:
            return 0, 0

    def ensure(self) -> None:
        """Make the empty mailbox, unless it is there: what else belongs to the person lies beside it."""
        with self._opened("", create=True):
            pass

    def deliver(self, raw: bytes, name: str, folder: str = "", flags: str = "") -> bool:
        """Keep *raw* under *name*, on disk when this returns. False: it was there already, whatever its flags are now.

        Mail with *flags* counts as seen by a mail client (it goes to cur/), mail without is new.
        """
        checked_name(name)
        info = INFO + checked_flags(flags) if flags else ""
        with self._opened(folder, create=True) as place:
            looked = os.fstat(place.cur).st_mtime_ns
            last_delivery = os.fstat(place.tmp).st_mtime
            if self._had(place, name, folder):
                return False
            temporary = f"{name}.{token_hex(8)}"  # two deliveries never share a file
            target = place.cur if info else place.new
            try:
                written = _write(raw, temporary, place.tmp)
                linked = _link(temporary, place.tmp, name + info, target)
                os.fsync(target)
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=place.tmp)
            if written.st_mtime // _HOUR != last_delivery // _HOUR:
                _remove_leftovers(place.tmp, written.st_mtime)
            if os.fstat(place.cur).st_mtime_ns == looked < written.st_mtime_ns - TICK_NANOSECONDS:
                return linked  # nothing has come to cur/ since we looked there
            return linked and not _withdrawn(place, name, written.st_ino)

    def list(self, folder: str = "", new_only: bool = False) -> list[Entry]:
        """Return the messages of *folder*, in no order: all of them, or what lies in new/. One stat for each."""
        found: dict[str, Entry] = {}
        with suppress(NoSuchFolder), self._opened(folder) as place:
            # new/ first: what moves to cur/ meanwhile is seen twice rather than never, and counts once.
            for directory in (place.new,) if new_only else (place.new, place.cur):
                for entry in entries(place, directory, folder):
                    found[entry.name] = entry
        return [*found.values()]

    def changes(self, known: Mapping[str, str], folder: str = "") -> Changes:
        """Return the messages in cur/ that differ from *known* (name to flags), and the names that are gone from there.

        Much cheaper than ``list`` for who knows the folder from an earlier visit.
        """
        try:
            with self._opened(folder) as place:
                return changes(place, folder, known)
        except NoSuchFolder:
            return Changes([], set(known))

    def read(self, name: str, folder: str = "", limit: int = -1) -> bytes:
        """Return the bytes of the message *name*, the first *limit* of them if that is given."""
        with self._found(name, folder) as place:
            for directory, file_name in _files(place, name):
                with suppress(FileNotFoundError):
                    return _read(file_name, directory, limit)
        raise self._no_such_message(name, folder)

    def flag(self, name: str, add: str = "", remove: str = "", folder: str = "") -> str:
        """Add and remove flags, and return those it has now. The message counts as seen by a mail client after this."""
        added, removed = checked_flags(add), checked_flags(remove)
        with self._found(name, folder) as place:
            for directory, file_name in _files(place, name):
                if _merged(place, directory, name):
                    continue
                flags = _flags(file_name, added, removed)
                with suppress(FileNotFoundError):
                    # Not synced: after a power cut a mail may be unread again, and no more is lost than that.
                    _rename(file_name, directory, name + INFO + flags, place.cur)
                    return flags
        raise self._no_such_message(name, folder)

    def move(self, name: str, folder: str, to: str) -> None:
        """Move a message from *folder* to another, which is made if need be. It keeps its flags and its date."""
        with self._found(name, folder) as place, self._opened(to, create=True) as target:
            for directory, file_name in _files(place, name):
                if _merged(place, directory, name):
                    continue
                with suppress(FileNotFoundError):
                    _rename(file_name, directory, name + INFO + _flags(file_name), target.cur)
                    # The new place first: after a power cut it may be in both, never in none.
                    os.fsync(target.cur)
                    os.fsync(directory)
                    return
        raise self._no_such_message(name, folder)

    def delete(self) -> None:
        """Remove all of this person's mail and what else lies beside it; nothing if there is none. Not to be undone.

        A mail that comes in this moment goes with the rest, or opens a new mailbox; it never goes half.
        """
        mail_root, (domain, person, _) = _way(self.root)
        remove(mail_root, domain, person)

    def _opened(self, folder: str, create: bool = False) -> AbstractContextManager[Folder]:
        mail_root, parts = _way(self.root)
        return opened(mail_root, parts + folder_parts(folder), create)

    def _had(self, place: Folder, name: str, folder: str) -> bool:
        """Tell whether *name* was delivered before; if so, it is on disk after this."""
        found = place.file_of(name) or (place.file_of_slowly(name) if place.has_keywords() else None)
        if found:
            # It may be there from a delivery that was killed before it came to this.
            os.fsync(found[0])
            return True
        if not folder and place.has_folder(TRASH):
            with suppress(NoSuchFolder), self._opened(TRASH) as trash:
                return trash.file_of(name) is not None
        return False

    @contextmanager
    def _found(self, name: str, folder: str) -> Iterator[Folder]:
        try:
            with self._opened(folder) as place:
                yield place
        except NoSuchFolder as error:
            raise self._no_such_message(name, folder) from error

    def _no_such_message(self, name: str, folder: str) -> NoSuchMessage:
        return NoSuchMessage(f"{self.root}: no message {name!a} in folder {folder!a}")


@lru_cache(1024)
def _way(maildir: Path) -> tuple[Path, tuple[str, ...]]:
    """The mail root, and the three directories that lead from there to *maildir*."""
    return maildir.parents[2], maildir.parts[-3:]


def _write(raw: bytes, name: str, directory: int) -> os.stat_result:
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, how, FILE_MODE, dir_fd=directory)
    try:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask is
        rest = memoryview(raw)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _link(temporary: str, tmp: int, file_name: str, target: int) -> bool:
    try:
        # A link, not a rename: it never replaces what another delivery has put there meanwhile.
        os.link(temporary, file_name, src_dir_fd=tmp, dst_dir_fd=target, follow_symlinks=False)
    except FileExistsError:
        return False
    return True


def _withdrawn(place: Folder, name: str, inode: int) -> bool:
    """Take our copy back if another delivery of the same mail was first and its copy has been opened already.

    Never takes back the last copy: what is in cur/ doesn't return to new/, and ours is only taken from there.
    """
    seen = place.seen_file_of(name)
    if seen is None:
        return False
    try:
        if os.stat(seen, dir_fd=place.cur, follow_symlinks=False).st_ino == inode:
            return False
        if os.stat(name, dir_fd=place.new, follow_symlinks=False).st_ino != inode:
            return False
        os.unlink(name, dir_fd=place.new)
    except FileNotFoundError:
        return False
    return True


def _merged(place: Folder, directory: int, name: str) -> bool:
    """Put a copy in new/ over one in cur/, where two deliveries of one mail left both: a rename never loses the last.

    It happens when the first is opened in the moment before the second looks for it (``_withdrawn``).
    """
    seen = place.seen_file_of(name) if directory == place.new else None
    if seen is None:
        return False
    with suppress(FileNotFoundError):
        _rename(name, place.new, seen, place.cur)
    return True


def _remove_leftovers(tmp: int, now: float) -> None:
    with os.scandir(tmp) as files:
        for file in files:
            with suppress(OSError):
                if now - file.stat(follow_symlinks=False).st_mtime > LEFTOVER_SECONDS:
                    os.unlink(file.name, dir_fd=tmp)


def _files(place: Folder, name: str) -> Iterator[tuple[int, str]]:
    """Yield the message's directory and file, anew each time: another program may rename it before we get to it."""
    if not is_name(name):
        return
    for _ in range(_TRIES):
        found = place.file_of(name) or place.file_of_slowly(name)
        if found is None:
            return
        yield found


def _read(file_name: str, directory: int, limit: int) -> bytes:
    # Not blocking: a pipe of that name must not hold us.
    how = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(file_name, how, dir_fd=directory), "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FileNotFoundError(file_name)
        return file.readall() if limit < 0 else file.read(limit)


def _rename(file_name: str, directory: int, new_name: str, target: int) -> None:
    os.rename(file_name, new_name, src_dir_fd=directory, dst_dir_fd=target)


def _flags(file_name: str, added: str = "", removed: str = "") -> str:
    parts = split(file_name)
    return "".join(sorted((set(parts[1] if parts else "") | set(added)) - set(removed)))
