"""The Debian package: what is laid out around the virtual environment. scripts/try-deb tries the whole of it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import deb_layout, man_pages
from scripts.completions import completions

from . import rights

ROOT = Path(__file__).parent.parent
PACKAGE = deb_layout.Package("1.2.3", "amd64", "python3 (>= 3.11)", "Some One <one@example.com>", 1_700_000_000)


def laid_out(stage: Path) -> Path:
    """The package with a stub for an environment."""
    program = stage / "opt/webmail-messenger/bin/messenger"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    deb_layout.lay_out(stage, PACKAGE, "{}\n")
    return stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory) -> Path:
    return laid_out(tmp_path_factory.mktemp("stage"))


def built(stage: Path, target: Path) -> bytes:
    command = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(stage), str(target)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"SOURCE_DATE_EPOCH": "1700000000"})
    return target.read_bytes()


def test_dpkg_takes_it_and_building_it_again_makes_the_same_bytes(stage, tmp_path):
    before = os.umask(0o077)
    try:
        again = laid_out(tmp_path / "again")
    finally:
        os.umask(before)

    assert built(stage, tmp_path / "one.deb") == built(again, tmp_path / "two.deb")
    said = subprocess.run(["dpkg-deb", "--field", tmp_path / "one.deb"], check=True, capture_output=True, text=True)
    assert "Version: 1.2.3" in said.stdout
    assert "@" not in re.sub(r"one@example\.com", "", said.stdout), "every word is filled in"


def test_each_unit_of_the_tree_is_in_it_and_waits_for_setup(stage):
    units = stage / "usr/lib/systemd/system"

    names = {path.name for path in (ROOT / "systemd").glob("messenger-*")}
    assert {path.name for path in units.iterdir() if path.is_file()} == names
    for name in names:
        assert (
            "ConditionPathExists=/etc/webmail-messenger/messenger.toml" in (units / f"{name}.d/set-up.conf").read_text()
        )
    assert "gateway.toml" in (units / "messenger-gateway.service.d/set-up.conf").read_text()
    assert "link.key" in (units / "messenger-milter.service.d/set-up.conf").read_text()


def test_the_documents_the_units_name_are_where_they_say(stage):
    for path in (ROOT / "systemd").glob("messenger-*"):
        for place in re.findall(r"^Documentation=file:///(\S+)", path.read_text(), re.MULTILINE):
            assert (stage / place).is_file()


def test_the_maintainers_scripts_are_shell_and_start_what_ran_and_nothing_else(stage):
    for name in deb_layout.SCRIPTS:
        script = stage / "DEBIAN" / name
        assert script.stat().st_mode & 0o777 == 0o755
        subprocess.run(["sh", "-n", script], check=True)
        assert not re.search(r"@[A-Z]+@", script.read_text())
    postinst = (stage / "DEBIAN/postinst").read_text()
    assert re.findall(r"deb-systemd-invoke (\w+)", postinst) == ["restart"]
    assert postinst.index("is-active") < postinst.index("deb-systemd-invoke restart")
    assert "messenger-cleanup.timer messenger-" in postinst
    assert "messenger-cleanup.service" not in postinst


def test_neither_removal_nor_purge_touches_settings_or_mail(stage):
    for name in ("prerm", "postrm"):
        removed = re.findall(r"^\s*rm -rf? (.+)$", (stage / "DEBIAN" / name).read_text(), re.MULTILINE)
        assert set(removed) <= {"/opt/webmail-messenger", "/var/cache/webmail-messenger"}


def test_each_command_has_a_manual_page_with_its_options_that_groff_takes(stage):
    pages = man_pages.man_pages("1.2.3", 1_700_000_000)

    assert {
        "messenger.1",
        "messenger-setup.1",
        "messenger-milter.8",
        "messenger-reader.8",
        "messenger-gateway.8",
    } <= set(pages)
    assert "\\-\\-non\\-interactive" in pages["messenger-setup.1"]
    assert '"2023-11-14"' in pages["messenger.1"]
    for name, text in pages.items():
        assert (stage / f"usr/share/man/man{name[-1]}/{name}.gz").is_file()
        assert text.replace("\\-", "-").splitlines()[2].startswith(f"{name[:-2]} - ")
    if shutil.which("groff"):
        groff = ["groff", "-man", "-Tutf8", "-ww", "-z", "-Kutf8"]
        said = subprocess.run(groff, input="\n".join(pages.values()), capture_output=True, text=True, check=True)
        assert said.stderr == ""


def test_every_shell_completes_every_command():
    files = completions()

    for name in man_pages.programs():
        for place in (
            "bash-completion/completions/{}",
            "zsh/vendor-completions/_{}",
            "fish/vendor_completions.d/{}.fish",
        ):
            text = files["usr/share/" + place.format(name)]
            assert f"_{name.upper().replace('-', '_')}_COMPLETE=" in text
    for place, text in files.items():
        if "bash" in place:
            subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_the_container_is_built_from_the_lock_and_with_its_hashes():
    text = (ROOT / "packaging/Containerfile").read_text()

    assert text.count("--require-hashes") == 2
    assert "USER 2000" in text


def test_each_container_is_given_the_keys_and_folders_of_its_row_and_no_others():
    text = (ROOT / "packaging/compose.yaml").read_text()
    services = dict(re.findall(r"^  (milter|reader|pdfotp):\n((?:    .*\n)+)", text, re.MULTILINE))

    assert len(services) == 3
    for name, lines in services.items():
        process = rights.PROCESSES[name]
        keys = re.findall(r"secrets: \[(.*)\]", lines)[0].split(", ")
        mounts = re.findall(r"^      - \S+?:(\S+?)(:ro)?$", lines, re.MULTILINE)
        assert sorted(keys) == sorted(rights.CREDENTIALS[name])
        assert f"command: [messenger-{name}]" in lines
        # Its milter is asked by TCP there: no socket's folder.
        assert {rights.place(path) for path, fixed in mounts if not fixed} == {
            part for part in process.writes if "socket" not in part
        }
        assert not [path for path, fixed in mounts if fixed and rights.place(path) != "settings"]
