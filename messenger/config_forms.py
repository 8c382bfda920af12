"""The forms that a value in the settings may have: an address, a URL, a socket, a time zone.

Each says what it expects in words, and turns what it gets into what the rooms use. Knows no key by name.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from . import envelope

# sockaddr_un.sun_path on Linux, less the closing zero.
SOCKET_PATH_MAX = 107

_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Form:
    #: In words, for the person who has to mend it: "expected ...".
    expected: str
    #: Returns the value to use, or raises ValueError or MessengerError.
    parse: Callable[[Any], Any]
    #: A path that has to fit into a socket's address.
    socket: bool = False
    #: Another kind of value that may stand there, and that ``parse`` takes too.
    also: type | None = None


def text(value: str) -> str:
    if not value.strip() or any(ord(character) < 32 for character in value):
        raise ValueError(value)
    return value


def domain(value: str) -> str:
    return envelope.domain_of(f"postmaster@{value}")


def portal_url(value: str) -> str:
    """Accept https everywhere and http on this machine, for trying; no path: session cookies are ``__Host-``."""
    url = urlsplit(value.rstrip("/"))
    secure = url.scheme == "https" or (url.scheme == "http" and url.hostname in _LOCAL_HOSTS)
    extras = url.path.strip("/") or url.query or url.fragment or url.username or url.password
    if not secure or not url.hostname or extras or url.port == 0 or not re.fullmatch(r"[!-~]+", value):
        raise ValueError(value)
    return f"{url.scheme}://{url.netloc}"


def colour_or_nothing(value: str) -> str:
    if value and not re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        raise ValueError(value)
    return value.lower()


def link_or_nothing(value: str) -> str:
    """Accept what a person may be sent to by a click: a page or a mailbox, never javascript: or data:."""
    if not value:
        return value
    url = urlsplit(value)
    leads_somewhere = url.hostname if url.scheme in ("https", "http") else "@" in url.path
    if url.scheme not in ("https", "http", "mailto") or not leads_somewhere or not re.fullmatch(r"[!-~]+", value):
        raise ValueError(value)
    return value


def time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except OSError as error:  # IsADirectoryError for "Europe", ZoneInfoNotFoundError is a KeyError
        raise ValueError(value) from error
    return value


def language(value: str) -> str:
    if not re.fullmatch(r"[a-z]{2,3}([-_][A-Z]{2})?", value):
        raise ValueError(value)
    return value.replace("-", "_")


def host_port(value: str) -> str:
    """Accept ``127.0.0.1:8025``, ``[::1]:8025``, ``mail.example:25``."""
    match = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", value)
    if not match or not 0 < int(match[2]) < 65536:
        raise ValueError(value)
    if match[1].startswith("["):
        ipaddress.IPv6Address(match[1][1:-1])
    return value


def host_port_or_nothing(value: str) -> str:
    return host_port(value) if value else ""


def socket(value: str) -> str:
    """Accept a path or libmilter's ``inet:PORT@HOST``."""
    if value.startswith(("inet:", "inet6:")):
        match = re.fullmatch(r"inet6?:([0-9]{1,5})@(\[?[A-Za-z0-9.:-]+\]?)", value)
        if not match or not 0 < int(match[1]) < 65536:
            raise ValueError(value)
        return value
    return text(value.removeprefix("unix:"))


def address_or_nothing(value: str) -> str:
    return envelope.normal(value) if value else ""


def is_field_name(value: str) -> bool:
    return bool(re.fullmatch(r"[!-9;-~]+", value))  # RFC 5322, section 2.2: printable ASCII, no colon


def command(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not Path(value[0]).is_absolute() or any("\0" in word for word in value):
        raise ValueError(value)
    return value


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
#: More than any disk holds; a number of 18 digits fits what other programs count with.
_OCTETS_MAX = 10**17


def octets(value: int | str) -> int:
    """Accept a number of bytes, or ``"2 GB"``, ``"500 MB"``, ``"1.5 GiB"``; 0 is none."""
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]{0,3})", value.strip())
        if not match:
            raise ValueError(value)
        value = int(Decimal(match[1]) * _UNITS[match[2].upper()])
    if not 0 <= value <= _OCTETS_MAX:
        raise ValueError(value)
    return value


def some(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError(value)
    return value


def between(low: int, high: int) -> Callable[[int], int]:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(value)
        return value

    return check


def one_of(*words: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value not in words:
            raise ValueError(value)
        return value

    return check


def networks(value: tuple[str, ...]) -> tuple[str, ...]:
    """Accept addresses and networks: ``192.0.2.7``, ``2001:db8::/32``."""
    return tuple(str(ipaddress.ip_network(one, strict=False)) for one in value)


def words_of(*words: str) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Accept some of *words*, each at most once."""

    def check(value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) < len(value) or not set(value) <= set(words):
            raise ValueError(value)
        return value

    return check


def tables(value: tuple[str, ...]) -> tuple[str, ...]:
    """Accept lookup tables as Postfix writes them (DATABASE_README): ``type:name``."""
    if not all(re.fullmatch(r"[a-z]+:[!-~]+", one) for one in value):
        raise ValueError(value)
    return value
