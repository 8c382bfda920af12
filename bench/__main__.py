"""All measurements, one after the other: `python -m bench [--quick]`. Exit status 1 if a promise is missed."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

#: Each is a module with a command of its own; a process of its own, so that none inherits another's memory.
PARTS = ("session", "intake", "memory", "unwrap", "message", "inbox", "search", "pages", "pdf", "gateway")


def main() -> int:
    return run(PARTS, "Measure speed and memory, as ratios within one run.")


def run(parts: Sequence[str], description: str) -> int:
    """Do what the command line asks for of *parts*; return the exit status."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a first look, in a few minutes")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"only these of: {', '.join(parts)}")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(parts):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    failed = []
    for part in options.parts or parts:
        print(f"\n=== {part} ===", flush=True)
        command = [sys.executable, "-m", f"bench.{part}", *(["--quick"] if options.quick else [])]
        if subprocess.run(command, check=False).returncode:
            failed.append(part)
    print(f"\nMissed or failed: {', '.join(failed)}" if failed else "\nAll promises are held.")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
