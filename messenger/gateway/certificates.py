"""S/MIME certificates of people outside, in a folder; and keys of senders inside, in another.

A certificate counts for the addresses that it names itself, whatever its file is called. Knows nothing of who may
trust it: putting a file there is that decision, and harvest.py makes it by rules of its own.
"""

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from threading import Lock

from cryptography import x509

from .. import chain, key_file
from ..tunnel import KeyFileError, SenderKey, fingerprint, load_sender_key
from ..tunnel.keys import MAX_FILE, public_key

log = logging.getLogger(__name__)

#: So long a look at the folder holds: a thousand files take a few milliseconds to look at, and mails come in crowds.
SECONDS = 1

#: What tells one content of a file from another: inode, size, and time of the last change in nanoseconds.
_Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class _File:
    stamp: _Stamp
    #: By address; none for a file that holds nothing to encrypt with.
    found: tuple[tuple[str, x509.Certificate], ...] = ()


class Certificates:
    """The folder's certificates by address, read again where a file has changed. For any number of threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}
        #: The newest first.
        self._by_address: dict[str, tuple[x509.Certificate, ...]] = {}
        self._looked: datetime | None = None
        self._lock = Lock()

    def of(self, address: str, now: datetime) -> x509.Certificate | None:
        """The newest certificate, valid at *now* (with a zone), that mail to a ``normal`` *address* is encrypted to.

        Raises KeyFileError (temporary) if the folder can't be read: that is no reason to send in clear.
        """
        with self._lock:
            if self._looked is None or abs((now - self._looked).total_seconds()) >= SECONDS:
                self._look()
                self._looked = now
            known = self._by_address.get(address, ())
        return next((one for one in known if one.not_valid_before_utc <= now <= one.not_valid_after_utc), None)

    def check(self) -> int:
        """Read the folder now; return for how many addresses it has certificates. Raises KeyFileError."""
        with self._lock:
            self._look()
            return len(self._by_address)

    def _look(self) -> None:
        stamps = _stamps(self._folder)
        if {name: file.stamp for name, file in self._files.items()} == stamps:
            return
        self._files = {name: self._same_or_read(name, stamp) for name, stamp in stamps.items()}
        gathered: dict[str, dict[str, x509.Certificate]] = {}
        for file in self._files.values():
            for address, certificate in file.found:
                gathered.setdefault(address, {})[fingerprint(certificate)] = certificate
        self._by_address = {address: _newest_first(several) for address, several in gathered.items()}
        log.info("%s: %d files, certificates for %d addresses", self._folder, len(stamps), len(gathered))

    def _same_or_read(self, name: str, stamp: _Stamp) -> _File:
        known = self._files.get(name)
        return known if known is not None and known.stamp == stamp else _File(stamp, _read(self._folder / name))


class SigningKeys:
    """Pairs ADDRESS.pem, ADDRESS.key of senders inside, read again when changed. For any number of threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, address: str, now: datetime) -> SenderKey | None:
        """The pair of a ``normal`` *address*; None if none is there, or valid at *now* (with a zone).

        Raises KeyFileError (temporary) for one that can't be used.
        """
        if "/" in address or address.startswith("."):  # RFC 5321 has a slash in local parts; it names no folder here
            return None
        # systemd hands a whole folder over as FOLDER_FILE each.
        secret = key_file.found(self._folder / f"{address}.key", f"{self._folder.name}_{address}.key")
        pair = self._folder / f"{address}.pem", secret
        try:
            stamps = [_stamp(path.stat()) for path in pair]
        except FileNotFoundError:
            return None
        except OSError as error:
            text = f"{pair[0]}: cannot be read ({error.strerror}); its group must be the gateway's"
            raise KeyFileError(text) from error
        key = _loaded(*pair, *stamps)
        certificate = key.certificate
        if certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return key
        log.warning("%s: not valid today, so mail of %s is not signed; put its new certificate there", pair[0], address)
        return None


@lru_cache(64)
def _loaded(certificate: Path, key: Path, *_stamps: _Stamp) -> SenderKey:
    """Checking a private key takes a tenth of a second: not for each mail."""
    return load_sender_key(certificate, key)


def _stamps(folder: Path) -> dict[str, _Stamp]:
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):  # drafts of who writes whole files
                    continue
                try:
                    about = entry.stat()
                except FileNotFoundError:  # gone since, or a symbolic link to nothing
                    continue
                if stat.S_ISREG(about.st_mode):
                    found[entry.name] = _stamp(about)
    except OSError as error:
        raise KeyFileError(
            f"{folder}: a folder of certificates was expected, it cannot be read ({error.strerror});"
            ' make it, or set certificates = ""'
        ) from error
    return found


def _stamp(about: os.stat_result) -> _Stamp:
    return about.st_ino, about.st_size, about.st_mtime_ns


def _read(path: Path) -> tuple[tuple[str, x509.Certificate], ...]:
    """What a file is good for; what it is no good for is said once, and stops nobody else's mail."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise ValueError(f"larger than {MAX_FILE} bytes")
        content = path.read_bytes()
        if b"-----BEGIN" in content:
            several = x509.load_pem_x509_certificates(content)
        else:
            several = [x509.load_der_x509_certificate(content)]
    except (OSError, ValueError, x509.InvalidVersion) as error:
        log.warning("%s: passed over, expected certificates (PEM or DER): %s", path, str(error)[:200])
        return ()
    found = tuple(pair for certificate in several for pair in _usable(path, certificate))
    if not found:
        log.warning("%s: passed over, no certificate in it names an address and can encrypt mail", path)
    return found


def _usable(path: Path, certificate: x509.Certificate) -> Iterator[tuple[str, x509.Certificate]]:
    try:
        public_key(certificate)  # neither weak nor unknown
        if chain.may_encrypt(certificate) and certificate.not_valid_before_utc <= certificate.not_valid_after_utc:
            for address in chain.addresses(certificate):
                yield address, certificate
    except (KeyFileError, ValueError) as error:
        log.warning("%s: passed over: %s", path, str(error)[:200])


def _newest_first(several: dict[str, x509.Certificate]) -> tuple[x509.Certificate, ...]:
    ranked = sorted(several.items(), key=lambda item: (item[1].not_valid_before_utc, item[0]), reverse=True)
    return tuple(certificate for _, certificate in ranked)
