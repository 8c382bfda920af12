"""Pages of the reader beside those of Roundcube over Dovecot, of the same 10,000 messages: `python -m bench.pages`.

Both stand behind one nginx on loopback and show one Maildir to one person, logged in, who asks for one thing after
the other, in turns. What is counted is the time until the last byte of the answer, and of every further answer that a
browser needs for the same content: Roundcube's page of the inbox comes without messages, which a second call brings;
our message with formatting comes with a frame. Style sheets, scripts and pictures are not counted. Each message is
opened for the first time on either side.
"""

from __future__ import annotations

import argparse
import http.client
import imaplib
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

from messenger import link
from messenger.mailbox import Mailbox, mailbox_of
from tests.reader_fixtures import KEY, settings_for

from . import roundcube
from .load import folder

ADDRESS = "anna@partner.example"
PASSWORD = "three plain blue doors"
MESSAGES = 10_000
#: The promise: at most this share of Roundcube's time, at the median and at the 95th percentile.
SHARE = 0.5
ROUNDS, QUICK_ROUNDS = 100, 30
WARM_UP = 3
#: A connection that was idle for longer isn't used again.
IDLE_SECONDS = 20.0
#: sysexits.h: something we need isn't there.
EX_UNAVAILABLE = 69


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = QUICK_ROUNDS if options.parse_args().quick else ROUNDS
    if lacking := roundcube.missing():
        print(f"not measured: please run: apt-get install --no-install-recommends {' '.join(lacking)}")
        return EX_UNAVAILABLE
    with folder() as home:
        (home / "mail").mkdir()
        names = fill(mailbox_of(home / "mail", ADDRESS))
        with both(home, names) as steps:
            return report(steps, rounds)


#: A step takes a number, different each time, and returns once everything is there.
Step = Callable[[int], None]


def report(steps: dict[str, tuple[Step, Step]], rounds: int) -> int:
    held = True
    print(f"{'milliseconds: median, 95 %':40}{'messenger':>16}{'Roundcube':>16}{'share':>14}")
    for name, pair in steps.items():
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds + WARM_UP):
            for step, taken in zip(pair, times, strict=True):
                start = time.perf_counter()
                step(number)
                taken.append((time.perf_counter() - start) * 1000)
        ours, theirs = ((statistics.median(one[WARM_UP:]), _late(one[WARM_UP:])) for one in times)
        shares = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        held = held and max(shares) <= SHARE
        figures = "".join(f"{f'{middle:.1f} {late:.1f}':>16}" for middle, late in (ours, theirs))
        print(f"{name:40}{figures}{f'{shares[0]:.2f} {shares[1]:.2f}':>14}", flush=True)
    print(f"\nPromised: at most {SHARE} of Roundcube's time, at the median and the 95th percentile.")
    return 0 if held else 1


def _late(times: list[float]) -> float:
    return statistics.quantiles(times, n=20, method="inclusive")[-1]


@dataclass(frozen=True)
class Ports:
    """Where they answer: each behind nginx, and the one's IMAP server."""

    ours: int
    theirs: int
    imap: int


@contextmanager
def servers(home: Path) -> Iterator[Ports]:
    """Run reader and Roundcube over the mail below *home*."""
    front, back = roundcube.free_port(), roundcube.free_port()
    settings_for(home, portal=f"http://localhost:{front}", reader=f'listen = "127.0.0.1:{back}"')
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody:nogroup", home / "mail"], check=True)
    command = [sys.executable, "-c", "from messenger_reader.service import main; main()"]
    with (home / "reader.log").open("wb") as log:
        reader = subprocess.Popen([*command, "--config", home / "messenger.toml"], stdout=log, stderr=log)
    try:
        with roundcube.running(home / "roundcube", home / "mail", ours=front, reader=back) as ports:
            roundcube.wait_for(back, home / "reader.log")
            yield Ports(front, ports.web, ports.imap)
    finally:
        reader.terminate()
        reader.wait(30)


