"""Try a Messenger that systemd starts, from the package to its removal, in a machine of its own (scripts/try-boot).

First boot: install, set up, start, walk through (tests/installed_walk.py). Second boot: what starts by itself, who sees
what, a kill, a reload, a stuck service, an upgrade, a removal. One line each; the last says whether all is in order.
Knows systemctl and what an administrator types; imports nothing of Messenger's, and runs with Debian's Python alone.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

from . import installed_walk, rights

SERVICES = tuple(rights.CREDENTIALS)
FAILED: list[str] = []
#: Seconds for what a slow machine may take long for.
PATIENCE = 60 * installed_walk.SLOWNESS
#: Seconds for the trial of the watchdogs.
STUCK = 10 * installed_walk.SLOWNESS
MAIN_CF = """\
compatibility_level = 3.6
myhostname = mail.portal.test
mydestination =
maillog_file = /var/log/mail.log
smtpd_peername_lookup = no
alias_maps =
message_size_limit = 52428800
mailbox_size_limit = 52428800
virtual_mailbox_limit = 52428800
default_transport = virtual:
virtual_mailbox_base = /var/spool
virtual_mailbox_maps = static:caught/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
"""
#: What doctor can't find in a machine without a network, a web server, and a name.
NOT_HERE = {"TLS of the portal", "name of the portal", "sender of notices", "clock", "certificates"}


def say(line: str) -> None:
    """One line of the report, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def check(what: str, holds: bool, detail: object = "") -> None:
    """Note whether *what* holds."""
    say(f"{'OK  ' if holds else 'FAIL'}  {what}{f': {detail}' if detail else ''}")
    if not holds:
        FAILED.append(what)


def run(*command: str, status: int = 0) -> str:
    """What a command says; a failed check where it doesn't end as it should."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != status:
        check(" ".join(command), False, f"status {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout.strip()


def shown(unit: str, name: str) -> str:
    """A property of a unit."""
    return run("systemctl", "show", "--value", f"--property={name}", unit)


def active(unit: str) -> str:
    """What systemd says of the unit: active, inactive, failed, ..."""
    return shown(unit, "ActiveState")


def soon(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Whether it holds before long."""
    deadline = time.monotonic() + seconds
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def service(name: str) -> str:
    """The unit of a service."""
    return f"messenger-{name}.service"


def install() -> None:
    """A Postfix, the package, nothing started; then setup, start, and a walk through everything."""
    Path("/var/spool/caught").mkdir()
    os.chown("/var/spool/caught", 65534, 65534)
    Path("/etc/postfix/main.cf").write_text(MAIN_CF.format(uid=65534, gid=65534))
    master = Path("/etc/postfix/master.cf.proto").read_text()
    Path("/etc/postfix/master.cf").write_text(f"{master}postlog unix-dgram n - n - 1 postlogd\n")
    run("systemctl", "restart", "postfix@-.service")

    run("dpkg", "-i", "first.deb")
    started = [name for name in SERVICES if active(service(name)) != "inactive"]
    check("installed: nothing runs before setup", not started, started)
    for name in SERVICES:
        run("systemctl", "start", service(name))
    passed = [name for name in SERVICES if shown(service(name), "ConditionResult") == "no"]
    check("a start before setup is passed over", passed == list(SERVICES), ", ".join(passed))

    began = time.monotonic()
    setup = ["messenger", "setup", "--non-interactive"]
    run(*setup, "--role", "both", "--portal-url", installed_walk.SITE, "--own-domain", "example.com")
    run("systemctl", "start", *map(service, SERVICES), "messenger-cleanup.timer")
    run(*setup, "--apply")
    running("started")
    say(f"      from setup to here {time.monotonic() - began:.0f} s")
    walk("a tunnel mail, a PDF, a mail of somebody inside; sign-up, message, letter: by HTTP and SMTP")


def walk(what: str) -> None:
    """Everything once, from mail in to mail read."""
    began = time.monotonic()
    try:
        installed_walk.main()
        check(what, True, f"{time.monotonic() - began:.0f} s")
    except Exception:
        check(what, False, traceback.format_exc())


