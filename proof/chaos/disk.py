"""A small disk of its own below a folder, which can become full, lose its last inode, or be mounted read-only.

A tmpfs: becoming full is a matter of a limit, so nothing has to be written to fill it.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType

#: A disk is never quite full at one stroke: the first who write still find this much.
ROOM_OCTETS = 16 * 1024
ROOM_INODES = 3
INODES = 200_000
#: Nobody may be writing in the moment in which a disk becomes read-only.
BUSY_SECONDS = 5.0


class Disk(AbstractContextManager["Disk"]):
    """Mounted at *path*, for up to *size* octets."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        #: Whoever breaks it holds this until it is mended.
        self.lock = threading.Lock()

    def __enter__(self) -> Disk:
        self.path.mkdir()
        self._mount("-t", "tmpfs", "-o", f"size={self.size},nr_inodes={INODES},mode=0755", "chaos")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)

    def fill(self) -> None:
        found = os.statvfs(self.path)
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        self._mount("-o", f"remount,size={used + ROOM_OCTETS}")

    def use_up_inodes(self) -> None:
        found = os.statvfs(self.path)
        self._mount("-o", f"remount,nr_inodes={found.f_files - found.f_ffree + ROOM_INODES}")

    def make_read_only(self) -> bool:
        """Whether it could be done: not while somebody has a file open for writing."""
        deadline = time.monotonic() + BUSY_SECONDS
        while time.monotonic() < deadline:
            if self._try("-o", "remount,ro"):
                return True
            time.sleep(0.01)
        return False

    def mend(self) -> None:
        """Take back whatever was done to it."""
        self._mount("-o", f"remount,rw,size={self.size},nr_inodes={INODES}")

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, str(self.path)], check=True, capture_output=True)

    def _try(self, *words: str) -> bool:
        return subprocess.run(["mount", *words, str(self.path)], check=False, capture_output=True).returncode == 0
