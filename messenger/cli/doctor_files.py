"""Doctor: key files and folders. Who may read and write them, and whether what is in the keys can be used."""

import grp
import pwd
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import link as links
from .. import pdf_password, totp
from ..config import DEFAULT_PATH
from ..errors import MessengerError
from ..tunnel.keys import load_key
from . import doctor_ways, places, unit_files
from .doctor_finding import Finding, Host, counted, denied, fail, ok, skip, warn
from .places import Folder

KEYS, FOLDERS = "keys", "folders"


@dataclass(frozen=True)
class Found:
    """A file or folder as it lies there."""

    mode: int
    user: str
    group: str


@dataclass(frozen=True)
class Secret:
    """One key file, and whose it is."""

    path: Path
    #: The service's group, for a machine without systemd; the service may also own the file alone.
    group: str
    #: What is lost without it.
    means: str
    load: Callable[[Path], object]


def secrets(host: Host) -> Iterator[Secret]:
    """List the key files of the services here."""
    config = host.config
    if host.role.messenger:
        if host.tunnel:
            for path in config.tunnel.recipient_keys:
                yield Secret(path, places.MILTER, "tunnel mail can't be opened and waits at the gateway", load_key)
        yield Secret(config.notice.link_key, places.SHARED, "no notice can be sent", links.load_key)
        yield Secret(config.accounts.totp_key, places.READER, "nobody with a second factor can log in", totp.load_key)
        yield Secret(config.pdf.key, places.PDF, "no PDF can be made or opened", pdf_password.load_key)
        for key, group in ((config.reply.sign_key, places.READER), (config.pdf.sign_key, places.PDFOTP)):
            if key is not None:
                yield Secret(key, group, "nothing can be signed with it", load_key)
    if host.role.gateway:
        yield Secret(config.gateway.sender_key, places.GATEWAY, "no mail can be protected, all waits (451)", load_key)


def look_at_keys(host: Host) -> Iterator[Finding]:
    wrong, count = [], 0
    for secret in secrets(host):
        count += 1
        try:
            found, trouble = look(secret.path), ""
        except PermissionError:
            yield skip(KEYS, f"{secret.path}: this user can't look there; run it as root")
            return
        if found is not None:
            try:
                secret.load(secret.path)
            except MessengerError as error:
                if denied(error):
                    yield skip(KEYS, f"{secret.path}: this user can't read it; run it as root")
                    return
                trouble = str(error)
        there = _is_group(secret.group)
        wrong += judge_secret(secret, found, trouble, there=there, handed=unit_files.BOOTED.is_dir())
    wrong += judge_handing(host) if unit_files.BOOTED.is_dir() and host.settings == DEFAULT_PATH else []
    yield from wrong or [ok(KEYS, f"{counted(count, 'key file')}: each can be used, and read by its service alone")]


def judge_handing(host: Host, folder: Path = unit_files.FOLDER) -> list[Finding]:
    """Judge whether the units hand over the keys that the settings name."""
    found = [fail(KEYS, text) for text in unit_files.complaints(host.config, host.role)]
    mend = "messenger setup --non-interactive, then restart the services"
    for path, text in unit_files.differing(host.config, host.role, folder):
        if path.exists() and set(text.splitlines()) <= set(path.read_text().splitlines()):
            found.append(warn(KEYS, f"{path}: says more than the settings name, such as a key that was retired", mend))
        else:
            found.append(fail(KEYS, f"{path}: not what the settings say: units lack keys, or listen elsewhere", mend))
    return found


