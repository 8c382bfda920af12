"""What several commands share: where the settings are, a file to read, output for scripts."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config import Config, load, settings_path

_META = "messenger.config"

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def config_option(command: Decorated) -> Decorated:
    """Accept --config on the command itself; the nearest one to the command wins."""
    return click.option(
        "--config",
        type=click.Path(readable=False, path_type=Path),  # what is wrong with it is said in one place
        expose_value=False,
        callback=_remember,
        help="Settings file; else MESSENGER_CONFIG, else /etc/webmail-messenger/messenger.toml.",
    )(command)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for scripts.")


def _remember(context: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.meta[_META] = value


def path_of_settings() -> Path:
    return settings_path(click.get_current_context().meta.get(_META))


def settings() -> Config:
    return load(path_of_settings())


def read_input(name: str) -> bytes:
    """Read a whole file, or standard input for ``-``."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def echo_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
