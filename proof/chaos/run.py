"""One run: start everything, let mail come and things fail, heal, wait until all is done, then look.

Times are in seconds. What it found goes into a Report; who prints it is not known here.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from demo.site import messenger
from tests.hostile_mails import HOSTILE

from . import invariants, plan
from .faults import Faults
from .house import House
from .people import Person
from .stream import Stream

#: Postfix cuts a header field off at header_size_limit; what is left of this one is a tunnel mail like any other.
MENDED = {"a header of 9 MB"}
#: After the last fault: so long until everything that waits has found its way.
SETTLE_SECONDS = 150.0
#: So many of the mails that were taken are sent once more at the end.
REPLAYS = 20
#: A PDF that failed is tried again in a while, which goes by at the turn of a clock.
LATER_SECONDS = 2 * 3600
#: systemd starts again what ends with these (sysexits.h): a port is not free yet, a disk is full or read-only.
AGAIN = (69, 75)
#: The services tidy up soon after they start.
TIDY_SECONDS = 10.0
#: Longer than anything half done is kept: 36 hours in a Maildir's tmp/.
CLEARED_SECONDS = 40 * 3600


@dataclass
class Report:
    seed: int
    mails: int = 0
    copies: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    pages: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    #: What was checked, and what was wrong with it.
    checks: dict[str, list[str]] = field(default_factory=dict)
    notices: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        return bool(self.checks) and not any(self.checks.values())


def run(
    seed: int,
    seconds: float,
    rate: float,
    every: float,
    say: Callable[[str], None],
    *,
    keep: Path | None = None,
    at_the_end: Callable[[House, Callable[[], dict[str, list[str]]]], None] = lambda *_: None,
) -> Report:
    """Let mail come for *seconds*, *rate* a second, with a fault each *every* seconds. Logs are copied to *keep*.

    *at_the_end* is called while everything is still there, with what looks at every file once more.
    """
    report = Report(seed)
    began = time.monotonic()

    def tell(text: str) -> None:
        say(f"{time.monotonic() - began:5.0f} s  {text}")

    mails = plan.mails(seed, seconds, rate, sorted(HOSTILE.keys() - MENDED))
    with House() as house:
        tell(f"seed {seed}: {len(mails)} mails, everything in {house.home}")
        people = [Person(house, address, seed) for address in plan.READERS]
        stream = Stream(house, mails, seed)
        faults = Faults(house, plan.faults(seed, seconds, every), seed)
        for person in people:
            person.sign_up()
            person.start()
        stream.start()
        faults.start()
        until = time.monotonic() + seconds
        while faults.is_alive() or time.monotonic() < until:
            house.watch()
            time.sleep(0.2)
        tell("the last fault is mended; waiting until everything is done")
        house.watch()
        house.wait_up()
        tell("all services are up")
        settled = stream.wait(SETTLE_SECONDS)
        tell("all mail was answered" if settled else "not all mail was answered")
        for person in people:
            person.leave()
        report.checks["what was begun came to its end"] = ([] if settled else ["not all mails were answered"]) + [
            *_drain(house),
        ]
        tell("the queues are empty")
        for person in people:
            person.see_all()
        found = invariants.Found(house, stream.sent, people, faults.kills)
        report.checks |= invariants.looked(found)
        report.checks["mail sent once more changes nothing"] = _replayed(house, stream, found)
        report.checks["what was left half done goes in time"] = _cleared(house, stream)
        _watch_out(report, house, faults)
        for sent in stream.sent:
            report.answers.update(sent.answers)
        report.mails, report.copies = len(mails), sum(found.copies.values())
        report.notices = Counter(map(len, found.left.values()))
        report.faults = faults.done
        for person in people:
            report.pages.update(person.pages)
            report.answered.update(person.answers.values())
        if keep:
            keep.mkdir(exist_ok=True)
            for log in (*house.home.glob("*.log"), house.postfix.log):
                shutil.copy(log, keep)
        at_the_end(house, lambda: invariants.looked(invariants.Found(house, stream.sent, people, faults.kills)))
    report.seconds = time.monotonic() - began
    return report


def _drain(house: House) -> list[str]:
    """Wait until Postfix and the spool are empty."""
    deadline = time.monotonic() + SETTLE_SECONDS
    house.clock.put(LATER_SECONDS)
    while waiting := [*_queued(house), *(path for path in (house.config.pdf.spool / "new").iterdir())]:
        if time.monotonic() > deadline:
            return [f"{path} is still waiting" for path in waiting[:10]]
        time.sleep(0.2)
    house.clock.put(0)
    return [f"{path} was given up" for path in (house.config.pdf.spool / "failed").iterdir()]


def _queued(house: House) -> list[object]:
    queue = house.postfix.queue
    names = ("maildrop", "incoming", "active", "deferred", "hold", "corrupt")
    paths = [path for name in names for path in (queue / name).rglob("*") if path.is_file()]
    # What a kill has kept from becoming whole doesn't count: Postfix sets this bit when it is, and removes it in time.
    return [path for path in paths if os.access(path, os.X_OK)]


def _replayed(house: House, stream: Stream, found: invariants.Found) -> list[str]:
    # The very same bytes: what the gateway signs once more is another mail.
    taken = [sent for sent in stream.sent if sent.wire and sent.code == 250][:REPLAYS]
    before = dict(found.left), dict(found.copies)
    wrong = []
    for sent in taken:
        if (code := stream.again(sent)) != 250:
            wrong.append(f"mail {sent.mail.number}: expected 250 for the second time, found {code}")
    wrong += _drain(house)
    after = invariants.Found(house, stream.sent, found.people)
    if (after.left, dict(after.copies)) != before:
        wrong.append("copies or notices are others than before")
    return wrong


def _cleared(house: House, stream: Stream) -> list[str]:
    """Make what is left half done a day and a half old, go on as on any other day, and see whether it is gone."""
    left = invariants.leftovers(house)
    for path in left:
        for old in (path, path.parent):
            os.utime(old, (time.time() - CLEARED_SECONDS,) * 2)
    people = {f"{path.parents[2].name}@{path.parents[3].name}" for path in left if path.parent.name == "tmp"}
    stream.send_to(sorted(people & set(plan.PEOPLE)))
    for service in house.services.values():
        service.stop()
        service.start()
    house.wait_up()
    messenger("cleanup", "--config", str(house.config_path))
    deadline = time.monotonic() + TIDY_SECONDS
    while (still := [path for path in left if path.exists()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return [f"{path} is still there" for path in still]


def _watch_out(report: Report, house: House, faults: Faults) -> None:
    report.checks["each fault could be done and mended"] = faults.errors
    report.checks["no service ended by itself, unless to be started again"] = [
        f"{name}: ended with status {status}"
        for name, service in house.services.items()
        for status in service.ended_by_itself
        if status not in AGAIN
    ]
    report.checks["no error that nobody foresaw"] = [
        f"{name}: {line}"
        for name, service in house.services.items()
        for line in _unforeseen(service.log.read_text(errors="replace"))
    ]


def _unforeseen(log: str) -> list[str]:
    """The last line of each traceback."""
    found = re.findall(r"^Traceback .*\n(?:[ \t].*\n|\n)*(\S.*)", log, re.MULTILINE)
    return [f"{count} x {line}" for line, count in Counter(found).items()]
