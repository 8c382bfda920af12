"""A page of a large folder asks no more of the index than one of a small folder, whatever has changed before."""

import pytest

from messenger.mailbox import mailbox_of
from messenger_reader import index_file
from messenger_reader.mails import Mails

from .index_fixtures import ADDRESS, Clock, deliver

FEW, LOTS = 150, 3_000


@pytest.fixture(name="work")
def work_fixture(monkeypatch) -> list[int]:
    """Grows by one with every ten instructions that SQLite's machine carries out: no clock is as steady."""
    steps: list[int] = []
    connect = index_file._connect

    def counted(path):
        connection = connect(path)
        connection.set_progress_handler(lambda: steps.append(1), 10)
        return connection

    monkeypatch.setattr(index_file, "_connect", counted)
    return steps


def filled(home, count: int) -> tuple[Mails, list[str]]:
    """A listed inbox of *count* mails, and its names from the oldest on."""
    (home / "mail").mkdir(parents=True)
    mailbox = mailbox_of(home / "mail", ADDRESS)
    deliver(mailbox, "first")
    names = [f"{at:064}" for at in range(count)]
    for name in names:
        (mailbox.root / "cur" / f"{name}:2,").write_bytes(b"Subject: one of many\r\n\r\n")
    inbox = Mails(mailbox, home / "cache", ADDRESS, Clock())
    inbox.folders()
    return inbox, names


def test_what_a_page_asks_of_the_index_does_not_grow_with_the_folder(tmp_path, work):
    def after(inbox: Mails, names: list[str]) -> dict[str, int]:
        acts = {
            "nothing": lambda: None,
            "a new mail": lambda: deliver(inbox._mailbox, "new"),
            "a flag": lambda: inbox.flag(names[3], add="S"),
            "fifty moved": lambda: inbox.move(names[10:60], "Archive"),
            "fifty moved back": lambda: inbox.move(names[10:60], "", "Archive"),
            "fifty removed": lambda: inbox.remove(names[10:60], ""),
        }
        asked = {}
        for name, act in acts.items():
            work.clear()
            act()
            inbox.folders()
            inbox.page()
            asked[name] = len(work)
        return asked

    small, large = after(*filled(tmp_path / "few", FEW)), after(*filled(tmp_path / "lots", LOTS))

    assert min(small.values()) > 50
    assert {name: asked for name, asked in large.items() if asked > 1.5 * small[name]} == {}


def test_a_mail_that_moves_over_a_copy_of_itself_counts_once(tmp_path):
    inbox, names = filled(tmp_path, 3)
    copy = inbox._mailbox.root / "cur" / f"{names[0]}:2,"
    inbox.move(names[1:2], "Archive")
    (inbox._mailbox.root / ".Archive" / "cur" / f"{names[0]}:2,S").write_bytes(copy.read_bytes())
    inbox.folders()

    inbox.move(names[:1], "Archive")

    counts = {one.folder: (one.total, one.unread) for one in inbox.folders()}
    assert (counts[""], counts["Archive"]) == ((2, 2), (2, 1))
