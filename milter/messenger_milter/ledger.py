"""Remember which mail was announced to whom, as empty files; a retry or a replay then changes nothing.

Knows paths and times. Knows no mail: a digest and an address in, yes or no out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from messenger.envelope import normal
from messenger.errors import MessengerError

from .stamp import DAY_SECONDS, Stamp

#: How long one mail waits for another callback that has the same mail in hand.
TURN_SECONDS = 60.0
#: What stands in the ledger before somebody is told: that the mail is on its way into the mailbox, that it lies there,
#: that there was no room for it. Where even this can't be written nothing is delivered and nobody told: each retry
#: would tell them again, and deliver again what its owner has moved meanwhile.
BEGUN, DELIVERED, FULL = ".begun", ".delivered", ".full"
#: 256 folders, so that none of them grows too large to search.
SHARD_DIGITS = 2
FOLDER_MODE = 0o700


class LedgerError(MessengerError):
    """The ledger can't be read or written just now."""

    temporary = True


@dataclass
class _Turn:
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: How many hold or wait for the lock; the last one removes it.
    claims: int = 0


class Ledger:
    """One empty file for each mail and recipient, made once the notice is handed over."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._turns: dict[str, _Turn] = {}
        self._unsynced: set[str] = set()
        self._lock = threading.Lock()
        self._stamp = Stamp(root)

    def has(self, digest: str, address: str, step: str = "") -> bool:
        """Whether *address* has been told about this mail; with a *step*, whether that was taken and no more."""
        try:
            os.stat(self._entry(digest, address) + step)  # noqa: PTH116 -- a Path costs ten times the call itself
            return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise LedgerError(f"cannot read the ledger {self.root}: {error.strerror}") from error

    def begin(self, digest: str, address: str, step: str, before: str = "") -> None:
        """Note a *step* before *address* is told; it takes the place of the one *before*. Lasts as an entry does."""
        self._put(digest, address, step, before)

    def enter(self, digest: str, address: str, before: str = "") -> None:
        """Note that *address* has been told. Outlives this process at once, a power cut from the next ``sync`` on.

        Takes the place of the step *before*, which needs no more room on the disk. Not synced here: a mail would wait
        for the disk once more, and all that a lost entry can cause is a second notice, should the mail come again.
        """
        self._put(digest, address, "", before)

    def _put(self, digest: str, address: str, step: str, before: str) -> None:
        entry, shard = self._entry(digest, address), self._shard(digest)
        try:
            if not (before and _renamed(entry + before, entry + step)):
                try:
                    self._stamp.put(entry + step)
                except FileNotFoundError:
                    self._make_shard(Path(shard))
                    self._stamp.put(entry + step)
        except OSError as error:
            raise self._unwritable(error) from error
        with self._lock:
            self._unsynced.add(shard)

    def sync(self) -> None:
        """Make all entries made so far survive a power cut."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, set()
        try:
            for shard in unsynced:
                _sync_folder(Path(shard))
        except OSError as error:
            with self._lock:
                self._unsynced |= unsynced  # the next round tries again
            raise self._unwritable(error) from error

    @contextlib.contextmanager
    def turn(self, digest: str) -> Iterator[None]:
        """Hold off others of this process with the same mail: Postfix retries while we may still be at it.

        Other processes are not held off; what they could add is a second notice, never a second copy.
        """
        with self._lock:
            turn = self._turns.setdefault(digest, _Turn())
            turn.claims += 1
        try:
            if not turn.lock.acquire(timeout=TURN_SECONDS):
                raise LedgerError("the same mail is still being worked on")
            try:
                yield
            finally:
                turn.lock.release()
        finally:
            with self._lock:
                turn.claims -= 1
                if not turn.claims:
                    del self._turns[digest]

    def prune(self, older_than: float) -> int:
        """Forget the entries made before *older_than* (seconds since 1970); return how many.

        An entry's date is that of its stamp: it may go up to a day early.
        """
        forgotten = 0
        self._stamp.sweep(time.time() - 2 * DAY_SECONDS)
        for shard in self._shards():
            with os.scandir(shard) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # another process prunes too
                        if entry.stat(follow_symlinks=False).st_mtime < older_than:
                            Path(entry.path).unlink()
                            forgotten += 1
            time.sleep(0)  # let mail through between folders
        return forgotten

    def prepare(self) -> None:
        """Make all folders that entries will lie in, so that no mail has to wait for that."""
        try:
            for number in range(16**SHARD_DIGITS):
                _make_folder(self.root / f"{number:0{SHARD_DIGITS}x}")
            _sync_folder(self.root)
        except OSError as error:
            raise self._unwritable(error) from error

    def check(self) -> None:
        """Raise LedgerError unless entries can be made. Makes no folder: root may be asking, for another user."""
        folder = self.root if self.root.exists() else self.root.parent
        trial = folder / f".trial-{os.getpid()}"
        try:
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise self._unwritable(error) from error
        for shard in self._shards():
            if not os.access(shard, os.R_OK | os.W_OK | os.X_OK):
                raise LedgerError(f"cannot write to {shard} in the ledger: give it to messenger-milter, mode 700")

    def _unwritable(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"cannot write to the ledger {self.root}: {error.strerror}; make the folder and give it to the user of"
            " messenger-milter"
        )

    def _entry(self, digest: str, address: str) -> str:
        return f"{self._shard(digest)}/{digest}-{_who(address)}"

    def _shard(self, digest: str) -> str:
        return f"{self.root}/{digest[:SHARD_DIGITS]}"

    def _shards(self) -> list[Path]:
        try:
            return [shard for shard in self.root.iterdir() if len(shard.name) == SHARD_DIGITS]
        except FileNotFoundError:
            return []

    def _make_shard(self, shard: Path) -> None:
        _make_folder(shard)
        _sync_folder(self.root)


@lru_cache(maxsize=1024)
def _who(address: str) -> str:
    # Addresses are longer than file names may be, and nobody should learn them from a listing.
    return hashlib.sha256(normal(address).encode()).hexdigest()[:32]


def _renamed(path: str, to: str) -> bool:
    """Whether it was there to be renamed: somebody may have pruned meanwhile, or the step was never taken."""
    try:
        os.rename(path, to)  # noqa: PTH104 -- a Path costs ten times the call itself
    except FileNotFoundError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    # Whatever the umask is, here or in another thread: in a folder that can't be entered no mail would ever count.
    if stat.S_IMODE(folder.stat().st_mode) != FOLDER_MODE:
        folder.chmod(FOLDER_MODE)


def _sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable; an empty file has nothing else to lose."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