@contextmanager
def both(home: Path, names: list[str]) -> Iterator[dict[str, tuple[Step, Step]]]:
    """Run reader and Roundcube; yields what to compare."""
    with servers(home) as ports:
        ours, rival = Reader(ports.ours), Roundcube(ports.theirs)
        plain, formatted = (uids(ports.imap, kind) for kind in KINDS)
        print(f"{MESSAGES:,} messages read for our search, once: {ours.index():.1f} s; Dovecot reads at each search")
        yield {
            "inbox": (lambda _: ours.inbox(), lambda _: rival.inbox()),
            "next page of the list": (lambda _: ours.next_page(), lambda _: rival.next_page()),
            "message, plain text": (lambda at: ours.message(names[2 * at]), lambda at: rival.message(plain[at])),
            "message, with formatting": (
                lambda at: ours.formatted(names[2 * at + 1]),
                lambda at: rival.message(formatted[at]),
            ),
            "search, found once": (
                lambda at: ours.search(f"case {at:05}", 1),
                lambda at: rival.search(f"case {at:05}", 1),
            ),
            "search, found in every message": (
                lambda _: ours.search("papers", 50),
                lambda _: rival.search("papers", 50),
            ),
        }


def uids(port: int, kind: str, address: str = ADDRESS) -> list[str]:
    """The numbers that IMAP has for messages of one of KINDS."""
    with imaplib.IMAP4("127.0.0.1", port, timeout=60) as client:
        client.login(address, roundcube.PASSWORD)
        client.select("INBOX", readonly=True)
        _, found = client.uid("SEARCH", "SUBJECT", kind)
        return bytes(found[0]).decode().split()


KINDS = ("Plain", "Formatted")


def fill(mailbox: Mailbox, messages: int = MESSAGES) -> list[str]:
    """Put *messages* into *mailbox*, of both KINDS in turn; return their names. Past the door, which syncs each."""
    mailbox.deliver(mail(messages), sha256(mail(messages)).hexdigest())
    names = []
    for at in range(messages):
        raw = mail(at)
        name = sha256(raw).hexdigest()
        path = mailbox.root / "cur" / f"{name}:2,S"
        path.write_bytes(raw)
        os.utime(path, (1_700_000_000 + at, 1_700_000_000 + at))
        names.append(name)
    return names


def mail(at: int) -> bytes:
    """A message of about 2 KB, unlike the others."""
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"] = f"Sender {at} <s{at}@example.org>", f"Anna Arendt <{ADDRESS}>"
    made["Subject"] = f"{KINDS[at % 2]} letter number {at}"
    made["Date"] = formatdate(1_700_000_000 + at)
    made["Message-ID"] = f"<{at}@example.org>"
    words = f"Dear Anna, this is about case {at:05}. " + "The papers are in order, and nothing is due. " * 20
    made.set_content(words)
    if at % 2:
        made.add_alternative(
            f"<h1>Case {at:05}</h1><p style='color: #333'>{words}</p><table><tr><td>1</td></tr></table>", "html"
        )
    return made.as_bytes()


