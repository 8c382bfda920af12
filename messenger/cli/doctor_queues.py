"""Doctor: what waits. Notices and lost tunnel mail in Postfix's queue, PDFs, held notices, read receipts."""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..pdf_spool import Spool
from . import doctor_postfix, postfix
from .doctor_finding import Finding, Host, counted, fail, ok, skip, span, warn
from .postfix_intake import DEAD_END

NOTICES, PAST, PDFS, HELD, RECEIPTS = "queue of notices", "past the milter", "PDFs", "held notices", "read receipts"

HOUR = 3600
#: One address that takes no mail is no alarm; many notices that wait so long (seconds) are.
MANY, MANY_SECONDS = 10, HOUR
OLD_SECONDS = 4 * HOUR
#: A PDF takes seconds; Postfix may take no mail for a while.
PDF_LATE, PDF_STUCK = 15 * 60, 2 * HOUR
#: A held notice leaves after an hour at most, a receipt within ten minutes; both try again where that fails.
HELD_LATE, RECEIPT_LATE = 2 * HOUR, HOUR


@dataclass(frozen=True)
class Waiting:
    """A mail in Postfix's queue."""

    queue_id: str
    since: int
    recipients: tuple[str, ...]
    #: Why it waits, as Postfix says; "" for one that is under way.
    reason: str


