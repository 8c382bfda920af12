"""Exit statuses of the command, as sysexits.h names them, so that scripts and Postfix understand them."""

import errno
import os

from ..config import ConfigError
from ..errors import MessengerError
from ..gateway.values import PolicyError

OK = os.EX_OK
USAGE = os.EX_USAGE  # 64
DATA = os.EX_DATAERR  # 65
NO_INPUT = os.EX_NOINPUT  # 66
NO_USER = os.EX_NOUSER  # 67
UNAVAILABLE = os.EX_UNAVAILABLE  # 69
SOFTWARE = os.EX_SOFTWARE  # 70
CANT_CREATE = os.EX_CANTCREAT  # 73
TEMPORARY = os.EX_TEMPFAIL  # 75
NO_PERMISSION = os.EX_NOPERM  # 77
CONFIG = os.EX_CONFIG  # 78

_BY_ERRNO = {
    errno.ENOENT: NO_INPUT,
    errno.ENOTDIR: NO_INPUT,
    errno.EISDIR: NO_INPUT,
    errno.EACCES: NO_PERMISSION,
    errno.EPERM: NO_PERMISSION,
    errno.ENOSPC: CANT_CREATE,
    errno.EDQUOT: CANT_CREATE,
    errno.EROFS: CANT_CREATE,
    errno.EEXIST: CANT_CREATE,
}

_MENDS = {
    NO_INPUT: "check the name",
    NO_PERMISSION: "run it as a user who may, such as root",
    CANT_CREATE: "make room there, or name another place; nothing is half-written",
}


class Failed(MessengerError):
    """A command could not do what it was asked for. Carries the status to leave with."""

    def __init__(self, text: str, status: int = DATA) -> None:
        super().__init__(text)
        self.status = status


def of_error(error: MessengerError) -> int:
    """Return the status to leave with after *error*."""
    if isinstance(error, Failed):
        return error.status
    if isinstance(error, ConfigError | PolicyError):
        return CONFIG
    if isinstance(error.__cause__, PermissionError):
        return NO_PERMISSION
    return TEMPORARY if error.temporary else DATA


def of_os_error(error: OSError) -> tuple[int, str]:
    """Return the status to leave with after *error*, and a sentence that names the mend."""
    status = _BY_ERRNO.get(error.errno or 0, TEMPORARY)
    what = error.strerror or str(error)
    where = f"{error.filename}: " if error.filename else ""
    return status, f"{where}{what}; {_MENDS.get(status, 'try again')}"
