"""Plain text bodies: unfolding format=flowed (RFC 3676), and text as HTML."""

from __future__ import annotations

import re
from html import escape

# On escaped text: quotes and angle brackets are entities there, so an address ends before them.
_LINK = re.compile(r"\b(?:https?://|mailto:)(?:[^\s&]|&amp;){1,2000}", re.IGNORECASE)
#: Something is left behind the scheme: "mailto::" leads nowhere.
_TARGET = re.compile(r"(?:https?://|mailto:)[^/]", re.IGNORECASE)
_TRAILING = ".,;:!?*_~…»”“’‘"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_QUOTED = re.compile(r"(?:^&gt;.*\n?)+", re.MULTILINE)


def unflowed(text: str, delete_space: bool) -> str:
    """Join the lines a sender's program broke (RFC 3676, section 4)."""
    out: list[str] = []
    open_depth = -1  # the quote depth of a line that wants its next one, or -1
    for line in text.split("\n"):
        bare = line.lstrip(">")
        depth = len(line) - len(bare)
        bare = bare[1:] if bare.startswith(" ") else bare  # space-stuffing
        flows = bare.endswith(" ") and bare != "-- "
        kept = bare[:-1] if flows and delete_space else bare
        # "> >" is an older way to write ">>": a quote, and no line to go on with.
        if open_depth == depth and bare not in ("", "-- ") and not bare.startswith(">"):
            out.append(kept)
        else:
            out.append(("\n" if out else "") + (">" * depth + " " if depth else "") + kept)
        open_depth = depth if flows else -1
    return "".join(out)


def text_html(text: str) -> str:
    """Text as HTML: escaped first, links second, runs of quoted lines in <span class="quoted">.

    For an element with ``white-space: pre-wrap``.
    """
    linked = _LINK.sub(_link, escape(text))
    return _QUOTED.sub(lambda found: f'<span class="quoted">{found[0]}</span>', linked)


def _link(found: re.Match[str]) -> str:
    target = found[0]
    end = len(target)
    # Counted once, kept up to date: an address may end in a thousand brackets.
    opened = {close: target.count(close) - target.count(open_) for close, open_ in _PAIRS.items()}
    while end:
        last = target[end - 1]
        if target.endswith("&amp;", 0, end):
            end -= 5
        elif last in _TRAILING:
            end -= 1
        elif opened.get(last, 0) > 0:
            opened[last] -= 1
            end -= 1
        else:
            break
    target, rest = target[:end], found[0][end:]
    if not _TARGET.match(target):
        return found[0]
    return f'<a href="{target}" target="_blank" rel="noopener noreferrer nofollow">{target}</a>{rest}'
