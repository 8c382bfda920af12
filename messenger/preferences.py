"""What a person wants of the mail we send: a phrase in it, how often, in which language. A small file beside the mail.

The intake reads it, and so needs no accounts; the reader writes it. Absent or broken it means the defaults: a file
never keeps a notice back by being wrong. Knows no addresses and no mail.
"""

import json
import logging
import os
import re
import stat
from contextlib import suppress
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

# Both become parts of paths, where catalogues and time zones are looked up.
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:_[A-Za-z]{2,8})*")
_TIME_ZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")
_TIME_ZONE_CHARACTERS = 64


class PreferencesError(MessengerError):
    """The file can't be written just now."""

    temporary = True


@dataclass(frozen=True)
class Preferences:
    """What one person wants; an empty language or time zone is the site's."""

    #: Repeated in each notice: who forges one doesn't know it.
    phrase: str = ""
    notices: str = EACH
    language: str = ""
    time_zone: str = ""
    #: Part of the passwords of PDFs from now on; the account's.
    generation: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            if type(getattr(self, field.name)) is not field.type:
                raise ValueError(f"{field.name}: expected {'text' if field.type is str else 'a number'}")
        if not 0 <= self.generation < 2**32:
            raise ValueError(f"generation: expected 0 to {2**32 - 1}, found {self.generation}")
        object.__setattr__(self, "phrase", visible.line(self.phrase, PHRASE_CHARACTERS))
        if self.notices not in NOTICES:
            raise ValueError(f"notices: expected one of {', '.join(NOTICES)}, found {self.notices[:20]!a}")
        if self.language and not _LANGUAGE.fullmatch(self.language):
            raise ValueError(f"language: expected a code such as de or de_AT, found {self.language[:20]!a}")
        if self.time_zone and not _is_time_zone(self.time_zone):
            raise ValueError(f"time_zone: expected a name such as Europe/Berlin, found {self.time_zone[:40]!a}")


def read(folder: Path) -> Preferences:
    """Return what the person whose folder this is wants: ``mailbox_of(root, address).root.parent``."""
    path = f"{folder}/{FILE}"
    try:
        given = json.loads(_content(path))
        if not isinstance(given, dict):
            raise ValueError("expected an object")
        # What a later version has added is not for us.
        return Preferences(**{field.name: given[field.name] for field in fields(Preferences) if field.name in given})
    except FileNotFoundError:
        return Preferences()
    except OSError as error:
        log.warning("%s: can't read it: %s; the defaults hold", path, error.strerror)
    except (ValueError, TypeError, RecursionError) as error:
        reason = "not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        log.warning("%s: %s; the defaults hold", path, reason)
    return Preferences()


def write(folder: Path, preferences: Preferences) -> None:
    """Keep *preferences*, on disk when this returns. Nobody ever sees half of them. *folder* must be there."""
    temporary = folder / f".{FILE}.{token_hex(8)}"
    try:
        try:
            _write(temporary, json.dumps(asdict(preferences), ensure_ascii=False, indent=1).encode() + b"\n")
            temporary.rename(folder / FILE)
        finally:
            with suppress(OSError):
                temporary.unlink()
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise PreferencesError(
            f"{folder / FILE}: can't write it: {error.strerror}; the group must be able to"
        ) from error


def _content(path: str) -> bytes:
    # Not through a link, and never waiting: a pipe of that name must not hold us.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_OCTETS:
            raise ValueError(f"expected a file of at most {FILE_OCTETS} octets")
        return os.read(descriptor, FILE_OCTETS)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), FILE_MODE)  # whatever the umask is
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _is_time_zone(name: str) -> bool:
    if len(name) > _TIME_ZONE_CHARACTERS or not _TIME_ZONE.fullmatch(name):
        return False
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a name without a zone is a KeyError, the name of a folder an OSError
        return False
    return True
