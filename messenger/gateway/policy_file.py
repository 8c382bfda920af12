"""The policy's file, read again when it changes. What can't be understood is logged, and the last good one stays.

Knows when to read. What the text means is policy.py's business.
"""

import logging
from pathlib import Path
from threading import Lock

from .policy import parse
from .values import Policy, PolicyError

log = logging.getLogger(__name__)

#: Between two looks at the file.
SECONDS = 1
#: A file younger than that may change once more without another time in its inode: clocks of file systems tick.
SETTLED_SECONDS = 2
MAX_OCTETS = 5_000_000

#: Inode, size, and the times of the last change of content and of anything, in nanoseconds.
_Stamp = tuple[int, int, int, int]


class PolicyFile:
    """One policy file. For any number of threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._checked = float("-inf")
        self._stamp: _Stamp | None = None
        #: Of the last good one.
        self._text: str | None = None
        self._policy: Policy | None = None
        #: What was said last, so that it is said once.
        self._complaint = ""

    def current(self, now: float) -> Policy:
        """Return the policy as the file says it, looked at once a second at most; the same object while it is the same.

        *now* is in Unix seconds. Raises PolicyError as long as the file was never any good.
        """
        with self._lock:
            if self._policy is None or not 0 <= now - self._checked < SECONDS:
                self._checked = now
                try:
                    self._look(now)
                except PolicyError as error:
                    if self._policy is None:
                        raise
                    self._complain(error)
            assert self._policy is not None
            return self._policy

    def _look(self, now: float) -> None:
        stamp = _stamp_of(self._path)
        young = 0 <= now - stamp[2] / 1e9 < SETTLED_SECONDS
        if stamp == self._stamp and self._policy is not None and not young:
            return
        text = read_policy(self._path)
        if young and self._policy is not None and not text.strip():
            # Somebody copies over it at this moment: nothing at all would mean that nothing is to be protected.
            self._stamp = None
            return
        self._stamp = stamp
        if text != self._text:
            self._policy = parse(text, self._path)
            self._text = text
            log.info("%s: read", self._path)
        self._complaint = ""

    def _complain(self, error: PolicyError) -> None:
        text = "; ".join(line.strip() for line in str(error).splitlines())
        if text != self._complaint:
            self._complaint = text
            log.error("%s; until then the policy that was read before holds", text)


def read_policy(path: Path) -> str:
    """Return what the policy's file says; raises PolicyError for one that isn't there or is no text."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_OCTETS + 1)
        if len(raw) > MAX_OCTETS:
            raise PolicyError(
                f"{path}: expected at most {MAX_OCTETS} bytes; put users and domains into [gateway] tables"
            )
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise PolicyError(f"{path}, line {line}: not UTF-8; save the file as UTF-8") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _stamp_of(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _unreadable(path: Path, error: OSError) -> PolicyError:
    if isinstance(error, FileNotFoundError):
        return PolicyError(f"{path}: no policy there; make one by `messenger gateway set`, or mend [gateway] policy")
    return PolicyError(f"{path}: can't be read ({error.strerror}); messenger-gateway must be allowed to")
