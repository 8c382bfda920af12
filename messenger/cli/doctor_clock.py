"""Doctor: the clock. Codes of authenticator apps, links and certificates are good at their time only."""

import ctypes
from collections.abc import Iterator

from .doctor_finding import Finding, Host, ok, skip, warn

CHECK = "clock"
#: adjtimex(2): the clock isn't synchronised, whoever should do that (chrony, ntpd, systemd-timesyncd).
TIME_ERROR = 5
_TIMEX_OCTETS = 512  # struct timex is about 200; the kernel writes no more


def look(_: Host) -> Iterator[Finding]:
    yield judge(probe())


def probe() -> int | None:
    """Return what adjtimex(2) says, changing nothing; None where it can't be asked."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_OCTETS))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else int(state)


def judge(state: int | None) -> Finding:
    if state is None:
        return skip(CHECK, "the kernel doesn't tell whether the clock is synchronised")
    if state == TIME_ERROR:
        text = "not synchronised; once it is a minute wrong, codes of authenticator apps are refused"
        return warn(CHECK, text, "timedatectl set-ntp true; then date -u")
    return ok(CHECK, "synchronised")
