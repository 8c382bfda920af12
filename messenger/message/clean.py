"""Take out of text what changes how the text around it is shown: controls and bidirectional marks."""

from __future__ import annotations

import re

#: C0, DEL and C1 but for tab and newline; lone surrogates; every character with the property Bidi_Control;
#: the deprecated formatting and interlinear marks, and tag characters, which are never seen and only hide things.
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff\ufeff"
    "\U000e0000-\U000e007f"
)
_TEXT = re.compile(f"[{_UNSEEN}]")
_LINE = re.compile(f"[{_UNSEEN}\t\n\u2028\u2029]+")
_BREAK = re.compile("\r\n?|\u2028|\u2029|\x0b|\x0c|\x85")
_SPACES = re.compile(r"[ \t\n]+")


def block(text: str) -> str:
    """Text of several lines: line ends become newlines, unseen characters go."""
    return _TEXT.sub("", _BREAK.sub("\n", text))


def line(text: str, limit: int = 2000) -> str:
    """Text for one line: any white space becomes one space, unseen characters go."""
    return _SPACES.sub(" ", _LINE.sub(_joint, text[: limit * 4]))[:limit].strip()


def _joint(found: re.Match[str]) -> str:
    return " " if any(c in "\t\n\r\x85\u2028\u2029" for c in found[0]) else ""
