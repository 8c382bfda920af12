"""Sanitised bodies, kept on disk so that each mail is sanitised once.

A cache like the index: it may vanish, break or refuse at any time, and then the body is made again. What another
edition of the sanitiser has made is never shown: the names of the files say which edition made them.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict
from functools import cache as once
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from time import time

from messenger import cache_folder, message
from messenger.message import Shown

#: Per mailbox; the ones not looked at for longest go first.
KEEP_BYTES = 64_000_000
KEEP_FILES = 400
#: A mail the sanitiser gave up on may have met a busy machine; it gets another chance.
ANOTHER_CHANCE_SECONDS = 600


@once
def edition() -> str:
    """A name for all the code that decides what a body may hold: ours, and the libraries'."""
    digest = sha256()
    for source in sorted(Path(message.__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    digest.update(f"{version('nh3')} {version('tinycss2')}".encode())
    return digest.hexdigest()[:16]


class Bodies:
    """The bodies of one mailbox's mails."""

    def __init__(self, cache: Path, address: str) -> None:
        self._folder = cache_folder.folder_of(cache, address) / "bodies"

    def show(self, name: str, raw: bytes, *, remote_pictures: bool) -> Shown:
        """As ``message.show``, which is asked only if it hasn't been before."""
        key = sha256(name.encode()).hexdigest()[:32]
        path = self._folder / f"{key}-{edition()}-{int(remote_pictures)}.json"
        shown = self._load(path)
        if shown is None:
            shown = message.show(raw, remote_pictures=remote_pictures)
            self._keep(path, shown)
        return shown

    def _load(self, path: Path) -> Shown | None:
        try:
            shown = Shown(**json.loads(path.read_bytes()))
            age = time() - path.stat().st_mtime
            if shown.fallback and age > ANOTHER_CHANCE_SECONDS:
                return None
            os.utime(path)
        except (OSError, ValueError, TypeError):
            return None
        return shown

    def _keep(self, path: Path, shown: Shown) -> None:
        temporary = path.with_suffix(f".{token_hex(8)}")
        try:
            cache_folder.make(self._folder)
            self._make_room()
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                json.dump(asdict(shown), file)
            temporary.replace(path)
        except OSError:  # a full disk slows us down; it doesn't stop us
            with suppress(OSError):
                temporary.unlink()

    def _make_room(self) -> None:
        with os.scandir(self._folder) as entries:
            files = sorted(
                ((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in entries), reverse=True
            )
        total = 0
        for count, (_, size, path) in enumerate(files, 1):
            total += size
            if total > KEEP_BYTES or count > KEEP_FILES:
                Path(path).unlink(missing_ok=True)
