"""Doctor: the gateway's policy, and each service's own --check, as the user it runs as.

A room isn't imported from here: its installed command is run. Some start the process that draws pages; on a busy
machine that takes longer than a check may, so these run on request alone.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import gateway_check, places
from .doctor_finding import Check, Finding, Host, at_gateway, at_messenger, fail, ok, skip, warn

POLICY = "gateway policy"
SERVICE_SECONDS = 60.0
LINES = 5


def look_at_policy(host: Host) -> Iterator[Finding]:
    """What `messenger gateway check` says, in our words."""
    yield from judge_policy(list(gateway_check.looked_at(host.config)))


def judge_policy(said: list[tuple[str, str]]) -> Iterator[Finding]:
    mend = "messenger gateway check"
    for verdict, text in said:
        if verdict == "wrong" and os.geteuid() != 0 and "denied" in text:
            yield skip(POLICY, f"{text}; run it as root")
        elif verdict == "wrong":
            yield fail(POLICY, f"{text}. Until then mail at the gateway waits (451)", mend)
        elif verdict == "look at":
            yield warn(POLICY, text, mend)
    if all(verdict == "ok" for verdict, _ in said):
        yield ok(POLICY, said[0][1] if said else "")


def services() -> list[Check]:
    """Checks that run each service's own."""

    def of(name: str) -> Check:
        fits = at_gateway if name == places.GATEWAY else at_messenger
        return Check(f"{name} --check", lambda host: [_asked(host, name)], fits)

    return [of(name) for name in (places.MILTER, places.READER, places.PDFOTP, places.GATEWAY)]


def _asked(host: Host, name: str) -> Finding:
    check = f"{name} --check"
    command = Path(sys.executable).parent / name
    found = str(command) if command.exists() else shutil.which(name)
    if found is None:
        return fail(check, f"no command {name}; is Webmail Messenger installed as one piece?", "docs/install.md")
    user = _user(name)
    groups = os.getgrouplist(user.pw_name, user.pw_gid) if user else None
    try:
        done = subprocess.run(
            [found, "--check", "--config", str(host.settings)],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=groups,
        )
    except PermissionError:
        if user is None:
            raise
        # Root runs this: it is the service that may not, such as with an environment below /root.
        text = f"{user.pw_name} may not run {found}, so it can't start: folders on the way are shut to it"
        return fail(
            check, text, f"namei -l {found} {sys.executable}; chmod o+x, or install it in /opt (docs/install.md)"
        )
    return judge_service(check, user.pw_name if user else "", done.returncode, done.stdout + done.stderr)


def _user(name: str) -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def judge_service(check: str, user: str, status: int, said: str) -> Finding:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    who = f"as {user}: " if user else ""
    if status:
        text = "; ".join(lines[:LINES]) or f"ended with status {status}"
        return fail(check, f"{who}{text}", check)
    return ok(check, who + (lines[-1] if lines else "nothing to say"))
