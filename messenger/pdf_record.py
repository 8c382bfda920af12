"""What a person's PDFs are called and how their passwords come about: a small file for each, beside the mail.

The intake writes it when it orders a PDF; the reader looks it up to show the password, and notes when that was first
done. Nothing secret is in it. Knows no addresses, no keys and no mail.
"""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from secrets import token_hex

from .errors import MessengerError
from .group_folder import make_folder
from .pdf_password import GENERATIONS, PdfPasswordError, canonical_id

log = logging.getLogger(__name__)

#: Beside the Maildir; what it belongs to goes with the mailbox.
FOLDER = "pdfs"
#: The Maildir folder for mail that left as a PDF: to answer it, and for attachments too large to be sent.
MAIL_FOLDER = "PDF"
FILE_MODE = 0o660
#: A sender of TEXT_CHARACTERS, each as a pair of JSON's six characters, and the rest.
FILE_OCTETS = 16_384
LEFTOVER_SECONDS = 3600
#: No time in a record is as late (Unix seconds): the year 3000, which every page can still write.
TIMES = 32_503_680_000
#: What ``message.sender`` says is no longer.
TEXT_CHARACTERS = 1000

#: What a mailbox takes for the name of a mail.
_NAME = re.compile(r"(?!\.)[!-.0-9;-~]{1,200}")


class RecordError(MessengerError):
    """The file can't be written just now."""

    temporary = True


@dataclass(frozen=True)
class Record:
    """One PDF."""

    pdf_id: str
    #: The mail's name in the Maildir folder PDF.
    name: str
    generation: int
    #: When the mail came, Unix seconds.
    created: int
    #: The address it is from.
    sender: str
    #: When and from which network address the password was first shown; 0 and "" until then.
    shown: int = 0
    shown_from: str = ""


def keep(folder: Path, record: Record) -> bool:
    """Write a new *record* for the person whose *folder* this is; False if there is one of that id.

    Either way it is on disk when this returns. Raises RecordError.
    """
    # One that can't be used is none: with it nobody would be shown the password.
    if find(folder, record.pdf_id) is not None:
        # Who wrote it may have been stopped before its name was on disk.
        with _errors(folder):
            _sync(folder)
        return False
    _write(folder, record)
    return True


def find(folder: Path, pdf_id: str) -> Record | None:
    """Return the record of *pdf_id*, as ``pdf_password.canonical_id`` spells it; None if this person has none."""
    return _read(_path(folder, pdf_id))


def every(folder: Path) -> list[Record]:
    """Return all of a person's records, the newest first."""
    try:
        names = os.listdir(folder / FOLDER)  # noqa: PTH208 -- of thousands, names are enough
    except OSError:
        return []
    found = [_read(f"{folder}/{FOLDER}/{name}") for name in names if name.endswith(".json")]
    return sorted((one for one in found if one), key=lambda one: (one.created, one.pdf_id), reverse=True)


def note_shown(folder: Path, record: Record, now: int, client: str) -> bool:
    """Note when the password was first shown, and from where; False if that is noted already."""
    if record.shown:
        return False
    _write(folder, replace(record, shown=now, shown_from=client))
    return True


def forget(folder: Path, record: Record) -> None:
    """Remove *record*; its PDF opens with its password as before, which nobody is shown any more."""
    with suppress(FileNotFoundError):
        Path(_path(folder, record.pdf_id)).unlink()


def remove_leftovers(folder: Path, now: int) -> None:
    """Remove what a crash left half written more than an hour before *now* (Unix seconds)."""
    with suppress(OSError), os.scandir(folder / FOLDER) as entries:
        for entry in entries:
            with suppress(OSError):  # such as a folder that somebody made there
                if entry.name.startswith(".") and now - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_SECONDS:
                    Path(entry.path).unlink()


def _path(folder: Path, pdf_id: str) -> str:
    return f"{folder}/{FOLDER}/{pdf_id}.json"  # for each mail; a Path would cost more than opening it


def _read(path: str) -> Record | None:
    try:
        # Not through a link, and never waiting: a pipe of that name must not hold us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            given = json.loads(os.read(descriptor, FILE_OCTETS))
        finally:
            os.close(descriptor)
        record = Record(**{field.name: given[field.name] for field in fields(Record) if field.name in given})
        if any(type(getattr(record, field.name)) is not field.type for field in fields(Record)):
            raise ValueError("a field is of another kind")
        if f"{record.pdf_id}.json" != path.rpartition("/")[2] or canonical_id(record.pdf_id) != record.pdf_id:
            raise ValueError("it names another PDF")
        _check(record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError, PdfPasswordError) as error:
        log.warning("%a: not used: %.200a", path, str(error))
        return None
    return record


def _check(record: Record) -> None:
    """Raise ValueError for what would stop a page: whoever writes here may have written anything."""
    if not 0 <= record.generation < GENERATIONS:
        raise ValueError("the generation is out of bounds")
    if not (0 <= record.created < TIMES and 0 <= record.shown < TIMES):
        raise ValueError("a time is out of bounds")
    if not _NAME.fullmatch(record.name):
        raise ValueError("the mail has a name that none has")
    for text in (record.sender, record.shown_from):
        if len(text) > TEXT_CHARACTERS:
            raise ValueError("a text is too long")
        text.encode()  # a lone surrogate is a ValueError


def _write(folder: Path, record: Record) -> None:
    path = _path(folder, record.pdf_id)
    temporary = f"{folder}/{FOLDER}/.{record.pdf_id}.{token_hex(8)}"
    with _errors(path):
        try:
            descriptor = _new(temporary)
        except FileNotFoundError:
            make_folder(folder / FOLDER)
            descriptor = _new(temporary)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, FILE_MODE)  # whatever the umask is
                file.write(json.dumps(vars(record)).encode("ascii"))
                file.flush()
                os.fsync(descriptor)
            os.rename(temporary, path)  # noqa: PTH104 -- as above
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        _sync(folder)


def _new(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


def _sync(folder: Path) -> None:
    directory = os.open(f"{folder}/{FOLDER}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@contextmanager
def _errors(path: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(f"{path}: can't write it: {error.strerror}; the group must be able to") from error