def look_at_queue(host: Host) -> Iterator[Finding]:
    found = doctor_postfix.here(host)
    if found is None:
        yield skip(NOTICES, doctor_postfix.UNKNOWN)
        return
    asked = [postfix.command("postqueue") or "postqueue", "-c", str(found.folder), "-j"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        yield skip(NOTICES, f"postqueue: {done.stderr.strip() or 'no reason given'}")
        return
    mails = [json.loads(line) for line in done.stdout.splitlines() if line]
    senders = {host.config.notice.mail_from, host.config.reply.mail_from, ""} - {""}
    if host.role.messenger:
        yield judge_notices([_waiting(one) for one in mails if one["sender"].lower() in senders], host.now)
    if host.tunnel:
        yield judge_past([one for one in map(_waiting, mails) if any(DEAD_END in to for to in one.recipients)])
    if host.role.gateway:
        recipient = host.config.tunnel.webmail_recipient
        tunnel = [one for one in map(_waiting, mails) if recipient in one.recipients]
        yield judge_tunnel(recipient, tunnel, host.now)


def _waiting(mail: dict[str, Any]) -> Waiting:
    to = mail.get("recipients", ())
    reason = next((str(one["delay_reason"]) for one in to if one.get("delay_reason")), "")
    return Waiting(mail["queue_id"], int(mail["arrival_time"]), tuple(one["address"] for one in to), reason)


def judge_notices(waiting: Sequence[Waiting], now: int) -> Finding:
    if not waiting:
        return ok(NOTICES, "empty")
    oldest = min(waiting, key=lambda one: one.since)
    age = now - oldest.since
    text = f"{counted(len(waiting), 'notice')} in Postfix's queue, the oldest for {span(age)}"
    text += f" ({oldest.reason[:160]})" if oldest.reason else ""
    mend = f"postqueue -p; postcat -q {oldest.queue_id} | head -40; once mended: postqueue -f"
    if len(waiting) >= MANY and age > MANY_SECONDS:
        return fail(NOTICES, f"{text}: people don't hear of their mail", mend)
    return warn(NOTICES, text, mend) if age > OLD_SECONDS else ok(NOTICES, text)


def judge_past(waiting: Sequence[Waiting]) -> Finding:
    if not waiting:
        return ok(PAST, "no tunnel mail came in past the milter")
    text = (
        f"{counted(len(waiting), 'tunnel mail')} came in past the milter, and nobody gets them ({waiting[0].queue_id})"
    )
    return fail(
        PAST, text, f"postcat -hq {waiting[0].queue_id}; mend smtpd_milters, then send them again (docs/postfix.md)"
    )


def judge_tunnel(recipient: str, waiting: Sequence[Waiting], now: int) -> Finding:
    """Judge what a gateway could not hand over to Messenger yet."""
    check = "queue to Messenger"
    late = [one for one in waiting if now - one.since > 15 * 60]
    if not late:
        return ok(check, f"{counted(len(waiting), 'protected mail')} under way")
    oldest = min(late, key=lambda one: one.since)
    text = f"{counted(len(late), 'protected mail')} to {recipient} waits, the oldest for {span(now - oldest.since)}"
    mend = "messenger doctor at Messenger's end; postqueue -p; once mended: postqueue -f"
    return fail(check, f"{text} ({oldest.reason[:160]})", mend)


def look_at_pdfs(host: Host) -> Iterator[Finding]:
    spool = Spool(host.config.pdf.spool)
    try:
        waiting, given_up = ages(spool.root / "new", host.now), len(list((spool.root / "failed").iterdir()))
    except PermissionError:
        yield skip(PDFS, f"{spool.root}: this user can't look there; run it as root")
    except FileNotFoundError:
        yield warn(PDFS, f"{spool.root}: no spool yet", "systemctl start messenger-milter messenger-pdfotp")
    else:
        yield from judge_pdfs(waiting, given_up)


def judge_pdfs(waiting: Sequence[int], given_up: int) -> Iterator[Finding]:
    """Judge PDFs by the seconds they wait, and by how many were given up."""
    oldest = max(waiting, default=0)
    text = f"{counted(len(waiting), 'PDF')} to be made, the oldest for {span(oldest)}"
    mend = "systemctl restart messenger-pdfotp; journalctl -u messenger-pdfotp -n 30"
    if oldest > PDF_LATE:
        stuck = oldest > PDF_STUCK
        yield (fail if stuck else warn)(PDFS, text + ("; nobody makes them" if stuck else ""), mend)
    elif not given_up:
        yield ok(PDFS, text if waiting else "none waits")
    if given_up:
        given = f"{counted(given_up, 'PDF')} could not be made and {'was' if given_up == 1 else 'were'} given up"
        yield warn(PDFS, given, "messenger pdf list; messenger pdf retry --all")


def look_at_held(host: Host) -> Iterator[Finding]:
    folder = host.config.intake.ledger / "held"
    yield from _late(HELD, folder, host.now, HELD_LATE, "messenger-milter", ("notice", ".kept"))


def look_at_receipts(host: Host) -> Iterator[Finding]:
    folder = host.config.mail.root / ".receipts"
    yield from _late(RECEIPTS, folder, host.now, RECEIPT_LATE, "messenger-reader", ("receipt", ""))


def _late(check: str, folder: Path, now: int, late: int, unit: str, kind: tuple[str, str]) -> Iterator[Finding]:
    what, ending = kind
    try:
        found = ages(folder, now, ending)
    except PermissionError:
        yield skip(check, f"{folder}: this user can't look there; run it as root")
    except FileNotFoundError:
        yield ok(check, "none waits")
    else:
        yield judge_late(check, found, late, unit, what)


def judge_late(check: str, waiting: Sequence[int], late: int, unit: str, what: str) -> Finding:
    """Judge files by the seconds they wait: *unit* sends them before *late* is over."""
    oldest = max(waiting, default=0)
    text = f"{counted(len(waiting), what)} to be sent, the oldest for {span(oldest)}" if waiting else "none waits"
    if oldest <= late:
        return ok(check, text)
    return warn(check, f"{text}: {unit} does not send them", f"journalctl -u {unit} -n 30; systemctl restart {unit}")


def ages(folder: Path, now: int, ending: str = "") -> list[int]:
    """Return how many seconds each file of *folder* has been there; FileNotFoundError for no folder."""
    found = []
    for entry in _files(folder, ending):
        with suppress(FileNotFoundError):
            found.append(max(0, now - int(entry.stat(follow_symlinks=False).st_mtime)))
    return found


def _files(folder: Path, ending: str) -> Iterable[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return [one for one in entries if one.name.endswith(ending) and not one.name.startswith(".")]
