"""All scripts of miltertest and all orders of commands, against each of the milters: a table, and what went wrong."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from . import orders, scripts, services


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m proof.conformance", description=__doc__)
    parser.add_argument("--depth", type=int, default=2, help="commands tried behind each step of a mail (default 2)")
    parser.add_argument("--only", choices=services.ALL, action="append", help="only this milter")
    options = parser.parse_args()
    troubles: list[str] = []
    print(f"{'milter':<30} {'what':<40} {'tried':>6} {'wrong':>6} {'seconds':>8}")
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        Path(folder).chmod(0o755)  # the user postfix looks in
        for name in options.only or services.ALL:
            with services.ALL[name](Path(folder)) as service:
                troubles += examined(service, options.depth)
                if service.process.popen.poll() is not None:
                    troubles.append(f"{service.name} has ended: {service.process.text()[-2000:]}")
    print("\n".join(["", *troubles]) if troubles else "\nAll as it should be.")
    return 1 if troubles else 0


def examined(service: services.Service, depth: int) -> list[str]:
    """Print a line for each script and each kind of MTA; return what was wrong."""
    troubles: list[str] = []
    for script in scripts.NAMES:
        began = time.monotonic()
        cases = scripts.found(service, script)
        bad = [f"{service.name}, miltertest, {case.case}: {case.trouble}" for case in cases if case.trouble]
        troubles += line(service, f"miltertest: {script}", len(cases), bad, began)
    for offer in orders.OFFERS:
        began = time.monotonic()
        tries = orders.all_tried(service, offer, depth)
        bad = [f"{service.name}, {offer.name}, {one.order}: {one.trouble}" for one in tries if one.trouble]
        troubles += line(service, f"orders: {offer.name}", len(tries), bad, began)
    return troubles


def line(service: services.Service, what: str, number: int, bad: Iterable[str], began: float) -> list[str]:
    """Print one line of the table; return *bad*."""
    wrong = list(bad)
    spent = time.monotonic() - began
    print(f"{service.name:<30} {what:<40} {number:>6} {len(wrong):>6} {spent:>8.1f}", flush=True)
    return wrong


if __name__ == "__main__":
    raise SystemExit(main())
