"""What one person's mail costs beside 1,000 other mailboxes and beside 100,000: `python -m bench.tree [--quick]`.

All in one domain, which is the worst case, each with one message; the intake's ledger knows as many mails. Mail goes
through the whole intake, from the tunnel mail's bytes to the notice, which a program that does nothing takes; pages
through the whole reader, without a network. The tree is made past the door, which would sync it all.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from messenger import config as settings
from messenger.accounts import Accounts
from messenger.cli.cleanup_steps import Cleanup
from messenger.envelope import Envelope
from messenger.mailbox import mailbox_of, mailboxes
from messenger.maildir import DIRECTORY_MODE
from messenger.submission import Relay, Route
from messenger_milter.intake import take_in
from messenger_milter.service import announcer_of, desk_of
from messenger_milter.verdicts import KEPT
from tests.mail_pages_fixtures import logged_in
from tests.milter_fixtures import SENDER, TUNNEL, Site
from tests.reader_fixtures import PASSWORD, portal

from .growth import Cost, Operation, best, table, taken
from .load import KB, folder, original

SIZES = (1_000, 10_000, 100_000)
DOMAIN = "partner.example"
#: So often in a row; the best counts.
TIMES = 5

#: What is timed, once everything it needs is there.
Work = Callable[[], object]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure how a tree of mailboxes grows.")
    parser.add_argument("--quick", action="store_true", help="to 10,000 mailboxes")
    sizes = SIZES[: 2 if parser.parse_args(arguments).quick else None]
    with folder() as home:
        places = {size: Tree(home / str(size), size) for size in sizes}
        return 0 if table("One mailbox beside so many", places, OPERATIONS) else 1


#: What is measured, and the method of Tree that lays it out.
STEPS = {
    "a tunnel mail for somebody who has mail": "known",
    "a tunnel mail for somebody new": "new",
    "a tunnel mail for ten": "ten",
    "the same tunnel mail again": "again",
    "a delivery alone": "delivery",
    "an inbox page after a new mail": "page",
    "a log-in": "log_in",
    "a mailbox removed": "removal",
}
#: What takes everybody, once a day or by hand: the cost for each.
PER_MAILBOX = {"everybody in the list, each": "listed", "everybody cleaned up, each": "cleaned"}

OPERATIONS = (*map(Operation, STEPS), *(Operation(name, rounds=2) for name in PER_MAILBOX))


class Tree:
    """A mail root with *count* mailboxes, and an intake and a reader for it."""

    def __init__(self, home: Path, count: int) -> None:
        home.mkdir()
        self._count = count
        self._site = Site(home / "intake", sendmail=("/bin/true",))
        self._root = self._site.mail_root
        config = settings.load(self._site.settings)
        self._desk = desk_of(config, announcer_of(config, Relay(Route(sendmail=config.notice.sendmail, smtp=""))))
        (home / "reader").mkdir()
        (home / "reader" / "mail").symlink_to(self._root)
        self._portal = portal(home / "reader")
        self._serial = itertools.count()
        self._people = itertools.cycle([f"person{at * count // 60}@{DOMAIN}" for at in range(60)])
        self._fill()
        self._anna = next(self._people)
        self._browser = logged_in(self._portal, self._anna)

    def step(self, name: str) -> Cost:
        """The best of some."""
        if name in PER_MAILBOX:
            return best([taken(getattr(self, PER_MAILBOX[name]))], each=self._count)
        prepare: Callable[[], Work] = getattr(self, STEPS[name])
        return best(taken(prepare()) for _ in range(TIMES))

    def known(self) -> Work:
        return self._taking_in(next(self._people))

    def new(self) -> Work:
        return self._taking_in(self._somebody_new())

    def ten(self) -> Work:
        return self._taking_in(*(next(self._people) for _ in range(10)))

    def again(self) -> Work:
        work = self._taking_in(next(self._people))
        work()
        return work

    def delivery(self) -> Work:
        raw, mailbox = original(10 * KB, next(self._serial)), mailbox_of(self._root, next(self._people))
        return lambda: mailbox.deliver(raw, sha256(raw).hexdigest())

    def page(self) -> Work:
        raw = original(KB, next(self._serial))
        mailbox_of(self._root, self._anna).deliver(raw, sha256(raw).hexdigest())
        return lambda: self._page()

    def log_in(self) -> Work:
        browser = self._portal.browser()
        return lambda: self._portal.log_in(browser, self._anna, PASSWORD)

    def removal(self) -> Work:
        address = self._somebody_new()
        self._taking_in(address)()
        return mailbox_of(self._root, address).delete

    def listed(self) -> None:
        for address in mailboxes(self._root):
            box = mailbox_of(self._root, address)
            assert all(box.list(name) is not None for name in box.folders())

    def cleaned(self) -> None:
        config = settings.load(self._portal.home / "messenger.toml")
        accounts = Accounts(config.accounts.database)
        run = Cleanup(config, accounts, int(self._portal.clock.now), "admin:bench", True, lambda _: None)
        run.run()
        accounts.close()
        assert not run.troubles

    def _page(self) -> None:
        assert self._portal.get(self._browser, "/").status_code == 200

    def _taking_in(self, *to: str) -> Work:
        number = next(self._serial)
        raw = self._site.tunnel_mail(original(10 * KB, number), to)
        envelope = Envelope(SENDER, (TUNNEL,), f"{number:X}")

        def work() -> None:
            assert take_in(envelope, raw, self._desk).verdict == KEPT

        return work

    def _somebody_new(self) -> str:
        return f"new{next(self._serial)}@{DOMAIN}"

    def _fill(self) -> None:
        raw = original(KB, 0)
        name = sha256(raw).hexdigest()
        (self._root / DOMAIN).mkdir()
        (self._root / DOMAIN).chmod(DIRECTORY_MODE)
        ledger = self._desk.ledger
        ledger.prepare()
        for at in range(self._count):
            person = self._root / DOMAIN / f"person{at}"
            maildir = person / "Maildir"
            for place in (person, maildir, maildir / "tmp", maildir / "new", maildir / "cur"):
                place.mkdir()
                place.chmod(DIRECTORY_MODE)
            (maildir / "new" / name).write_bytes(raw)
            ledger.enter(sha256(b"%d" % at).hexdigest(), f"person{at}@{DOMAIN}")
        ledger.sync()


if __name__ == "__main__":
    raise SystemExit(main())
