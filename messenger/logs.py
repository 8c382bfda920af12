"""What a service writes to its log: one line for each event, as text or as JSON. The journal knows time and process.

A line about a mail begins with the queue id that Postfix gave it. What a mail holds can't begin a line of its own.
"""

import json
import logging
import re
import sys
import traceback
from pathlib import Path

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
#: Postfix's two kinds (postconf(5), enable_long_queue_ids), and what stands there before it has given one.
_QUEUE_ID = re.compile(r"[0-9A-F]{6,20}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{8,24}|NOQUEUE")
_BEGINNING = "%s: "


def start(form: str = TEXT) -> None:
    """Write to standard error from now on, in one of FORMATS. May be called again with another one."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter(form))


def formatter(form: str) -> logging.Formatter:
    return Json() if form == JSON else Text()


class Text(logging.Formatter):
    """The message; an exception's trace behind it, on the same line."""

    def format(self, record: logging.LogRecord) -> str:
        parts = (record.getMessage(), _trace(record))
        return " | ".join(part.replace("\r", "\\r").replace("\n", "\\n") for part in parts if part)


class Json(logging.Formatter):
    """An object with queue_id, level, room, message, and trace where an exception has one."""

    def format(self, record: logging.LogRecord) -> str:
        # The queue id first, so that a line begins with it in this form too.
        line = {
            "queue_id": _queue_id(record),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": record.getMessage(),
        }
        if trace := _trace(record):
            line["trace"] = trace
        return json.dumps(line, ensure_ascii=False)


def _queue_id(record: logging.LogRecord) -> str:
    """Return the first word of a line about a mail; "" where the line is about none."""
    if not str(record.msg).startswith(_BEGINNING) or not isinstance(record.args, tuple) or not record.args:
        return ""
    first = str(record.args[0])
    return first if _QUEUE_ID.fullmatch(first) else ""


def _trace(record: logging.LogRecord) -> str:
    """The exception with its places, innermost last: what a traceback says, on one line."""
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        return ""
    places = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    return f"{type(error).__name__}: {error} at {' > '.join(places)}"
