"""The spool between the intake and messenger-pdfotp: a file for each PDF that is still to be made.

    tmp/     being written                     new/     waiting, or in work: whoever works on a file holds its lock
    tries/   how often each was tried          failed/  given up, until an administrator has looked
    done/    what is left of each file whose PDF was sent, emptied, so that a retry doesn't send it again

A lock ends with its process, so a worker that is killed leaves its file to the next one. Knows ids, paths and times;
what is in a file is pdf_job's matter.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from secrets import token_hex

from .errors import MessengerError
from .group_folder import make_folder
from .pdf_job import BadJob, PdfJob, from_bytes
from .pdf_password import PdfPasswordError, canonical_id

#: The intake writes, messenger-pdfotp takes away; the group of a file is that of its folder.
FILE_MODE = 0o640
FOLDERS = ("tmp", "new", "tries", "failed", "done")
#: What a crash left in tmp/ goes after as many seconds.
LEFTOVER_SECONDS = 3600
TRIES_OCTETS = 8192
#: So many files go to the disk while their orders' records do; further orders wait for a moment.
WRITERS = 8
#: The settings let no mail in that is larger; a file with holes may claim any size.
JOB_OCTETS = 2**31
#: No number in tries/ is below 0 or as large: a time beyond 2100, or more tries than anybody makes.
TRIES_NUMBER = 2**32


class SpoolError(MessengerError):
    """The spool can't be read or written just now."""

    temporary = True


@dataclass(frozen=True)
class Tries:
    """What became of a file so far."""

    #: How often making the PDF was begun; that Postfix took no mail doesn't count.
    count: int = 0
    #: Not before (Unix seconds).
    after: int = 0
    reason: str = ""
    #: How often it had to wait since, for whatever reason.
    waits: int = 0


@dataclass(frozen=True)
class Failed:
    """A file that was given up."""

    pdf_id: str
    since: int
    tries: Tries


