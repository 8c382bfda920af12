"""Look at every file when all is over: what must hold whatever failed. Each check returns what is wrong, in words."""

from __future__ import annotations

import hashlib
import re
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from email import message_from_bytes
from pathlib import Path

from messenger.envelope import domain_of
from messenger.mailbox import Mailbox, mailbox_of, mailboxes
from messenger.pdf_password import id_of
from messenger_milter.ledger import Ledger
from messenger_reader import index

from .house import House
from .people import ANSWERED, Person
from .plan import READERS
from .stream import Sent

#: Three trace fields of ours stand on top of each mail (docs/mailbox.md).
TRACE_LINES = 3
HOUR_SECONDS = 3600
DRAFT = re.compile(r"(?<!stamp)[.][0-9a-f]{16}(?:[.]part)?$")
#: More rows than any folder here has.
EVERYTHING = 1_000_000
#: Where people's own mail lies.
OWN = ("Sent", "Drafts")


class Found:
    """What lies where, read once: the mails by their numbers, what left through Postfix."""

    def __init__(
        self, house: House, sent: Iterable[Sent], people: Iterable[Person], kills: Iterable[float] = ()
    ) -> None:
        self.house = house
        self.sent = list(sent)
        self.people = list(people)
        #: When the milter was killed.
        self.kills = list(kills)
        self.root = house.config.mail.root
        by_checksum = {one.checksum: one.mail.number for one in self.sent if one.checksum}
        #: (number, address) -> how many copies; and the digest of each mail.
        self.copies: Counter[tuple[int, str]] = Counter()
        self.digests: dict[int, str] = {}
        self.strange: list[str] = []
        for address in mailboxes(self.root):
            mailbox = mailbox_of(self.root, address)
            for folder, name, raw in _mails(mailbox):
                number = by_checksum.get(_checksum(raw))
                if number is None:
                    self.strange.append(f"{address}: {folder or 'INBOX'}/{name} is no mail that was sent")
                else:
                    self.copies[number, address] += 1
                    self.digests[number] = name
        #: Message-ID -> the queue ids it left under.
        self.left: dict[str, set[str]] = {}
        self.bodies: dict[str, list[bytes]] = {}
        self.read_caught()

    def read_caught(self) -> None:
        """Read once more what has left."""
        self.left.clear()
        self.bodies.clear()
        for caught in self.house.postfix.caught():
            mail = message_from_bytes(caught.raw)
            queue_id = re.search(r"\bid ([0-9A-Za-z]+)", str(mail["Received"]) or "")
            # Postfix's own virtual(8), killed in the middle, delivers twice; one queue id is one mail of ours.
            self.left.setdefault(str(mail["Message-ID"]), set()).add(queue_id[1] if queue_id else "")
            self.bodies.setdefault(caught.rcpt_to, []).append(caught.raw)

    def accepted(self) -> Iterator[tuple[Sent, str]]:
        """Each mail that was taken, with each of its recipients."""
        for sent in self.sent:
            if sent.checksum and sent.code == 250:
                for address in sent.mail.rcpt_tos:
                    yield sent, address


