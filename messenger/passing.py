"""Tell whether what just failed may pass by itself: a disk that is full, or mounted read-only for now.

A service that ends for such a reason is started again by systemd (status 75, sysexits.h), unlike one whose settings are
wrong (78): the disk is mended without anybody thinking of the service.
"""

import os
from pathlib import Path

EX_TEMPFAIL = 75
#: A SQLite database in use wants its log and its shared memory beside it; a spool a file or two.
OCTETS, INODES = 1_048_576, 16


def disk_in_trouble(*paths: Path) -> bool:
    """Whether one of *paths*, or where it would be made, lies on a disk that is read-only or has no room now."""
    return any(_in_trouble(path) for path in paths)


def _in_trouble(path: Path) -> bool:
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        found = os.statvfs(path)
    except OSError:
        return False
    if found.f_flag & os.ST_RDONLY:
        return True
    # A file system that counts no inodes says 0 of 0.
    return found.f_bavail * found.f_frsize < OCTETS or bool(found.f_files and found.f_favail < INODES)
