"""What the inbox costs, and to move mails out of it, with 1,000 and with 100,000 messages: `python -m bench.inbox`.

Pages are asked for through the whole app, without a network in between. The mailboxes are made below a temporary folder
and hold small mails; times are the best of several.
"""

import argparse
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from time import perf_counter

from messenger.mailbox import Mailbox
from tests.mail_pages_fixtures import logged_in, mailbox_at
from tests.reader_fixtures import portal

FEW, MANY = 1_000, 100_000
#: The promise: a page of the large mailbox costs at most this many times a page of the small one.
LIMIT = 1.5


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="20,000 messages instead of 100,000")
    many = 20_000 if options.parse_args().quick else MANY
    with tempfile.TemporaryDirectory() as folder:
        sizes = (FEW, many)
        people = [Person(Path(folder) / str(count), count) for count in sizes]
        print(f"{'milliseconds':36}{FEW:>12,}{many:>12,}{'ratio':>9}")
        for name in STEPS:
            # In turns, so that a busy moment of the machine hits both.
            times = [[person.step(name) for person in people] for _ in range(1 if name in ONCE else TIMES)]
            few, lots = (min(column) for column in zip(*times, strict=True))
            print(f"{name:36}{few:12.1f}{lots:12.1f}{lots / few:9.2f}", flush=True)
            if name == PROMISED:
                ratio = lots / few
    print(f"\nA page of {many:,} costs {ratio:.2f} of a page of {FEW:,}; promised: at most {LIMIT}.")
    return 0 if ratio <= LIMIT else 1


PROMISED = "first page, warm"
ONCE = {"first page ever", "page in the middle, never seen", "fifty moved back"}
TIMES = 7
STEPS = [
    "first page ever",
    PROMISED,
    "page in the middle, never seen",
    "page in the middle, warm",
    "a message",
    "first page after a new mail",
    "first page after a foreign change",
    "fifty moved to the archive",
    "fifty moved back",
    "first page after that",
    "fifty starred",
    "first page without a cache",
]


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

    def step(self, name: str) -> float:
        """Milliseconds for one of STEPS."""
        path = "/"
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
        start = perf_counter()
        if form:
            answer = self._browser.post(form[0], base_url=self._site.base, headers=self._site.headers, data=form[1])
        else:
            answer = self._site.get(self._browser, path)
        taken = (perf_counter() - start) * 1000
        assert answer.status_code == (303 if form else 200)
        if form:
            self._undo = answer.location.rpartition("=")[2]
        return taken

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
