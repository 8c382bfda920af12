"""One person's mail as a file: a Maildir in a tar or zip, or an mbox. Messages in, octets out, and back; one at a time.

Knows no mailbox and no accounts. In an mbox (RFC 4155, lines quoted as in mboxrd) folders are lost; flags stand in
header fields there, of which only those of reading are understood.
"""

import io
import re
import tarfile
import time
import zipfile
from calendar import timegm
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

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


def read(path: Path) -> Iterator[Message]:
    """Yield the messages of a Maildir, of a tar or zip with one inside, or of an mbox. Failed for anything else."""
    if path.is_dir():
        yield from _read_maildir(path)
    elif not path.exists():
        raise Failed(f"{path}: no such file; name an mbox, a Maildir, or a tar or zip of one", NO_INPUT)
    elif zipfile.is_zipfile(path):
        yield from _read_zip(path)
    elif tarfile.is_tarfile(path):
        yield from _read_tar(path)
    else:
        yield from _read_mbox(path)


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


def _read_maildir(root: Path) -> Iterator[Message]:
    if not any((root / name).is_dir() for name in ("cur", "new", "Maildir")):
        raise Failed(f"{root}: no Maildir: it has neither cur/ nor new/; name the right folder", DATA)
    for path in sorted(root.rglob("*")):
        found = _described(path.relative_to(root).parts)
        if found and path.is_file() and not path.is_symlink():
            yield _message(path.read_bytes(), found, int(path.stat().st_mtime))


def _read_tar(path: Path) -> Iterator[Message]:
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                found, file = _described(tuple(member.name.split("/"))), None
                if found and member.isreg():
                    file = archive.extractfile(member)
                if found and file:
                    yield _message(file.read(), found, int(member.mtime))
    except (tarfile.TarError, EOFError) as error:
        raise Failed(f"{path}: a damaged tar file ({error}); export it again", DATA) from error


def _read_zip(path: Path) -> Iterator[Message]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                found = _described(tuple(member.filename.split("/")))
                if found and not member.is_dir():
                    received = timegm((*member.date_time, 0, 0, 0))
                    yield _message(archive.read(member), found, received)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise Failed(f"{path}: a zip file that can't be read ({error}); export it again", DATA) from error


def _described(parts: tuple[str, ...]) -> tuple[str, str, str, bool] | None:
    """Name, folder, flags, and whether it is new, of a path that ends like one in a Maildir."""
    if len(parts) < 2 or parts[-2] not in ("cur", "new") or parts[-1].startswith("."):
        return None
    above = parts[-3] if len(parts) > 2 else ""
    name, _, info = parts[-1].partition(":2,")
    flags = "".join(sorted(_FLAGS & {*info}))
    return name, above[1:] if above.startswith(".") else "", flags, parts[-2] == "new"


def _message(raw: bytes, found: tuple[str, str, str, bool], received: int) -> Message:
    name, folder, flags, new = found
    return Message(raw, name, folder, flags, received, new)


def _read_mbox(path: Path) -> Iterator[Message]:
    with path.open("rb") as file:
        line = file.readline(_LINE_OCTETS)
        if line and not line.startswith(b"From "):
            raise Failed(
                f"{path}: no mbox, Maildir, tar or zip: it begins with other octets; name the right file", DATA
            )
        while line:
            head, lines, blank = line, [], True
            while (line := file.readline(_LINE_OCTETS)) and not (blank and line.startswith(b"From ")):
                lines.append(line)
                blank = line in (b"\n", b"\r\n")
            if blank and lines:
                lines.pop()  # it parts the messages
            raw = _UNQUOTED.sub(rb"\1", b"".join(lines))
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
