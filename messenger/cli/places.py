"""Folders and secrets on disk: who owns what, and how tightly it is shut.

The services run as users of their own (systemd/sysusers.d). Where those don't exist, as when somebody tries the system
in a folder, everything belongs to who runs the command, and nobody else may look.
"""

import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..config import DEFAULT_PATH, Config
from .roles import Role

GATEWAY = "messenger-gateway"
MILTER = "messenger-milter"
READER = "messenger-reader"
PDFOTP = "messenger-pdfotp"
#: Milter and reader: the Maildirs and the link key.
SHARED = "messenger"
#: Whoever derives PDF passwords.
PDF = "messenger-pdf"
POSTFIX = "postfix"


@dataclass(frozen=True)
class Folder:
    path: Path
    #: With the services' users, and without them.
    mode: int
    alone: int
    user: str
    group: str


def folders(config: Config, settings: Path, role: Role) -> Iterator[Folder]:
    """List the folders that the services of *role* need."""
    # Everybody may pass: messenger-pdfotp reads one key and isn't in the group. Each key says who may read it.
    yield Folder(settings.parent / "keys", 0o751, 0o700, "root", SHARED)
    if role.messenger:
        yield Folder(config.mail.root, 0o2770, 0o2770, MILTER, SHARED)
        yield Folder(config.intake.ledger, 0o700, 0o700, MILTER, MILTER)
        yield Folder(config.pdf.spool, 0o2770, 0o2770, MILTER, PDFOTP)
        yield Folder(config.accounts.database.parent, 0o700, 0o700, READER, READER)
        yield Folder(config.reader.cache, 0o700, 0o700, READER, READER)
        yield from _socket(config.intake.socket, MILTER)
    if role.gateway:
        yield Folder(config.gateway.observed.parent, 0o700, 0o700, GATEWAY, GATEWAY)
        yield from _socket(config.gateway.socket, GATEWAY)


def _socket(name: str, user: str) -> Iterator[Folder]:
    if not name.startswith("inet"):
        # Set-group-ID: the socket then belongs to Postfix's group, and Postfix may connect. Never two services in one:
        # who may write there could take the other's socket away.
        yield Folder(Path(name).parent, 0o2750, 0o755, user, POSTFIX)


def make(folder: Folder) -> str:
    """Make a folder, or give root's to the service it is for; return what was done, or ""."""
    owners = _owners(folder.user, folder.group)
    if not folder.path.is_dir():
        make_path(folder.path.parent)
        folder.path.mkdir(mode=0o700)
        _own(folder.path, folder.mode if owners else folder.alone, owners)
        return f"made {folder.path}"
    found = folder.path.stat()
    # Made before the users were. What somebody else owns, or filled, was arranged by somebody: leave it.
    fresh = folder.user == "root" or not any(folder.path.iterdir())
    if owners and found.st_uid == 0 and owners != (found.st_uid, found.st_gid) and fresh:
        _own(folder.path, folder.mode, owners)
        return f"gave {folder.path} to {folder.user}:{folder.group}"
    if owners == (found.st_uid, found.st_gid) and folder.user == "root" and found.st_mode & 0o7777 != folder.mode:
        folder.path.chmod(folder.mode)
        return f"let services pass through {folder.path}"
    return ""


def advice(folder: Folder) -> str:
    """Return what the owner of an existing folder should change so that its service can work there, or ""."""
    owners = _owners(folder.user, folder.group)
    if not owners or not folder.path.is_dir() or folder.path.stat().st_uid == owners[0]:
        return ""
    return f"chown {folder.user}:{folder.group} {folder.path}; chmod {folder.mode:o} {folder.path}"


def missing_users(role: Role) -> list[str]:
    """Name the users and groups of the services of *role* that this machine lacks."""
    users = (MILTER, PDFOTP, READER) * role.messenger + (GATEWAY,) * role.gateway
    groups = (SHARED, *((PDF,) * role.messenger))
    return [name for name in users if not _exists(pwd.getpwnam, name)] + [
        name for name in groups if not _exists(grp.getgrnam, name)
    ]


def make_path(path: Path) -> None:
    """Like mkdir -p, with a mode that doesn't hang on the umask: services must be able to pass through."""
    if not path.is_dir():
        make_path(path.parent)
        path.mkdir()
        path.chmod(0o755)


def _own(path: Path, mode: int, owners: tuple[int, int] | None) -> None:
    if owners:
        os.chown(path, *owners)
    path.chmod(mode)


def _owners(user: str, group: str) -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _exists(look_up: object, name: str) -> bool:
    try:
        look_up(name)  # type: ignore[operator]
    except KeyError:
        return False
    return True


def is_system(settings: Path) -> bool:
    """Whether these are the machine's settings, not somebody's trial in a folder."""
    return settings == DEFAULT_PATH
