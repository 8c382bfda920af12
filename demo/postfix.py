"""A private Postfix on loopback: its own settings, queue, ports and log; the system's own is never touched.

For tests, the demo and the benchmarks. It relays nothing to the world: what leaves it is discarded, or caught
as files (``transport=CATCH``). Needs Postfix installed and root, since Postfix changes users.
"""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

#: Every mail that would leave lands in one Maildir under ``home``, where ``caught()`` finds it.
CATCH = "virtual:"
#: Mail that would leave is thrown away: for measuring.
DISCARD = "discard:"

START_SECONDS = 15.0
STOP_SECONDS = 10.0

# Nothing chrooted: the queue lies wherever the caller wants it, without /etc copied into it.
MASTER_CF = """\
127.0.0.1:{port} inet n - n - {processes} smtpd
127.0.0.1:{plain_port} inet n - n - {processes} smtpd
    -o smtpd_milters=
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
lmtp      unix  -       -       n       -       -       lmtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
scache    unix  -       -       n       -       1       scache
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
{services}
"""

MORE_PORT = """\
127.0.0.1:{port} inet n - n - {processes} smtpd
    -o smtpd_milters={milters}
"""


class PostfixMissing(Exception):
    """This machine or this user cannot run a Postfix; the text says what to do."""


class PostfixFailed(Exception):
    """The private Postfix did not come up; the text holds the end of its log."""


@dataclass(frozen=True)
class Caught:
    """One mail as it would have left for one recipient."""

    mail_from: str
    rcpt_to: str
    raw: bytes


