"""Doctor: room on the disks that mail, spools and the database lie on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .doctor_finding import Finding, Host, fail, ok, warn

CHECK = "disk"
#: Percent that is free; below the second nothing may be left by the morning.
LITTLE, HARDLY = 10.0, 3.0
GIGABYTE = 10**9


@dataclass(frozen=True)
class Disk:
    """One file system, by the first of our places on it."""

    path: Path
    free_octets: int
    #: In percent; 100 where the file system counts no inodes.
    free: float
    free_inodes: float
    read_only: bool = False


def look(host: Host) -> Iterator[Finding]:
    disks = list(probe(places_of(host)))
    yield from [one for disk in disks for one in judge(disk)] or [
        ok(CHECK, ", ".join(f"{disk.path}: {disk.free:.0f} % free ({_size(disk.free_octets)})" for disk in disks))
    ]


def places_of(host: Host) -> Iterator[Path]:
    config = host.config
    if host.role.messenger:
        yield from (config.mail.root, config.pdf.spool, config.intake.ledger)
        yield from (config.accounts.database.parent, config.reader.cache)
    if host.role.gateway:
        yield config.gateway.observed.parent
    yield host.postfix or Path("/var/spool/postfix")


def probe(paths: Iterator[Path]) -> Iterator[Disk]:
    """Measure each file system once; what isn't there is another check's matter."""
    seen = set()
    for path in paths:
        try:
            device, facts = path.stat().st_dev, os.statvfs(path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        if device not in seen:
            seen.add(device)
            yield Disk(
                path,
                facts.f_bavail * facts.f_frsize,
                _percent(facts.f_bavail, facts.f_blocks),
                _percent(facts.f_favail, facts.f_files),
                bool(facts.f_flag & os.ST_RDONLY),
            )


def judge(disk: Disk) -> list[Finding]:
    if disk.read_only:
        text = f"{disk.path}: mounted read-only; no mail can be kept there, so all mail is answered 451 and waits"
        return [fail(CHECK, text, f"dmesg | tail; then mount -o remount,rw $(findmnt -no TARGET -T {disk.path})")]
    found = []
    rooms = ((disk.free, f"room ({_size(disk.free_octets)})", "du -xh"), (disk.free_inodes, "inodes", "du -x --inodes"))
    for free, what, command in rooms:
        text = f"{disk.path}: {free:.1f} % of the {what} is free"
        mend = f"{command} -d2 {disk.path} | sort -h | tail; make room, then messenger cleanup --dry-run"
        if free < HARDLY:
            found.append(fail(CHECK, f"{text}; when none is left, mail is answered 451 and waits", mend))
        elif free < LITTLE:
            found.append(warn(CHECK, text, mend))
    return found


def _percent(free: int, all_: int) -> float:
    return 100.0 * free / all_ if all_ else 100.0


def _size(octets: int) -> str:
    return f"{octets / GIGABYTE:.1f} GB"
