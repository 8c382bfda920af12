"""Mail that people look at: bytes in, plain values and safe HTML out.

    read(raw)          what a page shows around the body, and the plain text
    show(raw)          the body as a document for the sandboxed frame
    part(raw, path)    one attachment, also of a mail inside: "2-1.3"
    part_text(raw, path, limit)  one attachment as text
    picture_type(content)  what picture it is by its first bytes, if it is one that browsers show
    contents(raw, ns)  several attachments, one at a time
    inner(raw, path)   the mail inside that is part "2", or "2-1.3"; is_mail(part) says which parts are one
    summary(head, n)   one line of the inbox
    sender(head)       who it is from, and nothing else
    persons(value)     the mailboxes of one address field
    protection(raw, text)  how it is signed or encrypted, as far as its structure says
    text_html(text)    plain text as HTML
    delivered_options  what the gateway asked for, out of the intake's trace fields; delivered_from: for whom
    policy(...)        the Content-Security-Policy for the frame's route; FRAME_SANDBOX for its <iframe>

All of it is pure; nothing here knows files, accounts or the web. Callers cache what they find dear.
"""

from .addresses import persons
from .document import FRAME_SANDBOX, policy
from .nested import SEPARATOR, contents, inner, is_mail, part, part_text
from .pictures import kind as picture_type
from .protection import Kind, Protection, protection
from .reading import read
from .showing import printed, show
from .summary import HEAD, sender, summary
from .text import text_html
from .trace import delivered_from, delivered_options
from .values import Message, NoSuchPart, Part, Person, Printed, Shown, Summary

__all__ = [
    "FRAME_SANDBOX",
    "HEAD",
    "SEPARATOR",
    "Kind",
    "Message",
    "NoSuchPart",
    "Part",
    "Person",
    "Printed",
    "Protection",
    "Shown",
    "Summary",
    "contents",
    "delivered_from",
    "delivered_options",
    "inner",
    "is_mail",
    "part",
    "part_text",
    "persons",
    "picture_type",
    "policy",
    "printed",
    "protection",
    "read",
    "sender",
    "show",
    "summary",
    "text_html",
]
