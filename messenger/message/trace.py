"""The trace fields that the intake puts on top of a mail: what the sending gateway asked for."""

from __future__ import annotations

_TRACE = (b"Return-Path: <", b"X-Webmail-Options: ", b"Delivered-To: ")


def delivered_options(raw: bytes) -> frozenset[str]:
    """The options of a mail out of a mailbox.

    Only the three topmost lines are believed, and only if they are the intake's three: the original below may hold
    fields of the same names, put there by anybody.
    """
    trace = _trace(raw)
    words = trace[1].split(",") if trace else []
    return frozenset(word.strip() for word in words) - {"", "none"}


def delivered_from(raw: bytes) -> str:
    """The sender that the gateway named, by the same lines; "" for a mail without one, such as a bounce."""
    trace = _trace(raw)
    return trace[0].removesuffix(">") if trace else ""


def _trace(raw: bytes) -> list[str]:
    """The values of the intake's three fields; nothing where they aren't on top."""
    lines = raw[:4096].split(b"\n", 3)
    if len(lines) != 4 or not all(line.startswith(name) for line, name in zip(lines, _TRACE, strict=False)):
        return []
    return [
        line.removesuffix(b"\r")[len(name) :].decode("utf-8", "replace")
        for line, name in zip(lines, _TRACE, strict=False)
    ]
