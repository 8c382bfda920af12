"""Make one line that can be seen of a text from anybody: what is unseen, or turns the direction, is left out.

Knows neither mail nor pages; who shows the line still escapes it for the place it is shown in.
"""

import re
import unicodedata

_SURPLUS_SPACE = re.compile(r"\s+")
_SPACES = frozenset({"Cc", "Zl", "Zp", "Zs"})
_UNSEEN = frozenset({"Cf", "Cs", "Co", "Cn"})
#: A text that is nearly all unseen is looked at no further than this many times what is to be left of it.
_LOOK = 8


def line(text: str, limit: int) -> str:
    """Return *text* as one line of at most *limit* characters; what is cut off becomes an ellipsis."""
    looked_at = text[: limit * _LOOK].strip()
    # Nearly every text is printable: nothing in it is unseen, and there is no space but the plain one.
    shown = single_spaced(looked_at if looked_at.isprintable() else _seen(looked_at))
    return shown if len(shown) <= limit else shown[: limit - 1].rstrip() + "…"


def single_spaced(text: str) -> str:
    """Return *text* with one space where there were several, none at its ends."""
    return _SURPLUS_SPACE.sub(" ", text).strip()


def _seen(text: str) -> str:
    categories = ((character, unicodedata.category(character)) for character in text)
    return "".join(" " if kind in _SPACES else one for one, kind in categories if kind not in _UNSEEN)
