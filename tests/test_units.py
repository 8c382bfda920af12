"""The units are shut as far as it goes, and what they start works in there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from . import confined

ROOT = Path(__file__).parent.parent
UNITS = sorted((ROOT / "systemd").glob("*.service"))
#: Of 10; 0 is a service that can do nothing.
EXPOSURE = 2.0

needs_systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd isn't installed")


def why_no_copy() -> str:
    if os.geteuid() != 0:
        return "needs root, to mount"
    if ROOT.is_relative_to("/tmp"):
        return "the units have a /tmp of their own, which hides this folder"
    tools = ["postfix", "unshare", "setpriv", "ip", "curl", "pdftotext"]
    tools += ["systemd-sysusers", "systemd-tmpfiles", "systemd-analyze"]
    lacking = [tool for tool in tools if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if lacking:
        return f"lacks {', '.join(lacking)}"
    tried = subprocess.run(["unshare", "-m", "-n", "-p", "-f", "true"], capture_output=True, check=False)
    return "may not make namespaces" if tried.returncode else ""


@needs_systemd_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_finds_nothing_to_say_about_a_unit(unit, tmp_path):
    here = tmp_path / unit.name
    here.write_text(re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE))

    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here)], capture_output=True, text=True, check=False
    )

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


@needs_systemd_analyze
def test_systemd_finds_nothing_to_say_about_the_timer_and_when_it_rings(tmp_path):
    for name in ("messenger-cleanup.timer", "messenger-cleanup.service"):
        text = (ROOT / "systemd" / name).read_text()
        (tmp_path / name).write_text(re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    timer = tmp_path / "messenger-cleanup.timer"

    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(timer)], capture_output=True, text=True, check=False
    )
    (when,) = re.findall(r"^OnCalendar=(.*)", timer.read_text(), re.MULTILINE)
    rings = subprocess.run(["systemd-analyze", "calendar", when], capture_output=True, text=True, check=False)

    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")
    assert rings.returncode == 0, rings.stderr


@needs_systemd_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_shut_as_systemd_measures_it(unit):
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert float(re.findall(r"exposure level for \S+: ([\d.]+)", said.stdout)[-1]) <= EXPOSURE


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_may_hand_mail_to_sendmail_without_gaining_rights(unit):
    found = confined.directives(unit)

    assert found["NoNewPrivileges"] == ["yes"]
    assert "postdrop" in confined.words(found["SupplementaryGroups"])
    assert "-/var/spool/postfix/maildrop" in confined.words(found["ReadWritePaths"])
    assert "AF_NETLINK" in confined.words(found["RestrictAddressFamilies"])


def test_neither_service_sees_the_secrets_of_the_other():
    milter, reader = (
        confined.words(confined.directives(ROOT / "systemd" / f"messenger-{name}.service")["InaccessiblePaths"])
        for name in ("milter", "reader")
    )

    assert {"-/var/lib/webmail-messenger/accounts", "-/etc/webmail-messenger/keys/totp.key"} <= set(milter)
    assert {"-/var/lib/webmail-messenger/ledger", "-/etc/webmail-messenger/keys/webmail-recipient.key"} <= set(reader)


def test_the_gateway_sees_nothing_of_messenger_nor_any_service_the_state_of_the_gateway():
    units = {unit.stem: confined.directives(unit) for unit in UNITS}
    hidden = {name: set(confined.words(found["InaccessiblePaths"])) for name, found in units.items()}
    state = "/var/lib/webmail-messenger"

    assert {f"-{state}/{name}" for name in ("mail", "ledger", "pdf", "accounts")} <= hidden["messenger-gateway"]
    assert {
        f"-/etc/webmail-messenger/keys/{name}.key" for name in ("webmail-recipient", "link", "totp", "pdf")
    } <= hidden["messenger-gateway"]
    assert "-/var/spool/postfix/webmail-messenger" in hidden["messenger-gateway"]
    assert all(f"-{state}/gateway" in found for name, found in hidden.items() if name != "messenger-gateway")
    assert confined.words(units["messenger-gateway"]["SupplementaryGroups"]) == ["postdrop"]


def test_cleaning_up_sees_no_key_at_all():
    found = confined.directives(ROOT / "systemd" / "messenger-cleanup.service")

    assert "-/etc/webmail-messenger/keys" in confined.words(found["InaccessiblePaths"])
    assert "-/var/lib/webmail-messenger/ledger" in confined.words(found["InaccessiblePaths"])
    assert found["User"] == ["messenger-reader"]


@pytest.mark.postfix
@pytest.mark.skipif(bool(why_no_copy()), reason=why_no_copy())
def test_the_services_do_their_work_shut_in_as_their_units_say(tmp_path):
    walk = [sys.executable, str(ROOT / "tests" / "installed_walk.py")]
    script = ["bash", str(ROOT / "tests" / "copied_machine.sh"), str(tmp_path), str(ROOT), sys.executable, *walk]

    done = subprocess.run(
        ["unshare", "-m", "-n", "-p", "-f", *script], capture_output=True, text=True, timeout=180, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
