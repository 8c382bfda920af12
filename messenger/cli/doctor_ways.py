"""Doctor: whether each service's user gets to the files and folders it works with. Tried as that user, as root.

Modes of the folders themselves are another check's; here it is what lies above them, and files that are no secret.
"""

import os
import pwd
from collections.abc import Iterator, Sequence
from pathlib import Path

from . import doctor_apart, places
from .doctor_finding import Finding, Host, fail

SECONDS = 3.0


def look(host: Host, check: str) -> Iterator[Finding]:
    """Yield what keeps a service's user out; nothing where this isn't root, or the users aren't here."""
    shut: dict[str, list[str]] = {}
    for user, (reads, enters) in _needs(host).items():
        if os.geteuid() == 0 and is_user(user):
            for path in filter(None, (barrier(user, reads, os.R_OK), barrier(user, enters, os.F_OK))):
                shut.setdefault(path, []).append(user)
    yield from (judge(check, Path(path), users) for path, users in shut.items())


def judge(check: str, path: Path, users: Sequence[str]) -> Finding:
    """Judge *path*, which *users* can't read or pass."""
    who = ", ".join(dict.fromkeys(users))
    if path.is_dir():
        text = f"{path}: {who} may not pass through it, and will not start or find what is in there"
        return fail(check, text, f"chmod o+x {path}")
    return fail(check, f"{path}: {who} may not read it, and will not start", f"chmod o+r {path}")


def barrier(user: str, paths: Sequence[Path], how: int) -> str:
    """Return the first of *paths*, or of the folders above them, that *user* may not pass or, by *how*, use; or ""."""
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)

    def tried() -> str:
        os.setgroups(groups)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        for path in paths:
            for above in reversed(path.parents):
                if not os.access(above, os.X_OK) and os.access(above, os.F_OK):
                    return str(above)
            if os.access(path, os.F_OK) and not os.access(path, how):
                return str(path)
        return ""

    return doctor_apart.answer(tried, SECONDS)


def _needs(host: Host) -> dict[str, tuple[list[Path], list[Path]]]:
    """By user: what it reads that is no secret, and where it works."""
    config, tunnel = host.config, host.config.tunnel
    found: dict[str, tuple[list[Path], list[Path]]] = {}
    if host.role.messenger:
        certificates = [*tunnel.recipient_certificates, *tunnel.sender_certificates] if host.tunnel else []
        places_of_mail = [config.mail.root, config.pdf.spool]
        found[places.MILTER] = [host.settings, *certificates], [*places_of_mail, config.intake.ledger]
        found[places.READER] = [host.settings], [config.mail.root, config.accounts.database.parent, config.reader.cache]
        found[places.PDFOTP] = [host.settings], [config.pdf.spool]
    if host.role.gateway:
        here = config.gateway
        found[places.GATEWAY] = [host.settings, here.policy, here.sender_certificate, here.recipient_certificate], []
    return found


def is_user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False
