"""How people's mail leaves: from whom it says it is, sealed where the site wants that, into the mail system's queue.

Made once, with the certificates of the inside in memory. Knows no pages and no mailboxes. The tunnel's keys are none of
its business: what is sealed here is opened by the inside's own gateway or mail program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from messenger import envelope, reply_mail, tunnel
from messenger.reply_mail import Outgoing, Sender

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from messenger.config import Config

#: What header and text of a mail may take of its size, so that a limit for files can be told in advance.
ROOM_FOR_TEXT = 64 * 1024
#: In base64, 57 bytes are a line of 78.
LINE, ENCODED_LINE = 57, 78
PATIENCE, PATIENCE_BYTES = 4, 50_000_000

Submit = Callable[[bytes, str, Sequence[str]], None]


@dataclass(frozen=True)
class Post:
    site_name: str
    #: Whose address mail comes from, or "" for each person's own.
    site_address: str
    #: Where Message-IDs are made.
    domain: str
    size_limit: int
    submit: Submit
    recipients: tuple[Certificate, ...] = ()
    signer: tunnel.SenderKey | None = None
    hide_subject: bool = False

    def sender(self, own: str) -> Sender:
        """Whom mail of the person with the address *own* says it is from."""
        if not self.site_address:
            return Sender(own)
        return reply_mail.sender(own, site_address=self.site_address, site_name=self.site_name)

    @property
    def room(self) -> int:
        """How many bytes of files go into a mail."""
        room = (self.size_limit - ROOM_FOR_TEXT) * LINE // ENCODED_LINE
        return room * LINE // ENCODED_LINE if self.recipients else room

    @property
    def patience(self) -> int:
        """How much of a form is read, to keep its text, though its files are too large. More isn't read at all."""
        return max(PATIENCE * self.size_limit, PATIENCE_BYTES)

    def sealed(self, mail: Outgoing) -> bytes:
        """*mail* as it leaves. Raises a MessengerError if it can't be sealed as the settings want it."""
        hide = bool(self.hide_subject and self.recipients)
        written = reply_mail.write_hidden(mail) if hide else reply_mail.write(mail)
        if not (self.recipients or self.signer):
            return written.raw
        entity = tunnel.seal(written.entity, recipients=self.recipients, signer=self.signer, date=mail.date)
        return written.fields + entity

    def send(self, raw: bytes, mail: Outgoing) -> None:
        """Hand *raw* over for all recipients of *mail*. Raises SubmissionError."""
        self.submit(raw, mail.sender.address, mail.recipients)


def post_of(config: Config, submit: Submit) -> Post:
    """The way out that *config* describes. Raises a MessengerError that names the file that can't be used."""
    settings = config.reply
    address = settings.mail_from or config.notice.mail_from
    certificate, key = settings.sign_certificate, settings.sign_key
    post = Post(
        site_name=config.site.name,
        site_address=address if settings.reply_from == "site" else "",
        domain=envelope.domain_of(address),
        size_limit=settings.size_limit,
        submit=submit,
        recipients=tuple(tunnel.load_certificate(path) for path in settings.encrypt_to),
        signer=tunnel.load_sender_key(certificate, key) if certificate and key else None,
        hide_subject=settings.encrypt_subject,
    )
    # Keys that can't do what they are for are found out now, not by the first person who writes.
    trial = Outgoing(Sender(address), (address,), (), "", "", (), f"trial@{post.domain}", datetime.now(UTC))
    post.sealed(trial)
    return post