class Visitor:
    """One browser: keeps its connection and its cookies."""

    def __init__(self, port: int, host: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._host = host
        self._cookies: dict[str, str] = {}
        self._asked = 0.0

    def ask(self, path: str, form: dict[str, str] | None = None, **fields: str) -> str:
        """Return the page; a redirect is followed, and anything but a page is an error."""
        if time.monotonic() - self._asked > IDLE_SECONDS:
            self._connection.close()  # nginx may be about to do so; the request opens it anew
        self._asked = time.monotonic()
        fields |= {"Host": self._host, "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if form is not None:
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request("POST" if form else "GET", path, urlencode(form) if form else None, fields)
        answer = self._connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        for cookie in answer.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        if answer.status in (302, 303):
            return self.ask(answer.headers["Location"])
        if answer.status != 200:
            raise RuntimeError(f"{path}: expected a page, found {answer.status}: {text[:200]}")
        return text


class Reader:
    """Somebody logged in at our reader."""

    def __init__(self, port: int, address: str = ADDRESS) -> None:
        self._browser = Visitor(port, f"localhost:{port}")
        page = self._browser.ask(f"/l/{link.token(KEY, address, int(time.time()))}")
        token = re.search(r'name="token" value="([^"]+)"', page)
        form = {"token": token[1] if token else "", "password": PASSWORD, "again": PASSWORD}
        page = self._browser.ask("/signup", form, **{"Sec-Fetch-Site": "same-origin"})
        older = re.search(r'href="(/\?older=[^"]+)"', page)
        self._older = older[1] if older else ""

    def inbox(self) -> None:
        expect(self._browser.ask("/").count('class="pick"'), 50)

    def next_page(self) -> None:
        expect(self._browser.ask(self._older).count('class="pick"'), 50)

    def message(self, name: str) -> None:
        expect("Dear Anna" in self._browser.ask(f"/message/{name}"), True)

    def formatted(self, name: str) -> None:
        expect("<iframe" in self._browser.ask(f"/message/{name}"), True)
        expect("Dear Anna" in self._browser.ask(f"/message/{name}/body"), True)

    def search(self, words: str, hits: int) -> None:
        expect(self._browser.ask(f"/search?{urlencode({'q': words})}").count('class="pick"'), hits)

    def index(self) -> float:
        """Search until every message has been read for it once; return the seconds that took."""
        start = time.perf_counter()
        while "searched so far" in self._browser.ask("/search?q=nothing"):
            time.sleep(0.2)
        return time.perf_counter() - start


class Roundcube:
    """The same person logged in at Roundcube."""

    def __init__(self, port: int, address: str = ADDRESS) -> None:
        self._browser = Visitor(port, f"localhost:{port}")
        page = self._browser.ask("/?_task=login")
        token = re.search(r'name="_token" value="([^"]+)"', page)
        form = {"_token": token[1] if token else "", "_task": "login", "_action": "login"}
        page = self._browser.ask(
            "/?_task=login", form | {"_user": address, "_pass": roundcube.PASSWORD, "_timezone": "UTC"}
        )
        request = re.search(r'"request_token":"([^"]+)"', page)
        self._ajax = {"X-Requested-With": "XMLHttpRequest", "X-Roundcube-Request": request[1] if request else ""}

    def inbox(self) -> None:
        """The page, and the call that its script makes to fill it."""
        self._browser.ask("/?_task=mail&_mbox=INBOX")
        self._list(1)

    def next_page(self) -> None:
        self._list(2)

    def message(self, uid: str) -> None:
        """As in the pane beside the list: less than the whole page of a message."""
        page = self._browser.ask(f"/?_task=mail&_action=preview&_framed=1&_mbox=INBOX&_uid={uid}")
        expect("Dear Anna" in page, True)

    def search(self, words: str, hits: int) -> None:
        """In the whole of each message, as ours does; its script makes this call, and the page stays."""
        asked = {"_q": words, "_headers": "text", "_filter": "ALL", "_scope": "base", "_mbox": "INBOX", "_remote": "1"}
        page = self._browser.ask(f"/?_task=mail&_action=search&{urlencode(asked)}", **self._ajax)
        expect(page.count("add_message_row"), hits)

    def _list(self, page: int) -> None:
        path = f"/?_task=mail&_action=list&_mbox=INBOX&_page={page}&_remote=1&_unlock=loading"
        expect(self._browser.ask(path, **self._ajax).count("add_message_row"), 50)


def expect(found: object, wanted: object) -> None:
    """A page that lacks what it should show was not measured."""
    if found != wanted:
        raise RuntimeError(f"expected {wanted!r}, found {found!r} on a page")


if __name__ == "__main__":
    raise SystemExit(main())
