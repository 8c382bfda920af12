"""What messenger doctor says about keys, folders, programs and units: whether each service can do its work."""

import os
import pwd
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from messenger.cli import (
    doctor_files,
    doctor_services,
    doctor_units,
    doctor_ways,
)
from messenger.cli.doctor_finding import Level
from messenger.cli.places import Folder
from messenger.cli.roles import Role

from .cli_fixtures import made_site_fixture, site_fixture  # noqa: F401
from .doctor_fixtures import host_fixture, host_of, levels, only  # noqa: F401

# Keys and folders


def test_a_site_as_setup_leaves_it_has_its_keys_and_folders_in_order(host):
    assert levels(doctor_files.look_at_keys(host)) == ["OK"]
    assert levels(doctor_files.look_at_folders(host)) == ["OK"]


def test_a_key_that_is_open_broken_or_missing_is_told_by_its_name(host):
    host.config.notice.link_key.chmod(0o644)
    host.config.pdf.key.write_text("not a key\n")
    host.config.accounts.totp_key.unlink()

    link, totp, pdf = doctor_files.look_at_keys(host)

    assert (link.level, link.mend) == (Level.FAIL, f"chmod 600 {host.config.notice.link_key}")
    assert "nobody with a second factor can log in" in totp.text
    assert "64 hexadecimal digits" in pdf.text
    assert "not a key" not in pdf.text


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (doctor_files.Found(0o640, "root", "messenger-reader"), ""),
        (doctor_files.Found(0o400, "messenger-reader", "root"), ""),
        (doctor_files.Found(0o600, "root", "root"), "can't read it"),
        (doctor_files.Found(0o640, "root", "staff"), "can't read it"),
        (doctor_files.Found(0o660, "root", "messenger-reader"), "others can read or change"),
    ],
)
def test_without_systemd_a_key_is_for_its_service_alone(found, said):
    secret = doctor_files.Secret(Path("/k/totp.key"), "messenger-reader", "nobody can log in", lambda _: None)

    judged = doctor_files.judge_secret(secret, found, "", there=True, handed=False)

    assert bool(judged) == bool(said)
    assert all(said in one.text and "chown root:messenger-reader /k/totp.key" in one.mend for one in judged)


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (doctor_files.Found(0o600, "root", "root"), None),
        (doctor_files.Found(0o640, "root", "messenger-reader"), "WARN"),
        (doctor_files.Found(0o600, "messenger-reader", "root"), "WARN"),
        (doctor_files.Found(0o660, "root", "messenger-reader"), "FAIL"),
    ],
)
def test_where_systemd_hands_keys_over_they_are_for_root_alone(found, level):
    secret = doctor_files.Secret(Path("/k/totp.key"), "messenger-reader", "nobody can log in", lambda _: None)

    judged = doctor_files.judge_secret(secret, found, "", there=True)

    assert levels(judged) == ([level] if level else [])
    assert all(one.mend == "chown root:root /k/totp.key && chmod 600 /k/totp.key" for one in judged)


