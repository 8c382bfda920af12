"""Changing a settings file leaves everything else in it as its author wrote it."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from messenger.cli import settings_file
from messenger.config import ConfigError

TEXT = """\
# On top
[site] # ours
name = "Post"   # as people call it

# A list
own_domains = [
    "a.example", # the first
    "b.example",
]
[mail]
root='/srv/mail'
"""


def test_nothing_to_change_gives_the_same_text():
    same = {
        ("site", "name"): "Post",
        ("site", "own_domains"): ["a.example", "b.example"],
        ("mail", "root"): "/srv/mail",
    }

    assert settings_file.changed(TEXT, same) == TEXT


def test_one_value_changes_one_line():
    new = settings_file.changed(TEXT, {("site", "name"): "Mail"})

    assert new == TEXT.replace('name = "Post"   # as', 'name = "Mail"   # as')


def test_a_list_is_replaced_as_a_whole():
    new = settings_file.changed(TEXT, {("site", "own_domains"): ["c.example"]})

    assert tomllib.loads(new)["site"] == {"name": "Post", "own_domains": ["c.example"]}
    assert "# On top\n[site] # ours\n" in new
    assert "[mail]\nroot='/srv/mail'\n" in new


def test_a_missing_section_and_key_are_added():
    new = settings_file.changed(TEXT, {("notice", "link_days"): 7, ("mail", "extra"): True})

    assert tomllib.loads(new)["notice"] == {"link_days": 7}
    assert tomllib.loads(new)["mail"] == {"root": "/srv/mail", "extra": True}


def test_a_value_of_another_kind_is_replaced():
    for old in ("true", "1", "{}", "1.5", "2026-11-24", '["x"]'):
        new = settings_file.changed(f"[site]\nname = {old}\n", {("site", "name"): "Post"})

        assert tomllib.loads(new) == {"site": {"name": "Post"}}


@pytest.mark.parametrize("text", ["[site", "a = 1\na = 2\n", "site = 1\n"])
def test_what_is_no_settings_file_is_refused(text):
    with pytest.raises(ConfigError):
        settings_file.changed(text, {("site", "name"): "Post"})


def test_backups_of_the_same_second_do_not_meet(tmp_path):
    path = tmp_path / "messenger.toml"
    now = datetime(2026, 11, 24, 7, 0, 0, tzinfo=UTC)
    path.write_text("one")
    first = settings_file.backup(path, now)
    path.write_text("two")

    second = settings_file.backup(path, now)

    assert (first.read_text(), second.read_text()) == ("one", "two")
    assert second.name == "messenger.toml.20261124-070000-2"


def test_paths_below_the_settings_are_written_short():
    assert settings_file.written_path(Path("/etc/w/keys/a.pem"), Path("/etc/w")) == "keys/a.pem"
    assert settings_file.written_path(Path("/srv/a.pem"), Path("/etc/w")) == "/srv/a.pem"
