"""One person's mail as a file: a Maildir in a tar or zip, or an mbox. Messages in, octets out, and back; one at a time.

Knows no mailbox and no accounts. In an mbox (RFC 4155, lines quoted as in mboxrd) folders are lost; flags stand in
header fields there, of which only those of reading are understood.
"""

import errno
import io
import lzma
import re
import tarfile
import time
import zipfile
import zlib
from calendar import timegm
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .. import tree
from .status import DATA, NO_INPUT, Failed

FORMATS = ("tar", "zip", "mbox")
_FLAGS = frozenset("DFPRST")
_QUOTED = re.compile(rb"^(>*From )", re.MULTILINE)
_UNQUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_STATUS = re.compile(rb"^Status:[ \t]*([A-Za-z]+)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_FROM_LINE = re.compile(rb"From \S* *(.{24})")
#: The first day that a zip file can tell.
_ZIP_EPOCH = 315_619_200
#: Lines of an mbox are read so long at most.
_LINE_OCTETS = 1 << 20
#: Longer than any mail; a small file may unpack to more than a machine has.
MESSAGE_OCTETS = 1 << 27
#: The end of the year 9999. An archive may say any time, also none ("nan").
_LAST_SECOND = 253_402_300_799
#: What libraries say of a file that was cut off, altered or sealed.
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    OverflowError,
    RuntimeError,  # sealed with a password; NotImplementedError, packed in a way that nobody here knows
    OSError,
    MemoryError,  # a few octets may ask for a dictionary of gigabytes
)


@dataclass(frozen=True)
class Message:
    raw: bytes
    #: Its Maildir name; "" where the file says none.
    name: str
    #: "" is the inbox.
    folder: str
    flags: str
    #: Unix seconds; None where the file doesn't say.
    received: int | None
    new: bool = False


def format_of(path: Path) -> str:
    """Return the format that the name of a file asks for: tar where it says nothing."""
    return {".zip": "zip", ".mbox": "mbox", ".mbx": "mbox"}.get(path.suffix.lower(), "tar")


def write(file: IO[bytes], kind: str, messages: Iterable[Message]) -> None:
    """Write *messages* to *file*, which need not be seekable, as one of FORMATS."""
    {"tar": _write_tar, "zip": _write_zip, "mbox": _write_mbox}[kind](file, messages)


def read(path: Path, limit: int = MESSAGE_OCTETS) -> Iterator[Message]:
    """Yield the messages of a Maildir, of a tar or zip with one inside, or of an mbox. Failed for anything else.

    No message is longer than *limit* (octets): what unpacks to more is no mail, and Failed before it fills the memory.
    """
    if path.is_dir():
        yield from _read_maildir(path, limit)
    elif not path.exists():
        raise Failed(f"{path}: no such file; name an mbox, a Maildir, or a tar or zip of one", NO_INPUT)
    elif _begins(path, b"From "):
        yield from _read_mbox(path, limit)  # first: a message in it may end like a zip file
    elif zipfile.is_zipfile(path):
        yield from _whole(path, _read_zip(path, limit))
    elif _is_tar(path):
        yield from _whole(path, _read_tar(path, limit))
    elif path.stat().st_size:
        raise Failed(f"{path}: no mbox, Maildir, tar or zip: it begins with other octets; name the right file", DATA)


def _begins(path: Path, octets: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(octets)) == octets


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except _DAMAGE:
        return True  # compressed like one; who reads it says what is wrong


def _whole(path: Path, messages: Iterator[Message]) -> Iterator[Message]:
    """Yield what can be read; Failed where the file is damaged."""
    try:
        yield from messages
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's trouble, not the file's; EINVAL is a place before its beginning
        raise Failed(f"{path}: a damaged file ({str(error) or type(error).__name__}); export it again", DATA) from error


def _place(message: Message) -> str:
    folder = f".{message.folder}/" if message.folder else ""
    directory, info = ("new", "") if message.new else ("cur", f":2,{message.flags}")
    return f"Maildir/{folder}{directory}/{message.name}{info}"


def _write_tar(file: IO[bytes], messages: Iterable[Message]) -> None:
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for message in messages:
            member = tarfile.TarInfo(_place(message))
            member.size, member.mtime, member.mode = len(message.raw), message.received or 0, 0o600
            archive.addfile(member, io.BytesIO(message.raw))


