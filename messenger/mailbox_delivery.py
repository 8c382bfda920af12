"""Put a message's file where it is to lie, and tidy tmp/: the steps of a delivery (docs/mailbox.md).

Part of mailbox.py: nobody else reads this.
"""

import os
from contextlib import suppress

from .maildir import FILE_MODE, Folder

#: What a crash left in tmp/ goes after as many seconds (https://cr.yp.to/proto/maildir.html: 36 hours).
LEFTOVER_SECONDS = 36 * 3600


def write(raw: bytes, name: str, directory: int, received: int | None = None) -> os.stat_result:
    """Write a new file, on disk when this returns; its facts are those of now, its time is *received* if given."""
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, how, FILE_MODE, dir_fd=directory)
    try:
        os.fchmod(descriptor, FILE_MODE)  # whatever the umask is
        rest = memoryview(raw)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        written = os.fstat(descriptor)
        if received is not None:
            os.utime(descriptor, (received, received))
        os.fsync(descriptor)
        return written
    finally:
        os.close(descriptor)


def link(temporary: str, tmp: int, file_name: str, target: int) -> bool:
    try:
        # A link, not a rename: it never replaces what another delivery has put there meanwhile.
        os.link(temporary, file_name, src_dir_fd=tmp, dst_dir_fd=target, follow_symlinks=False)
    except FileExistsError:
        return False
    return True


def withdrawn(place: Folder, name: str, inode: int) -> bool:
    """Take our copy back if another delivery of the same mail was first and its copy has been opened already.

    Never takes back the last copy: what is in cur/ doesn't return to new/, and ours is only taken from there.
    """
    seen = place.seen_file_of(name)
    if seen is None:
        return False
    try:
        if os.stat(seen, dir_fd=place.cur, follow_symlinks=False).st_ino == inode:
            return False
        if os.stat(name, dir_fd=place.new, follow_symlinks=False).st_ino != inode:
            return False
        os.unlink(name, dir_fd=place.new)
    except FileNotFoundError:
        return False
    return True


def remove_leftovers(tmp: int, now: float) -> None:
    with os.scandir(tmp) as files:
        for file in files:
            with suppress(OSError):
                if now - file.stat(follow_symlinks=False).st_mtime > LEFTOVER_SECONDS:
                    os.unlink(file.name, dir_fd=tmp)
