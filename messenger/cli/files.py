"""Write files whole or not at all, with the right owner, and make folders. Knows nothing of what is in them."""

import contextlib
import errno
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

from .status import CANT_CREATE, TEMPORARY, Failed

_DRAFT = re.compile(r"\..+\.[0-9a-f]{8}")


def write_whole(path: Path, data: bytes, mode: int = 0o644, group: int = -1, *, replace: bool = True) -> None:
    """Write *path* so that a crash or a full disk leaves the old file, or none; durable when it returns."""
    if replace:
        path = path.resolve()  # a symbolic link stays one
    draft = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchown(handle, -1, group)
            os.fchmod(handle, mode)
            file.write(data)
            file.flush()
            os.fsync(handle)
        if replace:
            draft.replace(path)
        else:
            path.hardlink_to(draft)  # unlike a rename, never over another file
    except FileExistsError as error:
        raise Failed(f"{path}: is there already; name another file, or move it away", CANT_CREATE) from error
    except OSError as error:
        # A full disk is noticed by calls that know no name.
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from error
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def sweep(folder: Path) -> None:
    """Remove the drafts of a run that was killed; only for who holds the lock, as nobody writes any then."""
    for draft in folder.glob(".*"):
        if _DRAFT.fullmatch(draft.name):
            draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems don't sync folders
            raise
    finally:
        os.close(handle)


def write_output(path: Path, data: bytes, mode: int, force: bool) -> None:
    """Write a file somebody named on the command line; an existing one only by *force*."""
    try:
        write_whole(path, data, mode, replace=force)
    except Failed as error:
        raise Failed(f"{path}: is there already; --force replaces it", CANT_CREATE) from error


@contextlib.contextmanager
def locked(folder: Path, seconds: float = 0) -> Iterator[None]:
    """Keep a second command from changing the same settings; the lock dies with its holder.

    Waits *seconds* for another command to end, then fails.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    end = time.monotonic() + seconds
    try:
        while not _lock(handle):
            if time.monotonic() >= end:
                text = f"{folder}: another `messenger` command is at work there; try again when it is done"
                raise Failed(text, TEMPORARY)
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
