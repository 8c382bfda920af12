"""What reading and showing mail costs: milliseconds of CPU, and memory at 50 MB, in one run.

python -m bench.message
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from pathlib import Path

from messenger import message

MAILS = Path(__file__).parent.parent / "tests" / "mail"


def best(work: Callable[[], object], times: int = 20) -> float:
    """Milliseconds of wall time, the best of some."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken) * 1000


def fifty_megabytes() -> bytes:
    attached = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    lines = (b"QUJD" * 19 + b"\r\n") * 640_000
    return (
        b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
        + attached
        + lines
        + b"--b--\r\n"
    )


def main() -> None:
    print(f"{'mail':28}{'read':>9}{'summary':>9}{'show':>9}   ms")
    for name in ("plain-utf-8", "alternative", "business-outlook", "newsletter", "order-confirmation"):
        raw = (MAILS / f"{name}.eml").read_bytes()
        read = best(lambda raw=raw: message.read(raw))
        summary = best(lambda raw=raw: message.summary(raw, len(raw)))
        show = best(lambda raw=raw: message.show(raw))
        print(f"{name:28}{read:9.2f}{summary:9.2f}{show:9.2f}")
    raw = fifty_megabytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours = best(lambda: message.read(raw), 3)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    theirs = best(lambda: message_from_bytes(raw, policy=policy.default), 1)
    their_more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"\n50 MB: read {ours:.0f} ms, {more:.0f} MB more memory; standard library {theirs:.0f} ms, {their_more:.0f} MB"
    )
    print(f"ratio {ours / theirs:.2f} of the standard library's time")


if __name__ == "__main__":
    main()
