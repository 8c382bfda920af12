"""How full a mailbox is: the file ``maildirsize`` of Maildir++, which other mail programs read and write too.

Its first line is the quota ("2000000000S"), each further one what somebody added or took away ("14201 1", "-14201 -1").
Part of mailbox.py: nobody else reads this. Knows descriptors of a Maildir, no addresses, no settings and no clock.

Ours take turns by a lock on the Maildir's directory: who changes mail shares it, who counts anew has it alone. So the
sum is exact among us; another program that doesn't know the lock makes it wrong until the next count.
https://www.courier-mta.org/imap/README.maildirquota.html is the specification.
"""

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from secrets import token_hex

from .maildir import FILE_MODE

log = logging.getLogger(__name__)

FILE = "maildirsize"
#: What lies in the trash is not counted, by the specification: throwing mail away makes room at once.
NOT_COUNTED = "Trash"
#: A file as large as this is made anew by counting, so that no error lasts.
FILE_OCTETS = 5120
#: A sum that says "full" is not believed when it is older than this, or made of several lines.
STALE_SECONDS = 15 * 60
#: Where nobody reads the file (no quota is set any more) it is removed before it grows without end.
UNREAD_OCTETS = 16 * FILE_OCTETS
#: Another program may change mail while we count; then we count again, so often.
_TRIES = 3

_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Never waiting: a pipe of that name must not hold us.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_HEADER = re.compile(rb"([0-9]{1,18})S")
#: A size in a file's name counts as the message's, as other programs take it: the file may be compressed.
_SIZE_IN_NAME = re.compile(r",S=([0-9]{1,18})(?=[:,]|$)")


@dataclass(frozen=True)
class Usage:
    """What a mailbox holds, without its trash."""

    octets: int
    messages: int
    #: The quota, in octets; 0 is none.
    limit: int

    def has_room(self, octets: int) -> bool:
        """Tell whether a message of so many octets still fits."""
        return not self.limit or self.octets + octets <= self.limit

    @property
    def percent(self) -> int:
        """How much of the quota is used, rounded down; 0 where there is none."""
        return self.octets * 100 // self.limit if self.limit else 0


class Tally:
    """What one change adds or takes away."""

    def __init__(self) -> None:
        self.octets = 0
        self.messages = 0

    def of(self, folder: str) -> "Side":
        """Return what counts messages of *folder*."""
        return Side(self, counts=folder != NOT_COUNTED)


@dataclass(frozen=True)
class Side:
    """One folder's part of a change."""

    tally: Tally
    counts: bool

    def add(self, octets: int) -> None:
        """A message of so many octets has come."""
        self._count(octets, 1)

    def take(self, octets: int) -> None:
        """A message of so many octets has gone."""
        self._count(-octets, -1)

    def _count(self, octets: int, messages: int) -> None:
        if self.counts:
            self.tally.octets += octets
            self.tally.messages += messages


@contextmanager
def change(base: int, folder: str) -> Iterator[Tally]:
    """Hold whoever counts off while files of *folder* change; then write down what the tally says.

    *base* is the open directory of that folder. Inside there should be no more than the change itself. Bookkeeping
    that fails is logged and never keeps mail from being delivered or removed.
    """
    with _maildir(base, folder) as root:
        locked = _lock(root, fcntl.LOCK_SH)
        tally = Tally()
        try:
            yield tally
        finally:
            if tally.octets or tally.messages:
                _append(root, tally)
            if locked:
                fcntl.flock(root, fcntl.LOCK_UN)


def size_of(file_name: str, directory: int) -> int:
    """Return the octets that the message *file_name* counts for."""
    if ",S=" in file_name and (found := _SIZE_IN_NAME.search(file_name)):
        return int(found[1])
    return os.stat(file_name, dir_fd=directory, follow_symlinks=False).st_size


def usage(root: int, tmp: int, limit: int, now: float) -> Usage:
    """Return what is in the Maildir whose open directory is *root*, counting anew only if the file can't be believed.

    *tmp* is its open tmp/. *limit* goes into the first line, where other programs find the quota. *now* is in Unix
    seconds.
    """
    if known := _known(root, limit, now):
        return known
    locked = _lock(root, fcntl.LOCK_EX)
    try:
        # Another one may have counted while we waited.
        return _known(root, limit, now) or _counted(root, tmp, limit)
    finally:
        if locked:
            fcntl.flock(root, fcntl.LOCK_UN)


@contextmanager
def _maildir(base: int, folder: str) -> Iterator[int]:
    """The directory of the Maildir that *folder*, open as *base*, belongs to."""
    if not folder:
        yield base
        return
    root = os.open("..", _READ, dir_fd=base)
    try:
        yield root
    finally:
        os.close(root)


