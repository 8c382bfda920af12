"""Where a mailbox lives: ``<mail root>/<domain>/<local part>/Maildir``, and back from the path to the address.

Pure text work, no file is touched. Addresses that ``envelope.normal`` spells alike share a path, others never do, and
no address leads out of the mail root: whatever is not plainly harmless becomes ``%xx``.
"""

import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote_to_bytes

from .envelope import AddressError, domain_of, local_part_of, normal, quoted

MAILDIR = "Maildir"

# Lower case only, so that a file system that ignores case keeps mailboxes apart too. A local part of 64 octets
# becomes at most 192, which fits a file name (255).
_HARMLESS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_+=.")
# First, a dot would hide the folder or climb, and a hyphen would be an option to somebody's command.
_HARMLESS_NOT_FIRST = frozenset(b"-.")
_COMPONENT = re.compile(r"(?:[a-z0-9_+=.-]|%[0-9a-f]{2})+")


def path_of(mail_root: Path, address: str) -> Path:
    """Return the Maildir of *address*; AddressError if that is not an address."""
    return _path(mail_root, domain_of(address), local_part_of(address))


@lru_cache(1024)
def _path(mail_root: Path, domain: str, local_part: str) -> Path:
    return mail_root / _component(domain) / _component(local_part) / MAILDIR


def address_of(mail_root: Path, path: Path) -> str:
    """Return the address whose Maildir *path* is; AddressError if ``path_of`` never gives that path."""
    try:
        domain, local_part, _ = path.relative_to(mail_root).parts
        address = normal(f"{quoted(_meaning(local_part))}@{_meaning(domain)}")
        if path_of(mail_root, address) == path:
            return address
    except (ValueError, AddressError):
        pass
    raise AddressError(f"{path}: expected <domain>/<local part>/{MAILDIR} below {mail_root}, as path_of() spells it")


def _component(text: str) -> str:
    return "".join(
        chr(byte) if byte in _HARMLESS and (index or byte not in _HARMLESS_NOT_FIRST) else f"%{byte:02x}"
        for index, byte in enumerate(text.encode())
    )


def _meaning(component: str) -> str:
    if not _COMPONENT.fullmatch(component):
        raise ValueError(component)
    return unquote_to_bytes(component).decode()
