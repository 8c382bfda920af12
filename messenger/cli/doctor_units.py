"""Doctor: whether systemd runs our units, and will after the next boot. For what no socket tells: pdfotp, the timer."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping

from . import places, unit_files
from .doctor_finding import Finding, Host, fail, ok, skip, warn

CHECK = "units"
SECONDS = 3.0
CLEANUP = "messenger-cleanup.timer"
#: What is asked of each unit.
_ASKED = ("Id", "LoadState", "ActiveState", "UnitFileState", "NRestarts")
#: So often systemd has started a unit again by itself: it does not come to rest.
RESTARTS = 5


def look(host: Host) -> Iterator[Finding]:
    command = shutil.which("systemctl")
    if not unit_files.BOOTED.is_dir() or command is None:
        yield skip(CHECK, "systemd does not run here; whatever starts the services must see to it that they run")
        return
    if not places.is_system(host.settings):
        yield skip(CHECK, f"units use other settings than {host.settings}")
        return
    asked = [command, "show", "-p", ",".join(_ASKED), *units(host)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=SECONDS)
    if done.returncode:
        yield skip(CHECK, f"systemctl: {done.stderr.strip() or 'no reason given'}")
        return
    states = [_named(block) for block in done.stdout.strip().split("\n\n")]
    wrong = [one for state in states for one in judge(state)]
    yield from wrong or [ok(CHECK, f"{', '.join(units(host))}: running, and enabled for the next boot")]


def units(host: Host) -> list[str]:
    """Name the units that this host should run."""
    ours = [places.MILTER, places.READER, places.PDFOTP] * host.role.messenger + [places.GATEWAY] * host.role.gateway
    return [f"{name}.service" for name in ours] + [CLEANUP] * host.role.messenger


def judge(state: Mapping[str, str]) -> list[Finding]:
    """Judge one unit by what systemd says of it."""
    name, active = state["Id"], state["ActiveState"]
    if state["LoadState"] != "loaded":
        text = f"{name}: systemd {'has masked it' if state['LoadState'] == 'masked' else 'does not know it'}"
        return [warn(CHECK, f"{text}; does somebody else start it?", f"systemctl cat {name}; docs/install.md, step 2")]
    found = []
    if active not in ("active", "activating", "reloading"):
        what = "no old mail is cleaned up" if name == CLEANUP else "what it does waits"
        judged = warn if name == CLEANUP else fail
        see = f"systemctl enable --now {name}; journalctl -u {name} -n 30"
        found.append(judged(CHECK, f"{name}: {'has failed' if active == 'failed' else 'does not run'}, so {what}", see))
    elif int(state.get("NRestarts") or 0) >= RESTARTS:
        text = f"{name}: systemd has started it {state['NRestarts']} times again by itself"
        found.append(warn(CHECK, text, f"journalctl -u {name} -n 100; once mended: systemctl restart {name}"))
    if not found and state["UnitFileState"] == "disabled":
        found.append(warn(CHECK, f"{name}: runs, but not after the next boot", f"systemctl enable {name}"))
    return found


def _named(block: str) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in block.splitlines())}
