"""Keep the certificates of people who write signed mail to us, so that an answer can be encrypted to them.

One is kept only where a page would say "signed by": the signature is over the whole mail and fits it, From names one
mailbox and the certificate that mailbox, and its chain ends in an issuer that the site knows. Looks up no revocation.
"""

import contextlib
import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from .. import chain, message
from ..message import Kind
from ..tunnel import KeyFileError, Refused, correspondence, fingerprint
from ..tunnel.correspondence import Vouched
from ..tunnel.keys import public_key

log = logging.getLogger(__name__)

#: Of one address, the newest; more come from devices with a certificate each, and from nothing else that is honest.
PER_ADDRESS = 4
#: A file name has 255 octets; the fingerprint, its hyphen and the ending need 69.
_ADDRESS_OCTETS = 186
#: Who the author is must be beyond doubt.
_ODD = frozenset({"several-from", "several-authors", "no-from", "headers-cut"})


@dataclass(frozen=True)
class Kept:
    """A certificate that may be kept, and the ``normal`` address it is for."""

    address: str
    certificate: x509.Certificate


def certificates_in(raw: bytes, roots: tuple[x509.Certificate, ...], now: datetime) -> Kept | None:
    """The certificate of the author of *raw* that mail to them can be encrypted to, if it may be trusted at *now*.

    The one that signed; or, where that is for signatures alone, one beside it of the same person. Never raises.
    """
    read = message.read(raw)
    found = message.protection(raw, read.text)
    if found.kind is not Kind.SMIME_SIGNED or len(read.senders) != 1 or _ODD & set(read.problems):
        return None
    sender = chain.same(read.senders[0].address)
    try:
        vouched = correspondence.check(found.cms, found.content, found.opaque)
        if not sender or not _trusted(vouched, vouched.certificate, sender, roots, now):
            return None
        if not chain.may_sign(vouched.certificate):
            return None
        for one in (vouched.certificate, *vouched.others):
            if _encrypts(one) and (one is vouched.certificate or _trusted(vouched, one, sender, roots, now)):
                return Kept(sender, one)
    except (Refused, ValueError, TypeError) as error:  # the last two: extensions that are none
        log.debug("nothing to keep of a signed mail: %s", error)
    return None


def keep(raw: bytes, folder: Path, roots: tuple[x509.Certificate, ...], now: datetime) -> Path | None:
    """Write what ``certificates_in`` finds as ADDRESS-FINGERPRINT.pem into *folder*, whole or not at all.

    None if it finds nothing, or that is there already, or enough newer ones are. Raises OSError.
    """
    found = certificates_in(raw, roots, now)
    if found is None or (path := _place(folder, found)) is None or path.exists():
        return None
    older = sorted(_kept_of(found.address, folder), key=lambda one: one[0], reverse=True)
    if len(older) >= PER_ADDRESS and older[PER_ADDRESS - 1][0] >= found.certificate.not_valid_before_utc:
        return None
    _write_whole(path, found.certificate.public_bytes(Encoding.PEM))
    log.info("%s: kept of signed mail", path)
    for _, one in older[PER_ADDRESS - 1 :]:
        one.unlink(missing_ok=True)
    return path


def _place(folder: Path, found: Kept) -> Path | None:
    # RFC 5321 has a slash in local parts, and it names no folder here.
    if "/" in found.address or found.address.startswith(".") or len(found.address.encode()) > _ADDRESS_OCTETS:
        return None
    return folder / f"{found.address}-{fingerprint(found.certificate)}.pem"


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_name(f".{token_hex(16)}")
    try:
        with draft.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def _trusted(
    vouched: Vouched, one: x509.Certificate, sender: str, roots: tuple[x509.Certificate, ...], now: datetime
) -> bool:
    return (
        sender in chain.addresses(one)
        and one.not_valid_before_utc <= now <= one.not_valid_after_utc
        and chain.known_issuer(one, (vouched.certificate, *vouched.others), roots, now) is not None
    )


def _encrypts(certificate: x509.Certificate) -> bool:
    try:
        public_key(certificate)  # neither weak nor unknown
    except KeyFileError:
        return False
    return chain.may_encrypt(certificate)


def _kept_of(address: str, folder: Path) -> list[tuple[datetime, Path]]:
    """The certificates of *address* that were kept here before, and when each of them began."""
    found = []
    for path in folder.iterdir():
        name, _, digest = path.name.removesuffix(".pem").rpartition("-")
        if name == address and len(digest) == 64:
            with contextlib.suppress(OSError, ValueError):
                found.append((x509.load_pem_x509_certificate(path.read_bytes()).not_valid_before_utc, path))
    return found
