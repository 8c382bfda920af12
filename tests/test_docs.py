"""What a person can type or set is documented, and the documents lead somewhere."""

import dataclasses
import re
from pathlib import Path

import click
import pytest

import messenger_milter.gateway_service
import messenger_milter.service
import messenger_reader.service
from messenger.cli.main import commands
from messenger.cli.status import CONFIG
from messenger.config import Config
from messenger.config_reading import hints

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)

SERVICES = {
    "messenger-gateway": messenger_milter.gateway_service.main,
    "messenger-milter": messenger_milter.service.main,
    "messenger-reader": messenger_reader.service.main,
}


def every_command(command: click.Command, name: str):
    yield name, command
    if isinstance(command, click.Group):
        for word, inner in command.commands.items():
            yield from every_command(inner, f"{name} {word}")


COMMANDS = dict(every_command(commands, "messenger")) | SERVICES
OPTIONS = sorted({
    (option, name)
    for name, command in COMMANDS.items()
    for parameter in command.params
    for option in parameter.opts
    if option.startswith("--")
})  # fmt: skip


def every_key(kind: type, section: str = ""):
    for field in dataclasses.fields(kind):
        inner = hints(kind)[field.name]
        if dataclasses.is_dataclass(inner):
            yield from every_key(inner, f"{section}.{field.name}".lstrip("."))
        else:
            yield section, field.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name):
    assert re.search(rf"{name}\b", TEXT)


@pytest.mark.parametrize(("option", "name"), OPTIONS, ids=str)
def test_every_option_is_documented(option, name):
    assert re.search(rf"{option}(?![\w-])", TEXT), f"{name} {option}"


@pytest.mark.parametrize(("section", "key"), list(every_key(Config)), ids=str)
def test_every_setting_has_a_line_in_the_table_of_settings(section, key):
    rows = re.findall(r"^\| (\S+) \| (.+?) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)

    assert any(name == section and f"`{key}`" in keys for name, keys in rows)


def test_the_table_of_settings_names_no_setting_that_is_gone():
    rows = re.findall(r"^\| ([a-z.]+) \| (`.+?) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)

    named = {(section, key) for section, keys in rows for key in re.findall(r"`(\w+)`", keys)}
    assert named == set(every_key(Config))


@pytest.mark.parametrize("path", sorted((ROOT / "systemd").iterdir()), ids=lambda path: path.name)
def test_every_unit_is_documented(path):
    assert path.name in (ROOT / "docs" / "operations.md").read_text()
    assert path.name.removesuffix(".service") in (ROOT / "docs" / "install.md").read_text()


@pytest.mark.parametrize(
    "folder", ["config/apache", "config/nginx", "config/postfix", "config/prometheus", "config/messenger.toml.example"]
)
def test_every_example_is_documented(folder):
    assert folder in TEXT


def test_the_statuses_the_command_leaves_with_are_documented():
    table = (ROOT / "docs" / "commands.md").read_text()

    for status in (64, 65, 66, 69, 73, 75, 77, CONFIG):
        assert f"| {status} |" in table


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_in_the_documents_leads_to_a_file(path):
    links = re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_named_in_the_documents_are_there(path):
    named = re.findall(r"`((?:config|systemd|scripts|tests|bench|demo|messenger)/[\w./-]+)`", path.read_text())

    assert [name for name in named if not (ROOT / name).exists()] == []
