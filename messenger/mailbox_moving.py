"""Find a message's file, rename it, move it to another folder, remove it, while other programs do the same.

Part of mailbox.py: nobody else reads this. A file's name changes with each flag that somebody sets, so what was found
may be called otherwise a moment later: every step looks again until it has caught the file, or the message is gone.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from .maildir import INFO, Folder, is_name, split
from .quota import Side, size_of

#: How often a message may change its file's name under our hands before we give up.
TRIES = 8

#: Directory and name of a message's file.
File = tuple[int, str]


def files(place: Folder, name: str, thorough: bool = True) -> Iterator[File]:
    """Yield the message's directory and file, anew each time: another program may rename it before we get to it.

    Not *thorough*: without a listing of the folder, so flags that Maildir doesn't know are not found.
    """
    if not is_name(name):
        return
    for _ in range(TRIES):
        found = place.file_of(name) or (place.file_of_slowly(name) if thorough else None)
        if found is None:
            return
        yield found


def merged(place: Folder, directory: int, name: str, count: Side) -> bool:
    """Put a copy in new/ over one in cur/, where two deliveries of one mail left both: a rename never loses the last.

    It happens when the first is opened in the moment before the second looks for it (``mailbox_delivery.withdrawn``).
    """
    seen = place.seen_file_of(name) if directory == place.new else None
    if seen is None:
        return False
    with suppress(FileNotFoundError):
        octets = size_of(seen, place.cur)
        rename(name, place.new, seen, place.cur)
        count.take(octets)
    return True


def moved(place: Folder, target: Folder, names: Iterable[str], left: Side, come: Side) -> dict[str, str]:
    """Move messages from *place* to *target*; return those that were there, with their flags. On disk after this.

    An IMAP server's keywords stay behind: their letters mean something else in each folder.
    """
    flags_of: dict[str, str] = {}

    def move(name: str, found: Iterator[File]) -> bool:
        for directory, file_name in found:
            if merged(place, directory, name, left):
                continue
            kept = "".join(flag for flag in flags(file_name) if flag.isupper())
            # A copy of it may lie in the target already, after a power cut: the one goes over the other.
            copy = target.seen_file_of(name)
            there = copy or name + INFO + kept
            with suppress(FileNotFoundError):
                octets = size_of(file_name, directory)
                replaced = size_of(copy, target.cur) if copy and not _same(place, target) else None
                rename(file_name, directory, there, target.cur)
                left.take(octets)
                come.add(octets)
                if replaced is not None:
                    come.take(replaced)
                _unlink(name, target.new, come)
                flags_of[name] = flags(there)
                return True
        return False

    _each(place, names, move)
    if flags_of:
        # The new place first: after a power cut they may be in both, never in none.
        for directory in (target.cur, place.cur, place.new):
            os.fsync(directory)
    return flags_of


def removed(place: Folder, names: Iterable[str], left: Side) -> set[str]:
    """Remove messages for good; return those that were there. They stay gone after a power cut."""
    gone: set[str] = set()

    def remove(name: str, found: Iterator[File]) -> bool:
        for directory, file_name in found:
            if merged(place, directory, name, left):
                continue
            if _unlink(file_name, directory, left):
                gone.add(name)
                return True
        return False

    _each(place, names, remove)
    if gone:
        os.fsync(place.cur)
        os.fsync(place.new)
    return gone


def emptied(place: Folder, left: Side) -> int:
    """Remove every message there is; return how many. What is no message stays."""
    count = 0
    for directory in (place.new, place.cur):
        for file_name in os.listdir(directory):  # noqa: PTH208 -- pathlib knows no descriptors
            if split(file_name) is not None:
                with suppress(IsADirectoryError):
                    count += _unlink(file_name, directory, left)
        os.fsync(directory)
    return count


def _each(place: Folder, names: Iterable[str], act: Callable[[str, Iterator[File]], bool]) -> None:
    """Let *act* try its hand at each message: first at no cost that grows with the folder, then with one listing."""
    missed = [name for name in dict.fromkeys(names) if not act(name, files(place, name, thorough=False))]
    there = place.names() if missed else set()
    for name in missed:
        if name in there:
            act(name, files(place, name))


def _same(place: Folder, target: Folder) -> bool:
    return os.path.samestat(os.fstat(place.base), os.fstat(target.base))


def _unlink(file_name: str, directory: int, count: Side) -> bool:
    """Remove a file; False if it isn't there."""
    try:
        octets = size_of(file_name, directory)
        os.unlink(file_name, dir_fd=directory)
    except FileNotFoundError:
        return False
    count.take(octets)
    return True


def rename(file_name: str, directory: int, new_name: str, target: int) -> None:
    os.rename(file_name, new_name, src_dir_fd=directory, dst_dir_fd=target)


def flags(file_name: str, added: str = "", removed: str = "") -> str:
    """The flags in *file_name*, with some added and some removed, in the order Maildir wants."""
    parts = split(file_name)
    return "".join(sorted((set(parts[1] if parts else "") | set(added)) - set(removed)))
