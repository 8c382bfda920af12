"""Tell one recipient of one mail: make the link and the notice, hand it to Postfix's queue, now or later.

Knows the link key and the way notices leave. Takes the clock as an argument; reads no mailbox.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from messenger import link, message, notify, submission
from messenger.envelope import domain_of
from messenger.preferences import HOURLY, OFF, Preferences
from messenger.tunnel import TunnelMail

from .held import Held


@dataclass(frozen=True)
class Announcer:
    """What is the same in every notice."""

    site: notify.Site
    relay: submission.Relay
    link_key: bytes
    now: Callable[[], datetime]
    #: What a person wants of our mail.
    preferences_of: Callable[[str], Preferences]
    #: Whether there is still anything that a notice could be about.
    has_mailbox: Callable[[str], bool]
    held: Held

    def announce(self, to: str, mail: TunnelMail) -> bool:
        """Tell *to* of *mail* in the way that person wants.

        True: Postfix's queue has the notice. False: none is wanted, or it is held back for now, on disk. Raises
        SubmissionError where the queue didn't take it.
        """
        wanted = self.preferences_of(to)
        if wanted.notices == OFF:
            return False
        notice = self._notice(to, mail)
        if wanted.notices == HOURLY:
            # Also the first of an hour: so there is one place that knows when somebody was told last.
            self.held.keep(notice)
            return False
        self._send(notice, wanted)
        return True

    def tell_held(self) -> int:
        """Send the notices that were held back long enough; return how many went."""
        sent: list[bool] = []
        self.held.give_out(int(self.now().timestamp()), lambda notice: sent.append(self._tell(notice)))
        return sum(sent)

    def _tell(self, notice: notify.Notice) -> bool:
        """Send *notice*, unless by now there is nobody who wants it or nothing to read."""
        wanted = self.preferences_of(notice.to)
        if wanted.notices == OFF or not self.has_mailbox(notice.to):
            return False
        self._send(notice, wanted)
        return True

    def _notice(self, to: str, mail: TunnelMail) -> notify.Notice:
        sender = message.sender(mail.raw)
        return notify.Notice(
            to,
            # A name that holds another address is a stranger's trick; the address says enough.
            "" if sender.suspicious else sender.name,
            sender.address or mail.mail_from,
            link.reference(mail.digest),
            "",  # a link counts from the hour it is sent
            self._message_id(to, mail),
        )

    def _send(self, notice: notify.Notice, wanted: Preferences) -> None:
        now = self.now()
        personal = replace(
            notice,
            link=link.url(self.site.portal_url, link.token(self.link_key, notice.to, int(now.timestamp()))),
            phrase=wanted.phrase,
            language=wanted.language,
            time_zone=wanted.time_zone,
        )
        self.relay.submit(notify.letter(personal, self.site, now), self.site.notice_from, (notice.to,))

    def _message_id(self, to: str, mail: TunnelMail) -> str:
        # The same for a retry: many mail systems show two mails with one Message-ID as one.
        code = hashlib.sha256(f"{mail.digest} {to}".encode()).hexdigest()[:32]
        return f"<{code}@{domain_of(self.site.notice_from)}>"
