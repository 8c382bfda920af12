"""Which receipts are owed and which have left, in files, so that a crash loses none.

    <mail root>/.receipts/<key>                 what is to be sent, by whichever reader comes to it first; a folder
                                                that no mail domain can have the name of
    <mail root>/<domain>/<person>/receipts/     what was owed and what became of it: one file for each mail for which
                                                somebody asked, so that nobody is told twice. It goes with the mailbox

A receipt is put to be sent first and claimed then, each a file that appears whole or not at all, so of two pages at
once one claims it, and a crash in between leaves it to the senders. What has left is written down before the file
here goes: a crash between the mail system and that sends the same receipt again, with the same Message-ID. Lost would
be worse: the sender would take the mail for unread. Knows paths and times; no mail, and no way to send.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from messenger.errors import MessengerError
from messenger.mailbox import mailbox_of

log = logging.getLogger(__name__)

DUE, KEPT = ".receipts", "receipts"
FOLDER_MODE, FILE_MODE = 0o2770, 0o660
FILE_OCTETS = 8192
#: What is not claimed yet may be in the hands of the page that is at it; later it is what a crash left.
CLAIMING_SECONDS = 60
_LEFTOVER_SECONDS = 3600
_READ = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ReceiptSpoolError(MessengerError):
    """What is owed can't be read or written down just now."""

    temporary = True


@dataclass(frozen=True)
class Owed:
    """One receipt. All times are Unix seconds."""

    #: Whose mail it was, and its name there.
    address: str
    name: str
    #: One of ``receipt.KINDS``.
    kind: str
    #: Who is told, and of which Message-ID; that may be empty.
    to: str
    about: str
    #: When it happened.
    happened: int
    #: When the receipt left, or was given up; 0 until then.
    sent: int = 0
    given_up: int = 0

    @property
    def key(self) -> str:
        """The same for the same mail of the same person, whatever happened: there is one receipt for it."""
        return sha256(f"{self.address}\n{self.name}".encode("utf-8", "surrogateescape")).hexdigest()[:40]

    @property
    def settled(self) -> bool:
        return bool(self.sent or self.given_up)


class ReceiptSpool:
    """Below *mail_root*, where all readers of all machines see it."""

    def __init__(self, mail_root: Path) -> None:
        self._mail_root = mail_root
        self._due = mail_root / DUE

    def find(self, address: str, name: str) -> Owed | None:
        """Return what is known of a receipt for that mail."""
        return _read(self._kept(address, name))

    def put(self, owed: Owed) -> bool:
        """Keep *owed*, to be sent; on disk when this returns. False: it was owed before."""
        with _errors(self._due):
            kept = self._kept(owed.address, owed.name)
            if kept.exists():
                return False
            _write(self._due / owed.key, owed)
            return _write(kept, owed)

    def due(self, now: int) -> list[str]:
        """Return the keys of what may be sent now, the longest due first. Some of it may be in work elsewhere."""
        found = []
        with _errors(self._due), suppress(FileNotFoundError), os.scandir(self._due) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    after = entry.stat(follow_symlinks=False).st_mtime
                    if not entry.name.startswith("."):
                        found.append((after, entry.name))
                    elif now - after > _LEFTOVER_SECONDS:
                        Path(entry.path).unlink()
        return [key for after, key in sorted(found) if after <= now]

    @contextmanager
    def claim(self, key: str, now: int) -> Iterator[Owed | None]:
        """Hold one for this sender alone; None where there is nothing to send any more, or somebody else is at it."""
        with _errors(self._due):
            path = self._due / key
            try:
                descriptor = os.open(path, os.O_RDWR | _READ)
            except FileNotFoundError:
                yield None
                return
            try:
                yield self._held(path, now) if _locked(descriptor) and _is_still(path, descriptor) else None
            finally:
                os.close(descriptor)

    def settle(self, owed: Owed) -> None:
        """Write down what became of it, then forget that it was due."""
        with _errors(self._due):
            _write(self._kept(owed.address, owed.name), owed, replace=True)
            (self._due / owed.key).unlink(missing_ok=True)

    def later(self, key: str, after: int) -> None:
        """Leave it for another try, not before *after*."""
        with _errors(self._due), suppress(FileNotFoundError):
            os.utime(self._due / key, (after, after), follow_symlinks=False)

    def _held(self, path: Path, now: int) -> Owed | None:
        owed = _read(path)
        known = self.find(owed.address, owed.name) if owed else None
        if owed and not known and now - owed.happened <= CLAIMING_SECONDS:
            return None
        if owed and not known and self._kept(owed.address, owed.name).parents[1].is_dir():
            _write(self._kept(owed.address, owed.name), owed)
            known = owed
        if not known or known.settled:  # the mailbox is gone, or a sender was stopped before it came to this
            path.unlink(missing_ok=True)
            return None
        return known

    def _kept(self, address: str, name: str) -> Path:
        return mailbox_of(self._mail_root, address).root.parent / KEPT / f"{name}.json"


def _write(path: Path, owed: Owed, replace: bool = False) -> bool:
    """Make the file, on disk when this returns; False if there is one, and it isn't to be replaced."""
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        folder.chmod(FOLDER_MODE)
    temporary = folder / f".{token_hex(8)}"
    try:
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, how, FILE_MODE), "wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask is: readers may be of several users
            file.write(json.dumps(asdict(owed)).encode("ascii"))
            file.flush()
            os.utime(file.fileno(), (owed.happened, owed.happened))
            os.fsync(file.fileno())
        if replace:
            temporary.rename(path)
        else:
            os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _read(path: Path) -> Owed | None:
    try:
        # Not through a link, and never waiting: a pipe of that name must not hold us.
        descriptor = os.open(path, os.O_RDONLY | _READ)
        try:
            given = json.loads(os.read(descriptor, FILE_OCTETS))
        finally:
            os.close(descriptor)
        owed = Owed(**{field.name: given[field.name] for field in fields(Owed) if field.name in given})
        if any(type(getattr(owed, field.name)) is not (int if field.type == "int" else str) for field in fields(owed)):
            raise ValueError("a field is of another kind")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        log.warning("%s: not used: %s", path, error)
        return None
    return owed


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the file we hold is the one that lies there: the sender before us may just have finished it."""
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReceiptSpoolError(
            f"{error.filename or folder}: {error.strerror}; readers must be able to write to the mail root"
        ) from error
