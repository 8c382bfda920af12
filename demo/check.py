"""Walk through the demo as a recipient would, over HTTP, and say what was seen."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parseaddr
from urllib.parse import urlsplit

import click
import pikepdf

from . import mails
from .site import DemoFailed, DemoSite
from .visitor import Page, Visitor

PASSWORD = "a long walk by the sea"
ANNA = parseaddr(mails.RECIPIENT)[1]
SENDER = parseaddr(mails.SENDER)[1]
#: One sentence of each mail that only its reader can see.
SENTENCES = ("Your number is 4711-0815", "before they are published", "添付の書類をご確認ください")


def walk(site: DemoSite, notices: list[bytes]) -> bool:
    """Do what a recipient does; True when everything held. Prints a line for each thing checked."""
    seen = Seen()
    person = Visitor()
    link = site.link_in(notices[0])
    try:
        seen("three mails with [secure] in the subject became three notices", len(notices) == 3)
        pass_in_clear(site, seen)
        seen("no notice holds what the mail says", not any(b"4711" in notice for notice in notices))
        seen("without log-in the inbox is closed", "/login" in Visitor().open(site.url + "/").url)
        inbox = sign_up(person, link)
        seen("the notice's link leads to sign-up, and sign-up to the inbox", inbox.status == 200)
        messages = [url for url in dict.fromkeys(inbox.links) if _is_message(url)]
        seen("the inbox lists three messages", len(messages) == 3)
        read_all(person, messages, seen)
        answer(site, person, messages[0], seen)
        receipt(site, person, inbox.url, seen)
        open_pdf(site, person, seen)
        seen("a stranger with the message's address sees nothing", "/login" in Visitor().open(messages[0]).url)
    except (DemoFailed, LookupError, OSError) as error:
        seen(f"the walk went to its end: {error}", False)
    if not seen.good:
        click.echo(site.last_words(), err=True)
    click.echo(f"{seen.passed} passed, {seen.failed} failed")
    return seen.good


def sign_up(person: Visitor, link: str) -> Page:
    """Open the link as a scanner first, then as the person; type a password. Returns the inbox."""
    Visitor().open(link)
    form = person.open(link).form_with("password")
    return person.send(form, password=PASSWORD, again=PASSWORD)


def read_all(person: Visitor, messages: list[str], seen: Seen) -> None:
    found: set[str] = set()
    downloads: list[str] = []
    for url in messages:
        page = person.open(url)
        shown = page.text + " ".join(person.open(frame).text for frame in page.frames)
        found.update(sentence for sentence in SENTENCES if sentence in shown)
        downloads += [link for link in page.links if "/attachment/" in link]
    for sentence in SENTENCES:
        seen(f"a message shows “{sentence}”", sentence in found)
    bodies = [person.open(link).body for link in downloads]
    seen("an attachment comes down whole", any(b"DE02 1203" in body for body in bodies))


def answer(site: DemoSite, person: Visitor, message: str, seen: Seen) -> None:
    """Answer one message, and look at what reaches its sender."""
    form = person.open(f"{message}/reply").form_with("subject")
    person.send(form, text="Thank you, that was quick.", do="send")
    arrived = message_from_bytes(site.left(SENDER, b"In-Reply-To:"), policy=default)
    assert isinstance(arrived, EmailMessage)
    body = arrived.get_body(("plain",))
    seen(
        "an answer comes back to the sender's own Postfix", body is not None and "that was quick" in body.get_content()
    )
    seen("it belongs to the sender's message", bool(arrived["In-Reply-To"]))


def pass_in_clear(site: DemoSite, seen: Seen) -> None:
    """Send a mail that no rule flags."""
    site.send(mails.plain(datetime.now(UTC)), [ANNA])
    left = site.left(ANNA, b"4711")
    seen("a mail without [secure] leaves as it is", b"Subject: Your contract is ready" in left)


def receipt(site: DemoSite, person: Visitor, inbox: str, seen: Seen) -> None:
    """Ask for a receipt by the policy, open the message, and look at what its sender is told."""
    site.gateway("set", "read_receipt", "true", "--global")
    site.send(mails.secret(mails.with_pictures(datetime.now(UTC))), [ANNA])
    site.notices(4)
    [message] = [url for url in person.open(inbox).links if _is_message(url)][:1]
    person.open(message)
    told = site.left(SENDER, b"disposition-notification")
    seen("its sender is told of the first reading, where the policy says read_receipt", b"<pictures." in told)


def open_pdf(site: DemoSite, person: Visitor, seen: Seen) -> None:
    """Have a message sent as an encrypted PDF, look its password up in the portal, open it."""
    site.gateway("set", "otp_enabled", "true", "--user", ANNA)
    site.send(mails.secret(mails.plain(datetime.now(UTC))), [ANNA])
    cover = message_from_bytes(site.left(ANNA, b"application/pdf"), policy=default)
    assert isinstance(cover, EmailMessage)
    [pdf] = [part for part in cover.iter_attachments() if part.get_content_type() == "application/pdf"]
    page = person.open(f"{site.url}/pdfs/{str(pdf.get_filename()).removesuffix('.pdf')}")
    password = re.search(r"\b(?:[2-9a-z]{4}-){4}[2-9a-z]{4}\b", page.text)
    seen("the portal shows the password of a PDF", password is not None)
    with pikepdf.open(io.BytesIO(pdf.get_content()), password=password[0] if password else "") as opened:
        seen("the PDF opens with it", len(opened.pages) == 1)


def _is_message(url: str) -> bool:
    parts = urlsplit(url).path.strip("/").split("/")
    return len(parts) == 2 and parts[0] == "message"


class Seen:
    """Counts what held and what didn't, and prints each."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    @property
    def good(self) -> bool:
        return self.passed > 0 and not self.failed

    def __call__(self, what: str, held: bool) -> None:
        self.passed, self.failed = self.passed + held, self.failed + (not held)
        click.echo(f"{click.style('ok  ', fg='green') if held else click.style('FAIL', fg='red')}  {what}")
