"""An existing Postfix as it is set up, and a plan of changes to it as lines for a shell. Changes nothing.

What the plan holds is worked out by postfix_plan.py.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import status

#: Postfix's commands live where ordinary users don't look.
SEARCH = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin"
TRANSPORT = "webmail-messenger-transport"
VIRTUAL = "webmail-messenger-virtual"

_LISTS = ("mydestination", "virtual_mailbox_domains", "relay_domains", "virtual_alias_domains")
_READ = (
    *_LISTS,
    "default_database_type",
    "mail_version",
    "mailbox_size_limit",
    "message_size_limit",
    "milter_default_action",
    "mynetworks",
    "myhostname",
    "non_smtpd_milters",
    "queue_directory",
    "smtpd_milters",
    "transport_maps",
    "virtual_alias_maps",
    "virtual_mailbox_limit",
)


@dataclass(frozen=True)
class Postfix:
    """One Postfix as it is set up now."""

    folder: Path
    #: As written in main.cf, and with $names replaced.
    written: Mapping[str, str]
    meant: Mapping[str, str]
    #: Lines of master.cf that speak of smtpd: name, chroot, overridden parameters.
    chrooted: bool
    overrides: tuple[str, ...]
    #: Services that take mail by SMTP: "smtp", "127.0.0.1:10025".
    listeners: tuple[str, ...] = ()

    @property
    def queue(self) -> Path:
        """Where relative paths of sockets start."""
        return Path(self.meant["queue_directory"])


@dataclass(frozen=True)
class Plan:
    """What to change; nothing in it means that all is in place."""

    #: Lookup tables by path: to be written, then postmap'ed as this type.
    tables: Mapping[Path, str] = field(default_factory=dict)
    table_type: str = "hash"
    parameters: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.tables and not self.parameters


def command(name: str) -> str | None:
    return shutil.which(name, path=SEARCH)


def installed() -> bool:
    return command("postconf") is not None


def inspect(folder: Path | None) -> Postfix:
    """Read how the Postfix in *folder* is set up, or the machine's own."""
    where = folder or Path(ask(None, "-h", "config_directory").strip())
    if not (where / "main.cf").is_file():
        raise status.Failed(
            f"{where}/main.cf: not there, so this Postfix is not set up; `dpkg-reconfigure postfix` does that,"
            " or name another folder with --postfix-config",
            status.UNAVAILABLE,
        )
    services = [line.split() for line in ask(where, "-M").splitlines()]
    return Postfix(
        folder=where,
        written=_named(ask(where, *_READ)),
        meant=_named(ask(where, "-x", *_READ)),
        listeners=tuple(words[0] for words in services if words[1] == "inet" and words[7:8] == ["smtpd"]),
        chrooted=any(words[7:8] == ["smtpd"] and words[4] == "y" for words in services),
        overrides=tuple(
            line
            for line in ask(where, "-P").splitlines()
            if re.match(r"[^/]+/(inet|pass|unix)/(smtpd_milters|receive_override_options) ", line)
        ),
    )


def milter_address(socket: str, queue: Path) -> str:
    """Return *socket* as Postfix writes it; relative to its queue where it lies inside, for the chroot."""
    if match := re.fullmatch(r"inet6?:(\d+)@(.+)", socket):
        port, host = match[1], match[2].strip("[]")
        return f"inet:[{host}]:{port}" if ":" in host else f"inet:{host}:{port}"
    path = Path(socket)
    return f"unix:{path.relative_to(queue) if path.is_relative_to(queue) else path}"


def lines(postfix: Postfix, plan: Plan) -> list[str]:
    """Return the plan as commands for a shell."""
    found = [f"cat > {path} <<'END'\n{text}END" for path, text in plan.tables.items()]
    option = "" if postfix.folder == Path("/etc/postfix") else f"-c {postfix.folder} "
    found += [f"postmap {option}{plan.table_type}:{path}" for path in plan.tables]
    found += [f"postconf {option}-e {shlex.quote(f'{name} = {value}')}" for name, value in plan.parameters.items()]
    return [*found, f"postfix {option}check", f"postfix {option}reload"]


def ask(folder: Path | None, *words: str) -> str:
    """Run postconf for its output."""
    where = ["-c", str(folder)] if folder else []
    done = subprocess.run(
        [command("postconf") or "postconf", *where, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise status.Failed(f"postconf: {done.stderr.strip()}; mend that first", status.UNAVAILABLE)
    return done.stdout


def table(entries: Mapping[str, str]) -> str:
    """Return the text of a lookup table."""
    found = [f"{key} {value}\n" for key, value in entries.items()]
    return "".join(["# Written by `messenger setup`; see docs/postfix.md of Webmail Messenger.\n", *found])


def added(postfix: Postfix, name: str, entry: str) -> str:
    """Return the list *name* with *entry* first, so that no pattern of the site's swallows it."""
    written, meant = postfix.written[name].strip(), postfix.meant[name].strip()
    if entry in re.split(r"[\s,]+", meant):
        return written
    return f"{entry}, {written}" if meant else entry


def knows(postfix: Postfix, domain: str) -> bool:
    """Tell whether Postfix takes mail for *domain* already, without our own table."""
    ours = f"{postfix.folder}/{VIRTUAL}"
    for name in _LISTS:
        for entry in re.split(r"[\s,]+", postfix.meant[name].strip()):
            if (
                entry
                and not entry.endswith(ours)
                and _matches(domain, entry, postfix.folder, subdomains=name == "relay_domains")
            ):
                # What an earlier run of ours wrote there is no reason to take it out again.
                return not (name == "virtual_alias_domains" and entry == domain)
    return False


def _matches(domain: str, entry: str, folder: Path, *, subdomains: bool) -> bool:
    if entry.startswith("/"):
        file = Path(entry)
        words = file.read_text().split() if file.is_file() else []
        return any(_matches(domain, word, folder, subdomains=subdomains) for word in words if not word.startswith("/"))
    if ":" in entry:
        table = entry.removeprefix("proxy:")
        asked = [command("postmap") or "postmap", "-c", str(folder), "-q", domain, table]
        done = subprocess.run(asked, capture_output=True, check=False)
        return done.returncode == 0
    return domain == entry.lower() or (subdomains and domain.endswith(f".{entry.lower().lstrip('.')}"))


def _named(output: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in output.splitlines())}