class Claim:
    """A file that this process alone works on."""

    def __init__(self, spool: "Spool", pdf_id: str, descriptor: int) -> None:
        self._spool = spool
        self._descriptor = descriptor
        self.pdf_id = pdf_id
        self.tries = spool.tries(pdf_id)

    def job(self) -> PdfJob:
        """Read the file; raises BadJob, or SpoolError where the disk doesn't give it."""
        with self._spool.errors(), os.fdopen(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            if size > JOB_OCTETS:
                raise BadJob(f"expected a file of at most {JOB_OCTETS} bytes, found {size}")
            content = file.read()
        return from_bytes(content)

    def begin(self) -> int:
        """Count this try before it is made: a mail that kills the process counts as well. Returns the number."""
        self.tries = replace(self.tries, count=self.tries.count + 1)
        self._spool.note(self.pdf_id, self.tries)
        return self.tries.count

    def later(self, reason: str, after: int, counts: bool) -> None:
        """Leave it for another try, not before *after* (Unix seconds)."""
        self.tries = Tries(self.tries.count - (not counts), after, reason, self.tries.waits + 1)
        self._spool.note(self.pdf_id, self.tries)

    def done(self) -> None:
        """The mail is in Postfix's queue."""
        self._spool.finish(self.pdf_id)

    def fail(self, reason: str) -> None:
        """Give it up: nobody tries again until told to."""
        self.tries = replace(self.tries, after=0, reason=reason)
        self._spool.note(self.pdf_id, self.tries)
        self._spool.move(self.pdf_id, "new", "failed")


class Spool:
    """The folders below *root*."""

    def __init__(self, root: Path) -> None:
        self.root = root
        # Texts: on the way of each mail Paths would cost more than the calls they are for.
        self._tmp, self._new = str(root / "tmp"), str(root / "new")
        # Its threads begin with the first file that is written by one.
        self._writers = ThreadPoolExecutor(WRITERS, "pdf-spool")

    def put(self, job: PdfJob) -> bool:
        """Keep *job*, on disk when this returns. False: it was there already, or is done."""
        with self.written(job) as put:
            return put()

    @contextmanager
    def written(self, job: PdfJob) -> Iterator[Callable[[], bool]]:
        """Send *job* on its way to the disk; nobody finds it until what is yielded, as ``put``, is called.

        What the caller has to keep before that goes to the disk at the same time.
        """
        with self.errors():
            known = any(_is_there(f"{self.root}/{folder}/{job.pdf_id}") for folder in ("done", "failed"))
        if known:
            yield lambda: False
            return
        temporary = f"{self._tmp}/{job.pdf_id}.{token_hex(8)}"

        def put() -> bool:
            with self.errors():
                writing.result()
                try:
                    # A link, not a rename: it never replaces a file that somebody works on.
                    os.link(temporary, f"{self._new}/{job.pdf_id}")
                except FileExistsError:
                    return False
                finally:
                    _sync(self._new)
            return True

        writing = self._writers.submit(_write, temporary, job.to_bytes())
        try:
            yield put
        finally:
            wait((writing,))
            with self.errors(), suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108 -- see __init__

    def due(self, now: int) -> list[str]:
        """Return the ids of what may be tried now, the oldest first. Some of it may be in work elsewhere."""
        with self.errors():
            files = [
                entry
                for entry in os.scandir(self.root / "new")
                # Not a link, a pipe or a folder, whoever laid it there.
                if _is_id(entry.name) and entry.is_file(follow_symlinks=False)
            ]
            found = []
            for entry in files:
                with suppress(FileNotFoundError):
                    found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
        return [name for _, name in sorted(found) if self.tries(name).after <= now]

    @contextmanager
    def claim(self, pdf_id: str) -> Iterator[Claim | None]:
        """Hold one file; None if another worker has it or it is gone."""
        path = self.root / "new" / pdf_id
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise self._unusable(error) from error
        try:
            ours = _locked(descriptor) and _is_still(path, descriptor)
            # Put again by a retry that looked for it in done/ just before it came there.
            if ours and (self.root / "done" / pdf_id).exists():
                self.finish(pdf_id)
                ours = False
            yield Claim(self, pdf_id, descriptor) if ours else None
        finally:
            os.close(descriptor)

    def tries(self, pdf_id: str) -> Tries:
        """Return what became of it so far; a file that can't be read counts as none."""
        try:
            how = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(self.root / "tries" / pdf_id, how), "rb") as file:
                found = Tries(**json.loads(file.read(TRIES_OCTETS)))
            if any(type(getattr(found, field.name)) is not field.type for field in fields(Tries)):
                return Tries()
        except (OSError, ValueError, TypeError, RecursionError):
            return Tries()
        ours = all(0 <= number < TRIES_NUMBER for number in (found.count, found.after, found.waits))
        return found if ours else Tries()

    def note(self, pdf_id: str, tries: Tries) -> None:
        with self.errors():
            temporary = self.root / "tmp" / f"{pdf_id}.{token_hex(8)}"
            try:
                _write(temporary, json.dumps(asdict(tries)).encode())
                temporary.rename(self.root / "tries" / pdf_id)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise

    def finish(self, pdf_id: str) -> None:
        """Remember that it was sent, then forget the mail."""
        with self.errors():
            done = self.root / "done" / pdf_id
            # One step, which needs no room on the disk: a full one, or a kill in between, has nothing sent again.
            try:
                (self.root / "new" / pdf_id).rename(done)
            except FileNotFoundError:
                done.touch(FILE_MODE)
            _sync(self.root / "done")
            _empty(done)
            (self.root / "tries" / pdf_id).unlink(missing_ok=True)

    def failed(self) -> list[Failed]:
        """Return what was given up, the oldest first."""
        with self.errors():
            found = [
                Failed(entry.name, int(entry.stat(follow_symlinks=False).st_mtime), self.tries(entry.name))
                for entry in os.scandir(self.root / "failed")
                if _is_id(entry.name)
            ]
        return sorted(found, key=lambda one: (one.since, one.pdf_id))

    def retry(self, pdf_id: str) -> bool:
        """Try it afresh; False if nothing of that id was given up."""
        with self.errors():
            (self.root / "tries" / pdf_id).unlink(missing_ok=True)
        return self.move(pdf_id, "failed", "new")

    def move(self, pdf_id: str, folder: str, to: str) -> bool:
        with self.errors():
            try:
                (self.root / folder / pdf_id).rename(self.root / to / pdf_id)
            except FileNotFoundError:
                return False
            _sync(self.root / to)
            _sync(self.root / folder)
        return True

    def tidy(self, now: float, done_days: int) -> int:
        """Forget what was sent more than *done_days* ago, and what a crash left; return how many files went."""
        gone = 0
        with self.errors():
            for folder, seconds in (("done", done_days * 86_400), ("tmp", LEFTOVER_SECONDS)):
                for entry in os.scandir(self.root / folder):
                    # What can't be removed, such as a folder somebody made there, keeps nothing else.
                    with suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        if now - found.st_mtime > seconds:
                            Path(entry.path).unlink()
                            gone += 1
                        elif folder == "done" and found.st_size and entry.is_file(follow_symlinks=False):
                            _empty(Path(entry.path))  # whose worker was killed before it could
        return gone

    def prepare(self) -> None:
        """Make the folders; raises SpoolError with what to do."""
        with self.errors():
            for name in FOLDERS:
                make_folder(self.root / name)

    def check(self) -> None:
        """Raise SpoolError unless files can be put, claimed and taken away here."""
        for name in FOLDERS:
            folder = self.root / name
            if not folder.is_dir():
                raise SpoolError(f"{folder}: no such folder; start messenger-milter once, or make it (mode 2770)")
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise SpoolError(f"{folder}: can't write there; give it to the group messenger-pdf, mode 2770")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Within, what the disk refuses is a SpoolError."""
        try:
            yield
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> SpoolError:
        return SpoolError(f"{error.filename or self.root}: {error.strerror}; the PDF spool must be there and writable")


def _is_id(name: str) -> bool:
    try:
        return canonical_id(name) == name
    except PdfPasswordError:
        return False


def _is_there(path: str) -> bool:
    try:
        os.stat(path, follow_symlinks=False)  # noqa: PTH116 -- see Spool
    except FileNotFoundError:
        return False
    return True


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the file we hold is the one that lies there: the worker before us may just have finished it."""
    ours = os.fstat(descriptor)
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), ours)
    except FileNotFoundError:
        return False


def _write(path: Path | str, content: bytes) -> None:
    how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, how, FILE_MODE), "wb") as file:
        os.fchmod(file.fileno(), 0o660)  # whatever the umask is; messenger-pdfotp locks it, which wants it writable
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _empty(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))


def _sync(folder: Path | str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
