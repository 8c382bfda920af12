"""Write the read receipt: tell the sender of a mail that it was opened (RFC 8098), and nothing of what is in it.

Also tell from a mail whether a receipt is asked for, and by whom. Knows no mailboxes, no clock and no way to send; the
texts are templates, as those of notices (docs/notice.md). It is sent with the null reverse-path, so that it is never
bounced itself.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import urlsplit

from . import envelope, visible
from .envelope import AddressError
from .letterhead import NAME_CHARACTERS, SUBJECT_CHARACTERS, Site, date_and_time, language_tag, local_time
from .message import delivered_from, delivered_options
from .message.origin import origin
from .notice_mail import mailbox, unstructured
from .notice_texts import environment, languages, render
from .report_mail import report
from .tunnel_fields import READ_RECEIPT

SUBJECT, TEXT = "receipt-subject.txt", "receipt.txt"

#: What happened: the mail was opened in the portal; the password of the PDF it was sent as was shown there.
OPENED, PASSWORD = "opened", "password"
KINDS = (OPENED, PASSWORD)

#: RFC 8098, section 3.2.6: by what a person did; no person was asked whether to send this.
DISPOSITION = "manual-action/MDN-sent-automatically; displayed"
PRODUCT = "Webmail Messenger"


@dataclass(frozen=True)
class Asked:
    """Who wants to know."""

    address: str
    #: The Message-ID of the mail, with angle brackets; "" where it has none that can be repeated.
    about: str


@dataclass(frozen=True)
class Receipt:
    """What is told of one mail."""

    kind: str
    asked: Asked
    #: Whose mailbox the mail is in.
    recipient: str
    #: Whom the receipt is from: address, name, and where answers go if not there.
    sender: tuple[str, str, str]
    #: The code that the recipient's page shows too.
    reference: str
    #: To be the same each time for the same mail: most mail systems then show a second receipt as one.
    message_id: str


def asked_for(raw: bytes, own_domains: Collection[str]) -> Asked | None:
    """Tell who is to be told that *raw*, a mail out of a mailbox, was opened; None if nobody.

    Its gateway must have asked, for a sender of *own_domains*. Reports are never reported on (RFC 8098, section 3), and
    the sender of a list's mail is a machine that counts bounces.
    """
    if READ_RECEIPT not in delivered_options(raw):
        return None
    try:
        address = envelope.normal(delivered_from(raw))
    except AddressError:
        return None
    found = origin(raw)
    if envelope.domain_of(address) not in own_domains or found.report or found.from_list:
        return None
    return Asked(address, found.message_id)


def letter(receipt: Receipt, site: Site, happened: datetime) -> bytes:
    """Write *receipt* as a mail that is ready to be sent, from nobody (``<>``). The same bytes each time."""
    texts = environment(site.templates, site.language)
    words = {
        "site": site,
        "kind": receipt.kind,
        "recipient": envelope.display(receipt.recipient),
        "happened": date_and_time(site, happened),
        "reference": receipt.reference,
        "about": receipt.asked.about,
    }
    subject = visible.line(render(texts, SUBJECT, {"site": site, "kind": receipt.kind}), SUBJECT_CHARACTERS)
    fields = _fields(receipt, subject, site, happened)
    return report(fields, "disposition-notification", render(texts, TEXT, words), [_for_programs(receipt, site)])


def check_templates(site: Site) -> None:
    """Raise NoticeError, naming file and line, if a receipt of *site* could not be written in any of its languages."""
    happened = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
    sender = ("recipient@example.net", "", "")
    for language in dict.fromkeys((site.language, *languages(site.templates))):
        for kind in KINDS:
            for about in ("", "<check@example.org>"):
                asked = Asked("sender@example.org", about)
                made = Receipt(kind, asked, "recipient@example.net", sender, "XXXX-XXXX", "c@example.org")
                letter(made, replace(site, language=language), happened)


def _fields(receipt: Receipt, subject: str, site: Site, happened: datetime) -> list[tuple[str, str]]:
    address, name, reply_to = receipt.sender
    fields = [
        ("From", mailbox(visible.line(name, NAME_CHARACTERS), envelope.normal(address))),
        ("To", envelope.normal(receipt.asked.address)),
        ("Subject", unstructured(subject)),
        ("Date", format_datetime(local_time(site, happened))),
        ("Message-ID", f"<{receipt.message_id.strip('<>')}>"),
        ("Auto-Submitted", "auto-replied"),  # RFC 3834, section 5: caused by a message
        ("Content-Language", language_tag(site)),
    ]
    if reply_to:
        fields.append(("Reply-To", envelope.normal(reply_to)))
    if receipt.asked.about:
        # So that it stands below what it is about.
        fields += [("In-Reply-To", receipt.asked.about), ("References", receipt.asked.about)]
    return fields


def _for_programs(receipt: Receipt, site: Site) -> list[str]:
    """What programs read (RFC 8098, section 3.1)."""
    recipient = envelope.normal(receipt.recipient)
    return [
        f"Reporting-UA: {urlsplit(site.portal_url).hostname}; {PRODUCT}",
        f"Final-Recipient: {'rfc822' if recipient.isascii() else 'utf-8'}; {recipient}",
        *([f"Original-Message-ID: {receipt.asked.about}"] if receipt.asked.about else []),
        f"Disposition: {DISPOSITION}",
    ]
