"""What a person wants of the mail we send: a phrase in it, how often, in which language. A small file beside the mail.

The intake reads it, and so needs no accounts; the reader writes it. What is absent or broken in it means the default: a
file never keeps a notice back by being wrong. Who writes holds a lock on the person's folder from reading to writing,
so that nobody's change is lost. Knows no addresses and no mail.
"""

import errno
import fcntl
import json
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from secrets import token_hex
from zoneinfo import ZoneInfo

from . import visible
from .errors import MessengerError

log = logging.getLogger(__name__)

FILE = "preferences.json"
#: Intake and reader are different users of one group, which a folder of the mail root hands on.
FILE_MODE = 0o640
#: No file of ours comes near this; what is larger isn't ours.
FILE_OCTETS = 8192
PHRASE_CHARACTERS = 60
EACH, HOURLY, OFF = "each", "hourly", "off"
NOTICES = (EACH, HOURLY, OFF)
#: The least that a generation is below: pdf_password writes it in four bytes.
GENERATIONS = 2**32
#: Another change takes milliseconds; who holds the lock for longer has been stopped in the middle.
LOCK_SECONDS = 5.0

# Both become parts of paths, where catalogues and time zones are looked up.
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:_[A-Za-z]{2,8}){0,3}")
_TIME_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_TIME_ZONE_CHARACTERS = 64
_LOCK_WAIT_SECONDS = 0.01
# What a file system says that knows no such lock, as some of other machines.
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EBADF, errno.ENOSYS)


class PreferencesError(MessengerError):
    """The file can't be written just now, or not be read by who must keep what is in it."""

    temporary = True


@dataclass(frozen=True)
class Preferences:
    """What one person wants; an empty language or time zone is the site's."""

    #: Repeated in each notice: who forges one doesn't know it.
    phrase: str = ""
    notices: str = EACH
    language: str = ""
    time_zone: str = ""
    #: Part of the passwords of PDFs from now on; each PDF's record keeps its own.
    generation: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if type(getattr(self, field.name)) is not field.type:
                raise ValueError(f"{field.name}: expected {'text' if field.type is str else 'a number'}")
        if not 0 <= self.generation < GENERATIONS:
            raise ValueError(f"generation: expected 0 to {GENERATIONS - 1}, found {self.generation}")
        object.__setattr__(self, "phrase", visible.line(self.phrase, PHRASE_CHARACTERS))
        if self.notices not in NOTICES:
            raise ValueError(f"notices: expected one of {', '.join(NOTICES)}, found {self.notices[:20]!a}")
        if self.language and not _LANGUAGE.fullmatch(self.language):
            raise ValueError(f"language: expected a code such as de or de_AT, found {self.language[:20]!a}")
        if self.time_zone and not _is_time_zone(self.time_zone):
            raise ValueError(f"time_zone: expected a name such as Europe/Berlin, found {self.time_zone[:40]!a}")


def read(folder: Path) -> Preferences:
    """Return what the person whose folder this is wants: ``mailbox_of(root, address).root.parent``."""
    path = folder / FILE
    try:
        return _meaning(_content(path), path)
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("%s: can't read it: %s; the defaults hold", path, error.strerror)
    return Preferences()


def change(folder: Path, how: Callable[[Preferences], Preferences]) -> Preferences:
    """Keep what *how* makes of the preferences, and return it; on disk then. Nobody else changes them meanwhile.

    Nobody ever sees half of them. *folder* must be there. Raises PreferencesError, and whatever *how* raises.
    """
    path = folder / FILE
    with _errors(path), _locked(folder) as directory:
        try:
            # A file that is there and can't be read is no reason to forget what is in it.
            before = _meaning(_content(FILE, directory), path)
        except FileNotFoundError:
            before = Preferences()
        after = how(before)
        _write(directory, json.dumps(asdict(after), ensure_ascii=False, indent=1).encode() + b"\n")
    return after


def write(folder: Path, preferences: Preferences) -> None:
    """Keep *preferences* in place of all that was there; ``change`` is for who wants some of it to stay."""
    change(folder, lambda _: preferences)


def _meaning(content: bytes | None, path: Path) -> Preferences:
    """Return what a file says: the default for each field of it that can't be meant, and that is logged."""
    try:
        if content is None:
            raise ValueError(f"expected a file of at most {FILE_OCTETS} octets")
        given = json.loads(content)
        if not isinstance(given, dict):
            raise ValueError("expected an object")
    except (ValueError, RecursionError) as error:
        reason = "not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        log.warning("%s: %s; the defaults hold", path, reason)
        return Preferences()
    kept = {}
    # What a later version has added is not for us.
    for name in [field.name for field in fields(Preferences) if field.name in given]:
        try:
            kept[name] = getattr(Preferences(**{name: given[name]}), name)
        except ValueError as error:
            log.warning("%s: %s; its default holds", path, error)
    return Preferences(**kept)


def _content(path: str | Path, directory: int | None = None) -> bytes | None:
    """Return what is in *path*; None if that is no file of ours."""
    # Not through a link, and never waiting: a pipe of that name must not hold us.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_OCTETS:
            return None
        return os.read(descriptor, FILE_OCTETS)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold every other change off; yields the open folder. The lock dies with its holder."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    end = time.monotonic() + LOCK_SECONDS
    try:
        while not _lock(directory):
            if time.monotonic() >= end:
                raise PreferencesError(f"{folder}: locked for {LOCK_SECONDS:g} s by somebody else's change; try again")
            time.sleep(_LOCK_WAIT_SECONDS)
        yield directory
    finally:
        os.close(directory)


def _lock(directory: int) -> bool:
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        # Without locks of two changes at once one may be lost; without changes people could settle nothing.
        if error.errno not in _NO_LOCKS:
            raise
    return True


def _write(directory: int, content: bytes) -> None:
    temporary = f".{FILE}.{token_hex(8)}"
    # By the open folder, not by its name: what is removed meanwhile, with all in it, isn't made anew.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, FILE_MODE, dir_fd=directory), "wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask is
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, FILE, src_dir_fd=directory, dst_dir_fd=directory)
    finally:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
    os.fsync(directory)


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PreferencesError(f"{path}: can't write it: {error.strerror}; the group must be able to") from error


def _is_time_zone(name: str) -> bool:
    if len(name) > _TIME_ZONE_CHARACTERS or not _TIME_ZONE.fullmatch(name):
        return False
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a name without a zone is a KeyError, the name of a folder an OSError
        return False
    return True
