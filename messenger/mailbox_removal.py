"""Remove all that is kept of one person, or give it to another address: the folder above their Maildir.

Part of mailbox.py: nobody else reads this. The folder loses its name first, in one step, so a mail that comes
meanwhile either goes with the rest or begins a mailbox of its own. A crash leaves a folder that no address has; the
same removal tried again ends what was begun, as ``finish`` does.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from .mailbox_paths import MAILDIR
from .maildir import MailboxError, NoSuchFolder, make_folder, opened_domain

#: ``path_of`` gives no address a name with a dot in first place.
PREFIX = ".removed."
#: A delivery under way may put a file into a folder that was just found empty.
_TRIES = 8
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(mail_root: Path, domain: str, person: str) -> None:
    """Remove ``<mail_root>/<domain>/<person>``, or do nothing if it isn't there.

    Of a folder that something is mounted on, or in, the empty folders stay.
    """
    with suppress(NoSuchFolder), opened_domain(mail_root, domain) as directory:
        taken = _take_name(person, directory)
        os.fsync(directory)
        # Nobody there: perhaps this is tried again after a crash. Else a domain of 100,000 people isn't looked through.
        for name in [taken] if taken else _begun(directory):
            if not _remove(name, directory) and taken:
                with suppress(OSError):  # new mail has made the folder again
                    os.rename(name, person, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)


def move(mail_root: Path, here: tuple[str, str], there: tuple[str, str], leave: frozenset[str]) -> None:
    """Move what is in the folder *here* (domain and person) to *there*, the Maildir first and in one step."""
    with opened_domain(mail_root, here[0]) as domain, opened_domain(mail_root, there[0], create=True) as to_domain:
        make_folder(there[1], to_domain)
        source = os.open(here[1], _READ, dir_fd=domain)
        try:
            target = os.open(there[1], _READ, dir_fd=to_domain)
            try:
                _move_all(source, target, leave)
                os.fsync(target)
                os.fsync(source)
            finally:
                os.close(target)
        finally:
            os.close(source)
        os.fsync(to_domain)
        with suppress(OSError):  # something was left there, or has come since
            os.rmdir(here[1], dir_fd=domain)
        os.fsync(domain)


def _move_all(source: int, target: int, leave: frozenset[str]) -> None:
    names = {*os.listdir(source)} - leave
    there = {*os.listdir(target)}
    if MAILDIR in names and MAILDIR in there:
        raise MailboxError("both addresses have mail; `messenger mailbox export` one and `import` it into the other")
    for name in sorted(names - there, key=lambda name: name != MAILDIR):
        os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)


def finish(mail_root: Path, domain: str) -> None:
    """End the removals in *domain* that a crash has cut short."""
    with suppress(NoSuchFolder), opened_domain(mail_root, domain) as directory:
        for name in _begun(directory):
            _remove(name, directory)
        os.fsync(directory)


def _begun(directory: int) -> list[str]:
    """The removals that a crash has cut short."""
    return [name for name in os.listdir(directory) if name.startswith(PREFIX)]


def _take_name(person: str, directory: int) -> str:
    """Give the folder a name that no address has, and return that; "" if there is no such folder."""
    name = f"{PREFIX}{token_hex(8)}"
    try:
        os.rename(person, name, src_dir_fd=directory, dst_dir_fd=directory)
    except FileNotFoundError:
        return ""
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # A mount point can't be renamed.
        _empty(person, directory)
    return name


def _remove(name: str, directory: int) -> bool:
    """Remove *name* with all in it, following no link; False if it has to stay: empty, but for mount points."""
    try:
        os.unlink(name, dir_fd=directory)
        return True
    except FileNotFoundError:
        return True  # of two removals at once the other was quicker
    except IsADirectoryError:
        pass
    if not _empty(name, directory):
        return False
    try:
        os.rmdir(name, dir_fd=directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        if error.errno != errno.ENOTEMPTY:
            raise
        return _remove(name, directory)
    return True


def _empty(name: str, directory: int) -> bool:
    try:
        held = os.open(name, _READ, dir_fd=directory)
    except FileNotFoundError:
        return True
    try:
        for _ in range(_TRIES):
            names = os.listdir(held)  # noqa: PTH208 -- as below
            if sum(_remove(inner, held) for inner in names) == 0:
                return not names
    finally:
        os.close(held)
    raise OSError(errno.EAGAIN, "files come faster than they can be removed")
