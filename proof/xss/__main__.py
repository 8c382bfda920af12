"""Look at a folder of mails, or at vectors of our own, through each combination of layers, and say what got through."""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.hostile_html import VECTORS, at_random
from tests.hostile_webmail import WEBMAIL

from .layers import COMBINATIONS, LAYERS, POLICY, SANDBOX, SANITISER, Item, Layers, numbered, read_folder
from .looking import Seen, look
from .site import serving, word

#: What each column of the table is.
_COLUMNS = ("ran", "asked", "resolved", "left", "escaped")


def promised(layers: Layers) -> tuple[str, ...]:
    """What must be nothing with these layers on.

    The sanitiser holds all of it alone. The policy alone lets no script run and loads nothing, but a link may lead the
    page itself elsewhere; the sandbox alone lets nothing run or leave its frame, but loads what the mail asks for.
    """
    if SANITISER in layers:
        return _COLUMNS
    return ("ran",) + ("asked",) * (POLICY in layers) + ("escaped",) * (SANDBOX in layers) if layers else ()


def broken(layers: Layers, seen: Seen) -> dict[str, dict[str, str]]:
    """What got through though it was promised that nothing would."""
    return {what: found for what in promised(layers) if (found := getattr(seen, what))}


def vectors(at_random_too: int = 0) -> list[Item]:
    """Our own, and as many made of tags at random."""
    made = ((f"random-{seed}", at_random(seed)) for seed in range(at_random_too))
    return numbered([*VECTORS.items(), *WEBMAIL.items(), *made])


def main() -> int:
    parser = argparse.ArgumentParser(description="Hostile mail in a browser, with each layer of protection on and off.")
    parser.add_argument("corpus", type=Path, nargs="?", help="a folder of .html and .eml; without one: our own vectors")
    parser.add_argument("--random", type=int, default=0, help="so many made at random besides our own")
    parser.add_argument(
        "--layers", choices=[word(one) for one in COMBINATIONS], help="only this combination, and all that was seen"
    )
    given = parser.parse_args()
    items = list(read_folder(given.corpus)) if given.corpus else vectors(given.random)
    if not items:
        parser.error(f"{given.corpus}: no .html and no .eml below it")
    print(f"{len(items)} mails; layers: {', '.join(LAYERS)}\n")
    print(
        f"{'layers on':<26} {'scripts':>8} {'requests':>9} {'looked up':>10} {'left over':>10} {'escaped':>8}  promised"
    )
    wrong = []
    with serving(items) as site, sync_playwright() as playwright:
        for layers in COMBINATIONS:
            if given.layers in (None, word(layers)):
                seen = look(playwright, site, layers)
                print(_row(layers, seen), flush=True)
                told = {what: getattr(seen, what) for what in _COLUMNS} if given.layers else broken(layers, seen)
                wrong += [(layers, what, found) for what, found in told.items() if found]
    for layers, what, found in wrong:
        print(f"\n{word(layers)}: {what}")
        print("\n".join(f"  {name}: {detail}" for name, detail in found.items()))
    return 1 if any(what in promised(layers) for layers, what, _ in wrong) else 0


def _row(layers: Layers, seen: Seen) -> str:
    counts = [len(getattr(seen, what)) for what in _COLUMNS]
    # Without the sanitiser the mail is what its sender wrote: there is nothing that could be left over.
    left = str(counts[3]) if SANITISER in layers else "-"
    held = "nothing" if not layers else "held" if not broken(layers, seen) else "BROKEN"
    return f"{word(layers):<26} {counts[0]:>8} {counts[1]:>9} {counts[2]:>10} {left:>10} {counts[4]:>8}  {held}"


if __name__ == "__main__":
    raise SystemExit(main())
