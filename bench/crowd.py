"""Pages while many people read at once, beside Roundcube over Dovecot: `python -m bench.crowd [--quick]`.

Each has a mailbox of their own and asks for one thing after the other, without a pause: the inbox, its next page, a
message of plain text, one with formatting. What counts as a page is as in bench/pages.py, whose servers these are. The
two take turns; whoever asks runs on the same machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from messenger.mailbox import mailbox_of

from . import roundcube
from .load import folder, verdict
from .pages import EX_UNAVAILABLE, KINDS, Reader, Roundcube, fill, servers, uids

PEOPLE = 50
MESSAGES = 200
#: The promise: at most this share of Roundcube's time at the median and the 95th percentile, with all people at once.
SHARE = 0.5
SECONDS, QUICK_SECONDS = 30.0, 8.0
ROUNDS, QUICK_ROUNDS = 3, 1
#: Whoever comes first finds workers that have loaded nothing yet.
WARM_UP_SECONDS = 2.0

#: One person's pages, to be asked for over and over.
Visit = Sequence[Callable[[], object]]


@dataclass
class Times:
    """What so many people found, in milliseconds."""

    pages: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def median(self) -> float:
        return statistics.median(self.pages)

    def late(self) -> float:
        return statistics.quantiles(self.pages, n=20, method="inclusive")[-1]

    def rate(self) -> float:
        return len(self.pages) / self.seconds


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure pages while many people read at once.")
    parser.add_argument("--quick", action="store_true", help="for a shorter time")
    quick = parser.parse_args(arguments).quick
    if lacking := roundcube.missing():
        print(f"not measured: please run: apt-get install --no-install-recommends {' '.join(lacking)}")
        return EX_UNAVAILABLE
    people = [f"person{number}@partner.example" for number in range(PEOPLE)]
    with folder() as home:
        (home / "mail").mkdir()
        names = [fill(mailbox_of(home / "mail", address), MESSAGES) for address in people]
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "nobody:nogroup", home / "mail"], check=True)
        with servers(home) as ports:
            readers = [Reader(ports.ours, one) for one in people]
            for one in readers:
                one.index()  # as bench/pages.py does: read for the search once, and not while it is measured
            ours = [_ours(reader, own) for reader, own in zip(readers, names, strict=True)]
            theirs = [
                _theirs(Roundcube(ports.theirs, address), *(uids(ports.imap, kind, address) for kind in KINDS))
                for address in people
            ]
            return 0 if report(ours, theirs, quick) else 1


def report(ours: list[Visit], theirs: list[Visit], quick: bool) -> bool:
    seconds, rounds = (QUICK_SECONDS, QUICK_ROUNDS) if quick else (SECONDS, ROUNDS)
    print(f"\n{'':26}{'pages a second':>22}{'median, ms':>22}{'95 %, ms':>22}{'share':>14}")
    print(f"{'':26}" + f"{'messenger':>11}{'Roundcube':>11}" * 3)
    held = True
    for count in (1, 10, PEOPLE):
        both = (Times(), Times())
        for visits in (ours, theirs):
            _ask(visits[:count], WARM_UP_SECONDS, Times())
        for _ in range(rounds):
            for visits, times in zip((ours, theirs), both, strict=True):
                _ask(visits[:count], seconds, times)
        mine, other = both
        shares = mine.median() / other.median(), mine.late() / other.late()
        figures = "".join(
            f"{a:11.0f}{b:11.0f}"
            for a, b in ((mine.rate(), other.rate()), (mine.median(), other.median()), (mine.late(), other.late()))
        )
        held = held and max(shares) <= SHARE
        name = f"{count} at once"
        print(
            f"{name:26}{figures}{f'{shares[0]:.2f} {shares[1]:.2f}':>14}   {verdict(max(shares) <= SHARE)}", flush=True
        )
    print(f"\nPromised: at most {SHARE} of Roundcube's time, at the median and the 95th percentile.")
    return held


def _ask(visits: list[Visit], seconds: float, times: Times) -> None:
    """Let each visitor ask for page after page, all at once, for so long."""
    errors: list[Exception] = []
    begun = time.perf_counter()
    until = begun + seconds

    def visitor(visit: Visit) -> None:
        try:
            for page in itertools.cycle(visit):
                start = time.perf_counter()
                if start >= until:
                    return
                page()
                times.pages.append((time.perf_counter() - start) * 1000)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=visitor, args=(visit,)) for visit in visits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    times.seconds += time.perf_counter() - begun


def _ours(reader: Reader, names: list[str]) -> Visit:
    plain, formatted = itertools.cycle(names[::2]), itertools.cycle(names[1::2])
    return (
        reader.inbox,
        lambda: reader.message(next(plain)),
        reader.next_page,
        lambda: reader.formatted(next(formatted)),
    )


def _theirs(rival: Roundcube, plain: list[str], formatted: list[str]) -> Visit:
    one, other = itertools.cycle(plain), itertools.cycle(formatted)
    return (
        rival.inbox,
        lambda: rival.message(next(one)),
        rival.next_page,
        lambda: rival.message(next(other)),
    )


if __name__ == "__main__":
    raise SystemExit(main())
