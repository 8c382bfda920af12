"""Doctor: whether Postfix gets an answer from our milters. Tried as Postfix's user, inside its chroot, in its words."""

import os
import pwd
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..milter_greeting import greet
from . import doctor_apart, doctor_postfix, doctor_ways, places, postfix
from .doctor_finding import Finding, Host, fail, ok, skip

MILTER, GATEWAY = "milter", "gateway"
SECONDS = 2.0


@dataclass(frozen=True)
class View:
    """Where one of Postfix's processes stands when it connects."""

    queue: Path
    #: None: as who runs this, who may not become somebody else.
    user: str | None
    chrooted: bool


def look_at_milter(host: Host) -> Iterator[Finding]:
    yield from _look(host, MILTER, host.config.intake.socket, "messenger-milter")


def look_at_gateway(host: Host) -> Iterator[Finding]:
    yield from _look(host, GATEWAY, host.config.gateway.socket, "messenger-gateway")


def _look(host: Host, check: str, name: str, unit: str) -> Iterator[Finding]:
    root = os.geteuid() == 0
    found = doctor_postfix.here(host)
    if found is not None:
        view = View(found.queue, _owner(found) if root else None, found.chrooted and root)
    else:
        view = View(Path("/var/spool/postfix"), None, chrooted=False)
    address = postfix.milter_address(name, view.queue)
    trouble = doctor_apart.answer(lambda: reach(address, view), SECONDS * 2)
    yield judge(check, address, view, unit, trouble)


def _owner(found: postfix.Postfix) -> str:
    return postfix.ask(found.folder, "-h", "mail_owner").strip() or places.POSTFIX


def judge(check: str, address: str, view: View, unit: str, trouble: str) -> Finding:
    """Judge what became of the try: *trouble* is "" where the milter answered."""
    who = f"{view.user or 'this user'}{' in its chroot' if view.chrooted else ''}"
    if not trouble:
        return ok(check, f"{unit} answers {who} at {address}")
    means = f"{unit} doesn't answer at {address}: {trouble}. Mail is told to come again (451) and waits at its senders"
    if "Permission denied" in trouble:
        if view.user is None:
            return skip(check, f"{address}: this user may not connect; run it as root")
        folder = view.queue / Path(address.removeprefix("unix:")).parent
        return fail(check, f"{means} ({who})", _way(view.user, folder, unit))
    return fail(check, means, f"systemctl restart {unit}; journalctl -u {unit} -n 30")


def _way(user: str, folder: Path, unit: str) -> str:
    """What lets *user* into the folder of the socket: the folder itself, or one above it."""
    if doctor_ways.is_user(user) and (above := doctor_ways.barrier(user, [folder], os.F_OK)):
        return f"chmod o+x {above}"
    return f"chgrp {user} {folder} && chmod 2750 {folder}; systemctl restart {unit}"


def reach(address: str, view: View) -> str:
    """Ask the milter at *address* as Postfix does; return "", or what went wrong. Changes who this process is."""
    try:
        _stand_at(view)
        with _connected(address) as there:
            if not greet(there):
                return "something that is no milter answers there"
    except TimeoutError:
        return f"no answer within {SECONDS:g} seconds"
    except (OSError, EOFError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _stand_at(view: View) -> None:
    if view.user is not None:
        entry = pwd.getpwnam(view.user)  # before the chroot, which has no list of users
        if view.chrooted:
            os.chroot(view.queue)
            os.chdir("/")
        else:
            os.chdir(view.queue)
        os.setgroups([entry.pw_gid])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    elif view.queue.is_dir() and os.access(view.queue, os.X_OK):
        os.chdir(view.queue)


def _connected(address: str) -> socket.socket:
    if match := re.fullmatch(r"inet:\[?([^\]]+)\]?:(\d+)", address):
        return socket.create_connection((match[1], int(match[2])), timeout=SECONDS)
    there = socket.socket(socket.AF_UNIX)
    there.settimeout(SECONDS)
    try:
        there.connect(address.removeprefix("unix:"))
    except BaseException:
        there.close()
        raise
    return there
