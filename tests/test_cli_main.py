"""The border of the command: sentences and sysexits statuses, never tracebacks."""

import errno
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from messenger.cli.main import commands

from .cli_fixtures import MAIL, made_site_fixture, messenger_fixture, site_fixture  # noqa: F401


def every_command(group: click.Command = commands, words: tuple[str, ...] = ()):
    yield words, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from every_command(command, (*words, name))


@pytest.mark.parametrize("words", [words for words, _ in every_command()], ids=" ".join)
def test_every_command_has_help_with_an_example(messenger, words):
    done = messenger(*words, "--help")

    assert done.status == 0
    assert re.search(r"Example: messenger\s", done.out)


def test_the_version_is_that_of_the_package(messenger):
    assert messenger("--version").out == "messenger, version 0.1.0\n"


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-command",),
        ("tunnel", "open"),
        ("tunnel", "open", "x", "--no-such-option"),
        ("tunnel", "export"),
        ("message", "show", "x", "--format", "pdf"),
        ("setup", "--non-interactive", "--config", "/nonexistent/messenger.toml"),
        ("setup", "--key-type", "dsa"),
    ],
    ids=" ".join,
)
def test_wrong_usage_leaves_with_64(messenger, words):
    done = messenger(*words)

    assert done.status == 64
    assert done.out == ""
    assert "Traceback" not in done.err


def test_a_command_without_settings_names_the_wizard_and_leaves_with_78(messenger, tmp_path):
    done = messenger("tunnel", "list", "--config", tmp_path / "messenger.toml")

    assert done.status == 78
    assert done.err.startswith(f"messenger: {tmp_path}/messenger.toml: no settings there. Run `messenger setup`")


def test_wrong_settings_leave_with_78_and_name_the_line(messenger, site):
    settings = site / "messenger.toml"
    settings.write_text(settings.read_text().replace("link_days = 30", "link_days = 0"))

    done = messenger("tunnel", "list", "--config", settings)

    assert done.status == 78
    assert re.search(r"line \d+: \[notice\] link_days: expected days", done.err)


def test_the_settings_can_be_named_before_the_command_after_it_or_by_the_environment(messenger, site, monkeypatch):
    settings = site / "messenger.toml"

    before = messenger("--config", settings, "tunnel", "list")
    after = messenger("--config", "/nonexistent", "tunnel", "list", "--config", settings)
    monkeypatch.setenv("MESSENGER_CONFIG", str(settings))
    around = messenger("tunnel", "list")

    assert before.status == 0
    assert before == after == around


def test_a_missing_file_leaves_with_66(messenger):
    done = messenger("message", "show", "/nonexistent/mail.eml")

    assert done.status == 66
    assert done.err == "messenger: /nonexistent/mail.eml: No such file or directory; check the name\n"


@pytest.mark.parametrize(
    ("number", "status"), [(errno.EACCES, 77), (errno.ENOSPC, 73), (errno.EROFS, 73), (errno.EIO, 75)]
)
def test_trouble_with_files_leaves_with_a_status_that_says_which(messenger, monkeypatch, number, status):
    def fail(path):
        raise OSError(number, "that is so", str(path))

    monkeypatch.setattr(Path, "read_bytes", fail)

    done = messenger("message", "show", "mail.eml")

    assert done.status == status
    assert done.err.startswith("messenger: mail.eml: that is so; ")


def test_a_reader_that_wants_nothing_is_no_error():
    done = subprocess.run(
        f"'{Path(sys.executable).parent}/messenger' --help | true; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    mail = tmp_path / "mail.eml"
    mail.write_bytes(MAIL + b"line\n" * 200_000)

    done = subprocess.run(
        f"'{Path(sys.executable).parent}/messenger' message show {mail} | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
