"""Change Postfix as planned: keep the old files, check, and put them back where the check fails."""

import os
import re
import socket
import subprocess
from datetime import datetime
from pathlib import Path

from . import status
from .files import write_whole
from .postfix import Plan, Postfix, command
from .settings_file import backup

ANSWER_SECONDS = 2.0


def apply(postfix: Postfix, plan: Plan, now: datetime) -> list[str]:
    """Do what the plan says and return what was done; a Postfix that fails its own check is left as it was."""
    if os.geteuid() != 0:
        raise status.Failed("only root may change Postfix: run it as root, or without --apply", status.NO_PERMISSION)
    if complaint := _check(postfix):
        raise status.Failed(
            f"Postfix fails its own check before anything is changed; mend that first: {complaint}", status.UNAVAILABLE
        )
    if plan.empty:
        return []
    copies = {path: backup(path, now) for path in (postfix.folder / "main.cf", postfix.folder / "master.cf")}
    done = [f"kept {copy}" for copy in copies.values()]
    try:
        for path, text in plan.tables.items():
            write_whole(path, text.encode())
            _run("postmap", postfix, f"{plan.table_type}:{path}")
            done.append(f"wrote {path}")
        if plan.parameters:
            _run("postconf", postfix, "-e", *(f"{name} = {value}" for name, value in plan.parameters.items()))
        complaint = _check(postfix)
    except status.Failed as error:
        complaint = str(error)
    if complaint:
        for path, copy in copies.items():
            write_whole(path, copy.read_bytes(), mode=copy.stat().st_mode & 0o777, group=copy.stat().st_gid)
        raise status.Failed(
            f"Postfix refused the change, so main.cf and master.cf are as before: {complaint}", status.UNAVAILABLE
        )
    return [*done, *(f"set {name} = {value}" for name, value in plan.parameters.items())]


def reload(postfix: Postfix) -> bool:
    """Let a running Postfix read its settings anew; False where it doesn't run."""
    if _try("postfix", postfix, "status").returncode:
        return False
    _run("postfix", postfix, "reload")
    return True


def _check(postfix: Postfix) -> str:
    """Return what ``postfix check`` complains about, or ""."""
    done = _try("postfix", postfix, "check")
    return "" if done.returncode == 0 else (done.stderr.strip() or f"status {done.returncode}")


def _run(name: str, postfix: Postfix, *words: str) -> None:
    done = _try(name, postfix, *words)
    if done.returncode:
        raise status.Failed(f"{name} {words[0]}: {done.stderr.strip()}", status.UNAVAILABLE)


def _try(name: str, postfix: Postfix, *words: str) -> subprocess.CompletedProcess[str]:
    program = command(name) or name
    return subprocess.run(
        [program, "-c", str(postfix.folder), *words], capture_output=True, text=True, check=False, cwd=Path("/")
    )


def answers(name: str) -> bool:
    """Tell whether somebody takes connections on the milter's socket."""
    inet = re.fullmatch(r"inet6?:(\d+)@(.+)", name)
    family = socket.AF_UNIX if not inet else socket.AF_INET6 if ":" in inet[2] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(ANSWER_SECONDS)
        try:
            client.connect((inet[2].strip("[]"), int(inet[1])) if inet else name)
        except OSError:
            return False
        return True
