"""Make a folder that the services share: its group may write, and what is made in it belongs to that group."""

import os
import stat
from contextlib import suppress
from pathlib import Path

MODE = 0o2770


def make_folder(path: Path) -> None:
    """Make *path* and what is missing above it; a folder that is there stays as it is. Raises OSError."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(MODE & 0o777)
    found = path.stat()
    # From a folder above that is shared the group and its bit come by themselves. Asking for the bit is what
    # RestrictSUIDSGID= of our units refuses, so only where it is needed.
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != MODE:
        path.chmod(MODE)