class PrivatePostfix:
    """One Postfix instance; ``with`` starts and stops it, and removes a folder it had to borrow.

    ``port`` asks the *milters*, ``plain_port`` asks nobody. *main_cf* adds to or replaces main.cf parameters,
    *more_ports* opens one port more for each name, asking the milters given; *services* adds lines to master.cf.
    """

    def __init__(
        self,
        home: Path,
        *,
        milters: str = "",
        main_cf: Mapping[str, str] | None = None,
        transport: str = DISCARD,
        more_ports: Mapping[str, str] | None = None,
        services: str = "",
        processes: int = 30,
    ) -> None:
        require()
        home.mkdir(parents=True, exist_ok=True)
        self._borrowed: Path | None = None
        if not _open_to_others(home):
            # The user postfix must reach its queue; pytest and mkdtemp hand out folders it can't enter.
            self._borrowed = Path(tempfile.mkdtemp(prefix="private-postfix-"))
            self._borrowed.chmod(0o755)
            home = self._borrowed
        self.home = home
        self.config_dir = home / "postfix"
        self.queue = home / "queue"
        self.log = home / "postfix.log"
        self.port = free_port()
        self.plain_port = free_port()
        self.ports = {name: free_port() for name in more_ports or {}}
        more = "".join(
            MORE_PORT.format(port=self.ports[name], milters=asked, processes=processes)
            for name, asked in (more_ports or {}).items()
        )
        self._main_cf = self._parameters(milters, transport) | dict(main_cf or {})
        self._master_cf = MASTER_CF.format(
            port=self.port, plain_port=self.plain_port, services=more + services, processes=processes
        )
        self._master: subprocess.Popen[bytes] | None = None

    @property
    def sendmail(self) -> tuple[str, ...]:
        """The command that hands a mail to this instance."""
        return (sendmail_command(), "-C", str(self.config_dir))

    def start(self) -> None:
        """Write the settings, start, and return when both ports answer."""
        self._write()
        atexit.register(self.stop)  # a test or demo that dies half way leaves no daemons behind
        output = (self.home / "start.log").open("ab")
        with output:
            self._master = subprocess.Popen(
                ["postfix", "-c", str(self.config_dir), "start-fg"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (_answers(self.port) and _answers(self.plain_port)):
            if self._master.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PostfixFailed(f"Postfix did not start in {self.home}:\n{self._last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End this instance by its process ids; what is queued stays queued."""
        if self._master is not None:
            master = self._master_pid() or self._master.pid
            _send(master, signal.SIGTERM)
            try:
                self._master.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                _send(master, signal.SIGKILL)
                self._master.kill()
                self._master.wait()
            self._master = None
        atexit.unregister(self.stop)

    def caught(self) -> list[Caught]:
        """The mails that would have left (``transport=CATCH``), oldest first."""
        files = sorted((self.home / "caught" / "new").glob("*"), key=lambda file: file.stat().st_mtime_ns)
        return [_opened(file.read_bytes()) for file in files]

    def wait_caught(self, count: int, seconds: float = 10.0) -> list[Caught]:
        """Wait until *count* mails have been caught; fewer are returned when the time is over."""
        deadline = time.monotonic() + seconds
        while len(found := self.caught()) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def beforehand(self, **parameters: str) -> None:
        """Set main.cf parameters that were not known yet when this instance was described."""
        self._main_cf.update(parameters)

    def postconf(self, **parameters: str) -> None:
        """Change main.cf parameters of the running instance."""
        self.beforehand(**parameters)
        self._write()
        subprocess.run(["postfix", "-c", str(self.config_dir), "reload"], check=True, capture_output=True)

    def __enter__(self) -> PrivatePostfix:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self._borrowed is not None:
            shutil.rmtree(self._borrowed, ignore_errors=True)

    def _parameters(self, milters: str, transport: str) -> dict[str, str]:
        nobody = pwd.getpwnam("nobody")
        return {
            "compatibility_level": "3.6",
            "queue_directory": str(self.queue),
            "data_directory": str(self.home / "data"),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": str(self.home),
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "mynetworks": "127.0.0.0/8",
            "myhostname": "mail.portal.test",
            "mydestination": "",
            "alias_maps": "",
            "local_recipient_maps": "",
            "default_transport": transport,
            "relay_transport": transport,
            # Else whatever the maps know, which is everything, goes to virtual(8) past default_transport.
            "virtual_mailbox_domains": "",
            "virtual_mailbox_base": str(self.home),
            "virtual_mailbox_maps": "static:caught/",
            "virtual_uid_maps": f"static:{nobody.pw_uid}",
            "virtual_gid_maps": f"static:{nobody.pw_gid}",
            "mailbox_size_limit": "0",
            "virtual_mailbox_limit": "0",
            "message_size_limit": "104857600",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "smtpd_peername_lookup": "no",
            "smtpd_milters": milters,
            "milter_default_action": "tempfail",
            # Tests shouldn't wait for the patience that suits the Internet.
            "queue_run_delay": "2s",
            "minimal_backoff_time": "2s",
            "maximal_backoff_time": "5s",
            "in_flow_delay": "0s",
        }

    def _write(self) -> None:
        postfix = pwd.getpwnam("postfix")
        nobody = pwd.getpwnam("nobody")
        for folder in (self.config_dir, self.queue):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        data = self.home / "data"
        data.mkdir(exist_ok=True)
        data.chmod(0o700)
        os.chown(data, postfix.pw_uid, postfix.pw_gid)
        caught = self.home / "caught"
        for folder in (caught, caught / "tmp", caught / "new", caught / "cur"):
            folder.mkdir(exist_ok=True)
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        lines = [f"{name} = {value}\n" for name, value in self._main_cf.items()]
        (self.config_dir / "main.cf").write_text("".join(lines))
        (self.config_dir / "master.cf").write_text(self._master_cf)

    def _master_pid(self) -> int | None:
        try:
            return int((self.queue / "pid" / "master.pid").read_text())
        except (OSError, ValueError):
            return None

    def _last_words(self) -> str:
        words = []
        for file in (self.home / "start.log", self.log):
            if file.exists():
                words.extend(file.read_text(errors="replace").splitlines()[-15:])
        return "\n".join(words)


def require() -> None:
    """Raise PostfixMissing unless a private Postfix can run here."""
    if shutil.which("postfix", path=_PATH) is None:
        raise PostfixMissing("Postfix is not installed: sudo apt-get install --no-install-recommends postfix")
    if os.geteuid() != 0:
        raise PostfixMissing("A private Postfix needs root, since Postfix changes users: sudo make demo")


def sendmail_command() -> str:
    """Where Postfix's sendmail(1) is."""
    return shutil.which("sendmail", path=_PATH) or "/usr/sbin/sendmail"


def free_port() -> int:
    """A loopback port nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


# Postfix's commands live where ordinary users don't look.
_PATH = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"


def _open_to_others(folder: Path) -> bool:
    """Whether any user may pass through *folder* and all above it."""
    path = folder.resolve()
    return all(step.stat().st_mode & stat.S_IXOTH for step in (path, *path.parents))


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
            client.settimeout(2)
            return client.recv(4) == b"220 "
    except OSError:
        return False


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _opened(raw: bytes) -> Caught:
    """Take virtual(8)'s own three lines off: Return-Path, X-Original-To, Delivered-To."""
    mail_from = rcpt_to = ""
    for _ in range(3):
        line, _, rest = raw.partition(b"\n")
        name, _, value = line.decode(errors="replace").partition(": ")
        if name == "Return-Path":
            mail_from = value.strip("<>")
        elif name in ("X-Original-To", "Delivered-To"):
            rcpt_to = rcpt_to or value
        else:
            break
        raw = rest
    return Caught(mail_from, rcpt_to, raw)
