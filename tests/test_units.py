"""The units are shut as far as it goes, and what they start works in there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from messenger.cli import unit_files
from messenger.config import Reader

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
def test_systemd_finds_nothing_to_say_about_all_together_nor_when_the_timer_rings(tmp_path):
    for path in (ROOT / "systemd").glob("messenger-*"):
        text = re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", path.read_text(), flags=re.MULTILINE)
        (tmp_path / path.name).write_text(text)
    timer = tmp_path / "messenger-cleanup.timer"

    verify = ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))]
    said = subprocess.run(verify, capture_output=True, text=True, check=False)
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
    assert not found["LoadCredential"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_handed_its_keys_and_starts_without_them(unit):
    found = confined.directives(unit)
    names = unit_files.STANDARD.get(unit.name, ())

    assert found["LoadCredential"] == [f"{name}:/etc/webmail-messenger/keys/{name}" for name in names]
    assert found["SetCredential"] == [f"{name}:-" for name in names]  # so that what is missing is said in a sentence
    hidden = confined.words(found["InaccessiblePaths"])
    assert not set(names) & {Path(path).name for path in hidden}


@pytest.mark.parametrize(
    "unit", [unit for unit in UNITS if unit.stem != "messenger-cleanup"], ids=lambda path: path.name
)
def test_a_service_is_watched_and_can_be_reloaded(unit):
    found = confined.directives(unit)

    assert found["Type"] == ["notify"]
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert 60 <= int(found["WatchdogSec"][0]) <= 300
    assert found["Restart"] == ["on-failure"]  # a silent watchdog is one


def test_further_workers_on_the_spool_are_shut_in_like_the_first():
    one, more = (confined.directives(ROOT / "systemd" / f"messenger-pdfotp{at}.service") for at in ("", "@"))

    assert one == more
    assert "PartOf=messenger-pdfotp.service\n" in (ROOT / "systemd" / "messenger-pdfotp@.service").read_text()


def test_the_portals_socket_listens_where_the_settings_do_unless_they_are_changed():
    socket = (ROOT / "systemd" / unit_files.SOCKET).read_text()

    assert re.findall(r"^ListenStream=(.*)$", socket, re.MULTILINE) == [unit_files.LISTEN] == [Reader().listen]
    assert f"Wants={unit_files.SOCKET}\n" in (ROOT / "systemd" / "messenger-reader.service").read_text()


@pytest.mark.postfix
@pytest.mark.skipif(bool(why_no_copy()), reason=why_no_copy())
def test_the_services_do_their_work_shut_in_as_their_units_say(tmp_path):
    # Then, as each user in turn, everything that the walk has left.
    walk = ["sh", "-c", f"{sys.executable} tests/installed_walk.py && {sys.executable} tests/rights.py all"]
    script = ["bash", str(ROOT / "tests" / "copied_machine.sh"), str(tmp_path), str(ROOT), sys.executable, *walk]

    done = subprocess.run(
        ["unshare", "-m", "-n", "-p", "-f", *script], capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
