"""All of somebody's mail as one zip file, made while it is sent: one mail at a time is in memory.

Knows no web. What vanishes or can't be read meanwhile is left out and named in a text file at the end.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from io import RawIOBase
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from messenger.errors import MessengerError
from messenger.link import reference
from messenger.mailbox import Entry, Mailbox

log = logging.getLogger(__name__)

#: The least work that still shrinks what is in base64, which most of mail is.
LEVEL = 1
#: Windows takes none of these in names; what can't be seen is nowhere good.
NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]')
#: What a zip file can say of the time.
ZIP_YEARS = range(1980, 2108)
FILE_MODE = 0o600


@dataclass(frozen=True)
class Words:
    """What the archive says in the language of the person."""

    inbox: str
    #: The name of the list of what is missing, and its first line.
    missing: str
    missing_intro: str


def archive(mailbox: Mailbox, zone: tzinfo, words: Words, now: float) -> Iterator[bytes]:
    """Yield the zip file piece by piece: a folder for each folder, in it each mail as it came."""
    outbox = _Outbox()
    missing: list[str] = []
    with ZipFile(outbox, "w", ZIP_DEFLATED, compresslevel=LEVEL) as file:
        for folder in mailbox.folders():
            name = _folder_name(folder, words.inbox)
            for entry in sorted(mailbox.list(folder), key=lambda entry: (entry.received, entry.name)):
                path = _free(file, f"{name}/{_stem(entry, zone)}", ".eml")
                try:
                    raw = mailbox.read(entry.name, folder)
                except MessengerError as error:
                    log.warning("%s: not in the export: %s", entry.name, type(error).__name__)
                    missing.append(path)
                    continue
                file.writestr(_info(path, entry.received, zone), raw)
                yield from outbox.taken()
        if missing:
            text = "\r\n".join([words.missing_intro, "", *missing, ""])
            file.writestr(_info(_free(file, words.missing, ".txt"), now, zone), text.encode())
    yield from outbox.taken()


class _Outbox(RawIOBase):
    """What was written and not yet sent. It can't be wound back, so the archive is made to be read as it comes."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: bytes) -> int:  # type: ignore[override]  # zipfile gives bytes
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        yield from pieces


def _folder_name(folder: str, inbox: str) -> str:
    """The path of a folder in the archive. Maildir++ parts a folder from the one above it by a dot."""
    parts = folder.split(".") if folder else [inbox]
    return "/".join(NOT_IN_NAMES.sub("_", part).strip() or "_" for part in parts)


def _stem(entry: Entry, zone: tzinfo) -> str:
    """When it came, and the code that notice and page show: sorted by time, and no word of what is in it."""
    return f"{_moment(entry.received, zone):%Y-%m-%d %H%M} {reference(entry.name)}"


def _free(file: ZipFile, stem: str, extension: str) -> str:
    path, number = f"{stem}{extension}", 2
    while path in file.NameToInfo:
        path, number = f"{stem} ({number}){extension}", number + 1
    return path


def _info(path: str, moment: float, zone: tzinfo) -> ZipInfo:
    local = _moment(moment, zone)
    info = ZipInfo(path, (local.year, local.month, local.day, local.hour, local.minute, local.second))
    info.compress_type = ZIP_DEFLATED
    info.external_attr = FILE_MODE << 16
    return info


def _moment(moment: float, zone: tzinfo) -> datetime:
    try:
        local = datetime.fromtimestamp(moment, zone)
        if local.year in ZIP_YEARS:
            return local
    except (OverflowError, ValueError, OSError):
        pass
    # A file's time can be anything.
    return datetime(ZIP_YEARS[0], 1, 1, tzinfo=zone)
