"""What each process of a set-up Messenger may open, and what it really can: the rows of the table of processes.

As root, with the word "all", it tries everything as everybody; as a user each path that it is given (JSON on standard
input), and tells what it could do with it. Knows users, groups and paths; no unit, no key's content. Needs only Python.
"""

import json
import os
import pwd
import secrets
import socket
import stat
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

STATE, SPOOL, SETTINGS = "/var/lib/webmail-messenger", "/var/spool/postfix", "/etc/webmail-messenger"
#: Parts of a set-up machine, by the path that everything in a part begins with; of several the longest counts.
PLACES = {
    "settings": SETTINGS,
    "keys": f"{SETTINGS}/keys",
    "mail": f"{STATE}/mail",
    "ledger": f"{STATE}/ledger",
    "pdf": f"{STATE}/pdf",
    "observed": f"{STATE}/gateway",
    "accounts": f"{STATE}/accounts",
    "cache": "/var/cache/webmail-messenger",
    "milter socket": f"{SPOOL}/webmail-messenger",
    "gateway socket": f"{SPOOL}/webmail-messenger-gateway",
    "programs": "/opt/webmail-messenger",
    "credentials": "/run/credentials",
}


@dataclass(frozen=True)
class Process:
    """Who somebody is, and what is theirs."""

    user: str
    #: Beside the user's own, as its unit says.
    groups: tuple[str, ...]
    writes: tuple[str, ...]
    #: Beside what everybody reads.
    reads: tuple[str, ...] = ()


#: A machine that did any work has more.
FEWEST = 30
#: Everybody may read settings, certificates and programs. A private key is root's: systemd hands it over.
READABLE = ("settings", "programs")
PROCESSES = {
    "milter": Process(
        "messenger-milter", ("messenger", "messenger-pdfotp"), ("mail", "ledger", "pdf", "milter socket")
    ),
    "gateway": Process("messenger-gateway", (), ("observed", "gateway socket")),
    "reader": Process("messenger-reader", ("messenger", "messenger-pdf"), ("mail", "accounts", "cache")),
    "pdfotp": Process("messenger-pdfotp", ("messenger-pdf",), ("pdf",)),
    "Postfix": Process("postfix", (), (), ("milter socket", "gateway socket")),
    "somebody else": Process("nobody", (), ()),
}
#: What systemd hands to each service, and nobody else has.
CREDENTIALS = {
    "milter": ("link.key", "webmail-recipient.key"),
    "gateway": ("webmail-sender.key",),
    "reader": ("link.key", "pdf.key", "totp.key"),
    "pdfotp": ("pdf.key",),
}


def place(path: str) -> str:
    """The part that *path* is in, or ""."""
    inside = [name for name, start in PLACES.items() if path == start or path.startswith(f"{start}/")]
    found = max(inside, key=lambda name: len(PLACES[name]), default="")
    # Certificates lie beside the keys and are no secret.
    return "settings" if found == "keys" and not path.endswith(".key") else found


def everything() -> list[str]:
    """Each path of a set-up machine that there is; for root."""
    starts = [Path(start) for name, start in PLACES.items() if name != "programs"]
    found = {str(each) for start in starts if start.exists() for each in (start, *start.rglob("*"))}
    programs = PLACES["programs"]
    return [*sorted(found), programs, f"{programs}/bin", f"{programs}/bin/messenger"]


def allowed(process: Process, path: str) -> str:
    """What *process* may do with *path*: "rw", "r" or ""."""
    part = place(path)
    if part in process.writes or (part in process.reads and path.endswith(".sock")):
        return "rw"
    # A socket's lock is of its own service's only.
    return "r" if part in READABLE or (part in process.reads and not path.endswith(".lock")) else ""


def differing(process: Process, could: dict[str, str]) -> Iterable[str]:
    """Yield a sentence for each path that *process* could open more or less than it may."""
    for path, rights in could.items():
        if path == PLACES["keys"] and "w" not in rights:
            continue  # who may list the names in there is nobody's secret
        if rights != (may := allowed(process, path)):
            yield f"{process.user} may {may or 'not open'} {path} and could {rights or 'not open it'}"


def tried(paths: list[str], process: Process, enter: tuple[str, ...] = ()) -> dict[str, str]:
    """Try *paths* as the process's user, in a child; *enter* is a command before it, such as nsenter."""
    account = pwd.getpwnam(process.user)
    groups = ",".join((str(account.pw_gid), *process.groups))
    become = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", f"--groups={groups}")
    # As text: the user may not be able to read this file.
    source = Path(__file__).read_text()
    command = [*enter, *become, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "python3", "-c", source]
    done = subprocess.run(command, input=json.dumps(paths), capture_output=True, text=True, check=True)
    could: dict[str, str] = json.loads(done.stdout)
    return could


def rights(path: Path) -> str:
    """What this process can really do with *path*: "r" opened for reading, "w" for writing, each tried."""
    could = ""
    try:
        kind = path.stat().st_mode
    except OSError:
        return ""
    for letter, trial in (("r", _read), ("w", _write)):
        try:
            trial(path, kind)
            could += letter
        except OSError:
            continue
    return could


def _read(path: Path, kind: int) -> None:
    if stat.S_ISDIR(kind):
        next(path.iterdir(), None)
    elif stat.S_ISSOCK(kind):
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(str(path))
    else:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


def _write(path: Path, kind: int) -> None:
    if stat.S_ISDIR(kind):
        probe = path / f".tried-{secrets.token_hex(8)}"
        probe.touch(exist_ok=False)
        probe.unlink()
    elif stat.S_ISSOCK(kind):
        _read(path, kind)
    else:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def main() -> None:
    """Tell as JSON what could be done with each path named; with "all", in sentences what shouldn't be so."""
    if sys.argv[1:] != ["all"]:
        json.dump({path: rights(Path(path)) for path in json.load(sys.stdin)}, sys.stdout)
        return
    paths = everything()
    found = [line for process in PROCESSES.values() for line in differing(process, tried(paths, process))]
    sys.exit("\n".join(found) or (f"only {len(paths)} paths" if len(paths) < FEWEST else 0))


if __name__ == "__main__":
    main()