def every_mail_was_answered(found: Found) -> list[str]:
    return [
        f"mail {one.mail.number} ({one.mail.kind} {one.mail.hostile}): expected {expected}, found {one.code} after"
        f" {one.tries} tries: {dict(one.answers)}"
        for one in found.sent
        if one.code != (expected := 550 if one.mail.kind == "hostile" else 250)
        and not (one.mail.kind == "hostile" and one.code // 100 == 5)
    ]


def each_mail_is_in_each_mailbox_exactly_once(found: Found) -> list[str]:
    wrong = [
        f"mail {sent.mail.number} for {address}: expected one copy, found {found.copies[sent.mail.number, address]}"
        for sent, address in found.accepted()
        if found.copies[sent.mail.number, address] != 1
    ]
    meant = {(sent.mail.number, address) for sent, address in found.accepted()}
    return wrong + [
        f"mail {number} lies with {address}, whom it isn't for" for number, address in found.copies.keys() - meant
    ]


def no_refused_mail_left_a_trace(found: Found) -> list[str]:
    meant = {address for _, address in found.accepted()} | set(READERS)
    strangers = [
        f"{address}: nobody wrote to that mailbox" for address in mailboxes(found.root) if address not in meant
    ]
    went = {ANSWERED, *meant}
    left = [f"{len(mails)} mails left for {to}" for to, mails in found.bodies.items() if to not in went]
    return found.strange + strangers + left


def each_recipient_has_one_or_two_notices(found: Found) -> list[str]:
    """Each kill of the milter between Postfix's queue and the ledger costs one more; a second one is rare."""
    domain = domain_of(found.house.config.notice.mail_from)
    wrong = []
    for sent, address in found.accepted():
        digest = found.digests.get(sent.mail.number, "")
        code = hashlib.sha256(f"{digest} {address}".encode()).hexdigest()[:32]
        notices = len(found.left.get(f"<{code}@{domain}>", ()))
        pdfs = len(found.left.get(f"<pdf.{id_of(digest, address)}@{domain}>", ())) if digest else 0
        due, other = (pdfs, notices) if sent.mail.kind == "pdf" else (notices, pdfs)
        hits = sum(any(began <= kill <= ended for began, ended in sent.spans) for kill in found.kills)
        if not 1 <= due <= 1 + max(1, hits) or other:
            wrong.append(
                f"mail {sent.mail.number} ({sent.mail.kind}) for {address}: expected 1 or 2, found {notices} notices"
                f" and {pdfs} PDFs after {dict(sent.answers)}"
            )
    return wrong


def the_ledger_has_what_was_taken_and_nothing_else(found: Found) -> list[str]:
    ledger = Ledger(found.house.config.intake.ledger)
    meant = list(found.accepted())
    missing = [
        f"mail {sent.mail.number} for {address}: no entry in the ledger"
        for sent, address in meant
        if not ledger.has(found.digests.get(sent.mail.number, "??"), address)
    ]
    entries = sum(1 for path in ledger.root.glob("[0-9a-f][0-9a-f]/*") if path.is_file())
    return missing + ([f"expected {len(meant)} entries, found {entries}"] if entries != len(meant) else [])


def nothing_half_done_is_older_than_an_hour(found: Found) -> list[str]:
    now = time.time()
    return [f"{path}: left behind" for path in leftovers(found.house) if now - path.stat().st_mtime > HOUR_SECONDS]


def leftovers(house: House) -> list[Path]:
    """What a crash has left of a file that was on its way to its place: all such bear a random part in their names."""
    config = house.config
    roots = (config.mail.root, config.intake.ledger, config.pdf.spool, config.reader.cache)
    return [
        path
        for root in roots
        for path in root.rglob("*")
        if DRAFT.search(path.name) and stat.S_ISREG(path.lstat().st_mode)
    ]


def the_index_is_what_the_maildir_holds(found: Found) -> list[str]:
    wrong = []
    for person in found.people:
        mailbox = mailbox_of(found.root, person.address)
        path = index.path_of(found.house.config.reader.cache, person.address)
        for folder in mailbox.folders():
            rows = index.use(path, lambda one, folder=folder: one.page(folder, EVERYTHING))  # type: ignore[misc]
            listed = {(row.name, row.flags) for row in rows.rows}
            there = {(entry.name, entry.flags) for entry in mailbox.list(folder)}
            where = f"{person.address}: {folder or 'INBOX'}"
            wrong += [f"{where}: {row} is listed and isn't there" for row in sorted(listed - there)[:5]]
            wrong += [f"{where}: {row} is there and isn't listed" for row in sorted(there - listed)[:5]]
            expected = len(there), sum("S" not in flags for _, flags in there)
            if (rows.total, rows.unread) != expected:
                wrong.append(f"{where}: expected {expected} in all and unread, counted {rows.total, rows.unread}")
    return wrong


def the_databases_are_sound(found: Found) -> list[str]:
    config = found.house.config
    wrong = []
    for path in (config.accounts.database, *config.reader.cache.rglob("*.sqlite")):
        with closing(sqlite3.connect(path)) as database:
            told = [row[0] for row in database.execute("PRAGMA integrity_check")]
            told += [str(row) for row in database.execute("PRAGMA foreign_key_check")]
        wrong += [f"{path}: {line}" for line in told if line != "ok"]
    return wrong


def each_answer_left_once_or_as_was_said(found: Found) -> list[str]:
    """What the page said has left, left once and lies in Sent; what it didn't say left once at most."""
    bodies = [mail.replace(b"=\n", b"") for mail in found.bodies.get(ANSWERED, [])]
    left: Counter[str] = Counter()
    for body in bodies:
        for words in re.findall(rb"Thank you [0-9a-f]{16}\.", body)[:1]:
            left[words.decode()] += 1
    wrong = []
    for person in found.people:
        kept = Counter(
            words.decode()
            for folder, _, raw in _mails(mailbox_of(found.root, person.address), OWN[:1])
            for words in re.findall(rb"Thank you [0-9a-f]{16}\.", raw)[:1]
        )
        for words, said in person.answers.items():
            if left[words] > 1 or kept[words] > 1 or (said == "left" and (left[words], kept[words]) != (1, 1)):
                wrong.append(
                    f"{person.address}: the page said {said} of {words!r}; {left[words]} left, {kept[words]} in Sent"
                )
    return wrong


def _mails(mailbox: Mailbox, only: Iterable[str] = ()) -> Iterator[tuple[str, str, bytes]]:
    folders = only or (folder for folder in mailbox.folders() if folder not in OWN)
    for folder in folders:
        for entry in mailbox.list(folder):
            yield folder, entry.name, mailbox.read(entry.name, folder)


def _checksum(raw: bytes) -> str:
    return hashlib.sha256(raw.split(b"\n", TRACE_LINES)[TRACE_LINES]).hexdigest()


CHECKS = (
    every_mail_was_answered,
    each_mail_is_in_each_mailbox_exactly_once,
    no_refused_mail_left_a_trace,
    each_recipient_has_one_or_two_notices,
    the_ledger_has_what_was_taken_and_nothing_else,
    nothing_half_done_is_older_than_an_hour,
    the_index_is_what_the_maildir_holds,
    the_databases_are_sound,
    each_answer_left_once_or_as_was_said,
)


def looked(found: Found) -> dict[str, list[str]]:
    """Do all checks; return what is wrong, by what was checked."""
    return {check.__name__.replace("_", " "): check(found) for check in CHECKS}
