"""Tell the administrator that a PDF was given up: a short mail in English, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from messenger.envelope import domain_of
from messenger.letterhead import Site, head
from messenger.notice_mail import encoded
from messenger.submission import Route, submit

KIND = (
    b'MIME-Version: 1.0\r\nContent-Type: text/plain; charset="utf-8"\r\n'
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)
TEXT = """\
The message that was to become the PDF {pdf_id} could not be sent
after several tries:

    {reason}

It is kept whole in the spool, under failed/. When the cause is mended:

    messenger pdf retry {pdf_id}

`messenger pdf list` shows all that were given up.
"""


def tell(site: Site, administrator: str, now: Callable[[], datetime], route: Route, pdf_id: str, reason: str) -> None:
    """Send the mail; raises SubmissionError."""
    to = administrator or f"postmaster@{domain_of(site.notice_from)}"
    fields = head(
        to, f"PDF {pdf_id} could not be sent", site, now(), f"given-up.{pdf_id}@{domain_of(site.notice_from)}"
    )
    header = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
    body = encoded(TEXT.format(pdf_id=pdf_id, reason=reason))
    submit(header + KIND + body, site.notice_from, (to,), route)
