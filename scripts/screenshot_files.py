"""A mail with attachments of each kind that can be looked at, for the pictures of the pages."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

SUBJECT = "Papers for Thursday"
INVITATION = """\
BEGIN:VCALENDAR
METHOD:REQUEST
VERSION:2.0
BEGIN:VEVENT
UID:1
SUMMARY:Meeting of the board
DTSTART;TZID=Europe/Berlin:20260305T140000
DTEND;TZID=Europe/Berlin:20260305T153000
RRULE:FREQ=MONTHLY;BYDAY=1TH;COUNT=6
LOCATION:Room 2\\, Main Street 1
ORGANIZER;CN=Board office:mailto:board@example.com
ATTENDEE;CN=Anna Arendt;PARTSTAT=NEEDS-ACTION:mailto:anna@partner.example
ATTENDEE;CN=Bob Brown;PARTSTAT=ACCEPTED:mailto:bob@example.com
DESCRIPTION:Please bring the signed contract.\\n\\nCoffee is there from half past one.
STATUS:CONFIRMED
END:VEVENT
END:VCALENDAR
"""
CONTACT = """\
BEGIN:VCARD
VERSION:4.0
FN:Erika Mustermann
ORG:Example Ltd.;Legal
TITLE:Notary
TEL;TYPE=work:+49 30 901820
TEL;TYPE=cell:+49 170 901820
EMAIL:erika@example.com
ADR;TYPE=work:;;Am Weg 1;Berlin;;10115;Germany
END:VCARD
"""
LINES = (
    "Contract 4711",
    "",
    "between Anna Arendt and Bob Brown",
    "",
    "1. The parties agree to meet on the first",
    "    Thursday of each month.",
    "2. Coffee is provided.",
)


def with_papers(moment: datetime) -> bytes:
    """The mail: a PDF, an invitation, a contact, a text, a program, Outlook's wrapping, and a mail inside."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"] = "Board office <board@example.com>", "Anna Arendt <anna@partner.example>"
    mail["Subject"], mail["Date"] = SUBJECT, format_datetime(moment)
    mail.set_content("Dear Anna,\n\nhere is everything for Thursday.\n\nKind regards\nThe board office\n")
    mail.add_attachment(_pdf(), maintype="application", subtype="pdf", filename="Contract 4711.pdf")
    mail.add_attachment(INVITATION.encode(), maintype="text", subtype="calendar", filename="Meeting.ics")
    mail.add_attachment(CONTACT.encode(), maintype="text", subtype="vcard", filename="Erika Mustermann.vcf")
    mail.add_attachment("date;amount\n2026-01-05;1,250.00\n2026-02-05;980.00\n", subtype="csv", filename="Costs.csv")
    mail.add_attachment(b"MZ", maintype="application", subtype="octet-stream", filename="Viewer.exe")
    mail.add_attachment(b"x", maintype="application", subtype="ms-tnef", filename="winmail.dat")
    inner = EmailMessage(policy=SMTP)
    inner["From"], inner["To"], inner["Subject"] = "Bob Brown <bob@example.com>", "board@example.com", "Room 2 is free"
    inner["Date"] = format_datetime(moment)
    inner.set_content("Room 2 is free on Thursday.\n")
    inner.add_attachment(_pdf(), maintype="application", subtype="pdf", filename="Plan of the house.pdf")
    mail.add_attachment(inner)
    return mail.as_bytes()


def _pdf() -> bytes:
    shown = b"".join(b"(%s) Tj T* " % line.encode("ascii") for line in LINES)
    content = b"BT /F 22 Tf 32 TL 60 740 Td %s ET" % shown
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R 3 0 R]/Count 2>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
        b"/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content),
    )
    objects = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, body) for number, body in enumerate(bodies, 1))
    return b"%PDF-1.4\n" + objects + b"trailer<</Root 1 0 R/Size 5>>\n%%EOF\n"
