"""How long a log-in must wait after failed ones: five are free, then each doubles the wait, up to 15 minutes.

Decides only: counts and times in, seconds out. Nobody is ever locked out for good.
"""

import ipaddress
from dataclasses import dataclass

LONGEST = 15 * 60
#: With this many failures past the free ones the wait is the longest; more are not remembered.
STEPS = 10
#: A clock may be set back; a count from further ahead than this is no reason to wait.
CLOCK_SLACK = 60


@dataclass(frozen=True)
class Limit:
    #: Failures before the first wait.
    free: int
    #: One failure is forgotten after each of these many seconds.
    forgets: int

    def remembered(self, failures: int, last: int, now: int) -> int:
        """How many of *failures*, the last of them at *last*, still count."""
        return max(0, failures - max(0, now - last) // self.forgets)

    def counted(self, failures: int, last: int, now: int) -> int:
        """The count after one more failure."""
        return min(self.remembered(failures, last, now) + 1, self.free + STEPS)

    def wait(self, failures: int, last: int, now: int) -> int:
        """Seconds until the next try is allowed; 0 for now."""
        if failures < self.free or last > now + CLOCK_SLACK:
            return 0
        return max(0, last + min(1 << (failures - self.free), LONGEST) - now)

    def forgotten(self, failures: int, last: int) -> int:
        """The time from which nothing of this count matters any more."""
        return last + failures * self.forgets


ACCOUNT = Limit(free=5, forgets=3600)
ACCOUNT_AND_NETWORK = Limit(free=5, forgets=3600)
#: One network that tries many accounts: slowed to a try a minute.
NETWORK = Limit(free=50, forgets=60)
#: All accounts and networks together: a storm is slowed to a try a second. Who comes from a network they logged
#: in from before waits neither for this nor for what strangers did to their account.
OVERALL = Limit(free=300, forgets=1)


def network_of(client: str) -> str:
    """The network that *client*, an IP address, counts for: /24, or /48 in IPv6."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return "local"  # a Unix socket has no address
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    size = 24 if address.version == 4 else 48
    return str(ipaddress.ip_network((address, size), strict=False))