def _write_zip(file: IO[bytes], messages: Iterable[Message]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for message in messages:
            when = time.gmtime(max(message.received or 0, _ZIP_EPOCH))
            member = zipfile.ZipInfo(_place(message), when[:6])
            member.external_attr = 0o600 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, message.raw)


def _write_mbox(file: IO[bytes], messages: Iterable[Message]) -> None:
    for message in messages:
        file.write(b"From MAILER-DAEMON " + time.asctime(time.gmtime(message.received or 0)).encode() + b"\n")
        text = _QUOTED.sub(rb">\1", message.raw)
        file.write(text if text.endswith(b"\n") else text + b"\n")
        file.write(b"\n")


def _read_maildir(root: Path, limit: int) -> Iterator[Message]:
    if not any((root / name).is_dir() for name in ("cur", "new", "Maildir")):
        raise Failed(f"{root}: no Maildir: it has neither cur/ nor new/; name the right folder", DATA)
    for path in sorted(tree.listing(root, "", lambda _: True).files):
        if found := _described(tuple(path.split("/"))):
            with suppress(FileNotFoundError):  # moved or removed by its mail program meanwhile
                facts, raw = tree.read(root, path, limit + 1)
                yield _message(root / path, raw, found, facts.st_mtime, limit)


def _read_tar(path: Path, limit: int) -> Iterator[Message]:
    with tarfile.open(path) as archive:
        while member := archive.next():
            archive.members.clear()  # type: ignore[attr-defined]  # or it keeps them all
            found, file = _described(tuple(member.name.split("/"))), None
            if found and member.isreg():
                file = archive.extractfile(member)
            if found and file:
                yield _message(f"{path}: {member.name}", file.read(limit + 1), found, member.mtime, limit)


def _read_zip(path: Path, limit: int) -> Iterator[Message]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            found = _described(tuple(member.filename.split("/")))
            if found and not member.is_dir():
                with archive.open(member) as file:
                    raw = file.read(limit + 1)
                yield _message(f"{path}: {member.filename}", raw, found, _zip_time(member), limit)


def _zip_time(member: zipfile.ZipInfo) -> float:
    try:
        return timegm((*member.date_time, 0, 0, 0))
    except ValueError:
        return -1


def _described(parts: tuple[str, ...]) -> tuple[str, str, str, bool] | None:
    """Name, folder, flags, and whether it is new, of a path that ends like one in a Maildir."""
    if len(parts) < 2 or parts[-2] not in ("cur", "new") or parts[-1].startswith("."):
        return None
    above = parts[-3] if len(parts) > 2 else ""
    name, _, info = parts[-1].partition(":2,")
    flags = "".join(sorted(_FLAGS & {*info}))
    return name, above[1:] if above.startswith(".") else "", flags, parts[-2] == "new"


def _message(where: Path | str, raw: bytes, found: tuple[str, str, str, bool], received: float, limit: int) -> Message:
    if len(raw) > limit:
        raise _too_long(where, limit)
    name, folder, flags, new = found
    return Message(raw, name, folder, flags, int(received) if 0 <= received <= _LAST_SECOND else None, new)


def _too_long(where: Path | str, limit: int) -> Failed:
    return Failed(f"{where}: longer than {limit:,} octets, so no mail; take it out of there", DATA)


def _read_mbox(path: Path, limit: int) -> Iterator[Message]:
    with path.open("rb") as file:
        line = file.readline(_LINE_OCTETS)
        while line:
            head, at, lines, blank = line, file.tell(), bytearray(), b""
            while (line := file.readline(_LINE_OCTETS)) and not ((blank or not lines) and line.startswith(b"From ")):
                lines += line
                blank = line if line in (b"\n", b"\r\n") else b""
                if len(lines) > limit:
                    raise _too_long(f"{path}, octet {at}", limit)
            del lines[len(lines) - len(blank) :]  # it parts the messages
            raw = _UNQUOTED.sub(rb"\1", lines)
            yield Message(raw, "", "", _seen(raw), _received(head))


def _seen(raw: bytes) -> str:
    header = re.split(rb"\r?\n\r?\n", raw, maxsplit=1)[0]
    found = _STATUS.search(header)
    return "S" if found and b"R" in found[1].upper() else ""


def _received(head: bytes) -> int | None:
    found = _FROM_LINE.match(head)
    try:
        return timegm(time.strptime(found[1].decode("ascii"), "%a %b %d %H:%M:%S %Y")) if found else None
    except ValueError:
        return None
