"""Write the bounce: tell the sender of a mail that it was not delivered (RFC 3464), and nothing of what was in it.

Knows no mailboxes, no clock and no way to send; the texts are templates, as those of notices (docs/notice.md). It is
sent with the null reverse-path, so that it is never bounced itself.
"""

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from . import envelope, visible
from .letterhead import NAME_CHARACTERS, SUBJECT_CHARACTERS, Site, date_and_time, language_tag, local_time
from .notice_mail import mailbox, unstructured
from .notice_texts import environment, render
from .report_mail import report

SUBJECT, TEXT = "bounce-subject.txt", "bounce.txt"

# RFC 3463: the mailbox is full; the message is larger than the mailbox may ever be.
FULL = ("5.2.2", "552 5.2.2 Mailbox full")
TOO_LARGE = ("5.2.3", "552 5.2.3 Message larger than the mailbox")


@dataclass(frozen=True)
class Bounce:
    """A mail that some of its recipients didn't get."""

    to: str
    recipients: tuple[str, ...]
    #: The code that the recipients' letters name.
    reference: str
    #: To be the same each time for the same mail: most mail systems then show a second bounce as one.
    message_id: str
    #: The Message-ID of the mail itself, with angle brackets; "" where it has none that can be repeated.
    about: str = ""
    #: It will never fit: larger than all that a mailbox may hold.
    too_large: bool = False


def letter(bounce: Bounce, site: Site, now: datetime) -> bytes:
    """Write *bounce* as a mail that is ready to be sent, from nobody (``<>``)."""
    texts = environment(site.templates, site.language)
    subject = visible.line(render(texts, SUBJECT, {"site": site}), SUBJECT_CHARACTERS)
    words = {
        "site": site,
        "recipients": [envelope.display(address) for address in bounce.recipients],
        "too_large": bounce.too_large,
        "received": date_and_time(site, now),
        "reference": bounce.reference,
        "about": bounce.about,
    }
    fields = _fields(bounce, subject, site, now)
    return report(fields, "delivery-status", render(texts, TEXT, words), _groups(bounce, site, now))


def check_templates(site: Site) -> None:
    """Raise NoticeError, naming file and line, if a bounce of *site* could not be written."""
    now = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    for too_large in (False, True):
        for about in ("", "<check@example.org>"):
            letter(
                Bounce(
                    "sender@example.org", ("recipient@example.org",), "XXXX-XXXX", "c@example.org", about, too_large
                ),
                site,
                now,
            )


def _fields(bounce: Bounce, subject: str, site: Site, now: datetime) -> list[tuple[str, str]]:
    fields = [
        ("From", mailbox(visible.line(site.name, NAME_CHARACTERS), envelope.normal(site.notice_from))),
        ("To", envelope.normal(bounce.to)),
        ("Subject", unstructured(subject)),
        ("Date", format_datetime(local_time(site, now))),
        ("Message-ID", f"<{bounce.message_id.strip('<>')}>"),
        ("Auto-Submitted", "auto-replied"),  # RFC 3834, section 5: caused by a message
        ("Content-Language", language_tag(site)),
    ]
    if bounce.about:
        # So that it stands below what it is about.
        fields += [("In-Reply-To", bounce.about), ("References", bounce.about)]
    return fields


def _groups(bounce: Bounce, site: Site, now: datetime) -> list[list[str]]:
    """What programs read (RFC 3464, section 2)."""
    status, diagnostic = TOO_LARGE if bounce.too_large else FULL
    groups = [
        [
            f"Reporting-MTA: dns; {urlsplit(site.portal_url).hostname}",
            f"Arrival-Date: {format_datetime(local_time(site, now))}",
        ]
    ]
    for address in map(envelope.normal, bounce.recipients):
        groups.append(
            [
                f"Final-Recipient: {'rfc822' if address.isascii() else 'utf-8'}; {address}",
                "Action: failed",
                f"Status: {status}",
                f"Diagnostic-Code: smtp; {diagnostic}",
            ]
        )
    return groups
