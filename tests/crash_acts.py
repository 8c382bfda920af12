"""What people and messenger-pdfotp do, each as a process that stops itself first, for somebody to say when it dies.

NAME NUMBER HOME        the act, whose it is, the folder of everything
"""

from __future__ import annotations

import io
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from messenger.accounts import Accounts, AddressTaken
from messenger.mailbox import Mailbox, mailbox_of
from messenger.passwords import Cost, Hasher
from messenger.pdf_spool import Spool
from messenger.reply_mail import Sender
from messenger.submission import Route, submit
from messenger_pdfotp.make import Wishes
from messenger_pdfotp.renderer import Rendered
from messenger_pdfotp.work import Bench, work
from messenger_reader import drafts, sending
from messenger_reader.drafts import Draft
from messenger_reader.mails import ARCHIVE, INBOX, Mails
from messenger_reader.post import Post

from .pdf_fixtures import SITE

OWN, PASSWORD = "anna@partner.example", "three plain blue doors"
KEY = bytes(range(32))
#: Later than the index may go without a look at the folder.
AFTER_SECONDS = 120


@dataclass(frozen=True)
class Place:
    """Where one act happens: each has files of its own."""

    home: Path
    number: int

    @property
    def address(self) -> str:
        return f"anna{self.number}@partner.example"

    @property
    def mailbox(self) -> Mailbox:
        return mailbox_of(self.home / "mail", self.address)

    def mails(self, after: int = 0) -> Mails:
        return Mails(self.mailbox, self.home / "cache", self.address, lambda: time.time() + after)

    @property
    def accounts(self) -> Accounts:
        return Accounts(self.home / "accounts.sqlite", hasher=Hasher(Cost(memory_kib=64, passes=1, lanes=1)))

    @property
    def spool(self) -> Spool:
        return Spool(self.home / f"pdf{self.number}")

    @property
    def sendmail(self) -> Route:
        return Route((str(self.home / "sendmail"),))

    @property
    def draft(self) -> Draft:
        return Draft(id=f"{self.number:032x}", to="bob@example.com", subject="Yes", text=f"Number {self.number}.")


def send(place: Place) -> None:
    """Press Send in a draft that was saved before; what became of it goes into a file."""
    sending.WAIT_SECONDS = 0.0
    post = Post(
        "Example", "webmail@example.com", "example.com", 10_000_000,
        lambda raw, mail_from, rcpt_tos: submit(raw, mail_from, rcpt_tos, place.sendmail),
    )  # fmt: skip
    [kept, *_] = [*drafts.states(place.mailbox, place.draft.id), ""]
    mail = place.draft.outgoing(Sender(place.address), "example.com", 1_800_000_000)
    writer = sending.Writer(place.address, place.mailbox, place.mails())
    outcome = sending.send(post, writer, place.draft, kept, mail, post.sealed(mail), 1_800_000_000)
    (place.home / f"outcome{place.number}").write_text(outcome.what)


def archive(place: Place) -> None:
    """Put all mail of the inbox into the archive."""
    names = [entry.name for entry in place.mailbox.list(INBOX)]
    place.mails().page(INBOX)
    place.mails().moved(names, ARCHIVE, INBOX)


def read(place: Place) -> None:
    """List the inbox, and mark all of it as read."""
    names = [row.name for row in place.mails().page(INBOX).rows]
    place.mails().flagged(names, "S", "", INBOX)


def remove(place: Place) -> None:
    """Remove all mail of the inbox for good."""
    names = [row.name for row in place.mails().page(INBOX).rows]
    place.mails().removed(names, INBOX)


def sign_up(place: Place) -> None:
    """Open an account."""
    try:
        place.accounts.sign_up(place.address, PASSWORD, "192.0.2.1", 1_800_000_000)
    except AddressTaken:
        return  # as the page says when somebody presses twice


class _Blank:
    """A renderer that costs nothing."""

    content = b""

    def render(self, _html: str, _css: str, _identifier: str) -> Rendered:
        return Rendered(io.BytesIO(self.content).getvalue(), 1)


def make_pdf(place: Place) -> None:
    """Do all that is due in the spool."""
    renderer = _Blank()
    renderer.content = (place.home / "blank.pdf").read_bytes()
    bench = Bench(
        site=SITE, key=KEY, symbols=20, wishes=Wishes(), tries=9, renderer=renderer,  # type: ignore[arg-type]
        submit=lambda mail, to: submit(mail, SITE.notice_from, (to,), place.sendmail), tell=lambda *_: None,
    )  # fmt: skip
    for pdf_id in place.spool.due(int(time.time())):
        with place.spool.claim(pdf_id) as claim:
            if claim:
                work(claim, bench, int(time.time()))


ACTS = {act.__name__: act for act in (send, archive, read, remove, sign_up, make_pdf)}


def main() -> None:
    name, number, home = sys.argv[1:]
    os.kill(os.getpid(), signal.SIGSTOP)
    ACTS[name](Place(Path(home), int(number)))
