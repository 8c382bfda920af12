"""Load and growth, one after the other: `python -m bench.load_all [--quick] [part...]`. Exit status as of bench."""

from .__main__ import run

#: What many at once cost, then what much of it costs.
PARTS = ("throughput", "crowd", "inbox", "search", "tree", "accounts")

if __name__ == "__main__":
    raise SystemExit(run(PARTS, "Measure load and growth, as ratios within one run."))
