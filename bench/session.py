"""What the milter costs mail that is not for it: whole SMTP sessions with the milter and without, side by side.

    python -m bench.session [--quick]

One Postfix, two ports, one mail at a time by smtp-source, runs in turn; the ratio holds on a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time

from demo.postfix import PrivatePostfix
from tests.milter_fixtures import Site, running

from .load import KB, MB, folder, median_ratio, verdict

#: At most this many times the wall time of Postfix alone.
TARGET = 1.2
SIZES = {"1 KB": (KB, 200), "10 KB": (10 * KB, 200), "100 KB": (100 * KB, 100), "1 MB": (MB, 30), "10 MB": (10 * MB, 5)}
ROUNDS = 15


def seconds(port: int, count: int, size: int) -> float:
    """Wall time of one session, averaged over *count*."""
    began = time.perf_counter()
    subprocess.run(
        ["smtp-source", "-s", "1", "-m", str(count), "-l", str(size), "-f", "a@example.com", "-t", "b@example.org",
         f"127.0.0.1:{port}"],
        check=True,
    )  # fmt: skip
    return (time.perf_counter() - began) / count


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure what the milter costs mail that is not for it.")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer sizes and runs")
    quick = parser.parse_args(arguments).quick
    held = True
    print("\nMail that is not for us: one SMTP session, Postfix with the milter and without\n")
    print(f"{'size':>8}{'without ms':>13}{'with ms':>10}{'ratio':>8}   target at most {TARGET}")
    with folder() as home:
        site = Site(home / "portal")
        with PrivatePostfix(home / "postfix", milters=f"unix:{site.socket}") as postfix, running(site):
            for name, (size, count) in list(SIZES.items())[: 3 if quick else None]:
                count = count // 2 if quick else count
                for port in (postfix.port, postfix.plain_port):
                    seconds(port, max(count // 5, 2), size)  # daemons start at the first mail
                with_milter, without = [], []
                for _ in range(9 if quick else ROUNDS):
                    without.append(seconds(postfix.plain_port, count, size))
                    with_milter.append(seconds(postfix.port, count, size))
                ratio = median_ratio(with_milter, without)
                held = held and ratio <= TARGET
                columns = f"{statistics.median(without) * 1e3:13.2f}{statistics.median(with_milter) * 1e3:10.2f}"
                print(f"{name:>8}{columns}{ratio:8.2f}   {verdict(ratio <= TARGET)}", flush=True)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
