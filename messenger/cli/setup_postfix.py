"""What setup says about Postfix, and does to it with --apply. What Postfix needs is worked out elsewhere."""

import re
from datetime import datetime
from pathlib import Path

from ..config import Config
from . import postfix, postfix_apply, postfix_plan, postfix_standalone, status
from .roles import Role
from .setup_telling import Telling


def next_hop(host: str) -> str:
    """Return what Postfix calls the way to *host* (HOST or HOST:PORT, "" for DNS). Raises Failed for no host."""
    found = re.fullmatch(
        r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:(?P<port>\d{1,5}))?", host
    )
    if not host:
        return ""
    if found is None:
        raise status.Failed(
            f"--messenger-host: expected HOST, HOST:PORT or [IPv6]:PORT, found {host!r}; an empty one is as DNS says",
            status.USAGE,
        )
    name = found["host"].strip("[]")
    return f"smtp:[{name}]" + (f":{found['port']}" if found["port"] else "")


def postfix_part(
    config: Config, role: Role, host: str | None, folder: Path | None, apply_: bool, now: datetime, telling: Telling
) -> None:
    """Look at Postfix; tell what it lacks for *role*, or change it."""
    if not postfix.installed():
        text = "Postfix is not installed here: apt-get install postfix, then `messenger setup --apply`"
        if apply_:
            raise status.Failed(text, status.UNAVAILABLE)
        telling.note(text)
        return
    try:
        found = postfix.inspect(folder)
        plan = postfix_plan.plan(found, config, role, None if host is None else next_hop(host))
    except status.Failed as error:
        if apply_:
            raise
        telling.note(str(error))
        return
    for warning in plan.warnings:
        telling.note(warning)
    if role.messenger and config.intake.mode == "standalone":
        telling.note(postfix_standalone.reminder(found, config))
    if apply_:
        _apply(found, plan, config, role, now, telling)
    elif plan.empty:
        telling.say(f"Postfix ({found.folder}) has all it needs")
    else:
        first = " and ".join(["the milter"] * role.messenger + ["messenger-gateway"] * role.gateway)
        telling.say(f"\nPostfix ({found.folder}) needs this; start {first} first, then run it, or use --apply:\n")
        telling.postfix = postfix.lines(found, plan)
        telling.say("\n".join(telling.postfix))


def _apply(
    found: postfix.Postfix, plan: postfix.Plan, config: Config, role: Role, now: datetime, telling: Telling
) -> None:
    done = postfix_apply.apply(found, plan, now)
    telling.did(done)
    if not done:
        telling.say(f"Postfix ({found.folder}): nothing to change")
        return
    milters = {"messenger-milter": config.intake.socket} if role.messenger else {}
    milters |= {"messenger-gateway": config.gateway.socket} if role.gateway else {}
    silent = [name for name, socket in milters.items() if not postfix_apply.answers(socket)]
    if silent:
        what = {"messenger-milter": "the milter does"}.get(" ".join(silent), f"{' and '.join(silent)} do")
        telling.note(
            f"{what} not answer yet; until {'it does' if len(silent) == 1 else 'they do'}, Postfix tells every sender"
            f" to try again later"
            f" (nothing is lost): systemctl enable --now {' '.join(silent)} && postfix reload"
        )
    elif postfix_apply.reload(found):
        telling.did(["reloaded Postfix"])
    else:
        telling.note("Postfix isn't running; it reads all this when it starts: systemctl start postfix")
