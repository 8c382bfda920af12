"""Doctor: the Postfix that asks us and carries our mail. Whether it runs, and what its settings lack."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import postfix, postfix_plan
from .doctor_finding import Finding, Host, fail, ok, skip, warn
from .postfix import Plan, Postfix
from .status import Failed

RUNS, LINES, RECIPIENT, WAY = "postfix", "postfix settings", "webmail recipient", "way out"

UNKNOWN = "Postfix can't be asked; see above"
_ABSENT = "not installed here, so no mail comes in or leaves"
#: What each line is for, when it is missing.
_MEANS = {
    "smtpd_milters": "what comes by SMTP isn't seen there, and leaves as it is",
    "non_smtpd_milters": "what is handed in by sendmail(1) isn't seen there",
    "virtual_alias_maps": "the webmail recipient is unknown, or tunnel mail past the milter would reach somebody",
    "virtual_alias_domains": "tunnel mail is refused: relay access denied",
    "transport_maps": "tunnel mail does not go where it should",
}


def here(host: Host) -> Postfix | None:
    """Return the Postfix that carries our mail; None where it can't be asked, which is a finding of its own."""
    try:
        return postfix.inspect(host.postfix) if postfix.installed() else None
    except Failed:
        return None


def look_whether_it_runs(host: Host) -> Iterator[Finding]:
    if not postfix.installed():
        yield fail(RUNS, _ABSENT, "apt-get install postfix; messenger setup --apply")
        return
    try:
        found = postfix.inspect(host.postfix)
    except Failed as error:
        yield fail(RUNS, f"{error}. No mail comes in, no notice leaves", "dpkg-reconfigure postfix; postfix check")
        return
    yield judge_run(found, _master(found))


def _master(found: Postfix) -> bool | None:
    """Whether its master runs; None where this user can't tell."""
    if os.geteuid() != 0:
        return None
    asked = [postfix.command("postfix") or "postfix", "-c", str(found.folder), "status"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def judge_run(found: Postfix, runs: bool | None) -> Finding:
    what = f"Postfix {found.meant['mail_version']} ({found.folder})"
    if runs is None:
        return skip(RUNS, f"{what}: only root can tell whether it runs")
    if runs:
        return ok(RUNS, f"{what} runs")
    start = "systemctl start postfix" if found.folder == Path("/etc/postfix") else f"postfix -c {found.folder} start"
    return fail(RUNS, f"{what} does not run: no mail comes in, no notice leaves", f"postfix check; {start}")


def look_at_lines(host: Host) -> Iterator[Finding]:
    found = here(host)
    if found is None:
        yield skip(LINES, UNKNOWN)
    else:
        yield from judge_plan(found, postfix_plan.plan(found, host.config, host.role), _setup(host))


def _setup(host: Host) -> str:
    words = ["messenger", "setup", "--role", host.role.value, "--non-interactive", "--apply"]
    words += ["--postfix-config", str(host.postfix)] if host.postfix else []
    return " ".join(words)


def judge_plan(found: Postfix, plan: Plan, setup: str) -> Iterator[Finding]:
    """Judge what *plan* would add; *setup* is the command that adds it."""
    for name, value in plan.parameters.items():
        means = _MEANS.get(name, "Messenger needs it")
        yield fail(
            LINES, f"{found.folder}/main.cf lacks in {name}: {_news(found.written, name, value)}; {means}", setup
        )
    for path in plan.tables:
        yield fail(LINES, f"{path}: missing, or not as setup wrote it", setup)
    for text in plan.warnings:
        yield warn(LINES, text)
    if plan.empty and not plan.warnings:
        yield ok(LINES, f"{found.folder}/main.cf has all that Messenger needs")


def _news(written: Mapping[str, str], name: str, value: str) -> str:
    """What is new in *value*; of a milter its address will do."""
    before = written[name].strip()
    news = value.replace(before, "", 1).strip(", ") if before else value
    return ", ".join(re.findall(r"\{ ([^,]+),[^}]*\}", news)) or news


def look_at_recipient(host: Host) -> Iterator[Finding]:
    found = here(host)
    if found is None:
        yield skip(RECIPIENT, UNKNOWN)
        return
    tables = [one for one in re.split(r"[\s,]+", found.meant["virtual_alias_maps"].strip()) if ":" in one]
    recipient = host.config.tunnel.webmail_recipient
    answers = {table: _asked(found, table, recipient) for table in tables}
    yield judge_recipient(recipient, answers, _setup(host), f"-c {host.postfix} " if host.postfix else "")


def _asked(found: Postfix, table: str, key: str) -> str | None:
    """What *table* says of *key*: "" for nothing, None where it can't be asked."""
    words = [postfix.command("postmap") or "postmap", "-c", str(found.folder), "-q", key, table.removeprefix("proxy:")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode and done.stderr.strip():
        return None
    return done.stdout.strip()


def judge_recipient(recipient: str, answers: Mapping[str, str | None], setup: str, option: str = "") -> Finding:
    """Judge what the tables of virtual_alias_maps say of *recipient*; the first that knows it counts.

    *setup* is the command that adds what is missing, *option* what tells postmap the Postfix.
    """
    broken = [table for table, answer in answers.items() if answer is None]
    if broken:
        text = f"Postfix can't read {', '.join(broken)}: it answers 451 to all mail"
        return fail(RECIPIENT, text, f"postmap {option}{broken[0]} && postmap {option}-q {recipient} {broken[0]}")
    known = next(((table, answer) for table, answer in answers.items() if answer), None)
    if known is None:
        text = f"{recipient}: no table of virtual_alias_maps knows it, so mail past the milter is not stopped"
        return fail(RECIPIENT, text, setup)
    table, answer = known
    if not answer.endswith(".invalid"):
        text = f"{recipient} leads to {answer} ({table}): tunnel mail that comes past the milter goes there"
        return warn(RECIPIENT, text, setup)
    return ok(RECIPIENT, f"{recipient} is known to Postfix, and a dead end behind the milter")


def look_at_way_out(host: Host) -> Iterator[Finding]:
    config, ways = host.config, []
    if host.role.messenger:
        ways.append(("notices", "[notice]", config.notice.sendmail, config.notice.smtp))
    if host.role.gateway:
        ways.append(("protected mail", "[gateway]", config.gateway.sendmail, config.gateway.smtp))
    for what, section, sendmail, smtp in ways:
        if smtp:
            yield skip(WAY, f"for {what}: SMTP to {smtp}; messenger doctor --send tries it")
        elif os.access(sendmail[0], os.X_OK):
            yield ok(WAY, f"for {what}: {sendmail[0]}")
        else:
            yield fail(
                WAY,
                f"{sendmail[0]} is missing: no {what} can leave",
                f"apt-get install postfix; or mend {section} sendmail",
            )
