"""What a folder is called on a page. Its name on disk is whatever a mail client wrote there, and so hostile.

Maildir++ parts a folder from the one above it by a dot, and spells what isn't ASCII in the UTF-7 of IMAP (RFC 3501,
section 5.1.3), as Dovecot does. Some servers write UTF-8 instead; that is taken as it is.
"""

import base64
import binascii
import re

from messenger.visible import line

from .language import gettext as _
from .mails import ARCHIVE, DRAFTS, INBOX, SENT, TRASH

LONGEST = 80
#: "&" and a "-": what lies between is UTF-16 in base64 with "," for "/", and nothing is an "&".
SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def folder_name(folder: str) -> str:
    """The name of *folder* as a person reads it: one line, nothing unseen in it, never empty."""
    own = {INBOX: _("Inbox"), DRAFTS: _("Drafts"), SENT: _("Sent"), ARCHIVE: _("Archive"), TRASH: _("Trash")}
    if folder in own:
        return own[folder]
    parts = [line(decoded(part), LONGEST) for part in folder.split(".")]
    return line(" / ".join(part for part in parts if part), LONGEST) or line(folder, LONGEST)


def decoded(name: str) -> str:
    """*name* out of modified UTF-7; as it stands where it isn't any."""
    try:
        return SHIFTED.sub(_characters, name)
    except (binascii.Error, UnicodeDecodeError):
        return name


def _characters(found: re.Match[str]) -> str:
    shifted = found[1].replace(",", "/")
    if not shifted:
        return "&"
    return base64.b64decode(shifted + "=" * (-len(shifted) % 4), validate=True).decode("utf-16-be")
