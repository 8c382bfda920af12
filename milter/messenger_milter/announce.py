"""Tell one recipient of one mail: make the link and the notice, hand it to Postfix's queue.

Knows the link key and the way notices leave. Takes the clock as an argument; opens no mailbox.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from messenger import link, message, notify, submission
from messenger.envelope import domain_of
from messenger.preferences import Preferences
from messenger.tunnel import TunnelMail

#: Where the header ends: what a notice says stands there, and a large body needn't be looked at.
_END_OF_HEADER = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class Announcer:
    """What is the same in every notice."""

    site: notify.Site
    relay: submission.Relay
    link_key: bytes
    now: Callable[[], datetime]
    #: What a person wants of our mail.
    preferences_of: Callable[[str], Preferences]

    def announce(self, to: str, mail: TunnelMail) -> None:
        """Submit the notice; returns when Postfix's queue has it, raises SubmissionError when it hasn't."""
        now = self.now()
        wanted = self.preferences_of(to)
        end = _END_OF_HEADER.search(mail.raw, 0, message.HEAD)
        head = mail.raw[: end.end() if end else message.HEAD]
        sender = message.summary(head, len(head)).sender
        notice = notify.Notice(
            to,
            # A name that holds another address is a stranger's trick; the address says enough.
            "" if sender.suspicious else sender.name,
            sender.address or mail.mail_from,
            link.reference(mail.digest),
            link.url(self.site.portal_url, link.token(self.link_key, to, int(now.timestamp()))),
            self._message_id(to, mail),
            wanted.phrase,
            wanted.language,
            wanted.time_zone,
        )
        self.relay.submit(notify.letter(notice, self.site, now), self.site.notice_from, (to,))

    def _message_id(self, to: str, mail: TunnelMail) -> str:
        # The same for a retry: many mail systems show two mails with one Message-ID as one.
        code = hashlib.sha256(f"{mail.digest} {to}".encode()).hexdigest()[:32]
        return f"<{code}@{domain_of(self.site.notice_from)}>"
