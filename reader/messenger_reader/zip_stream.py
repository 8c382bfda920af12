"""A zip file made while it is sent, and names in it that every system can unpack.

Knows no web and no mail: paths, bytes and times in, pieces of the file out. Of what is put in, one file at a time is
in memory.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime, tzinfo
from io import RawIOBase
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

#: The least work that still shrinks what is in base64, which most of mail is.
LEVEL = 1
#: Windows takes none of these in names; what can't be seen is nowhere good.
NOT_IN_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f-\x9f]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]')
#: Names that Windows keeps for devices, whatever follows the first dot.
DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])[ ]*(?:\.|\Z)", re.IGNORECASE)
#: Of 255 that Linux takes in one name; the rest is for telling apart what has the same name.
NAME_BYTES = 200
EXTENSION_CHARACTERS = 20
#: What a zip file can say of the time.
ZIP_YEARS = range(1980, 2108)
FILE_MODE = 0o600
PIECE = 2**20


class ZipStream:
    """A zip file; what its methods yield is to be sent in this order, the last of it by ``end``."""

    def __init__(self, zone: tzinfo) -> None:
        """Times in the file are in *zone*: a zip file names none."""
        self._zone = zone
        self._outbox = _Outbox()
        self._file = ZipFile(self._outbox, "w", ZIP_DEFLATED, compresslevel=LEVEL)
        # By what systems that ignore case or accents' spelling take for the same: the number to try next.
        self._taken: dict[str, int] = {}

    def free(self, stem: str, extension: str) -> str:
        """Take a path that no other file here has: *stem* and *extension*, with a number between where need be."""
        path = f"{stem}{extension}"
        first = _folded(path)
        number = self._taken.get(first, 1)
        while _folded(path) in self._taken:
            number += 1
            path = f"{stem} ({number}){extension}"
        self._taken[first] = number
        self._taken.setdefault(_folded(path), 1)
        return path

    def add(self, path: str, content: bytes, moment: float) -> Iterator[bytes]:
        """Put *content* in; *moment*, its time, in Unix seconds."""
        info = self._info(path, moment)
        info.file_size = len(content)
        with self._file.open(info, "w") as file:
            for at in range(0, len(content), PIECE):
                file.write(content[at : at + PIECE])
                yield from self._outbox.taken()
        yield from self._outbox.taken()

    def end(self) -> Iterator[bytes]:
        """Close the file: a list of what is in it. Without this no program opens it."""
        self._file.close()
        yield from self._outbox.taken()

    def _info(self, path: str, moment: float) -> ZipInfo:
        local = local_time(moment, self._zone)
        info = ZipInfo(path, (local.year, local.month, local.day, local.hour, local.minute, local.second))
        info.compress_type = ZIP_DEFLATED
        info.external_attr = FILE_MODE << 16
        return info


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


def safe_name(name: str) -> tuple[str, str]:
    """A bare file name, as stem and extension, that Windows, macOS and Linux all can write."""
    name = unicodedata.normalize("NFC", name).encode("utf-8", "replace").decode()
    name = NOT_IN_NAMES.sub("_", name).strip(". ")
    if DEVICES.match(name):
        name = f"_{name}"
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension) > EXTENSION_CHARACTERS:
        stem, dot, extension = name, "", ""
    tail = f"{dot}{extension}"
    short = stem.encode()[: NAME_BYTES - len(tail.encode())].decode(errors="ignore").rstrip(". ")
    return short or "_", tail


def local_time(moment: float, zone: tzinfo) -> datetime:
    """Unix seconds as a time that a zip file can say."""
    try:
        local = datetime.fromtimestamp(moment, zone)
        if local.year in ZIP_YEARS:
            return local
    except (OverflowError, ValueError, OSError):
        pass
    # A file's time can be anything.
    return datetime(ZIP_YEARS[0], 1, 1, tzinfo=zone)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
