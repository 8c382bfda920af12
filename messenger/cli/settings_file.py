"""Change values in the text of a settings file, and leave comments, order and everything else as they are.

Text in, text out; writing is done with a backup of what was there.
"""

from collections.abc import Mapping, MutableMapping
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from ..config import Config, ConfigError, parse, read_text
from .files import write_whole

#: By section and key.
Changes = Mapping[tuple[str, str], Any]


def template(name: str = "messenger.toml") -> str:
    """Return an example file: of the settings, every key with a comment and its default."""
    return files("messenger").joinpath("templates", name).read_text("utf-8")


def changed(text: str, changes: Changes) -> str:
    """Set each key of *changes* that has another value in *text*."""
    document = _document(text)
    for (section, key), value in changes.items():
        table = document.setdefault(section, tomlkit.table())
        if not isinstance(table, MutableMapping):
            raise ConfigError(f"[{section}]: expected a section in the settings, found {table!r}; mend that first")
        if key not in table or tomlkit.item(table[key]).unwrap() != value:
            table[key] = value
    return tomlkit.dumps(document)


def values(text: str, path: Path) -> dict[str, dict[str, Any]]:
    """Return what *text* says, even if it lacks keys or has wrong ones; what isn't TOML is a ConfigError."""
    try:
        return _document(text).unwrap()
    except ConfigError:
        parse(text, path)  # names the line
        raise


def _document(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise ConfigError(f"the settings are not TOML ({error}); mend that first") from error


def rewrite(path: Path, changes: Changes, now: datetime) -> Config:
    """Change the settings file *path*, keeping the old one beside it, and return the new settings."""
    old = read_text(path)
    new = changed(old, changes)
    config = parse(new, path)
    if new != old:
        backup(path, now)
        replace(path, new)
    return config


def replace(path: Path, text: str) -> None:
    """Write *text* in place of what was there, with the same mode and group."""
    found = path.stat()
    write_whole(path, text.encode(), mode=found.st_mode & 0o777, group=found.st_gid)


def backup(path: Path, now: datetime) -> Path:
    """Copy *path* beside itself, under a name with the time, and return that."""
    copy = path.with_name(f"{path.name}.{now:%Y%m%d-%H%M%S}")
    number = 1
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.{now:%Y%m%d-%H%M%S}-{number}")
    found = path.stat()
    write_whole(copy, path.read_bytes(), mode=found.st_mode & 0o777, group=found.st_gid, replace=False)
    return copy


def written_path(path: Path, base: Path) -> str:
    """Return *path* as it is written into a settings file in the folder *base*."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
