"""What the index hands out: rows, pages of them, and places in a list. Plain values."""

from dataclasses import dataclass

from messenger.message import Summary


@dataclass(frozen=True, order=True)
class Cursor:
    """A place in the list, which stays where it is when new mail comes."""

    received: int
    name: str


#: Before everything there can be.
NEWEST = Cursor(2**63 - 1, "")


@dataclass(frozen=True)
class Row:
    """One mail as the index knows it; ``summary`` is None until somebody has looked into it."""

    name: str
    received: int
    size: int
    flags: str
    summary: Summary | None = None

    @property
    def seen(self) -> bool:
        return "S" in self.flags

    @property
    def starred(self) -> bool:
        return "F" in self.flags

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.received, self.name)


@dataclass(frozen=True)
class Rows:
    """A page of the list, newest first."""

    rows: tuple[Row, ...]
    has_newer: bool
    has_older: bool
    total: int
    unread: int
