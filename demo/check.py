"""Walk through the demo as a recipient would, over HTTP, and say what was seen."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from .site import DemoFailed, DemoSite
from .visitor import Page, Visitor

PASSWORD = "a long walk by the sea"
#: One sentence of each mail that only its reader can see.
SENTENCES = ("Your number is 4711-0815", "before they are published", "添付の書類をご確認ください")


def walk(site: DemoSite, notices: list[bytes]) -> bool:
    """Do what a recipient does; True when everything held. Prints a line for each thing checked."""
    seen = Seen()
    person = Visitor()
    link = site.link_in(notices[0])
    try:
        seen("three notices left through Postfix", len(notices) == 3)
        seen("no notice holds what the mail says", not any(b"4711" in notice for notice in notices))
        seen("without log-in the inbox is closed", "/login" in Visitor().open(site.url + "/").url)
        inbox = sign_up(person, link)
        seen("the notice's link leads to sign-up, and sign-up to the inbox", inbox.status == 200)
        messages = [url for url in dict.fromkeys(inbox.links) if _is_message(url)]
        seen("the inbox lists three messages", len(messages) == 3)
        read_all(person, messages, seen)
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
