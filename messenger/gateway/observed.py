"""What the mode ``observe`` saw: a line of JSON for each mail, and a report of many such lines.

Holds addresses, ways and names of rules; never a subject, never content.
"""

import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .values import Choice, Way

MAX_BYTES = 50_000_000
#: Of domains, and of pairs that would have been refused.
TOP = 10


@dataclass(frozen=True)
class Report:
    """What would have happened to the mails of some time. Counts of recipients, but for ``mails``."""

    mails: int = 0
    #: Unix seconds of the first and last line; 0 for none.
    first: int = 0
    last: int = 0
    ways: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    sender_domains: dict[str, int] = field(default_factory=dict)
    recipient_domains: dict[str, int] = field(default_factory=dict)
    #: (sender, recipient) of mail that would have been refused, the most frequent first.
    refused: tuple[tuple[str, str, int], ...] = ()
    #: Lines that nobody can read: a crash may cut one.
    unread: int = 0


def line(now: float, queue_id: str, mail_from: str, choices: Sequence[Choice]) -> str:
    """One mail as a line, without its end. *now* is in Unix seconds."""
    recipients = [
        {"address": one.recipient, "way": one.way, "options": sorted(one.options), "rules": list(one.rules)}
        for one in choices
    ]
    value = {"time": int(now), "queue_id": queue_id, "sender": mail_from, "recipients": recipients}
    return json.dumps(value, separators=(",", ":"))


def append(path: Path, one: str) -> None:
    """Add a line to *path*; at 50 MB it becomes ``path.1``, and the one before is gone. Raises OSError.

    For any number of processes.
    """
    with _locked(path) as handle:
        if os.fstat(handle).st_size >= MAX_BYTES:
            path.replace(path.with_name(f"{path.name}.1"))
            again = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
            try:
                os.write(again, f"{one}\n".encode())
            finally:
                os.close(again)
            return
        os.write(handle, f"{one}\n".encode())


def lines(path: Path) -> Iterator[str]:
    """All lines of ``path.1`` and *path*, the oldest first. Raises FileNotFoundError where neither is there."""
    older = path.with_name(f"{path.name}.1")
    if older.exists():
        with older.open(encoding="utf-8", errors="replace") as file:
            yield from file
        if not path.exists():
            return
    with path.open(encoding="utf-8", errors="replace") as file:
        yield from file


def report(given: Iterable[str], since: int = 0) -> Report:
    """Add up lines, of mails at *since* (Unix seconds) or later."""
    count = _Count()
    for one in given:
        count.add(one, since)
    return Report(
        count.mails,
        count.first,
        count.last,
        {way: count.ways[way] for way in map(str, Way) if count.ways[way]},
        dict(count.rules.most_common()),
        dict(count.senders.most_common(TOP)),
        dict(count.recipients.most_common(TOP)),
        tuple((sender, recipient, number) for (sender, recipient), number in count.refused.most_common(TOP)),
        count.unread,
    )


class _Count:
    def __init__(self) -> None:
        self.mails = self.first = self.last = self.unread = 0
        self.ways: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.senders: Counter[str] = Counter()
        self.recipients: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()

    def add(self, one: str, since: int) -> None:
        try:
            value = json.loads(one)
            moment, sender, recipients = int(value["time"]), str(value["sender"]), _recipients(value)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.unread += 1
            return
        if moment < since:
            return
        self.mails += 1
        self.first, self.last = min(self.first or moment, moment), max(self.last, moment)
        self.senders[_domain(sender)] += 1
        for address, way, rules in recipients:
            self.ways[way] += 1
            self.recipients[_domain(address)] += 1
            self.rules.update(rules)
            if way == Way.REFUSE:
                self.refused[sender, address] += 1


def _recipients(value: dict[str, Any]) -> list[tuple[str, str, list[str]]]:
    return [(str(one["address"]), str(one["way"]), [str(rule) for rule in one["rules"]]) for one in value["recipients"]]


def _domain(address: str) -> str:
    return address.rpartition("@")[2] or "(none)"


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The file, opened for adding and locked; still the one of that name, though another process may have moved it."""
    while True:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_still(path, handle):
                yield handle
                return
        finally:
            os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False
