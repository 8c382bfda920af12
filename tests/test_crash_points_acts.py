"""Killed before each call that writes: sending, sorting, reading, removing, opening an account, making a PDF."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pikepdf
import pytest

from messenger.pdf_password import id_of
from messenger_reader import drafts, sending
from messenger_reader.mails import ALWAYS, ARCHIVE, DRAFTS, INBOX, SENT
from proof.chaos import processes
from proof.chaos.crash import Crashes, wait

from .crash_acts import AFTER_SECONDS, PASSWORD, Place
from .crash_fixtures import home_fixture, started  # noqa: F401
from .pdf_fixtures import job, mail

#: More calls than any act takes.
MOST = 300
#: SQLite writes page after page: of those calls each so many-th is enough for every day, and 1 for a look by hand.
EVERY = int(os.environ.get("CRASH_EVERY", "12"))
NAMES = ("one", "two")


class Acts:
    """Runs acts, each in a process of its own, and dies in them where it is told to."""

    def __init__(self, crashes: Crashes, home: Path) -> None:
        self.crashes, self.home = crashes, home

    def run(self, name: str, place: Place, at: int = 0, spared: str = "") -> bool:
        """Do it; return whether it was killed before its *at*-th call that has no *spared* in it."""
        pid = self.crashes.start("tests.crash_acts", name, str(place.number), str(place.home))
        wait(lambda: "State:\tT" in Path(f"/proc/{pid}/status").read_text(), "the process to stop itself")
        self.crashes.arm(pid, at, spared)
        processes.send(pid, signal.SIGCONT)
        self.crashes.ended(pid)
        assert "Traceback" not in self.words()
        return 0 < at <= len(self.crashes.calls())

    def words(self) -> str:
        return self.crashes.log.read_text() if self.crashes.log.exists() else ""

    def at_every_call(self, name: str, prepare, again: bool = True) -> dict[str, Place]:
        """Die at call 1, 2, ... of as many acts, each in a place that *prepare* has made; then do it once more.

        First at all calls but SQLite's, then at some of all. Returns the places by number and call.
        """
        found: dict[str, Place] = {}
        for spared, step in ((".sqlite", 1), ("", EVERY)):
            for at in range(1, MOST, step):
                place = Place(self.home, len(found) + 1)
                prepare(place)
                if not self.run(name, place, at, spared):
                    break
                found[f"{len(found) + 1}: {self.crashes.calls()[at - 1]}"] = place
                if again:
                    self.run(name, place)
            else:
                raise AssertionError(f"{name} takes more than {MOST} calls")
        assert len(found) > 5
        return found


@pytest.fixture(scope="module")
def crashes():
    with started("tests.crash_acts") as made:
        yield made


@pytest.fixture
def acts(home, crashes):
    (home / "mail").mkdir()
    (home / "cache").mkdir()
    (home / "left").mkdir()
    script = home / "sendmail"
    script.write_text(f"#!/bin/sh\ncat > {home}/left/.$$ && mv {home}/left/.$$ {home}/left/$$\n")
    script.chmod(0o755)
    return Acts(crashes, home)


def left(acts) -> Counter[str]:
    """How many mails left, by their Message-IDs."""
    folder = acts.home / "left"
    wait(lambda: not any(path.name.startswith(".") for path in folder.iterdir()), "sendmail")
    ids = (re.search(rb"^Message-ID: *(?:\n )?<(.*)>", path.read_bytes(), re.M | re.I) for path in folder.iterdir())
    return Counter(found[1].decode() for found in ids if found)


def two_mails(place):
    for name in NAMES:
        place.mailbox.deliver(f"Subject: {name}\r\n\r\nHello\r\n".encode(), name)


def lists(place) -> dict[str, set[tuple[str, str]]]:
    """What the index shows in each folder, which must be what the Maildir holds."""
    shown = {folder: place.mails(AFTER_SECONDS).page(folder) for folder in ALWAYS}
    for folder, rows in shown.items():
        there = {(entry.name, entry.flags) for entry in place.mailbox.list(folder)}
        assert {(row.name, row.flags) for row in rows.rows} == there, folder
        assert (rows.total, rows.unread) == (len(there), sum("S" not in flags for _, flags in there)), folder
    return {folder: {(row.name, row.flags) for row in rows.rows} for folder, rows in shown.items()}


def test_an_answer_killed_at_any_call_leaves_once_at_most_and_the_page_says_so_if_nobody_knows(acts):
    def prepare(place):
        drafts.save(place.mailbox, place.draft, place.address, "example.com", 1_700_000_000)

    places = acts.at_every_call("send", prepare)

    ids = left(acts)
    for call, place in places.items():
        outcome = (acts.home / f"outcome{place.number}").read_text()
        count = ids[f"{place.draft.id}@example.com"]
        shown = lists(place)
        copies = [flags for name, flags in shown[SENT] if name == sending.name_of(place.draft.id)]
        if outcome == sending.UNCLEAR:
            assert (count in (0, 1), ["D" in flags for flags in copies]) == (True, [True]), call
        else:
            assert (outcome in (sending.LEFT, sending.ALREADY), count) == (True, 1), call
            assert ["D" in flags for flags in copies] == [False], call
            assert len(shown[DRAFTS]) <= 1, call


def test_mail_that_is_moved_lies_in_one_folder_wherever_that_is_killed(acts):
    for call, place in acts.at_every_call("archive", two_mails, again=False).items():
        shown = lists(place)
        assert Counter(name for name, _ in shown[INBOX] | shown[ARCHIVE]) == Counter(NAMES), call

        acts.run("archive", place)

        assert {name for name, _ in lists(place)[ARCHIVE]} == {*NAMES}, call


def test_mail_that_is_marked_as_read_is_there_wherever_that_is_killed(acts):
    for call, place in acts.at_every_call("read", two_mails, again=False).items():
        assert {name for name, _ in lists(place)[INBOX]} == {*NAMES}, call

        acts.run("read", place)

        assert lists(place)[INBOX] == {(name, "S") for name in NAMES}, call


def test_mail_that_is_removed_is_there_or_gone_and_its_list_says_which(acts):
    for call, place in acts.at_every_call("remove", two_mails, again=False).items():
        lists(place)

        acts.run("remove", place)

        assert not any(lists(place).values()), call


def test_an_account_is_there_whole_or_not_at_all(acts):
    for call, place in acts.at_every_call("sign_up", lambda place: None).items():
        accounts = place.accounts
        assert accounts.verify(place.address, PASSWORD, "192.0.2.1", 1_800_000_100), call
        accounts.close()
    with closing(sqlite3.connect(acts.home / "accounts.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = dict(database.execute("SELECT account, count(*) FROM credential GROUP BY account"))
    assert set(rows.values()) == {1}


def test_a_pdf_killed_at_any_call_is_sent_once_or_twice_and_never_lost(acts):
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(acts.home / "blank.pdf")

    def prepare(place):
        place.spool.prepare()
        place.spool.put(job(mail(), digest=f"{place.number:064x}"))

    places = acts.at_every_call("make_pdf", prepare)

    ids = left(acts)
    for call, place in places.items():
        pdf_id = id_of(f"{place.number:064x}", "anna@partner.example")
        assert 1 <= ids[f"pdf.{pdf_id}@example.com"] <= 2, call
        assert [path.name for path in (place.spool.root / "done").iterdir()] == [pdf_id], call
        assert not any((place.spool.root / "new").iterdir()), call
