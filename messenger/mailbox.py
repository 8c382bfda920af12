"""Mailboxes: Maildir++ below the mail root, the one place where mail is kept. No other module opens a message file.

Bytes in, bytes out: what is in a mail is not looked at. A mail appears whole or not at all, is on disk when
``deliver`` returns, and is there once however often it is delivered. docs/mailbox.md has the details and the costs.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from secrets import token_hex

from . import mailbox_backup, mailbox_delivery, mailbox_moving, mailbox_removal, mailbox_upkeep, quota
from .errors import MessengerError
from .mailbox_listing import Changes, Entry, changes, entries
from .mailbox_moving import files, merged, rename
from .mailbox_moving import flags as flags_with
from .mailbox_paths import address_of, path_of
from .mailbox_removal import remove
from .maildir import (
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
)
from .quota import Usage

__all__ = [
    "Changes",
    "Entry",
    "Mailbox",
    "MailboxError",
    "NoSuchMessage",
    "Usage",
    "address_of",
    "backup",
    "finish_removals",
    "mailbox_of",
    "mailboxes",
    "path_of",
]

#: Take the whole mail root into a backup, and put it back.
backup = mailbox_backup

#: Where mail goes that its owner doesn't want to see any more. What lies there is not delivered again.
TRASH = "Trash"

#: The first delivery of an hour looks for such; the directory itself says when the last one was.
_HOUR = 3600


class NoSuchMessage(MessengerError):
    """There is no message of that name in that folder."""


def mailbox_of(mail_root: Path, address: str) -> "Mailbox":
    """Return the mailbox of *address*, whether it exists yet or not."""
    return Mailbox(path_of(mail_root, address))


def mailboxes(mail_root: Path) -> Iterator[str]:
    """Yield the addresses of all mailboxes there are. MailboxError if the mail root can't be read."""
    try:
        yield from mailbox_upkeep.mailboxes(mail_root)
    except OSError as error:
        raise MailboxError(
            f"{mail_root}: can't read it: {error.strerror}; mount it, or run as a user who may"
        ) from error


