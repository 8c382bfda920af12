"""The three mails the demo sends: plain, HTML with pictures, attachments in scripts beyond Latin.

Bytes out; knows nothing of tunnels or Postfix.
"""

import struct
import zlib
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

SENDER = "Bob Brown <bob@example.com>"
#: What the gateway of the demo looks for, as the wizard writes it into the policy.
TRIGGER = b"[secure]"
RECIPIENT = "Anna Arendt <anna@partner.example>"


def all_three(now: datetime) -> tuple[bytes, bytes, bytes]:
    """Return the demo's messages (RFC 5322), oldest first."""
    return plain(now), with_pictures(now), with_attachments(now)


def secret(raw: bytes) -> bytes:
    """The same with the words in its subject that have the gateway protect it."""
    return raw.replace(b"Subject: ", b"Subject: " + TRIGGER + b" ", 1)


def plain(now: datetime) -> bytes:
    mail = _mail("Your contract is ready", "plain", now)
    mail.set_content(
        "Dear Anna,\n\n"
        "the contract we spoke about is ready. Your number is 4711-0815; please keep it to yourself.\n"
        "Terms: https://www.example.com/terms.\n\n"
        "> Could you send it by Friday?\n\n"
        "Kind regards\nBob\n"
    )
    return mail.as_bytes(policy=SMTP)


def with_pictures(now: datetime) -> bytes:
    mail = _mail("Third quarter, in one picture", "pictures", now)
    mail.set_content("Revenue by month: July 12, August 15, September 21.\n")
    mail.add_alternative(
        '<html><body style="font-family: sans-serif">'
        '<h1 style="color: #1d4e6b">Third quarter</h1>'
        "<p>Dear Anna, here are the figures <b>before</b> they are published.</p>"
        '<p><img src="cid:chart@example.com" alt="Bars: July 12, August 15, September 21" width="240"></p>'
        '<table border="1" cellpadding="6"><tr><th>July</th><th>August</th><th>September</th></tr>'
        "<tr><td>12</td><td>15</td><td>21</td></tr></table>"
        '<p><img src="https://pictures.example.com/seen.png?who=anna" alt="our logo" width="80"></p>'
        "</body></html>",
        subtype="html",
    )
    html = mail.get_payload()[1]  # type: ignore[index]
    html.add_related(_bars((12, 15, 21)), "image", "png", cid="<chart@example.com>")  # type: ignore[union-attr]
    return mail.as_bytes(policy=SMTP)


def with_attachments(now: datetime) -> bytes:
    mail = _mail("Документы · 文書 · المستندات 📎", "attachments", now)
    mail.set_content(
        "Уважаемая Анна, документы приложены.\n添付の書類をご確認ください。\nيرجى الاطلاع على المستندات المرفقة.\n"
    )
    mail.add_attachment("Betrag;Konto\n1.250,00;DE02 1203\n", subtype="csv", filename="Überweisung.csv")
    mail.add_attachment(_bars((3, 5, 2, 8)), maintype="image", subtype="png", filename="図表.png")
    return mail.as_bytes(policy=SMTP)


def _mail(subject: str, name: str, now: datetime) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    mail["From"] = SENDER
    mail["To"] = RECIPIENT
    mail["Subject"] = subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{name}.{now.timestamp():.0f}@example.com>"
    return mail


def _bars(values: tuple[int, ...], width: int = 24, height: int = 96) -> bytes:
    """A bar chart as PNG (W3C PNG, sections 5 and 11: one IHDR, one IDAT, one IEND)."""
    ground, bar = b"\xf4\xf6\xf8", b"\x1d\x6b\x8f"
    top = max(values)
    rows = bytearray()
    for y in range(height):
        rows.append(0)  # filter type 0: none
        for value in values:
            filled = (height - y) * top <= value * (height - 8)
            rows += ground * 6 + (bar if filled else ground) * (width - 6)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width * len(values), height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b"")
    )
