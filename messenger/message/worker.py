"""The child process that sanitises: one job after another from its standard input, answers on its standard output.

A job and an answer are a frame each: length of a JSON head, length of the octets after it, head, octets. Before it
reads the first one it gives up what it doesn't need: it can open no file and no socket, start no process, and
use no more memory and time than a mail deserves. Started by sandbox.py.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import traceback
from dataclasses import asdict
from typing import Any

from ..child_process import FRAME, read, write
from .sanitise import sanitise

CPU_SECONDS = 5  # one job
MEMORY = 768 * 2**20
JOBS = 500  # then a fresh process


def main() -> None:
    """Serve until the other side closes, or enough jobs are done."""
    warm = sanitise('<p style="color:red">\u00e9<a href="https://example.com">x</a>', {}, False)
    assert warm.html
    _give_up_rights()
    for left in reversed(range(JOBS)):
        _limit_time()
        head = read(FRAME.size)
        if not head:
            return
        about, octets = FRAME.unpack(head)
        job = json.loads(read(about))
        _answer(job, read(octets), last=not left)


def _answer(job: dict[str, Any], octets: bytes, last: bool) -> None:
    inline: dict[str, bytes] = {}
    at = 0
    for name, length in job["inline"]:
        inline[name] = octets[at : at + length]
        at += length
    try:
        answer = asdict(sanitise(job["html"], inline, job["remote_pictures"]))
    except Exception:
        answer = {"error": traceback.format_exc(limit=-2)[-1000:]}
    body = json.dumps(answer | {"last": last}).encode("ascii")
    write(FRAME.pack(len(body), 0) + body)


def _give_up_rights() -> None:
    # A callback that fails takes its attribute out; nothing about a mail goes to standard error.
    sys.unraisablehook = lambda _: None
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes our input
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        _limit(what, limit, limit)


def _limit_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + CPU_SECONDS
    _limit(resource.RLIMIT_CPU, soft, CPU_SECONDS * JOBS)


def _limit(what: int, soft: int, hard: int) -> None:
    """Set a limit, or keep the stricter one that we were started with."""
    given = resource.getrlimit(what)[1]
    if given != resource.RLIM_INFINITY:
        soft, hard = min(soft, given), min(hard, given)
    resource.setrlimit(what, (soft, hard))


if __name__ == "__main__":
    main()
