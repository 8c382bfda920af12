"""Whether a person wrote a mail, and what it is called: for whoever answers it by machine (RFC 3834).

Looks into the fields alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import headers

#: RFC 5322, section 3.6.4, and short enough for a line; what is odder is not repeated in a mail of ours.
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}@[!-;=?-~]{1,250}>")
_BULK = frozenset({"bulk", "list", "junk"})


@dataclass(frozen=True)
class Origin:
    #: With its angle brackets; "" where there is none that can be repeated.
    message_id: str
    #: A machine wrote it, or it came over a list: an automatic answer would go to the wrong one, or round in circles.
    automatic: bool
    #: It came over a list: its sender is who manages that.
    from_list: bool = False
    #: It reports on another mail (RFC 6522).
    report: bool = False


def origin(raw: bytes) -> Origin:
    """Tell where the mail *raw* comes from. Whatever the bytes are, there is an answer."""
    fields, _ = headers.split(raw, 0, len(raw))
    names = {name.lower() for name, _ in fields.items}
    message_id = headers.loose(fields.first(b"message-id")).strip()
    from_list = any(name.startswith(b"list-") for name in names)  # RFC 2369, RFC 2919
    report = _word(fields.first(b"content-type")) == "multipart/report"
    automatic = (
        # RFC 3834, section 5; and RFC 3464, section 2: a report about delivery is never reported on.
        from_list
        or report
        or any(_word(value) != "no" for value in fields.every(b"auto-submitted"))
        or any(_word(value) in _BULK for value in fields.every(b"precedence"))
    )
    code = message_id if _MESSAGE_ID.fullmatch(message_id) and len(message_id) <= 250 else ""
    return Origin(code, automatic, from_list, report)


def _word(value: bytes) -> str:
    """The first word of a field, without parameters and comments."""
    return re.split(r"[;(\s]", headers.loose(value).strip().lower(), maxsplit=1)[0]
