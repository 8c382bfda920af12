"""Tell one recipient of one mail: make the link and the notice, hand it to Postfix's queue.

Knows the link key and the way notices leave. Takes the clock as an argument; opens no mailbox.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from messenger import link, message, notify, submission
from messenger.envelope import domain_of
from messenger.tunnel import TunnelMail

#: A header longer than this has been made to hurt; the notice then names the envelope's sender alone.
HEAD_BYTES = 64 * 1024


@dataclass(frozen=True)
class Announcer:
    """What is the same in every notice."""

    site: notify.Site
    route: submission.Route
    link_key: bytes
    now: Callable[[], datetime]

    def announce(self, to: str, mail: TunnelMail) -> None:
        """Submit the notice; returns when Postfix's queue has it, raises SubmissionError when it hasn't."""
        now = self.now()
        sender = message.summary(mail.raw[:HEAD_BYTES], len(mail.raw)).sender
        notice = notify.notice(
            to,
            # A name that holds another address is a stranger's trick; the address says enough.
            "" if sender.suspicious else sender.name,
            sender.address or mail.mail_from,
            link.reference(mail.digest),
            link.url(self.site.portal_url, link.token(self.link_key, to, int(now.timestamp()))),
            self.site,
            now,
            self._message_id(to, mail),
        )
        submission.submit(notice.as_bytes(), self.site.notice_from, (to,), self.route)

    def _message_id(self, to: str, mail: TunnelMail) -> str:
        # The same for a retry: many mail systems show two mails with one Message-ID as one.
        code = hashlib.sha256(f"{mail.digest} {to}".encode()).hexdigest()[:32]
        return f"<{code}@{domain_of(self.site.notice_from)}>"