def _lock(root: int, how: int) -> bool:
    try:
        fcntl.flock(root, how)
        return True
    except OSError:  # a file system without such locks: an error in the sum lasts until the next count
        return False


def _append(root: int, tally: Tally) -> None:
    try:
        file = os.open(FILE, os.O_WRONLY | os.O_APPEND | _FILE, dir_fd=root)
    except FileNotFoundError:
        return  # nobody has asked yet
    except OSError as error:
        _distrust(root, error)
        return
    try:
        line = b"%d %d\n" % (tally.octets, tally.messages)
        # One write: lines of several writers never mix.
        if os.write(file, line) != len(line):
            raise OSError("only part of a line was written")
        if os.fstat(file).st_size > UNREAD_OCTETS:
            os.unlink(FILE, dir_fd=root)
    except OSError as error:
        _distrust(root, error)
    finally:
        os.close(file)


def _distrust(root: int, error: OSError) -> None:
    """A line is missing, so the sum is wrong: without the file the next reader counts."""
    log.warning("%s: %s; it will be counted anew", FILE, error.strerror or error)
    with suppress(OSError):
        os.unlink(FILE, dir_fd=root)


def _known(root: int, limit: int, now: float) -> Usage | None:
    """What the file says, or None if it isn't there, is of another quota, or can't be believed."""
    try:
        file = os.open(FILE, os.O_RDONLY | _FILE, dir_fd=root)
    except OSError:
        return None
    try:
        content = os.read(file, FILE_OCTETS)
        written = os.fstat(file).st_mtime
    except OSError:
        return None
    finally:
        os.close(file)
    if len(content) >= FILE_OCTETS or not content.endswith(b"\n"):
        return None
    header, _, rest = content.partition(b"\n")
    stated, lines = _HEADER.fullmatch(header.strip()), rest.count(b"\n")
    if stated is None or int(stated[1]) != limit or not lines:
        return None
    try:
        # All at once: each delivery reads this, and there may be hundreds of lines.
        numbers = [*map(int, rest.split())]
    except ValueError:
        return None
    octets, messages = sum(numbers[::2]), sum(numbers[1::2])
    if len(numbers) != 2 * lines:
        return None
    if octets < 0 or messages < 0:
        return None
    found = Usage(octets, messages, limit)
    fresh = lines == 1 and abs(now - written) <= STALE_SECONDS
    return found if found.has_room(0) or fresh else None


def _counted(root: int, tmp: int, limit: int) -> Usage:
    """Count all messages, and write the file; whoever can't write it counts each time."""
    for _ in range(_TRIES):
        before = _stamps(root)
        octets, messages = _sum(root)
        if _stamps(root) == before:
            break
    name = f"{FILE}.{token_hex(8)}"
    try:
        try:
            file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, FILE_MODE, dir_fd=tmp)
            try:
                os.fchmod(file, FILE_MODE)  # whatever the umask is
                os.write(file, b"%dS\n%d %d\n" % (limit, octets, messages))
            finally:
                os.close(file)
            os.rename(name, FILE, src_dir_fd=tmp, dst_dir_fd=root)
        except OSError:
            with suppress(OSError):
                os.unlink(name, dir_fd=tmp)
            raise
    except OSError as error:
        log.warning("%s: can't write it: %s", FILE, error.strerror)
    return Usage(octets, messages, limit)


def _sum(root: int) -> tuple[int, int]:
    octets = messages = 0
    for directory in _directories(root):
        with os.scandir(directory) as files:
            for file in files:
                with suppress(FileNotFoundError):
                    if file.is_file(follow_symlinks=False):
                        found = _SIZE_IN_NAME.search(file.name) if ",S=" in file.name else None
                        octets += int(found[1]) if found else file.stat(follow_symlinks=False).st_size
                        messages += 1
    return octets, messages


def _stamps(root: int) -> list[int]:
    """When each directory with messages last changed."""
    return [os.fstat(directory).st_mtime_ns for directory in _directories(root)]


def _directories(root: int) -> Iterator[int]:
    """Yield new/ and cur/ of each folder that counts, open until the next one is asked for.

    What another program has made and shut to us is not counted: that must keep no mail back.
    """
    with os.scandir(root) as entries:
        folders = sorted(
            entry.name
            for entry in entries
            if entry.name[0] == "." and entry.name != f".{NOT_COUNTED}" and entry.is_dir(follow_symlinks=False)
        )
    for folder in (".", *folders):
        for base in _opened(folder, root):
            for name in ("new", "cur"):
                yield from _opened(name, base)


def _opened(name: str, above: int) -> Iterator[int]:
    """Yield the directory *name*, open until the next one is asked for; nothing if there is none for us."""
    try:
        directory = os.open(name, _READ, dir_fd=above)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError as error:
        log.warning("%s: not counted: %s", name, error.strerror)
        return
    try:
        yield directory
    finally:
        os.close(directory)
