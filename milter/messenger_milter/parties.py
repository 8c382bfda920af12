"""Who sends a mail, who gets it, and from where it comes: what SMTP says, in one spelling.

Knows addresses and networks. Decides nothing about mail.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from messenger.envelope import AddressError, normal

from .connection import mailbox

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def address_of(given: bytes) -> str:
    """The one spelling of an address; what is none of RFC 5321 stands as the client sent it."""
    bare = mailbox(given)
    # Of several brackets nobody knows which ones Postfix means.
    path = (given if bare[:1] == b"<" else bare).decode(errors="backslashreplace")
    try:
        return normal(path.rstrip("."))
    except AddressError:
        return path


def comes_from(client: str | None, hosts: Iterable[Network]) -> bool:
    """Whether a mail's client is one of *hosts*.

    sendmail(1) comes from 127.0.0.1 by Postfix's account (MILTER_README).
    """
    if client is None:
        return False
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    return any(address in network for network in hosts)
