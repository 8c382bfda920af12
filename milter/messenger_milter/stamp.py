"""One empty file that bears many names: to make one more costs no inode, and a fraction of making a file.

Knows file systems; doesn't know what the names say.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

#: A name's date is that of its file, so a file serves for a day only.
DAY_SECONDS = 86_400.0
PREFIX = ".stamp-"
#: link(2): the file bears as many names as it may (EMLINK), or it is gone (ENOENT).
_USED_UP = (errno.EMLINK, errno.ENOENT)
#: The file system has no links, or doesn't allow them.
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV)


class Stamp:
    """Makes empty files below *folder*, by giving names to one that lies in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = ""
        self._until = 0.0
        self._lock = threading.Lock()

    def put(self, name: str) -> None:
        """Make the empty file *name*, unless it is there. FileNotFoundError: its folder isn't; else OSError."""
        stamp = self._today()
        try:
            os.link(stamp, name, follow_symlinks=False)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno in _USED_UP:
                self._put_away(stamp)
            elif error.errno not in _NO_LINKS:
                raise
            os.close(_create(name))

    def _today(self) -> str:
        with self._lock:
            if not self._path or time.monotonic() > self._until:
                path = f"{self._folder}/{PREFIX}{secrets.token_hex(8)}"
                made = _create(path)
                try:
                    os.fsync(made)
                finally:
                    os.close(made)
                self._path, self._until = path, time.monotonic() + DAY_SECONDS
            return self._path

    def _put_away(self, stamp: str) -> None:
        with self._lock:
            if self._path == stamp:
                self._path = ""

    def sweep(self, older_than: float) -> None:
        """Remove what earlier days and processes left: not the names they gave, only the file's own in the folder."""
        for path in self._folder.glob(f"{PREFIX}*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < older_than:
                    path.unlink()


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
