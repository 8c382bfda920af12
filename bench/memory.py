"""The milter's memory: flat over thousands of mails, and bounded by the size of one.

python -m bench.memory [--quick]
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tests.milter_fixtures import TUNNEL, Answer, Mta, Site, running

from .load import KB, MB, folder, original, tunnel_mails, verdict

#: Flat: from one mark to the last at most this much is added.
GROWTH = 8 * MB
#: One mail may take this many times its size, and this much besides.
FACTOR, BESIDES = 4, 60 * MB
LARGE = 25 * MB
BATCH = 250


def status(pid: int, field: str) -> int:
    """A size from /proc, in bytes."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the milter's memory.")
    parser.add_argument("--quick", action="store_true", help="1,000 mails instead of 10,000")
    total = 1_000 if parser.parse_args(arguments).quick else 10_000
    print("\nMemory of messenger-milter: tunnel mails of 10 KB and as many for others, over the milter protocol\n")
    with folder() as home:
        site = Site(home / "portal", sendmail=("/bin/true",), intake={"size_limit": str(64 * MB)})
        with running(site) as milter:
            pid = milter.popen.pid
            marks = {0: status(pid, "VmRSS")}
            for done in range(BATCH, total + 1, BATCH):
                _send(site, tunnel_mails(site, 10 * KB, BATCH))
                if done in (BATCH * 2, total // 2, total):
                    marks[done] = status(pid, "VmRSS")
            for done, resident in marks.items():
                print(f"{done:>8,} mails{resident / MB:10.1f} MB")
            grown = marks[total] - marks[BATCH * 2]
            flat = grown <= GROWTH
            print(f"{grown / MB:+.1f} MB since {BATCH * 2} mails; at most {GROWTH / MB:+.0f}: {verdict(flat)}")
            mail = site.tunnel_mail(original(int(LARGE / 1.4), 0))
            _send(site, [mail])
            peak, allowed = status(pid, "VmHWM"), FACTOR * len(mail) + BESIDES
            bounded = peak <= allowed
            print(
                f"\nPeak with one mail of {len(mail) / MB:.1f} MB: {peak / MB:.0f} MB;"
                f" at most {FACTOR} x the mail + {BESIDES // MB} = {allowed / MB:.0f} MB: {verdict(bounded)}"
            )
            for _ in range(5):
                _send(site, [site.tunnel_mail(original(int(LARGE / 1.4), 1))])
            print(f"After five more of them: {status(pid, 'VmRSS') / MB:.0f} MB resident")
    return 0 if flat and bounded else 1


def _send(site: Site, mails: list[bytes]) -> None:
    with Mta(site.socket) as mta:
        for mail in mails:
            if mta.send(mail, TUNNEL) != Answer("discard"):
                raise RuntimeError("the milter did not take a tunnel mail")
            if mta.send(b"Subject: x\r\n\r\nx\r\n", "someone@example.org") != Answer("accept"):
                raise RuntimeError("the milter did not let a mail for others pass")


if __name__ == "__main__":
    raise SystemExit(main())
