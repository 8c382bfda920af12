"""Mail that doesn't fit into its recipient's mailbox: whether it does, and who is told. docs/milter.md has the rules.

Its sender gets a bounce, the mailbox's owner a letter: one when it is nearly full, one when a mail didn't fit, and no
more until there was room again. Takes the clock as an argument; reads no settings.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from secrets import token_hex

from messenger import account_letter, bounce, link
from messenger.envelope import domain_of
from messenger.errors import MessengerError
from messenger.letterhead import Site
from messenger.mailbox import Mailbox, Usage
from messenger.message.origin import origin
from messenger.preferences import OFF, Preferences
from messenger.submission import Relay
from messenger.tunnel import TunnelMail

log = logging.getLogger(__name__)

#: In percent of the quota: from where on a mailbox is nearly full, and below what its owner is told anew next time.
NEAR, FULL = 80, 100
CLEARED = 75
#: Beside the Maildir: what its owner was told last, NEAR or FULL.
FILE = "quota-told"
FILE_MODE = 0o640


@dataclass(frozen=True)
class Fullness:
    """What all mailboxes have in common."""

    #: In octets.
    quota: int
    #: Whose senders get bounces; nobody else's mail should come through the tunnel, and addresses can be forged.
    own_domains: frozenset[str]
    site: Site
    relay: Relay
    now: Callable[[], datetime]
    preferences_of: Callable[[str], Preferences]

    def usage(self, mailbox: Mailbox) -> Usage:
        """Return what is in *mailbox* now."""
        return mailbox.usage(self.quota, self.now().timestamp())

    def turn_away(self, mail: TunnelMail, full: Mapping[str, tuple[Mailbox, Usage]]) -> None:
        """Tell the sender of *mail*, and the owners of the mailboxes that it doesn't fit into.

        SubmissionError: the queue doesn't take the bounce, so nobody was told.
        """
        self._bounce(mail, tuple(full))
        for address, (mailbox, before) in full.items():
            self.tell_owner(address, mailbox, before)

    def _bounce(self, mail: TunnelMail, recipients: tuple[str, ...]) -> None:
        found = origin(mail.raw)
        if reason := self._why_none(mail.mail_from, found.automatic):
            log.info("digest=%.16s: no bounce to <%s>: %s", mail.digest, mail.mail_from, reason)
            return
        letter = bounce.Bounce(
            mail.mail_from,
            recipients,
            link.reference(mail.digest),
            self._message_id("bounce", mail.digest, *recipients),
            found.message_id,
            too_large=len(mail.raw) > self.quota,
        )
        self.relay.submit(bounce.letter(letter, self.site, self.now()), "", (mail.mail_from,))

    def tell_owner(self, address: str, mailbox: Mailbox, before: Usage, arrived: int = 0) -> None:
        """Tell the owner of *mailbox* how full it is, if that is news. *arrived* octets have come since *before*.

        Nothing arrived: a mail didn't fit. Never fails: it is tried again when the next mail comes.
        """
        level = FULL if not arrived else NEAR if (before.octets + arrived) * 100 >= NEAR * self.quota else 0
        folder = mailbox.root.parent
        try:
            told = _told(folder)
            if told and before.percent < CLEARED:
                _note(folder, 0)
                told = 0
            if level > told and self._tell(address, level, before.octets + arrived):
                mailbox.ensure()
                _note(folder, level)
        except (MessengerError, OSError) as error:
            log.warning("the letter to %s about a full mailbox: %s", address, error)

    def _tell(self, address: str, level: int, used: int) -> bool:
        wanted = self.preferences_of(address)
        if level == NEAR and wanted.notices == OFF:
            return False  # who looks by themselves sees it there; that mail is turned away is another matter
        now = self.now()
        letter = account_letter.letter(
            "mailbox-full" if level == FULL else "mailbox-filling",
            address,
            self.site,
            now,
            self._message_id(str(level), address, f"{now:%Y-%m-%d}"),
            language=wanted.language,
            time_zone=wanted.time_zone,
            phrase=wanted.phrase,
            used=used,
            quota=self.quota,
        )
        self.relay.submit(letter, self.site.notice_from, (address,))
        return True

    def _why_none(self, sender: str, automatic: bool) -> str:
        if not sender:
            return "a bounce itself"
        if automatic:
            return "a machine's mail, or a list's"
        if domain_of(sender) not in self.own_domains:
            return "not of our own domains"
        return "our own notice" if sender == self.site.notice_from else ""

    def _message_id(self, *parts: str) -> str:
        code = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
        return f"<{code}@{domain_of(self.site.notice_from)}>"


def _told(folder: Path) -> int:
    try:
        descriptor = os.open(folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        return FULL if os.read(descriptor, 8).strip() == b"%d" % FULL else NEAR
    finally:
        os.close(descriptor)


def _note(folder: Path, level: int) -> None:
    """Remember what was told. Not synced: what a power cut takes can cause a second letter, and nothing else."""
    path = folder / FILE
    if not level:
        path.unlink(missing_ok=True)
        return
    temporary = folder / f".{FILE}.{token_hex(8)}"
    try:
        how = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, how, FILE_MODE)
        try:
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask is
            os.write(descriptor, b"%d\n" % level)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    finally:
        with suppress(OSError):
            temporary.unlink()
