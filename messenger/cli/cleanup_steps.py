"""What ``messenger cleanup`` takes away, step by step. Each step may be cut short anywhere: the next run goes on.

*now* is in Unix seconds. With *dry* nothing is removed, and counted what would be.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .. import cache_folder, pdf_record, preferences
from ..accounts import Account, Accounts
from ..config import Config
from ..errors import MessengerError
from ..mailbox import TRASH, Mailbox, finish_removals, mailbox_of, mailboxes
from . import status

DAY_SECONDS = 86_400
#: So often, in seconds, a long run says how far it is.
PROGRESS_SECONDS = 10.0
#: None is owed for longer, so nothing of it is under way.
RECEIPT_DAYS = 10
#: So many messages go at a time: each time the folder waits for the disk once.
MESSAGES = 500


@dataclass
class Cleanup:
    """One run: what it works with, what it has done, and what went wrong."""

    config: Config
    accounts: Accounts
    now: int
    #: Who cleans up, as the audit keeps it.
    by: str
    dry: bool
    say: Callable[[str], None]
    #: How many of each kind were removed, or would be.
    counts: dict[str, int] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    #: Whose accounts were deleted, each with the phrase of its owner, who is to be told.
    deleted: list[tuple[Account, str]] = field(default_factory=list)
    _said: float = 0.0

    def run(self) -> None:
        """Take all steps. What fails for one mailbox or account keeps nobody else's from being cleaned up."""
        self.counts = dict.fromkeys(KINDS, 0)
        self._said = time.monotonic()
        if not self.dry:
            with self._attempt("what a crash left of removed mailboxes"):
                finish_removals(self.config.mail.root)
        # Accounts first: mailboxes and caches without one are seen in the same run.
        self._unused_accounts()
        with self._attempt(str(self.config.mail.root)):
            for number, address in enumerate(mailboxes(self.config.mail.root)):
                self._progress(f"{number} mailboxes looked through, {self._messages()} messages")
                with self._attempt(address):
                    self._mailbox(address)
        with self._attempt(str(self.config.reader.cache)):
            self._caches()
        self._audit()
        self.counts["expired"] = self.accounts.expired(self.now) if self.dry else self.accounts.forget_expired(self.now)

    def _unused_accounts(self) -> None:
        before = self._before(self.config.accounts.unused_days)
        for account in self.accounts.unused(before) if before else ():
            self._progress(f"{self.counts['accounts']} unused accounts")
            phrase = preferences.read(mailbox_of(self.config.mail.root, account.address).root.parent).phrase
            if self.dry or self.accounts.delete_unused(account.id, before, self.by, self.now):
                self.counts["accounts"] += 1
                self.deleted.append((account, phrase))

    def _mailbox(self, address: str) -> None:
        mailbox, mail = mailbox_of(self.config.mail.root, address), self.config.mail
        for folder in mailbox.folders():
            days = mail.trash_days if folder == TRASH else mail.retention_days
            if before := self._before(days):
                kind = "trash" if folder == TRASH else "messages"
                self.counts[kind] += self._old_mail(mailbox, folder, before)
        if not self.dry:
            self._receipts(mailbox)
        if before := self._before(self.config.pdf.password_days):
            self._pdfs(mailbox, before)
        # Who was invited may open an account for as long as the link is good.
        before = self._before(self.config.notice.link_days)
        if self.accounts.find(address):
            return
        if mailbox.is_abandoned(before) if self.dry else mailbox.remove_if_empty(before, self.now):
            self.counts["mailboxes"] += 1

    def _old_mail(self, mailbox: Mailbox, folder: str, before: int) -> int:
        names = mailbox.older(folder, before, by_move=folder == TRASH)
        if self.dry:
            return len(names)
        removed = 0
        for start in range(0, len(names), MESSAGES):
            removed += len(mailbox.remove_all(names[start : start + MESSAGES], folder))
            self._progress(f"{self._messages() + removed} messages")
        return removed

    def _receipts(self, mailbox: Mailbox) -> None:
        """What is written down of read receipts (docs/reader.md) goes with its message, but not while that moves."""
        old = self._before(RECEIPT_DAYS)
        kept = {path.stem: path for path in (mailbox.root.parent / "receipts").glob("[!.]*.json")}
        kept = {name: path for name, path in kept.items() if path.stat().st_mtime < old}
        folders = mailbox.folders() if kept else []
        there = {entry.name for folder in folders for entry in mailbox.list(folder)}
        for name in kept.keys() - there:
            if mailbox.find(name, folders) is None:
                kept[name].unlink(missing_ok=True)

    def _pdfs(self, mailbox: Mailbox, before: int) -> None:
        """What is known of a PDF goes when its password is shown no more and its mail is gone."""
        folder = mailbox.root.parent
        old = [record for record in pdf_record.every(folder) if record.created < before]
        folders = mailbox.folders() if old else []
        there = {entry.name for name in folders for entry in mailbox.list(name)} if old else set()
        for record in old:
            if record.name not in there and mailbox.find(record.name, folders) is None:
                self.counts["pdfs"] += 1
                if not self.dry:
                    pdf_record.forget(folder, record)
        if not self.dry:
            pdf_record.remove_leftovers(folder, self.now)

    def _caches(self) -> None:
        """A cache without an account: of one that was deleted on another machine, or in a run that was killed."""
        for folder in cache_folder.orphans(self.config.reader.cache, self.accounts.addresses()):
            with self._attempt(str(folder)):
                if not self.dry:
                    cache_folder.remove_folder(folder)
                self.counts["caches"] += 1

    def _audit(self) -> None:
        if before := self._before(self.config.accounts.audit_days):
            count = self.accounts.prunable if self.dry else lambda end: self.accounts.prune(end, self.by, self.now)
            self.counts["audit"] = count(before)

    def _messages(self) -> int:
        return self.counts["messages"] + self.counts["trash"]

    def _before(self, days: int) -> int:
        """The moment so many days ago; 0 for never."""
        return max(1, self.now - days * DAY_SECONDS) if days else 0

    def _progress(self, text: str) -> None:
        if time.monotonic() - self._said >= PROGRESS_SECONDS:
            self._said = time.monotonic()
            self.say(text)

    @contextmanager
    def _attempt(self, what: str) -> Iterator[None]:
        try:
            yield
        except MessengerError as error:
            self.troubles.append(f"{what}: {error}")
        except OSError as error:
            self.troubles.append(f"{what}: {status.of_os_error(error)[1]}")


#: In the order they are told; what each is called.
KINDS = {
    "messages": "messages older than [mail] retention_days",
    "trash": "messages in the trash for longer than [mail] trash_days",
    "pdfs": "records of PDFs older than [pdf] password_days, without their message",
    "accounts": "accounts not used for [accounts] unused_days",
    "mailboxes": "empty mailboxes without an account",
    "caches": "caches without an account",
    "audit": "lines of the audit older than [accounts] audit_days",
    "expired": "sessions, links, failed log-ins and networks that count no more",
}
