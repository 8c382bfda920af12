"""The house has the shape that setup.cfg and docs/architecture.md say it has."""

import configparser
import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("milter", "reader", "pdfotp")
SOURCES = sorted(
    path for top in ("messenger", "milter", "reader", "demo", "bench", "scripts") for path in (ROOT / top).rglob("*.py")
)
#: Past this, look for the second job in a module.
LINES = 400


@pytest.fixture(scope="module")
def setup_cfg() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def listed(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def folders() -> dict[str, Path]:
    """Packages as they lie on disk, by name."""
    found = {}
    for base in (ROOT, *(ROOT / room for room in ROOMS)):
        for top in base.glob("messenger*"):
            for init in top.rglob("__init__.py"):
                found[".".join(init.parent.relative_to(base).parts)] = init.parent
    return found


def test_setup_cfg_lists_the_packages_that_are_there(setup_cfg):
    assert sorted(listed(setup_cfg["options"]["packages"])) == sorted(folders())


def test_setup_cfg_says_where_each_top_package_lies(setup_cfg):
    said = dict(re.split(r"\s*=\s*", line) for line in listed(setup_cfg["options"]["package_dir"]))

    assert said == {name: str(path.relative_to(ROOT)) for name, path in folders().items() if "." not in name}


def test_every_folder_with_code_is_a_package():
    """A folder without __init__.py works in a checkout and is missing from the wheel."""
    code = {
        path.parent for top in ("messenger", *ROOMS) for path in (ROOT / top).rglob("*.py") if "build" not in path.parts
    }

    assert sorted(code) == sorted(folders().values())


@pytest.mark.parametrize("folder", [*ROOMS, "config", "systemd"])
def test_no_room_is_a_package_itself(folder):
    assert not (ROOT / folder / "__init__.py").exists()


def test_each_room_has_its_command_and_its_unit(setup_cfg):
    scripts = dict(re.split(r"\s*=\s*", line) for line in listed(setup_cfg["options.entry_points"]["console_scripts"]))

    for name in folders():
        if name.startswith("messenger_") and "." not in name:
            command = name.replace("_", "-")
            assert scripts[command] == f"{name}.service:main"
            assert (ROOT / "systemd" / f"{command}.service").is_file()


def test_each_command_can_be_started(setup_cfg):
    for line in listed(setup_cfg["options.entry_points"]["console_scripts"]):
        module, _, function = line.split("=")[1].strip().partition(":")
        assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_one_job_and_says_which(path):
    text = path.read_text()

    assert path.stem not in ("utils", "helpers", "common", "misc", "manager")
    assert text.count("\n") <= LINES
    assert text == "" or re.match(r'(#!.*\n)?r?"""\S', text), "opens with what it does"


@pytest.mark.parametrize("name", ["messenger.toml", "gateway.toml"])
def test_the_wizard_finds_its_templates_in_the_package(name):
    """A symbolic link in the tree, so that there is one file; a build copies what it points to."""
    template = ROOT / "messenger" / "templates" / name

    assert template.resolve() == ROOT / "config" / f"{name}.example"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.Path:
    """What `make wheel` makes, from the files that git knows: nothing of an earlier build gets in."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, known.decode().split("\0")):
        if (ROOT / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name, follow_symlinks=False)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--wheel-dir", out, tree]
    subprocess.run(pip, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return zipfile.Path(built)


def test_a_wheel_holds_the_template_as_a_file(wheel):
    text = (wheel / "messenger" / "templates" / "messenger.toml").read_text()

    assert text.startswith("# Settings of Webmail Messenger.")


def test_a_wheel_holds_every_file_of_every_package(wheel):
    missing = [
        f"{name}/{path.relative_to(folder)}"
        for name, folder in folders().items()
        if "." not in name
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in (".pyc", ".mo")
        and not (wheel / name / path.relative_to(folder)).exists()
    ]

    assert not missing
