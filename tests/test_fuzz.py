"""Every entrance is fed with altered input for a while, and with everything that was ever found."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from proof.fuzz.__main__ import Options, fuzz, report
from proof.fuzz.finding import smallest
from proof.fuzz.mutating import mutated
from proof.fuzz.targets import BREAKING, TARGETS

#: In total, for all targets; `make fuzz` gives them longer.
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))


def test_every_entrance_stands_what_it_is_fed(tmp_path):
    """The corpus in tests/fuzz comes first: what was once found is found again if it comes back."""
    options = Options(tuple(TARGETS), SECONDS, seed=1, jobs=os.cpu_count() or 1, out=tmp_path)

    told = fuzz(options)

    assert not any(one.findings for one in told.values()), report(told, options.share)
    assert all(one.runs for one in told.values()), report(told, options.share)


def test_what_breaks_hangs_swells_or_dies_is_found_and_stored_as_small_as_it_gets(tmp_path):
    found: dict[str, bytes] = {}
    for letter in "emhk":
        seeds = tmp_path / letter / BREAKING
        seeds.mkdir(parents=True)
        (seeds / "seed").write_text(f"{letter}: and more")
        options = Options((BREAKING,), 0, seed=1, jobs=1, out=tmp_path / "out", corpus=seeds.parent)
        [(what, file)] = fuzz(options)[BREAKING].findings
        found[what.split(":")[0]] = Path(file).read_bytes()

    kinds = [kind.partition(" at ")[0] for kind in found]
    assert kinds == ["ValueError", "MemoryError", "Hang", "ended with -6"]
    assert list(found.values()) == [b"e", b"m", b"h: and more", b"k: and more"]


def test_the_same_dice_alter_the_same_way():
    def some(seed: int) -> list[bytes]:
        dice = Random(seed)
        return [mutated(dice, b"Subject: x\r\n\r\n12", [b"other"], [b"word"], 100) for _ in range(500)]

    assert some(1) == some(1) != some(2)
    assert all(len(one) <= 100 for one in some(1))
    assert len(set(some(1))) > 400


def test_the_smallest_input_still_shows_it():
    assert smallest(b"a long way to <script> and back", lambda one: b"<s" in one, 5) == b"<s"
