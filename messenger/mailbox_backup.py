"""Take the mail root into a backup, one person after the other, and put it back without touching what is there.

Part of mailbox.py: nobody else reads this. A message never changes, only its name and place do; so it may be a hard
link, and is known by its unique name in whichever folder it lies.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from . import tree, tree_taking
from .mailbox_paths import MAILDIR
from .mailbox_removal import PREFIX
from .maildir import split
from .tree import Row
from .tree_taking import Rules, Taken

_MESSAGES = ("new", "cur")
#: Made again by whoever misses it: the sum for the quota, and an IMAP server's indexes.
_CACHES = ("maildirsize", "dovecot.index", "dovecot.list.index")


def persons(mail_root: Path) -> Iterator[str]:
    """Yield what is taken one by one, as paths from the root, sorted: each person's folder, and those beside them."""
    for domain in _folders(mail_root):
        if domain.startswith("."):
            yield domain
            continue
        with suppress(FileNotFoundError):
            for person in _folders(mail_root / domain):
                if not person.startswith(PREFIX):
                    yield f"{domain}/{person}"


def domains(mail_root: Path) -> Iterator[Row]:
    """Yield the rows of the folders that lead to persons: the root, and each domain."""
    yield tree.row_of("", mail_root.stat())
    for domain in _folders(mail_root):
        if not domain.startswith("."):
            with suppress(FileNotFoundError):
                yield tree.row_of(domain, (mail_root / domain).lstat())


def take_person(mail_root: Path, person: str, target: Path, earlier: Iterable[Row]) -> Taken:
    """Take one of ``persons`` into *target*. Raises OSError."""
    return tree_taking.take(mail_root, target, person, earlier, Rules(_is_wanted, identity, link=True))


def put_person(
    mail_root: Path, person: str, source: Path, rows: Iterable[Row], failed: Callable[[Row, Exception], None]
) -> int:
    """Put back the *rows* of one person from *source*; return how many files were put. What is there already stays.

    A message that lies in any folder, under whatever flags, is there already. Raises OSError; a single file that
    can't be put is told to *failed*.
    """
    tree.sweep(mail_root, person)
    there = {found for path in tree.listing(mail_root, person, lambda _: True).files if (found := identity(path))}
    count = 0
    for row in rows:
        if row.is_folder:
            above = os.path.dirname(row.path)  # noqa: PTH120 -- words, no place of its own
            if above and not (mail_root / above).exists():
                # A domain that came while the backup was made: its folder is like those in it.
                tree.make(mail_root, replace(row, path=above))
            tree.make(mail_root, row)
        elif identity(row.path) not in there:
            try:
                count += tree.put(source, row.path, mail_root, row)
            except (ValueError, FileNotFoundError) as error:
                failed(row, error)
    return count


def identity(path: str) -> str | None:
    """Return the unique name of the message that the file *path* is, or None where it is another file."""
    parts = path.split("/")
    if len(parts) < 5 or parts[2] != MAILDIR or parts[-2] not in _MESSAGES:
        return None
    found = split(parts[-1])
    return found[0] if found else None


def _is_wanted(path: str) -> bool:
    parts = path.split("/")
    if MAILDIR not in parts[2:3]:
        return True
    return "tmp" not in parts[3:-1] and not parts[-1].startswith(_CACHES)


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