def running(when: str) -> None:
    """All services are there, by systemd's word."""
    states = {name: active(service(name)) for name in SERVICES}
    check(f"{when}: is-active", set(states.values()) == {"active"}, states)


def booted() -> None:
    """What starts by itself, who sees what, and what each bears."""
    running("after a boot")
    failed = run("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    check("no unit failed", not failed, failed)
    say(f"      {run('systemd-analyze', 'time').splitlines()[0]}")
    keys_and_files()
    network()
    for name in SERVICES:
        killed(name)
    for name in SERVICES:
        reloaded(name)
    stuck()
    arrives("a mail after all that")
    run("systemctl", "start", "messenger-cleanup.service")
    check("cleanup ran", shown("messenger-cleanup.service", "Result") == "success")
    check("cleanup's timer waits", active("messenger-cleanup.timer") == "active")
    doctor()
    stopped()
    upgrade()
    remove()


def keys_and_files() -> None:
    """What the processes see: credentials, and each path tried in their own view of the files."""
    paths = rights.everything()
    for name in SERVICES:
        pid, process = shown(service(name), "MainPID"), rights.PROCESSES[name]
        folder = Path(f"/proc/{pid}/root/run/credentials/{service(name)}")
        handed = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        check(f"{name}: keys that systemd handed over", handed == sorted(rights.CREDENTIALS[name]), ", ".join(handed))
        status = Path(f"/proc/{pid}/status").read_text()
        words = {line.partition(":")[0]: line.partition(":")[2].split() for line in status.splitlines()}
        shut = (set(words["CapEff"] + words["CapBnd"]), words["NoNewPrivs"], words["Seccomp"])
        check(f"{name}: no capability, no new privileges, a filter", shut == ({"0" * 16}, ["1"], ["2"]), shut)
        could = rights.tried(paths, process, ("nsenter", f"--target={pid}", "--mount"))
        own = f"{rights.PLACES['credentials']}/{service(name)}"
        other = {path: what for path, what in could.items() if not path.startswith(own) and path != "/run/credentials"}
        found = list(rights.differing(process, other))
        check(f"{name}: {len(other)} paths opened as its row says and no more", not found, "\n      ".join(found))


def network() -> None:
    """A process in the service's control group sends to an address that isn't loopback's."""
    run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    for name in SERVICES:
        group = f"/sys/fs/cgroup{shown(service(name), 'ControlGroup')}/cgroup.procs"
        script = (
            f"echo $$ > {group}; exec python3 -c \"import socket; socket.socket(2, 2).sendto(b'x', ('192.0.2.1', 9))\""
        )
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
        check(f"{name}: nothing leaves but to loopback", "Operation not permitted" in done.stderr)
    run("ip", "address", "del", "192.0.2.1/32", "dev", "lo")


def killed(name: str) -> None:
    """Killed, it is there again."""
    before = shown(service(name), "MainPID")
    os.kill(int(before), signal.SIGKILL)
    check(f"{name}: killed, and started again", soon(partial(anew, name, before)))


def anew(name: str, before: str) -> bool:
    """Whether the service runs, as another process than *before*."""
    return active(service(name)) == "active" and shown(service(name), "MainPID") not in ("0", before)


def reloaded(name: str) -> None:
    """Settings read again, the process goes on."""
    before = shown(service(name), "MainPID")
    run("systemctl", "reload", service(name))
    again = soon(lambda: active(service(name)) == "active")
    check(f"{name}: reloaded, the same process goes on", again and shown(service(name), "MainPID") == before)


def stuck() -> None:
    """A service that does nothing any more is ended by its watchdog, and started again."""
    say("      watchdogs: " + ", ".join(f"{name} {shown(service(name), 'WatchdogUSec')}" for name in SERVICES))
    for name in SERVICES:
        # Minutes are long for a trial.
        (folder := Path(f"/run/systemd/system/{service(name)}.d")).mkdir(parents=True)
        (folder / "trial.conf").write_text(f"[Service]\nWatchdogSec={STUCK}\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", *map(service, SERVICES))
    before = {name: shown(service(name), "MainPID") for name in SERVICES}
    for pid in before.values():
        os.kill(int(pid), signal.SIGSTOP)
    began = time.monotonic()
    for name in SERVICES:
        back = soon(partial(anew, name, before[name]), began + PATIENCE - time.monotonic())
        check(f"{name}: stuck, ended after {STUCK} s and started again", back)
    for pid in (before[name] for name in SERVICES if not anew(name, before[name])):
        os.kill(int(pid), signal.SIGCONT)


def arrives(what: str) -> None:
    """A tunnel mail is in the Maildir before long."""
    folder = Path(f"{rights.STATE}/mail/elsewhere.example/you/Maildir/new")
    before = len(list(folder.iterdir()))
    installed_walk.send(
        installed_walk.MAIL.replace(b"Subject: Hello", f"Subject: {what}".encode()), what.replace(" ", "-")
    )
    check(f"{what}: is in the Maildir", soon(lambda: len(list(folder.iterdir())) > before))


def doctor() -> None:
    """The doctor's own word, but for what isn't in this machine."""
    done = subprocess.run(["messenger", "doctor", "--json"], capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    bad = [each for each in found["findings"] if each["level"] in ("FAIL", "WARN") and each["check"] not in NOT_HERE]
    check("doctor", not bad, json.dumps(bad) if bad else f"{len(found['findings'])} findings")


def stopped() -> None:
    """Stopped in time, in order."""
    began = time.monotonic()
    # The socket too, or whoever comes meanwhile starts the portal again.
    run("systemctl", "stop", "messenger-reader.socket", *map(service, SERVICES))
    ends = {name: (active(service(name)), shown(service(name), "Result")) for name in SERVICES}
    check("stopped in order", set(ends.values()) == {("inactive", "success")}, ends)
    say(f"      {time.monotonic() - began:.0f} s")
    run("systemctl", "start", *map(service, SERVICES))


def upgrade() -> None:
    """A newer package: what ran is restarted, what was off stays off."""
    run("systemctl", "disable", "--now", service("pdfotp"))
    before = {name: shown(service(name), "MainPID") for name in SERVICES}
    run("dpkg", "-i", "second.deb")
    after = {name: shown(service(name), "MainPID") for name in SERVICES}
    same = {name for name in SERVICES if before[name] == after[name]}
    check("upgrade: restarted what ran and no other", same == {"pdfotp"} and after["pdfotp"] == "0", after)
    arrives("a mail after the upgrade")


def remove() -> None:
    """The package goes: nothing runs, mail and keys stay."""
    run("dpkg", "-r", "webmail-messenger")
    left = run("systemctl", "list-units", "--plain", "--no-legend", "--state=active,failed,activating", "messenger-*")
    check("removed: nothing of it runs", not left, left)
    check("removed: mail and keys stay", Path(f"{rights.SETTINGS}/keys/link.key").exists())
    run("dpkg", "-P", "webmail-messenger")
    check("purged: the cache is gone", not Path(rights.PLACES["cache"]).exists())


def complaints() -> None:
    """What the services told the journal that somebody should look at."""
    said = run("journalctl", "--no-pager", "--output=cat", "--priority=warning", "--unit=messenger-*")
    for line in dict.fromkeys(said.splitlines()):
        say(f"      journal: {line}")


def main() -> None:
    """The step that is next; a boot or the end after it."""
    first = Path("installed")
    try:
        if not first.exists():
            first.touch()
            about = Path("/etc/debian_version").read_text().strip(), os.uname().release
            version = run("systemctl", "--version").splitlines()[0]
            say(f"Debian {about[0]}, {version}, Linux {about[1]}, {run('systemd-detect-virt')}")
            install()
            if not FAILED:
                run("systemctl", "reboot")
                return
        else:
            booted()
    except Exception:
        check("the trial itself", False, traceback.format_exc())
    complaints()
    say("\nall as it should be" if not FAILED else f"\nFAILED: {len(FAILED)}")
    run("systemctl", "poweroff")


if __name__ == "__main__":
    main()
