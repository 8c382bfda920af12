"""All targets side by side, each in a process of its own; the exit status is 1 if one gave way."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import finding
from .child import HANG_SECONDS, Told, started
from .finding import ROOT
from .targets import ALL, TARGETS, load

CORPUS = ROOT / "tests" / "fuzz"
#: CPU seconds on one input after which a child is taken for stuck where no alarm reaches it.
STUCK_SECONDS = 5 * HANG_SECONDS
#: Wall seconds without a new input, where the child waits for something.
DEAF_SECONDS = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Options:
    targets: tuple[str, ...]
    #: Of wall time in total; each target gets its share of ``jobs`` processes.
    seconds: float
    seed: int
    jobs: int
    out: Path
    corpus: Path = CORPUS
    keep: int = 0

    @property
    def share(self) -> float:
        return self.seconds * min(self.jobs, len(self.targets)) / len(self.targets)


def fuzz(options: Options) -> dict[str, Told]:
    """Run all targets; what each showed, in their order."""
    options.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(options.jobs) as pool:
        return dict(zip(options.targets, pool.map(lambda name: _one(name, options), options.targets), strict=True))


def _one(name: str, options: Options) -> Told:
    command = [sys.executable, "-m", "proof.fuzz.child", "--target", name, "--seconds", str(options.share)]
    command += ["--seed", str(options.seed), "--out", str(options.out), "--corpus", str(options.corpus)]
    command += ["--keep", str(options.keep)]
    path = os.pathsep.join(str(ROOT / room) for room in (".", "milter", "reader", "pdfotp"))
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdout=said, stderr=errors, cwd=ROOT, env={**os.environ, "PYTHONPATH": path})
        current = options.out / f"{name}.current"
        stuck = _watched(child, current)
        said.seek(0)
        errors.seek(0)
        try:
            if child.returncode == 0:
                return Told(**json.loads(said.read()))
            return _broken(name, child.returncode, stuck, errors.read().decode("utf-8", "replace"), options)
        finally:
            current.unlink(missing_ok=True)


def _watched(child: subprocess.Popen[bytes], current: Path) -> bool:
    """Wait for the end of *child*; kill one that is stuck with one input, and say so."""
    count, cpu, since = b"", 0.0, time.monotonic()
    while True:
        try:
            child.wait(0.5)
            return False
        except subprocess.TimeoutExpired:
            pass
        now, used = _count(current), _cpu(child.pid)
        if now != count:
            count, cpu, since = now, used, time.monotonic()
        elif count and (used - cpu > STUCK_SECONDS or time.monotonic() - since > DEAF_SECONDS):
            child.kill()
            child.wait()
            return True


def _count(current: Path) -> bytes:
    try:
        with current.open("rb") as file:
            return file.read(8)
    except OSError:
        return b""


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _broken(name: str, status: int, stuck: bool, errors: str, options: Options) -> Told:
    """A child that didn't survive: the input it had in hand is the finding."""
    kind = "stuck" if stuck else f"ended with {status}"
    last = errors.strip().rpartition("\n")[2][:200]
    current = options.out / f"{name}.current"
    if not current.exists():
        return Told(findings=[(f"did not start: {last}", "")])
    raw = current.read_bytes()
    data = raw[16 : 16 + int.from_bytes(raw[8:16], "big")]
    path = finding.store(options.out / name, kind, data)
    return Told(runs=int.from_bytes(raw[:8], "big"), findings=[(f"{kind}: {last}", str(path))])


def report(told: dict[str, Told], share: float) -> str:
    """The table, and a line for each finding."""
    lines = [
        f"{'target':<10} {'seconds':>7} {'inputs':>9} {'lines':>6} {'corpus':>7} {'slowest':>9} {'memory':>7}  found"
    ]
    for name, one in told.items():
        lines.append(
            f"{name:<10} {share:>7.0f} {one.runs:>9,} {one.lines:>6} {one.corpus:>7} {one.slowest_ms:>6.0f} ms"
            f" {one.memory_mb:>4} MB  {len(one.findings) or '-'}"
        )
    for name, one in told.items():
        for what, file in one.findings:
            lines.append(f"\n{name}: {what}\n  python -m proof.fuzz --target {name} --input {file}")
    return "\n".join(lines)


def once(name: str, path: Path) -> None:
    """Feed one input, with nothing around it: what it raises is shown as it is."""
    started(load(name))(path.read_bytes())
    print("nothing found")


def main() -> int:
    parser = argparse.ArgumentParser(description="Feed every entrance with what nobody expects.")
    parser.add_argument("--target", choices=ALL, action="append", help="only this one; may be given several times")
    parser.add_argument("--seconds", type=float, default=60.0, help="in total, of wall time (default: 60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same seed, the same inputs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--out", type=Path, default=CORPUS, help="where findings are stored (default: tests/fuzz)")
    parser.add_argument("--keep", type=int, default=0, help="store so many inputs that reached new lines, too")
    parser.add_argument("--input", type=Path, help="feed this file to the target, once")
    given = parser.parse_args()
    targets = tuple(given.target or TARGETS)
    if given.input:
        once(targets[0], given.input)
        return 0
    options = Options(targets, given.seconds, given.seed, given.jobs, given.out.absolute(), keep=given.keep)
    print(f"seed {given.seed}, {given.jobs} at a time, {options.share:.1f} seconds each", flush=True)
    told = fuzz(options)
    print(report(told, options.share))
    return 1 if any(one.findings for one in told.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