def judge_secret(
    secret: Secret, found: Found | None, trouble: str, *, there: bool, handed: bool = True
) -> list[Finding]:
    """Judge one key file.

    *there*: the services have users of their own on this machine; *handed*: systemd hands them their keys.
    """
    path = secret.path
    if found is None:
        return [
            fail(
                KEYS,
                f"{path}: missing, so {secret.means}",
                "restore it from the backup. Only if there is none: messenger setup, which makes a new one",
            )
        ]
    if trouble:
        return [fail(KEYS, f"{trouble}. Meanwhile {secret.means}")]
    mend = f"chown root:root {path} && chmod 600 {path}" if there else f"chmod 600 {path}"
    if there and not handed:
        mend = f"chown root:{secret.group} {path} && chmod 640 {path}"
    if found.mode & 0o027:
        return [fail(KEYS, f"{path}: mode {found.mode:o}, others can read or change this key", mend)]
    by_group = found.group == secret.group and found.mode & 0o040
    by_owner = found.user == secret.group and found.mode & 0o400
    if there and handed:
        if found.user != "root" or found.mode & 0o040:
            text = f"{path}: {found.user}:{found.group}, mode {found.mode:o}; systemd hands it over, so root is enough"
            return [warn(KEYS, text, mend)]
        return []
    if there and not by_group and not by_owner:
        text = (
            f"{path}: {found.user}:{found.group}, mode {found.mode:o}; {secret.group} can't read it, so {secret.means}"
        )
        return [fail(KEYS, text, mend)]
    return []


def look_at_folders(host: Host) -> Iterator[Finding]:
    wrong, count = [], 0
    for folder in places.folders(host.config, host.settings, host.role):
        count += 1
        try:
            found = look(folder.path)
        except PermissionError:
            yield skip(FOLDERS, f"{folder.path}: this user can't look there; run it as root")
            return
        gateway = host.config.gateway
        if found is None and folder.path == gateway.observed.parent and gateway.mode != "observe":
            continue  # nothing is written there yet
        there = _is_group(folder.group) and _is_user(folder.user)
        wrong += judge_folder(folder, found, there=there)
    wrong += doctor_ways.look(host, FOLDERS)
    yield from wrong or [ok(FOLDERS, f"{counted(count, 'folder')}: all there, with the right owners and modes")]


def judge_folder(folder: Folder, found: Found | None, *, there: bool) -> list[Finding]:
    """Judge one folder; *there*: its user and group exist on this machine."""
    path, wanted = folder.path, folder.mode if there else folder.alone
    owners = f"{folder.user}:{folder.group}"
    mend = f"chown {owners} {path} && chmod {wanted:o} {path}" if there else f"chmod {wanted:o} {path}"
    if found is None:
        return [fail(FOLDERS, f"{path}: missing; is its disk mounted? {folder.user} can't work without it", _MAKE)]
    if there and folder.user != "root" and found.user != folder.user:
        text = f"{path}: belongs to {found.user}:{found.group}, expected {owners}; its service may not work there"
        return [fail(FOLDERS, text, mend)]
    # Without the set-group-ID bit what is made in there belongs to another group, and the other service can't read it.
    lacking, more = wanted & ~found.mode & 0o2777, found.mode & ~wanted & 0o027
    if there and lacking:
        return [fail(FOLDERS, f"{path}: mode {found.mode:o}, expected {wanted:o}; a service can't get in", mend)]
    if there and found.group != folder.group:
        # Where a folder is shared, the group is how the other service gets in.
        judged = fail if wanted & 0o070 and folder.group != folder.user else warn
        return [judged(FOLDERS, f"{path}: group {found.group}, expected {folder.group}", mend)]
    if more & 0o002:
        return [fail(FOLDERS, f"{path}: mode {found.mode:o}, everybody on this machine can write there", mend)]
    if more:
        return [warn(FOLDERS, f"{path}: mode {found.mode:o} is more open than {wanted:o}", mend)]
    return []


_MAKE = "mount its disk; on a new host: messenger setup --non-interactive"


def look(path: Path) -> Found | None:
    """Return what lies at *path*, or None. PermissionError where this user can't tell."""
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Found(stat.S_IMODE(facts.st_mode), _user(facts.st_uid), _group(facts.st_gid))


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return f"#{number}"


def _is_user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _is_group(name: str) -> bool:
    try:
        return bool(grp.getgrnam(name))
    except KeyError:
        return False
