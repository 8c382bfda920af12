"""What an existing Postfix needs so that tunnel mail reaches the milter, worked out without changing anything.

Three things. The milter, asked about each mail that comes by SMTP; while it doesn't answer, Postfix says "later" (451).
The webmail recipient, known to Postfix, whatever it does with that domain. And a dead end behind it: a tunnel mail that
came in past the milter waits in the queue, and goes to nobody.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..config import Config
from ..envelope import domain_of
from . import status

#: Postfix's commands live where ordinary users don't look.
SEARCH = "/usr/sbin:/usr/local/sbin:/sbin:/usr/bin"
# RFC 2606: never a domain of anybody's.
DEAD_END = "webmail-messenger.invalid"
CONTENT_TIMEOUT = "300s"
#: Two times base64, and what S/MIME adds.
OVERHEAD = 1.9

_LISTS = ("mydestination", "virtual_mailbox_domains", "relay_domains", "virtual_alias_domains")
_READ = (
    *_LISTS,
    "default_database_type",
    "mail_version",
    "mailbox_size_limit",
    "message_size_limit",
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
        chrooted=any(words[7:8] == ["smtpd"] and words[4] == "y" for words in services),
        overrides=tuple(
            line
            for line in ask(where, "-P").splitlines()
            if re.match(r"[^/]+/(inet|pass|unix)/(smtpd_milters|receive_override_options) ", line)
        ),
    )


def plan(postfix: Postfix, config: Config) -> Plan:
    """Work out what is missing; what is there already is left as it stands, and only added to."""
    kind = postfix.meant["default_database_type"]
    virtual = postfix.folder / "webmail-messenger-virtual"
    transport = postfix.folder / "webmail-messenger-transport"
    recipient = config.tunnel.webmail_recipient
    domain = domain_of(recipient)
    # A domain of its own becomes ours to answer for; one that people have mail in never does.
    apart = not _known(domain, postfix) and domain not in config.site.own_domains
    # By default, a domain that is a key of virtual_alias_maps is a virtual alias domain.
    by_map = postfix.written["virtual_alias_domains"].strip() == "$virtual_alias_maps"
    tables = {
        virtual: _table(
            {recipient: f"not-taken@{DEAD_END}"} | ({domain: "webmail-messenger"} if apart and by_map else {})
        ),
        # Nobody listens there: whatever gets so far waits in the queue, and its log line says what happened.
        transport: _table({DEAD_END: f"lmtp:unix:{dead_end_socket(config, postfix)}"}),
    }
    wanted = {
        "smtpd_milters": _with_milter(postfix, config),
        "virtual_alias_maps": _with(postfix, "virtual_alias_maps", f"{kind}:{virtual}"),
        "transport_maps": _with(postfix, "transport_maps", f"{kind}:{transport}"),
    }
    if apart and not by_map:
        wanted["virtual_alias_domains"] = _with(postfix, "virtual_alias_domains", domain)
    return Plan(
        tables={path: text for path, text in tables.items() if not path.is_file() or path.read_text() != text},
        table_type=kind,
        parameters={name: value for name, value in wanted.items() if value != postfix.written[name].strip()},
        warnings=_warnings(postfix, config),
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


def dead_end_socket(config: Config, postfix: Postfix) -> str:
    queue = Path(postfix.meant["queue_directory"])
    if config.intake.socket.startswith("inet"):
        return "webmail-messenger/not-taken-by-the-milter"
    address = milter_address(str(Path(config.intake.socket).parent / "not-taken-by-the-milter"), queue)
    return address.removeprefix("unix:")


def ask(folder: Path | None, *words: str) -> str:
    """Run postconf for its output."""
    where = ["-c", str(folder)] if folder else []
    done = subprocess.run(
        [command("postconf") or "postconf", *where, *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise status.Failed(f"postconf: {done.stderr.strip()}; mend that first", status.UNAVAILABLE)
    return done.stdout


def _named(output: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in output.splitlines())}


def _table(entries: Mapping[str, str]) -> str:
    lines = [f"{key} {value}\n" for key, value in entries.items()]
    return "".join(["# Written by `messenger setup`; see docs/postfix.md of Webmail Messenger.\n", *lines])


def _with_milter(postfix: Postfix, config: Config) -> str:
    address = milter_address(config.intake.socket, Path(postfix.meant["queue_directory"]))
    written = postfix.written["smtpd_milters"].strip()
    # Asked by every smtpd, or by one that the site keeps for the tunnel.
    if any(_asks(address, where) for where in (postfix.meant["smtpd_milters"], *postfix.overrides)):
        return written
    ours = f"{{ {address}, default_action=tempfail, content_timeout={CONTENT_TIMEOUT} }}"
    return f"{written}, {ours}" if written else ours


def _asks(address: str, milters: str) -> bool:
    return re.search(rf"(^|[\s,{{=]){re.escape(address)}($|[\s,}}])", milters) is not None


def _with(postfix: Postfix, name: str, entry: str) -> str:
    """Put *entry* first, so that no pattern of the site's swallows it."""
    written, meant = postfix.written[name].strip(), postfix.meant[name].strip()
    if entry in re.split(r"[\s,]+", meant):
        return written
    return f"{entry}, {written}" if meant else entry


def _known(domain: str, postfix: Postfix) -> bool:
    """Tell whether Postfix takes mail for *domain* already, without our own table."""
    ours = f"{postfix.folder}/webmail-messenger-virtual"
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


def _warnings(postfix: Postfix, config: Config) -> tuple[str, ...]:
    address = milter_address(config.intake.socket, Path(postfix.meant["queue_directory"]))
    found = [
        f'master.cf has "{line}": the milter does not see what comes in there'
        for line in postfix.overrides
        if ("no_milters" in line if "receive_override" in line else not _asks(address, line))
    ]
    domain = domain_of(config.tunnel.webmail_recipient)
    if domain in config.site.own_domains and not _known(domain, postfix):
        found.append(
            f"{domain} is no domain of this Postfix, so it takes mail to {config.tunnel.webmail_recipient} only from"
            f" mynetworks. If the gateway isn't there, take an address in a domain of its own: messenger setup"
            f" --webmail-recipient webmail@webmail.{domain}"
        )
    if postfix.chrooted and address.startswith("unix:/"):
        found.append(
            f"smtpd runs in a chroot (master.cf) and can't see {config.intake.socket}: put [intake] socket"
            f" into {postfix.meant['queue_directory']}, or use inet:PORT@127.0.0.1"
        )
    if int(postfix.meant["mail_version"].split(".")[0]) < 3:
        found.append(f"Postfix {postfix.meant['mail_version']}: 3.0 or newer is needed")
    return (*found, *_size_warnings(postfix, config.intake.size_limit))


def _size_warnings(postfix: Postfix, wanted: int) -> list[str]:
    limit = int(postfix.meant["message_size_limit"])
    if limit == 0 or limit >= wanted:
        return []
    # Postfix wants a mailbox to hold the largest mail, or delivers nothing more.
    others = [
        f"{name}={wanted}"
        for name in ("mailbox_size_limit", "virtual_mailbox_limit")
        if 0 < int(postfix.meant[name]) < wanted
    ]
    return [
        f"Postfix takes mail up to {limit} bytes (message_size_limit), [intake] size_limit is {wanted}. A tunnel mail"
        f" is about {OVERHEAD} times its message, so messages over {int(limit / OVERHEAD)} bytes would not pass."
        f" If they should: postconf -e {' '.join([f'message_size_limit={wanted}', *others])}"
    ]
