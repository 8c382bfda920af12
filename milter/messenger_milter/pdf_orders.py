"""Order the PDF of one mail for one recipient: a record beside the mail, then a file in the spool.

In that order: nobody is sent a PDF whose password the portal doesn't know. Both are written at the same time, but the
file is found in the spool only when the record is on disk. Takes the clock as an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from messenger import link, message, pdf_password, pdf_record
from messenger.pdf_job import PdfJob
from messenger.pdf_record import Record
from messenger.pdf_spool import Spool
from messenger.preferences import Preferences
from messenger.tunnel import TunnelMail

#: The gateway's *OTP enabled*, as it travels in the tunnel.
OPTION = "otp-pdf"


@dataclass(frozen=True)
class PdfOrders:
    """What is the same for every PDF."""

    portal_url: str
    link_key: bytes
    now: Callable[[], datetime]
    preferences_of: Callable[[str], Preferences]
    #: Where the person's mail and what belongs to it lies.
    folder_of: Callable[[str], Path]
    spool: Spool

    def order(self, to: str, mail: TunnelMail) -> bool:
        """Have the PDF of *mail* made for *to*. True: it is ordered, on disk. Raises SpoolError or RecordError.

        A retry orders the same PDF under the same id, and the spool takes it once.
        """
        wanted, now = self.preferences_of(to), int(self.now().timestamp())
        pdf_id = pdf_password.id_of(mail.digest, to)
        sender = message.sender(mail.raw).address or mail.mail_from
        folder = self.folder_of(to)
        # What a first try has written counts: the portal shows the password by it.
        record = pdf_record.find(folder, pdf_id) or Record(pdf_id, mail.digest, wanted.generation, now, sender)
        page = f"{link.url(self.portal_url, link.token(self.link_key, to, now))}/{pdf_id}"
        job = PdfJob(
            pdf_id=pdf_id,
            address=to,
            digest=mail.digest,
            generation=record.generation,
            created=now,
            password_url=page,
            reply_url=f"{page}/answer",
            language=wanted.language,
            time_zone=wanted.time_zone,
            phrase=wanted.phrase,
            raw=mail.raw,
        )
        with self.spool.written(job) as put:
            pdf_record.keep(folder, record)
            put()
        return True
