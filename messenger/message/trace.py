"""The trace fields that the intake puts on top of a mail: what the sending gateway asked for."""

from __future__ import annotations

_TRACE = (b"Return-Path: <", b"X-Webmail-Options: ", b"Delivered-To: ")


def delivered_options(raw: bytes) -> frozenset[str]:
    """The options of a mail out of a mailbox.

    Only the three topmost lines are believed, and only if they are the intake's three: the original below may hold
    fields of the same names, put there by anybody.
    """
    lines = raw[:4096].split(b"\n", 3)
    if len(lines) != 4 or not all(line.startswith(name) for line, name in zip(lines, _TRACE, strict=False)):
        return frozenset()
    words = lines[1][len(_TRACE[1]) :].decode("ascii", "replace").split(",")
    return frozenset(word.strip() for word in words) - {"", "none"}
