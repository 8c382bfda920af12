"""The socket Postfix connects to: make way for it, hold it against a second milter, open it to Postfix alone."""

from __future__ import annotations

import contextlib
import fcntl
import grp
import logging
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from messenger.errors import MessengerError

log = logging.getLogger(__name__)

#: Postfix's daemons run as this user and group, inside the chroot or not.
POSTFIX_GROUP = "postfix"
MILTER, GATEWAY = "messenger-milter", "messenger-gateway"
_SECTION = {MILTER: "[intake]", GATEWAY: "[gateway]"}
#: How long a socket may take to accept before it counts as dead.
ANSWER_SECONDS = 2.0

_INET = re.compile(r"inet6?:(?P<port>\d+)(?:@(?P<host>.+))?")


class SocketError(MessengerError):
    """The socket can't be had; says who has it or what to change."""


@contextlib.contextmanager
def claimed(name: str, who: str = MILTER) -> Iterator[str]:
    """Hold the socket *name* for the service *who* and yield it as libmilter spells it. Removes it in the end."""
    if _INET.fullmatch(name):
        _refuse_if_answered(name, who)
        yield name
        return
    path = Path(name.removeprefix("unix:").removeprefix("local:"))
    with _locked(path, who):
        _remove_stale(path, who)
        try:
            yield f"unix:{path}"
        finally:
            path.unlink(missing_ok=True)


def opened(name: str, open_socket: Callable[[], None]) -> None:
    """Create the socket by *open_socket* so that nobody but Postfix and we may connect, not even for a moment."""
    if not name.startswith("unix:"):
        open_socket()
        return
    path = Path(name.removeprefix("unix:"))
    before = os.umask(0o117)
    try:
        open_socket()
    finally:
        os.umask(before)
    _give_to_postfix(path)


def check(name: str, who: str = MILTER) -> None:
    """Raise SocketError unless the service *who* could make the socket."""
    if _INET.fullmatch(name):
        return
    folder = Path(name.removeprefix("unix:").removeprefix("local:")).parent
    if not folder.is_dir():
        raise SocketError(
            f"the socket's folder {folder} is missing: install -d -o {who} -g {POSTFIX_GROUP} -m 2750 {folder}"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SocketError(f"cannot write to the socket's folder {folder}: give it to the user of {who}")


@contextlib.contextmanager
def _locked(path: Path, who: str) -> Iterator[None]:
    """Two that start at the same moment would both find the socket dead; a lock that dies with its holder decides."""
    check(str(path), who)
    lock = path.with_name(path.name + ".lock")
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SocketError(f"cannot open {lock}: {error.strerror}; remove it if it is another user's") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _answered(str(path), who) from None
        yield
    finally:
        os.close(handle)


def _remove_stale(path: Path, who: str) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketError(f"{path} is not a socket; remove it or choose another {_SECTION[who]} socket")
    except FileNotFoundError:
        return
    _refuse_if_answered(str(path), who)
    log.info("removing %s, which a milter left behind", path)
    path.unlink(missing_ok=True)


def connected(name: str, seconds: float) -> socket.socket:
    """Connect to the milter on the socket *name*, as the settings spell it; raises OSError.

    Each step on it may take *seconds*.
    """
    address = _address(name)
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    if isinstance(address, tuple) and ":" in address[0]:
        family = socket.AF_INET6
    client = socket.socket(family, socket.SOCK_STREAM)
    try:
        client.settimeout(seconds)
        client.connect(address)
    except BaseException:
        client.close()
        raise
    return client


def _address(name: str) -> str | tuple[str, int]:
    if inet := _INET.fullmatch(name):
        return inet["host"] or "127.0.0.1", int(inet["port"])
    return name.removeprefix("unix:").removeprefix("local:")


def _refuse_if_answered(name: str, who: str) -> None:
    try:
        connected(name, ANSWER_SECONDS).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return
    except OSError as error:
        raise SocketError(f"cannot tell whether {name} is in use: {error}") from error
    raise _answered(name, who)


def _answered(name: str, who: str) -> SocketError:
    return SocketError(f"another {who} answers on {name}; stop it first, or give this one --socket")


def _give_to_postfix(path: Path) -> None:
    try:
        group = grp.getgrnam(POSTFIX_GROUP).gr_gid
    except KeyError:
        log.warning("there is no group %s on this machine: %s is open to our own group", POSTFIX_GROUP, path)
        return
    if path.stat().st_gid == group:
        return  # the folder is set-group-ID, as our tmpfiles entry makes it
    try:
        os.chown(path, -1, group)
    except PermissionError:
        log.warning(
            "Postfix can't connect to %s: its folder must hand the group down: chgrp %s %s; chmod 2750 %s",
            path,
            POSTFIX_GROUP,
            path.parent,
            path.parent,
        )
