"""What has changed in a Maildir folder: file names first, then dates and sizes of the few that differ.

``Mailbox.list`` asks the disk about every mail. Here all but the changed ones cost a name: 100,000 a tenth of a second.
No mail is opened, and no symbolic link followed from the folder's own directories on.
"""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress

from messenger.mailbox import Entry, Mailbox
from messenger.maildir import INFO, split


def arrivals(mailbox: Mailbox, folder: str) -> list[Entry]:
    """What nobody has listed yet."""
    found, _ = _differences(mailbox, folder, "new", {})
    return found


def differences(mailbox: Mailbox, folder: str, known: Mapping[str, str]) -> tuple[list[Entry], set[str]]:
    """What differs from *known* (name to flags) among the listed mails, and the names that are gone."""
    return _differences(mailbox, folder, "cur", known)


def _differences(
    mailbox: Mailbox, folder: str, directory: str, known: Mapping[str, str]
) -> tuple[list[Entry], set[str]]:
    path = mailbox.root / (f".{folder}" if folder else "") / directory
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # nothing was ever delivered there
        return [], set(known)
    try:
        files = set(os.listdir(descriptor))  # noqa: PTH208 -- pathlib knows no descriptors
        expected = {f"{name}{INFO}{flags}": name for name, flags in known.items()}
        entries = [_entry(file, descriptor, folder, directory == "new") for file in files - expected.keys()]
        found = [entry for entry in entries if entry]
        gone = {expected[file] for file in expected.keys() - files}
        return found, gone - {entry.name for entry in found}
    finally:
        os.close(descriptor)


def _entry(file: str, descriptor: int, folder: str, new: bool) -> Entry | None:
    parts = split(file)
    with suppress(FileNotFoundError):
        facts = os.stat(file, dir_fd=descriptor, follow_symlinks=False)
        if parts and stat.S_ISREG(facts.st_mode):
            return Entry(parts[0], parts[1], folder, int(facts.st_mtime), facts.st_size, new)
    return None
