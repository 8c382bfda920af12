"""Give each paragraph of a mail a direction of its own: HTML in, HTML out.

WeasyPrint knows no ``unicode-bidi: plaintext`` and no ``dir="auto"``, so what a browser finds out by itself
is written down here.
"""

from __future__ import annotations

import re
import unicodedata
from html import unescape

#: Written from right to left, as Unicode says it of the first letter that has a direction.
_RIGHT_TO_LEFT = ("R", "AL")
_ISOLATES, _POP_ISOLATE = ("LRI", "RLI", "FSI"), "PDI"
#: A line that has none so far in is data, not writing.
_LOOKED_AT = 2000
_TAG = re.compile(r"<[^>]*>")
_AUTO = re.compile(r'<(\w+)\b[^<>]*?\sdir="auto"', re.IGNORECASE)
_OPEN, _CLOSE = '<span class="quoted">', "</span>"


def direction_of(text: str) -> str:
    """Return "rtl" where the first letter with a direction is of a script written from the right, else "ltr".

    UAX #9, rules P2 and P3: what is isolated within doesn't count.
    """
    depth = 0
    for character in text[:_LOOKED_AT]:
        kind = unicodedata.bidirectional(character)
        if kind in _ISOLATES:
            depth += 1
        elif kind == _POP_ISOLATE:
            depth = max(depth - 1, 0)
        elif not depth and kind in ("L", *_RIGHT_TO_LEFT):
            return "ltr" if kind == "L" else "rtl"
    return "ltr"


def paragraphs(html: str) -> str:
    """Return what ``text_html`` made of a text as <p> elements, one for each run of lines of one direction.

    An empty line begins one as well; it stands in front, where ``white-space: pre-wrap`` keeps it.
    """
    made: list[str] = []
    run: list[str] = []
    empty: list[str] = []
    direction, quoted = "ltr", False
    for line in html.rstrip("\n").split("\n"):
        words = unescape(_TAG.sub("", line)).strip()
        if not words:
            empty.append(line)
            continue
        own = direction_of(words)
        if run and (empty or own != direction):
            quoted = _add(made, run, direction, quoted)
            run = []
        run += [*empty, line]
        direction, empty = own, []
    _add(made, run or empty, direction, quoted)
    return "".join(made)


def decided(html: str) -> str:
    """Return *html*, sanitised, with "ltr" or "rtl" for each dir="auto": that of the element's first letter."""

    def one(found: re.Match[str]) -> str:
        content = html[found.end() : found.end() + _LOOKED_AT].partition(">")[2].partition(f"</{found[1]}>")[0]
        return f'{found[0][: -len("auto") - 1]}{direction_of(unescape(_TAG.sub("", content)))}"'

    return _AUTO.sub(one, html)


def _add(made: list[str], lines: list[str], direction: str, quoted: bool) -> bool:
    """Add a paragraph; return whether it ends within a quotation, which the next one then goes on with."""
    content = "\n".join(lines)
    if quoted:
        content = _OPEN + content
    still = content.rfind(_OPEN) > content.rfind(_CLOSE)
    made.append(f'<p dir="{direction}">{content}{_CLOSE if still else ""}</p>')
    return still
