"""Keep notices that are held back because the person wants one an hour at most, and give them out when it is over.

For each person one small file: the notice of the latest mail stands for all of that hour. A file whose date says when
the person was told last lies beside it. Several processes may share the folder; a crash can cost a second notice,
never the only one. Knows no preferences and no way to send.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from secrets import token_hex

from messenger.envelope import normal
from messenger.errors import MessengerError
from messenger.notify import Notice

from .verdicts import one_line

log = logging.getLogger(__name__)

HOUR_SECONDS = 3600
#: Longer than any submission takes: what is still claimed after that was left by a crash.
CLAIM_SECONDS = 600
#: A notice that failed is tried again after this; others go on meanwhile.
RETRY_SECONDS = 300
#: Nobody takes notices now: each attempt may take as long as a submission's patience.
FAILURES = 3
FOLDER_MODE = 0o700
FILE_MODE = 0o600

_KEPT, _CLAIMED, _TOLD, _BROKEN = ".kept", ".claimed", ".told", ".broken"


class HeldError(MessengerError):
    """A notice can't be held back just now."""

    temporary = True


class Held:
    """The notices of one folder; its user owns it, and nobody else looks in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        #: Whose notice failed in this process, and when to try again.
        self._later: dict[str, int] = {}

    def keep(self, notice: Notice) -> None:
        """Hold *notice* back, on disk when this returns. An earlier one for the same person is replaced."""
        who = _who(notice.to)
        temporary = self._path(who, f".{token_hex(8)}.part")
        content = json.dumps(asdict(notice)).encode()
        try:
            try:
                try:
                    _write(temporary, content)
                except FileNotFoundError:
                    self._make_folder()
                    _write(temporary, content)
                temporary.rename(self._path(who, _KEPT))
            finally:
                with suppress(OSError):
                    temporary.unlink()
            _sync(self._folder)
        except OSError as error:
            raise HeldError(
                f"cannot hold a notice back in {self._folder}: {error.strerror}; give the ledger to messenger-milter"
            ) from error

    def give_out(self, now: int, tell: Callable[[Notice], object]) -> int:
        """Call *tell* with each notice whose hour is over; return how many it took. What it raises is logged here."""
        told = failures = 0
        for who in self._waiting(now):
            pause = RETRY_SECONDS
            try:
                notice = self._claim(who, now)
                if notice is None:
                    continue
                tell(notice)
                told += 1
                pause = HOUR_SECONDS  # should that be all we can note of it
                self._done(who, now)
            except Exception as error:  # one who can't be told now must not keep the others waiting
                expected = isinstance(error, MessengerError | OSError)
                log.warning(
                    "a notice held back: %s; tried again later", one_line(error), exc_info=None if expected else error
                )
                self._later[who] = now + pause
                self._put_back(who)
                failures += 1
                if failures == FAILURES:
                    break
        return told

    def _waiting(self, now: int) -> Iterator[str]:
        """Yield who has a notice here and may be told; what only said when somebody was told is tidied away."""
        try:
            with os.scandir(self._folder) as files:
                names = {file.name for file in files}
        except FileNotFoundError:
            return
        self._later = {who: when for who, when in self._later.items() if when > now}
        for name in sorted(names):
            who, _, kind = name.partition(".")
            if kind == _TOLD[1:] and not self._told(who, now, 2 * HOUR_SECONDS):
                _remove(self._path(who, _TOLD))
            # Of a claimed and a kept one for the same person the kept one is the later.
            alone = kind == _CLAIMED[1:] and who + _KEPT not in names
            if (kind == _KEPT[1:] or alone) and who not in self._later and not self._told(who, now, HOUR_SECONDS):
                yield who

    def _claim(self, who: str, now: int) -> Notice | None:
        """Take the notice of *who*, unless another process has it in hand or has just sent one."""
        claimed = self._path(who, _CLAIMED)
        with self._locked():
            if self._told(who, now, HOUR_SECONDS):
                return None
            found = _age(claimed, now)
            if found is not None and found < CLAIM_SECONDS:
                return None
            with suppress(FileNotFoundError):  # then the one that a crash left is taken up again
                self._path(who, _KEPT).rename(claimed)
            try:
                os.utime(claimed, (now, now))
                content = claimed.read_bytes()
            except FileNotFoundError:
                return None
        try:
            return Notice(**json.loads(content))
        except (ValueError, TypeError) as error:
            claimed.rename(self._path(who, _BROKEN))
            raise HeldError(f"{self._path(who, _BROKEN)}: no notice can be made of it: {error}") from error

    def _done(self, who: str, now: int) -> None:
        told = self._path(who, _TOLD)
        os.close(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE))
        os.utime(told, (now, now))
        # Last: until it is gone, a crash here means a second notice.
        _remove(self._path(who, _CLAIMED))

    def _put_back(self, who: str) -> None:
        claimed = self._path(who, _CLAIMED)
        with suppress(OSError):
            # A link, not a rename: a later notice that has come meanwhile stays.
            with suppress(FileExistsError):
                os.link(claimed, self._path(who, _KEPT))
            claimed.unlink()

    def _told(self, who: str, now: int, within: int) -> bool:
        age = _age(self._path(who, _TOLD), now)
        return age is not None and age < within

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        self._folder.chmod(FOLDER_MODE)  # whatever the umask is
        _sync(self._folder.parent)

    def _path(self, who: str, kind: str) -> Path:
        return self._folder / f"{who}{kind}"


def _who(address: str) -> str:
    # Addresses are longer than file names may be, and nobody should learn them from a listing.
    return hashlib.sha256(normal(address).encode()).hexdigest()[:32]


def _age(path: Path, now: int) -> int | None:
    try:
        # A clock that was put back makes dates of the future; they count as far off as they are.
        return abs(now - int(path.stat().st_mtime))
    except FileNotFoundError:
        return None


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _write(path: Path, content: bytes) -> None:
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, how, FILE_MODE), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
