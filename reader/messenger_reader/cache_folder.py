"""Where the reader keeps what it can make again: one folder per mailbox below the cache, for its own eyes only."""

from hashlib import sha256
from pathlib import Path


def folder_of(cache: Path, address: str) -> Path:
    """The folder for *address*; nothing of the address is in its name. Delete it at will."""
    name = sha256(address.encode()).hexdigest()
    return cache / name[:2] / name


def make(folder: Path) -> None:
    """Make *folder* and what lies above it, each closed to everybody else: subjects are in there."""
    if not folder.is_dir():
        if folder.parent != folder:
            make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
