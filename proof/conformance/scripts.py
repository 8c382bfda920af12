"""Run the scripts in tests/miltertest by Debian's miltertest, which OpenDKIM's authors wrote, against a milter.

Takes a running milter, gives what each case of a script found.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .services import Service

FOLDER = Path(__file__).parent.parent.parent / "tests" / "miltertest"
#: In this order in the table.
NAMES = ("negotiation", "order", "breaks", "headers", "macros")
PROGRAM = "/usr/bin/miltertest"
SECONDS = 300


@dataclass(frozen=True)
class Found:
    """What one case of a script showed."""

    case: str
    #: Empty if all was as it should be.
    trouble: str = ""


def found(service: Service, script: str) -> tuple[Found, ...]:
    """Run one script; a script that breaks off is a finding too."""
    with tempfile.NamedTemporaryFile(suffix=".eml") as mail:
        mail.write(service.raw)
        mail.flush()
        given = {
            "socket": str(service.socket),
            "sender": service.sender,
            "ours": service.ours,
            "other": service.other,
            "mail": mail.name,
            "declined": service.declined,
            "actions": service.actions,
        }
        words = [word for name, value in given.items() for word in ("-D", f"{name}={value}")]
        program = f'dofile("{FOLDER}/lib.lua") dofile("{FOLDER}/{script}.lua") mt.echo("done")'
        done = subprocess.run(
            [PROGRAM, *words],
            input=program,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
    cases = tuple(_cases(done.stdout))
    if "done" not in done.stdout.splitlines():
        return (*cases, Found(f"{script} as a whole", f"broke off: {done.stderr.strip()[-500:]}"))
    return cases


def _cases(output: str) -> Iterator[Found]:
    for line in output.splitlines():
        if line.startswith("ok "):
            yield Found(line.removeprefix("ok "))
        elif line.startswith("not ok "):
            case, _, trouble = line.removeprefix("not ok ").partition(": ")
            yield Found(case, trouble or "failed")
