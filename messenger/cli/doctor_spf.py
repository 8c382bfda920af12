"""Whether an SPF record (RFC 7208) lets an address send. Knows no DNS: who calls brings answers.

What needs the whole of a mail (macros, ptr, exists) is not evaluated, and said to be unknown.
"""

import ipaddress
import re
from collections.abc import Callable
from enum import Enum

#: Name and kind of record in, records out.
Ask = Callable[[str, str], tuple[str, ...]]

#: RFC 7208, 4.6.4: more questions make the record void.
MAX_LOOKUPS = 10


class Result(Enum):
    """What a receiver would make of it (RFC 7208, 2.6)."""

    PASS = "pass"  # noqa: S105 -- a result
    NEUTRAL = "neutral"
    SOFT_FAIL = "softfail"
    FAIL = "fail"
    NONE = "none"
    BROKEN = "permerror"
    UNKNOWN = "unknown"


_QUALIFIERS = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFT_FAIL, "?": Result.NEUTRAL}
_TERM = re.compile(r"([+~?-]?)(\w+)(?:[:=]([^/]*(?:/\d+)?[^/]*))?((?://?\d+)*)$")


def evaluate(domain: str, address: str, ask: Ask) -> Result:
    """Tell what the record of *domain* says of mail from the host *address* (IPv4 or IPv6)."""
    return _Evaluation(ipaddress.ip_address(address), ask).of(domain)


class _Broken(Exception):
    pass


class _Evaluation:
    def __init__(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, ask: Ask) -> None:
        self._address, self._ask, self._lookups = address, ask, 0

    def of(self, domain: str) -> Result:
        try:
            return self._of(domain)
        except _Broken:
            return Result.BROKEN

    def _of(self, domain: str) -> Result:
        records = [text for text in self._ask(domain, "TXT") if re.match(r"v=spf1( |$)", text, re.IGNORECASE)]
        if not records:
            return Result.NONE
        if len(records) > 1:
            raise _Broken
        redirect = ""
        for term in records[0].split()[1:]:
            if "%" in term:
                return Result.UNKNOWN
            if term.lower().startswith("redirect="):
                redirect = term.partition("=")[2]
                continue
            found = _TERM.match(term)
            if found is None:
                raise _Broken
            qualifier, name = _QUALIFIERS[found[1] or "+"], found[2].lower()
            matches = self._matches(name, found[3] or "", found[4] or "", domain)
            if matches is None:
                return Result.UNKNOWN
            if matches:
                return qualifier
        if redirect:
            self._count()
            result = self._of(redirect)
            return Result.BROKEN if result is Result.NONE else result
        return Result.NEUTRAL

    def _matches(self, name: str, value: str, length: str, domain: str) -> bool | None:
        if name == "all":
            return True
        if name in ("ip4", "ip6"):
            return self._in(value + length)
        if name == "a":
            self._count()
            return self._is_of(value or domain, length)
        if name == "mx":
            self._count()
            return any(self._is_of(host, length) for host in self._ask(value or domain, "MX")[:MAX_LOOKUPS])
        if name == "include":
            self._count()
            result = self._of(value)
            if result in (Result.NONE, Result.BROKEN):
                raise _Broken
            return None if result is Result.UNKNOWN else result is Result.PASS
        if name == "exp":
            return False
        return None if name in ("ptr", "exists") else False

    def _is_of(self, host: str, length: str) -> bool:
        v4 = self._address.version == 4
        sizes = re.fullmatch(r"(?:/(\d+))?(?://(\d+))?", length)
        size = sizes[1 if v4 else 2] if sizes else None
        return any(self._in(f"{one}/{size}" if size else one) for one in self._ask(host, "A" if v4 else "AAAA"))

    def _in(self, network: str) -> bool:
        try:
            return self._address in ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise _Broken from error

    def _count(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            raise _Broken
