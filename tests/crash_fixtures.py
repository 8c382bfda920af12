"""Folders in memory for processes that are killed: what is synced a thousand times must not wait for a disk."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from proof.chaos.crash import Crashes


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="crash-points-", dir="/dev/shm" if os.path.ismount("/dev/shm") else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture(name="home")
def home_fixture():
    with in_memory() as path:
        yield path


@contextlib.contextmanager
def started(*modules: str, settings: Path | None = None) -> Iterator[Crashes]:
    """What starts processes of *modules*; one for all tests of a file, since it imports them all."""
    with in_memory() as path, Crashes(path, *modules, settings=settings) as crashes:
        yield crashes
