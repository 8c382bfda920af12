"""A person with mail: small factories for tests of the pages."""

from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256

from flask.testing import FlaskClient

from messenger.mailbox import Mailbox, mailbox_of

from .reader_fixtures import ALICE, Portal


def mail(
    subject: str = "Hello", text: str = "Good morning", html: str = "", sender: str = "Bob <bob@example.org>"
) -> bytes:
    made = EmailMessage(policy=SMTP)
    made["From"] = sender
    made["To"] = "Alice <alice@example.net>"
    made["Subject"] = subject
    made["Date"] = "Fri, 02 Jan 2026 23:30:00 +0000"
    made.set_content(text + "\n")
    if html:
        made.add_alternative(html, subtype="html")
    return made.as_bytes()


def with_file(content: bytes, content_type: str, filename: str) -> bytes:
    maintype, _, subtype = content_type.partition("/")
    made = EmailMessage(policy=SMTP)
    made["From"], made["Subject"] = "bob@example.org", "With a file"
    made.set_content("See the file.\n")
    made.add_attachment(content, maintype=maintype, subtype=subtype, filename=filename)
    return made.as_bytes()


def mailbox_at(portal: Portal, address: str = ALICE) -> Mailbox:
    return mailbox_of(portal.home / "mail", address)


def deliver(portal: Portal, raw: bytes, address: str = ALICE) -> str:
    name = sha256(raw).hexdigest()
    mailbox_at(portal, address).deliver(raw, name)
    return name


def flags(portal: Portal, name: str, address: str = ALICE) -> str:
    [entry] = [entry for entry in mailbox_at(portal, address).list() if entry.name == name]
    return entry.flags


def logged_in(portal: Portal, address: str = ALICE) -> FlaskClient:
    browser = portal.browser()
    assert portal.sign_up(browser, address).status_code == 303
    return browser