@pytest.mark.parametrize(
    ("found", "level", "said"),
    [
        (doctor_files.Found(0o2770, "messenger-milter", "messenger"), None, ""),
        (None, "FAIL", "missing"),
        (doctor_files.Found(0o2770, "root", "messenger"), "FAIL", "belongs to root"),
        (doctor_files.Found(0o2700, "messenger-milter", "messenger"), "FAIL", "can't get in"),
        (doctor_files.Found(0o2770, "messenger-milter", "staff"), "FAIL", "group staff"),
        (doctor_files.Found(0o770, "messenger-milter", "messenger"), "FAIL", "can't get in"),
        (doctor_files.Found(0o2777, "messenger-milter", "messenger"), "FAIL", "everybody"),
        (doctor_files.Found(0o2775, "messenger-milter", "messenger"), "WARN", "more open"),
    ],
)
def test_a_folder_has_its_owner_and_mode(found, level, said):
    folder = Folder(Path("/m"), 0o2770, 0o700, "messenger-milter", "messenger")

    judged = doctor_files.judge_folder(folder, found, there=True)

    assert levels(judged) == ([level] if level else [])
    assert all(said in one.text and one.mend for one in judged)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_what_shuts_a_services_user_out_is_named_wherever_it_lies(host, monkeypatch):
    monkeypatch.setattr(doctor_ways.places, "MILTER", "nobody")
    with tempfile.TemporaryDirectory(prefix="d", dir="/var/tmp") as name:
        home, config = Path(name), host.config
        home.chmod(0o755)
        (home / "a" / "mail").mkdir(parents=True)
        settings = home / "messenger.toml"
        settings.touch(0o644)
        here = replace(
            host,
            settings=settings,
            config=replace(
                config,
                tunnel=replace(config.tunnel, recipient_certificates=(), sender_certificates=()),
                mail=replace(config.mail, root=home / "a" / "mail"),
                pdf=replace(config.pdf, spool=home / "a" / "mail"),
                intake=replace(config.intake, ledger=home / "a" / "mail"),
            ),
        )
        monkeypatch.setattr(doctor_ways, "is_user", lambda user: user == "nobody")
        fine = list(doctor_ways.look(here, "folders"))
        (home / "a").chmod(0o700)
        settings.chmod(0o600)
        found = list(doctor_ways.look(here, "folders"))

    assert fine == []
    assert levels(found) == ["FAIL", "FAIL"]
    assert {one.mend for one in found} == {f"chmod o+r {settings}", f"chmod o+x {home / 'a'}"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_program_that_its_service_may_not_run_is_broken_and_not_passed_by(host, tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    program = tmp_path / "messenger-milter"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(doctor_services.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(doctor_services, "_user", lambda name: pwd.getpwnam("nobody"))

    found = doctor_services._asked(host, "messenger-milter")

    assert found.level is Level.FAIL
    assert f"nobody may not run {program}" in found.text


# Units


def unit(**changed):
    state = {
        "Id": "messenger-pdfotp.service",
        "LoadState": "loaded",
        "ActiveState": "active",
        "UnitFileState": "enabled",
    }
    return state | changed


@pytest.mark.parametrize(
    ("changed", "level", "mend"),
    [
        ({}, None, ""),
        ({"ActiveState": "activating"}, None, ""),
        ({"UnitFileState": "static", "NRestarts": "1"}, None, ""),
        ({"ActiveState": "failed"}, "FAIL", "systemctl enable --now messenger-pdfotp.service"),
        ({"ActiveState": "inactive", "UnitFileState": "disabled"}, "FAIL", "enable --now"),
        ({"ActiveState": "inactive", "Id": doctor_units.CLEANUP}, "WARN", "enable --now messenger-cleanup.timer"),
        ({"UnitFileState": "disabled"}, "WARN", "systemctl enable messenger-pdfotp.service"),
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "WARN", "docs/install.md"),
        ({"NRestarts": "7"}, "WARN", "journalctl"),
    ],
)
def test_a_unit_runs_now_and_after_the_next_boot(changed, level, mend):
    judged = doctor_units.judge(unit(**changed))

    assert levels(judged) == ([level] if level else [])
    assert all(mend in one.mend for one in judged)


def test_systemd_is_asked_about_the_units_of_this_host_alone(host, tmp_path, monkeypatch):
    without = only(doctor_units.look(host))
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(
        "#!/bin/sh\nshift 3\nfor name; do printf 'Id=%s\\nLoadState=loaded\\nActiveState=active\\n"
        "UnitFileState=enabled\\nNRestarts=0\\n\\n' $name; done\n"
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(doctor_units.unit_files, "BOOTED", tmp_path)
    trial = only(doctor_units.look(host))
    monkeypatch.setattr(doctor_units.places, "is_system", lambda path: True)
    system = only(doctor_units.look(host))
    gateway = only(doctor_units.look(replace(host, role=Role.GATEWAY)))

    assert [one.level for one in (without, trial, system, gateway)] == [Level.SKIP, Level.SKIP, Level.OK, Level.OK]
    assert "messenger-cleanup.timer" in system.text
    assert gateway.text.startswith("messenger-gateway.service: ")
