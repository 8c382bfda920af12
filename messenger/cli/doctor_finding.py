"""What ``messenger doctor`` finds, and what each check is told of the host it looks at. Values only: probes nothing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..config import Config
from .roles import Role


class Level(Enum):
    """How bad it is. SKIP: not looked at, and the text says why; it doesn't count."""

    OK = "OK"
    SKIP = "SKIP"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """One line."""

    check: str
    level: Level
    #: What was found, and what that means for mail or people.
    text: str
    #: Commands that mend it, or "".
    mend: str = ""


@dataclass(frozen=True)
class Host:
    """What is looked at."""

    config: Config
    settings: Path
    role: Role
    #: The Postfix that carries our mail; None for the machine's own.
    postfix: Path | None
    #: Unix seconds.
    now: int

    @property
    def tunnel(self) -> bool:
        """Whether mail comes to Messenger's end here through the tunnel, not directly."""
        return self.role.messenger and self.config.intake.mode == "tunnel"


def everywhere(_: Host) -> bool:
    return True


def at_messenger(host: Host) -> bool:
    return host.role.messenger


def at_gateway(host: Host) -> bool:
    return host.role.gateway


@dataclass(frozen=True)
class Check:
    """One look at the host; several findings may come of it."""

    name: str
    look: Callable[[Host], Iterable[Finding]]
    fits: Callable[[Host], bool] = everywhere
    #: What it means when the check doesn't come to an end.
    late: Level = Level.FAIL


def denied(error: BaseException) -> bool:
    """Whether it went wrong only because this user may not look: root could."""
    return isinstance(error, PermissionError) or isinstance(error.__cause__, PermissionError)


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def skip(check: str, text: str) -> Finding:
    return Finding(check, Level.SKIP, text)


def warn(check: str, text: str, mend: str = "") -> Finding:
    return Finding(check, Level.WARN, text, mend)


def fail(check: str, text: str, mend: str = "") -> Finding:
    return Finding(check, Level.FAIL, text, mend)


def counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """Say how long that is, for a person."""
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return counted(int(seconds // size), name)
    return counted(int(seconds), "second")
