"""Run the ``messenger`` command as a person or script would, and look at what it says and leaves with."""

import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from messenger.cli import main

MAIL = (
    b"From: Bob <bob@example.com>\nTo: anna@example.net\nSubject: Hi\nDate: Tue, 24 Nov 2026 07:00:00 +0000\n\nHello\n"
)


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str


@pytest.fixture(name="messenger")
def messenger_fixture(capfd, monkeypatch) -> Callable[..., Done]:
    """Run one command in this process; ``given`` is its standard input."""
    monkeypatch.delenv("MESSENGER_CONFIG", raising=False)

    def run(*words: object, given: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        said = capfd.readouterr()
        return Done(left.value.code, said.out, said.err)

    return run


def setup_words(folder: Path, **changed: str) -> list[str]:
    options = {
        "config": str(folder / "messenger.toml"),
        "portal-url": "https://webmail.example.com",
        "own-domain": "example.com",
        "mail-root": str(folder / "mail"),
        "key-type": "ec-p256",
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    return ["setup", "--non-interactive", *(word for name, value in options.items() for word in (f"--{name}", value))]


@pytest.fixture(scope="session", name="made_site")
def made_site_fixture(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with pytest.raises(SystemExit) as left:
        main(setup_words(folder))
    assert left.value.code == 0
    return folder


@pytest.fixture(name="site")
def site_fixture(made_site, tmp_path) -> Path:
    """A site of one's own, as setup leaves it; its settings are ``messenger.toml``."""
    folder = tmp_path / "s"
    shutil.copytree(made_site, folder)
    return folder
