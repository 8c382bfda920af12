"""What each service of a booted machine sees, and what it bears: a kill, a reload, wrong settings, being stuck.

Part of tests/booted.py, and runs where that runs.
"""

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from . import installed_walk, rights
from .booted_words import PATIENCE, SERVICES, active, anew, check, run, running, say, service, shown, soon

#: Seconds for the trial of the watchdogs.
STUCK = 10 * installed_walk.SLOWNESS


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


def reloaded(name: str) -> None:
    """Settings read again, the process goes on."""
    before = shown(service(name), "MainPID")
    run("systemctl", "reload", service(name))
    again = soon(lambda: active(service(name)) == "active")
    check(f"{name}: reloaded, the same process goes on", again and shown(service(name), "MainPID") == before)


def wrong_settings() -> None:
    """A reload with settings that nobody can read leaves all as it was."""
    settings = Path(f"{rights.SETTINGS}/messenger.toml")
    right = settings.read_text()
    before = {name: shown(service(name), "MainPID") for name in SERVICES}
    settings.write_text(f"{right}\n[nonsense\n")
    run("systemctl", "reload", *map(service, SERVICES))
    said = soon(lambda: run("journalctl", "--output=cat", "--unit=messenger-*").count("not reloaded") >= len(SERVICES))
    settings.write_text(right)
    after = {name: shown(service(name), "MainPID") for name in SERVICES}
    check("wrong settings at a reload: a line each, all go on", said and after == before)
    running("then")


def visited() -> None:
    """The portal is asked all the time while it restarts: its socket has everybody wait."""
    ask = "curl -sS --max-time 600 http://127.0.0.1:8025/healthz || echo turned away"
    loop = f"for each in 1 2 3; do while [ ! -e enough ]; do {ask}; sleep 0.1; done & done; wait"
    with subprocess.Popen(["sh", "-c", loop], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as visitor:
        for _ in range(2):
            run("systemctl", "restart", service("reader"))
        Path("enough").touch()
        said = visitor.communicate()[0]
    answers = said.count("ok")
    check("portal restarted twice, nobody turned away", answers > 0 and "away" not in said, f"{answers} answers")


def further_worker() -> None:
    """One more worker on the spool, which goes when the first one goes."""
    run("systemctl", "start", "messenger-pdfotp@2.service")
    check("a further pdfotp: is-active", active("messenger-pdfotp@2.service") == "active")
    run("systemctl", "stop", service("pdfotp"))
    check("it stops with the first", active("messenger-pdfotp@2.service") == "inactive")
    run("systemctl", "start", service("pdfotp"))


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


def main() -> None:
    """All of it."""
    keys_and_files()
    network()
    for name in SERVICES:
        killed(name)
    for name in SERVICES:
        reloaded(name)
    wrong_settings()
    visited()
    further_worker()
    stuck()