def finish_removals(mail_root: Path) -> int:
    """End the removals of whole mailboxes that a crash has cut short; return in how many domains there were some."""
    domains = list(mailbox_upkeep.unfinished(mail_root))
    for domain in domains:
        mailbox_removal.finish(mail_root, domain)
    return len(domains)


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

    def usage(self, limit: int, now: float) -> Usage:
        """Return what is kept here, without the trash, of the quota *limit* in octets (0: none); *now* in Unix seconds.

        It reads one small file, which other Maildir++ programs read too; after changes by another program, or some
        hundred of ours, it counts all messages.
        """
        try:
            with self._opened("") as place:
                return quota.usage(place.base, place.tmp, limit, now)
        except NoSuchFolder:
            return Usage(0, 0, limit)

    def has(self, name: str, folder: str = "") -> bool:
        """Tell whether ``deliver`` would find the message there already."""
        with suppress(NoSuchFolder), self._opened(folder) as place:
            return self._had(place, name, folder)
        return False

    def ensure(self) -> None:
        """Make the empty mailbox, unless it is there: what else belongs to the person lies beside it."""
        with self._opened("", create=True):
            pass

    def deliver(self, raw: bytes, name: str, folder: str = "", flags: str = "", received: int | None = None) -> bool:
        """Keep *raw* under *name*, on disk when this returns. False: it was there already, whatever its flags are now.

        Mail with *flags* counts as seen by a mail client (it goes to cur/), mail without is new. It came now, or at
        *received* (Unix seconds).
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
                written = mailbox_delivery.write(raw, temporary, place.tmp, received)
                with quota.change(place.base, folder) as tally:
                    linked = mailbox_delivery.link(temporary, place.tmp, name + info, target)
                    if linked:
                        tally.of(folder).add(len(raw))
                os.fsync(target)
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=place.tmp)
            if written.st_mtime // _HOUR != last_delivery // _HOUR:
                mailbox_delivery.remove_leftovers(place.tmp, written.st_mtime)
            if info or os.fstat(place.cur).st_mtime_ns == looked < written.st_mtime_ns - TICK_NANOSECONDS:
                return linked  # ours isn't in new/, or nothing has come to cur/ since we looked there
            with quota.change(place.base, folder) as tally:
                withdrawn = linked and mailbox_delivery.withdrawn(place, name, written.st_ino)
                if withdrawn:
                    tally.of(folder).take(len(raw))
            return linked and not withdrawn

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
            for directory, file_name in files(place, name):
                with suppress(FileNotFoundError):
                    return _read(file_name, directory, limit)
        raise self._no_such_message(name, folder)

    def flag(self, name: str, add: str = "", remove: str = "", folder: str = "") -> str:
        """Add and remove flags, and return those it has now. The message counts as seen by a mail client after this."""
        added, removed = checked_flags(add), checked_flags(remove)
        with self._found(name, folder) as place, quota.change(place.base, folder) as tally:
            for directory, file_name in files(place, name):
                if merged(place, directory, name, tally.of(folder)):
                    continue
                flags = flags_with(file_name, added, removed)
                with suppress(FileNotFoundError):
                    # Not synced: after a power cut a mail may be unread again, and no more is lost than that.
                    rename(file_name, directory, name + INFO + flags, place.cur)
                    return flags
        raise self._no_such_message(name, folder)

    def find(self, name: str, folders: Iterable[str]) -> str | None:
        """Return the first of *folders* that holds the message *name*, or None."""
        looked_in = list(folders) if is_name(name) else []
        for thorough in (False, True):  # a listing of each only if no folder has it by its usual name
            for folder in looked_in:
                with suppress(NoSuchFolder), self._opened(folder) as place:
                    if next(files(place, name, thorough), None):
                        return folder
        return None

    def move(self, name: str, folder: str, to: str) -> None:
        """Move a message from *folder* to another, which is made if need be. It keeps its flags and its date."""
        if name not in self.move_all([name], folder, to):
            raise self._no_such_message(name, folder)

    def move_all(self, names: Iterable[str], folder: str, to: str) -> dict[str, str]:
        """Move messages as ``move`` does; return those that were there, each with its flags."""
        try:
            with (
                self._opened(folder) as place,
                self._opened(to, create=True) as target,
                quota.change(place.base, folder) as tally,
            ):
                return mailbox_moving.moved(place, target, names, tally.of(folder), tally.of(to))
        except NoSuchFolder:
            return {}

    def remove(self, name: str, folder: str) -> None:
        """Remove a message for good. It stays gone after a power cut."""
        if not self.remove_all([name], folder):
            raise self._no_such_message(name, folder)

    def remove_all(self, names: Iterable[str], folder: str) -> set[str]:
        """Remove messages as ``remove`` does; return those that were there."""
        with suppress(NoSuchFolder), self._opened(folder) as place, quota.change(place.base, folder) as tally:
            return mailbox_moving.removed(place, names, tally.of(folder))
        return set()

    def empty(self, folder: str) -> int:
        """Remove every message of *folder* for good; return how many there were."""
        with suppress(NoSuchFolder), self._opened(folder) as place, quota.change(place.base, folder) as tally:
            return mailbox_moving.emptied(place, tally.of(folder))
        return 0

    def older(self, folder: str, before: float, *, by_move: bool = False) -> Sequence[str]:
        """Return the messages of *folder* that were delivered before *before* (Unix seconds). One stat for each.

        With *by_move*, those that were put into that folder before it.
        """
        with suppress(NoSuchFolder), self._opened(folder) as place:
            return mailbox_upkeep.older(place, before, by_move=by_move)
        return []

    def is_abandoned(self, before: float) -> bool:
        """Tell whether ``remove_if_empty`` would remove it."""
        mail_root, (domain, person, _) = _way(self.root)
        return mailbox_upkeep.is_abandoned(mail_root, domain, person, before)

    def remove_if_empty(self, before: float, now: float) -> bool:
        """Remove the mailbox, and what lies beside it, if it holds no message and was left alone since *before*.

        Returns whether it is gone. Unlike ``delete`` it never takes a message along that comes in this moment.
        """
        mail_root, (domain, person, _) = _way(self.root)
        return mailbox_upkeep.remove_empty(mail_root, domain, person, before, now)

    def move_to(self, other: "Mailbox", leave: frozenset[str]) -> None:
        """Make all of this mail that of *other*, which must have no mailbox; what lies beside it goes along.

        But for what *leave* names. Run again it ends what a crash has cut short. Raises MailboxError.
        """
        mail_root, (domain, person, _) = _way(self.root)
        _, (to_domain, to_person, _) = _way(other.root)
        mailbox_removal.move(mail_root, (domain, person), (to_domain, to_person), leave)

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


def _read(file_name: str, directory: int, limit: int) -> bytes:
    # Not blocking: a pipe of that name must not hold us.
    how = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(file_name, how, dir_fd=directory), "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise FileNotFoundError(file_name)
        return file.readall() if limit < 0 else file.read(limit)
