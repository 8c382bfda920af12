"""List a Maildir folder: what file names and the directory say of each message. No message is opened.

Part of mailbox.py: nobody else reads this.
"""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import NamedTuple

from .maildir import INFO, Folder, split


class Entry(NamedTuple):
    """What a folder knows of a message without opening it."""

    name: str
    #: Standard flags in upper case; an IMAP server's keywords in lower case.
    flags: str
    folder: str
    #: Unix time in seconds.
    received: int
    size: int
    #: No mail client has seen it yet: it lies in new/.
    new: bool


class Changes(NamedTuple):
    """How cur/ differs from what somebody knows of it."""

    found: Sequence[Entry]
    gone: Set[str]


def entries(place: Folder, directory: int, folder: str) -> Iterator[Entry]:
    """All messages in *directory*, which is new or cur of *place*. One stat for each."""
    with os.scandir(directory) as files:
        for file in files:
            parts = split(file.name)
            if parts is None or not file.is_file(follow_symlinks=False):
                continue
            name, flags = parts
            try:
                found = file.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # renamed or gone since; what was renamed shows up under its new name, or in the next listing
            yield Entry(name, flags, folder, int(found.st_mtime), found.st_size, directory == place.new)


def changes(place: Folder, folder: str, known: Mapping[str, str]) -> Changes:
    """What differs in cur from *known* (name to flags), and the names that are gone. One stat for each that differs.

    All but the changed ones cost a name: 100,000 two tenths of a second.
    """
    files = set(os.listdir(place.cur))  # noqa: PTH208 -- pathlib knows no descriptors
    expected = {f"{name}{INFO}{flags}": name for name, flags in known.items()}
    differ = (_entry(place, file, folder) for file in files - expected.keys())
    found = [entry for entry in differ if entry]
    gone = {expected[file] for file in expected.keys() - files}
    return Changes(found, gone - {entry.name for entry in found})


def _entry(place: Folder, file: str, folder: str) -> Entry | None:
    parts = split(file)
    if parts is None:
        return None
    with suppress(FileNotFoundError):
        facts = os.stat(file, dir_fd=place.cur, follow_symlinks=False)
        if stat.S_ISREG(facts.st_mode):
            return Entry(*parts, folder, int(facts.st_mtime), facts.st_size, new=False)
    return None
