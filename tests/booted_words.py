"""Words of the trial in a machine that boots: what systemd says, and one line for each thing that holds or doesn't.

Knows systemctl; runs with Debian's Python alone.
"""

import subprocess
import sys
import time
from collections.abc import Callable

from . import installed_walk, rights

SERVICES = tuple(rights.CREDENTIALS)
FAILED: list[str] = []
#: Seconds for what a slow machine may take long for.
PATIENCE = 60 * installed_walk.SLOWNESS


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


def anew(name: str, before: str) -> bool:
    """Whether the service runs, as another process than *before*."""
    return active(service(name)) == "active" and shown(service(name), "MainPID") not in ("0", before)


def running(when: str) -> None:
    """All services are there, by systemd's word."""
    soon(lambda: all(active(service(name)) == "active" for name in SERVICES))
    states = {name: active(service(name)) for name in SERVICES}
    check(f"{when}: is-active", set(states.values()) == {"active"}, states)
