"""What systemd must know of a site's settings: which keys each unit is handed, and where the portal's socket listens.

The units hand over the keys that setup makes, under their names. Where the settings name others, a drop-in beside the
unit says so; it is written by setup and compared by doctor. Knows paths, never what is in a key.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..config import DEFAULT_PATH, Config
from .files import write_whole
from .places import make_path
from .roles import Role

FOLDER = Path("/etc/systemd/system")
#: There where systemd is the machine's first process (sd_booted(3)).
BOOTED = Path("/run/systemd/system")
SOCKET, LISTEN = "messenger-reader.socket", "127.0.0.1:8025"
_HEAD = "# By `messenger setup`, from the settings; run it again when they name other {what}.\n"
#: Keys that each unit is handed as it comes: those of systemd/*.service.
STANDARD = {
    "messenger-milter.service": ("webmail-recipient.key", "link.key"),
    "messenger-gateway.service": ("webmail-sender.key",),
    "messenger-reader.service": ("link.key", "totp.key", "pdf.key"),
    "messenger-pdfotp.service": ("pdf.key",),
    "messenger-pdfotp@.service": ("pdf.key",),
}


def keys(config: Config, role: Role) -> dict[str, tuple[Path, ...]]:
    """Return the key files that each unit of *role* reads."""
    found: dict[str, tuple[Path | None, ...]] = {}
    if role.gateway:
        found["messenger-gateway.service"] = (config.gateway.sender_key,)
    if role.messenger:
        tunnel = config.tunnel.recipient_keys if config.intake.mode == "tunnel" else ()
        pdfotp = (config.pdf.key, config.pdf.sign_key)
        found |= {
            "messenger-milter.service": (*tunnel, config.notice.link_key),
            "messenger-reader.service": (
                config.notice.link_key, config.accounts.totp_key, config.pdf.key, config.reply.sign_key
            ),
            "messenger-pdfotp.service": pdfotp,
            "messenger-pdfotp@.service": pdfotp,
        }  # fmt: skip
    return {unit: tuple(path for path in paths if path) for unit, paths in found.items()}


def complaints(config: Config, role: Role) -> list[str]:
    """Say which keys systemd can't hand over: it knows them by the names of their files."""
    found = []
    for unit, paths in keys(config, role).items():
        for path in dict.fromkeys(paths):
            same = [other for other in paths if other.name == path.name and other != path]
            if same:
                found.append(f"{path}: {unit} reads {same[0]} too, and both have one name; give this one another")
            elif not path.name.isascii() or not path.name.isprintable() or ":" in path.name:
                found.append(f"{path}: systemd can't hand this to {unit}; give it a name in ASCII, without a colon")
    return list(dict.fromkeys(found))


def drop_ins(config: Config, role: Role, folder: Path = FOLDER) -> dict[Path, str]:
    """Return each drop-in that a unit of *role* may have, and what must be in it: "" where none is needed."""
    made = {folder / f"{unit}.d" / "keys.conf": _handing(unit, paths) for unit, paths in keys(config, role).items()}
    if role.messenger:
        listen = config.reader.listen
        text = f"{_HEAD.format(what='addresses')}[Socket]\nListenStream=\nListenStream={listen}\n"
        made[folder / f"{SOCKET}.d" / "listen.conf"] = text if listen != LISTEN else ""
    return made


def differing(config: Config, role: Role, folder: Path = FOLDER) -> Iterator[tuple[Path, str]]:
    """Yield the drop-ins that aren't as they must be, and what they must say. None of somebody else's is too much."""
    for path, text in drop_ins(config, role, folder).items():
        try:
            there = path.read_text()
        except FileNotFoundError:
            there = ""
        if there != text and (text or there.startswith(_HEAD.partition("{")[0])):
            yield path, text


def put(config: Config, role: Role, folder: Path = FOLDER) -> list[str]:
    """Bring the drop-ins to what the settings say; return what was done."""
    done = []
    for path, text in list(differing(config, role, folder)):
        if text:
            make_path(path.parent)
            write_whole(path, text.encode(), 0o644)
            done.append(f"wrote {path}")
        else:
            path.unlink()
            done.append(f"removed {path}")
    return done


def tell_systemd() -> bool:
    """Have systemd read units and drop-ins again, where it runs; False where that failed."""
    if not BOOTED.is_dir() or not (command := shutil.which("systemctl")):
        return True
    return subprocess.run([command, "daemon-reload"], check=False).returncode == 0


def ours_to_write(settings: Path) -> bool:
    """Whether this machine may have units, which are about these settings, and this process may change them."""
    return settings == DEFAULT_PATH and os.geteuid() == 0 and FOLDER.is_dir()


def _handing(unit: str, paths: tuple[Path, ...]) -> str:
    standard = {DEFAULT_PATH.parent / "keys" / name for name in STANDARD[unit]}
    others = [path for path in dict.fromkeys(paths) if path not in standard]
    lines = [line for path in others for line in _lines(str(path.name), str(path))]
    return "".join([_HEAD.format(what="keys"), "[Service]\n", *lines]) if lines else ""


def _lines(name: str, path: str) -> tuple[str, str]:
    name, path = name.replace("%", "%%"), path.replace("%", "%%")
    # The second stands in where the first isn't there: the service says so itself then, in a sentence.
    return f"LoadCredential={name}:{path}\n", f"SetCredential={name}:-\n"
