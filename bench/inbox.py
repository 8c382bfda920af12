"""What the inbox costs, and to move mails out of it, with 1,000, 10,000 and 100,000 messages: `python -m bench.inbox`.

Pages are asked for through the whole app, without a network in between. The mailboxes are made below a temporary folder
and hold small mails; times are the best of several.
"""

import argparse
import logging
import os
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from messenger.mailbox import Mailbox
from tests.mail_pages_fixtures import logged_in, mailbox_at
from tests.reader_fixtures import portal

from .growth import Cost, Operation, table, taken
from .load import folder

SIZES = (1_000, 10_000, 100_000)
LISTED = "the folder is listed"
OPERATIONS = (
    Operation("first page ever", "each mail gets a row, once", rounds=1),
    Operation("first page, warm"),
    Operation("page in the middle, never seen", rounds=1),
    Operation("page in the middle, warm"),
    Operation("a message"),
    Operation("a delivery"),
    Operation("first page after a new mail"),
    Operation("first page after a foreign change", LISTED),
    Operation("fifty moved to the archive"),
    Operation("fifty moved back", rounds=1),
    Operation("first page after that"),
    Operation("fifty starred"),
    Operation("how full it is, asked of the Maildir"),
    Operation("first page without a cache", LISTED),
)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="to 10,000 messages")
    sizes = SIZES[: 2 if options.parse_args().quick else None]
    with folder() as home:
        people = {size: Person(home / str(size), size) for size in sizes}
        return 0 if table("A mailbox of so many messages", people, OPERATIONS) else 1


class Person:
    """Somebody logged in, with *count* messages."""

    def __init__(self, home: Path, count: int) -> None:
        home.mkdir()
        self._home = home
        self._site = portal(home)
        self._site.clock.now = 4e9  # far from every file's date: no time stamp is too fresh to be trusted
        self._browser = logged_in(self._site)
        self._mailbox = mailbox_at(self._site)
        names = fill(self._mailbox, count, mail)
        self._read, self._flipped = names[7], names[5]
        self._undo = ""
        self._middle = f"/?older={1_700_000_000 + count // 2}-x"

    def step(self, name: str) -> Cost:
        """One of OPERATIONS."""
        path = "/"
        if name == "a delivery":
            raw = mail(next(serial))
            return taken(lambda: self._mailbox.deliver(raw, sha256(raw).hexdigest()))
        if name.startswith("how full"):
            return taken(lambda: self._mailbox.usage(10**12, 4e9))
        if "middle" in name:
            path = self._middle
        elif name == "a message":
            path = f"/message/{self._read}"
        elif name == "first page after a new mail":
            deliver(self._mailbox)
        elif name == "first page after a foreign change":
            flip(self._mailbox, self._flipped)
        elif name == "first page without a cache" and (self._home / "cache").is_dir():
            logging.disable(logging.WARNING)
            shutil.rmtree(self._home / "cache")
            (self._home / "cache").write_text("in the way")
        form = self._form(name)

        def ask() -> None:
            if form:
                answer = self._browser.post(form[0], base_url=self._site.base, headers=self._site.headers, data=form[1])
            else:
                answer = self._site.get(self._browser, path)
            assert answer.status_code == (303 if form else 200)
            if form:
                self._undo = answer.location.rpartition("=")[2]

        return taken(ask)

    def _form(self, name: str) -> tuple[str, dict[str, str | list[str]]] | None:
        """Where a step posts to and what, if it does."""
        if name == "fifty moved back":
            return "/undo", {"token": self._undo}
        if not name.startswith("fifty"):
            return None
        page = self._site.get(self._browser, "/").text
        names = re.findall(r'name="name" value="([^"]+)"', page)
        assert len(names) == 50
        return "/act", {"do": "star" if "star" in name else "archive", "name": names, "folder": "", "back": "/"}


def fill(mailbox: Mailbox, count: int, mail: Callable[[int], bytes]) -> list[str]:
    """Oldest first. Written past Mailbox.deliver, which waits for the disk each time."""
    mailbox.deliver(b"Subject: x\r\n\r\n", "0" * 64)
    names = []
    for at in range(count):
        raw = mail(at)
        name = sha256(raw).hexdigest()
        path = mailbox.root / "cur" / f"{name}:2,S"
        path.write_bytes(raw)
        os.utime(path, (1_700_000_000 + at, 1_700_000_000 + at))
        names.append(name)
    return names


def mail(at: int) -> bytes:
    words = f"Dear Anna, this is number {at}. " * 20
    return f"From: Sender {at} <s{at}@example.org>\r\nSubject: Number {at}\r\n\r\n{words}\r\n".encode()


serial = iter(range(10**9, 2 * 10**9))


def deliver(mailbox: Mailbox) -> None:
    raw = mail(next(serial))
    mailbox.deliver(raw, sha256(raw).hexdigest())


def flip(mailbox: Mailbox, name: str) -> None:
    mailbox.flag(name, remove="S")
    mailbox.flag(name, add="S")


if __name__ == "__main__":
    raise SystemExit(main())
