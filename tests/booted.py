"""Try a Messenger that systemd starts, from the package to its removal, in a machine of its own (scripts/try-boot).

First boot: install, set up, start, walk through (tests/installed_walk.py). Second boot: what starts by itself, who sees
what and bears what (tests/booted_services.py), an upgrade, a removal. One line each; the last for all.
Knows systemctl and what an administrator types; imports nothing of Messenger's, and runs with Debian's Python alone.
"""

import json
import os
import subprocess
import time
import traceback
from pathlib import Path

from . import booted_services, installed_walk, rights
from .booted_words import FAILED, SERVICES, active, check, run, running, say, service, shown, soon

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


def booted() -> None:
    """What starts by itself, who sees what, and what each bears."""
    running("after a boot")
    failed = run("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    check("no unit failed", not failed, failed)
    say(f"      {run('systemd-analyze', 'time').splitlines()[0]}")
    booted_services.main()
    arrives("a mail after all that")
    run("systemctl", "start", "messenger-cleanup.service")
    check("cleanup ran", shown("messenger-cleanup.service", "Result") == "success")
    check("cleanup's timer waits", active("messenger-cleanup.timer") == "active")
    doctor()
    stopped()
    upgrade()
    remove()


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
