"""The thread that looks into the mail of whoever is logged in."""

from time import monotonic, sleep

import pytest

from messenger_reader import background, search_pages
from messenger_reader.background import Background
from messenger_reader.index_file import CacheUnusable

from .mail_pages_fixtures import deliver, logged_in, mail, mailbox_at
from .reader_fixtures import ALICE, BOB, portal


class Searching:
    """Stands in for somebody's mail: so many slices of work, and then something to tidy up."""

    def __init__(self, slices: int = 0, untidy: int = 0, fails: type[Exception] | None = None) -> None:
        self.slices, self.untidy, self.fails = slices, untidy, fails
        self.looked = self.tidied = 0

    def look_into(self, seconds: float) -> bool:
        self.looked += 1
        if self.fails:
            raise self.fails("no")
        self.slices -= 1
        return self.slices > 0

    def tidy(self) -> bool:
        self.tidied += 1
        self.untidy -= 1
        return self.untidy > 0


def until(condition, seconds=10.0):
    end = monotonic() + seconds
    while not condition() and monotonic() < end:
        sleep(0.01)
    assert condition()


def started(thread: Background) -> Background:
    thread.start()
    return thread


def test_it_works_until_there_is_nothing_left_for_anybody_and_then_waits():
    people = {ALICE: Searching(slices=5, untidy=3), BOB: Searching(slices=2)}
    thread = started(Background(people.__getitem__, quiet=0.05))

    thread.wake(ALICE)
    thread.wake(BOB)

    until(lambda: people[ALICE].tidied == 3 and people[BOB].tidied == 1)
    assert (people[ALICE].looked, people[BOB].looked) == (5, 2)
    thread.wake(BOB)
    until(lambda: people[BOB].looked == 3)


@pytest.mark.parametrize("fails", [CacheUnusable, ZeroDivisionError])
def test_one_persons_trouble_is_nobody_elses(fails, caplog):
    people = {ALICE: Searching(fails=fails), BOB: Searching(slices=3)}
    thread = started(Background(people.__getitem__, quiet=60))

    thread.wake(ALICE)
    until(lambda: people[ALICE].looked == 1)
    thread.wake(BOB)

    until(lambda: people[BOB].looked == 3)
    assert "no" in caplog.text


def test_words_of_deleted_mails_wait_for_a_quiet_moment():
    person = Searching()
    thread = started(Background(lambda _: person, quiet=0.5))

    for _ in range(3):
        thread.wake(ALICE)
        sleep(0.05)

    assert person.tidied == 0
    until(lambda: person.tidied == 1)


def test_once_a_day_it_takes_everybody():
    people = {ALICE: Searching(), BOB: Searching(slices=2)}
    started(Background(people.__getitem__, lambda: people, first_round=0))

    until(lambda: people[ALICE].tidied == people[BOB].tidied == 1)
    assert (people[ALICE].looked, people[BOB].looked) == (1, 2)


def test_words_of_mail_that_others_deleted_leave_though_nobody_logs_in(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "FIRST_ROUND_SECONDS", 0.0)
    site = portal(tmp_path)
    name = deliver(site, mail("Zephyrquark"))
    site.get(logged_in(site), "/search?q=zephyrquark")
    [database] = (tmp_path / "cache").rglob("inbox.sqlite")
    assert b"zephyrquark" in database.read_bytes().lower()
    next(mailbox_at(site).root.glob(f"*/{name}*")).unlink()

    background.install(portal(tmp_path).app)

    until(lambda: b"phyrquark" not in database.read_bytes().lower())


def test_nothing_begins_before_somebody_is_logged_in(tmp_path, monkeypatch):
    site = portal(tmp_path)
    monkeypatch.setattr(Background, "wake", lambda *_: pytest.fail("woken"))
    background.install(site.app)

    site.get(site.browser(), "/help")
    site.get(site.browser(), "/")

    assert not list((tmp_path / "cache").iterdir())


def test_a_visit_is_enough_for_all_mail_to_be_found(tmp_path, monkeypatch):
    monkeypatch.setattr(background, "SLICE_SECONDS", 0.01)
    site = portal(tmp_path)
    background.install(site.app)
    for at in range(20):
        deliver(site, mail(f"Number {at}", "word"))
    monkeypatch.setattr(search_pages, "LOOK_SECONDS", -1)
    alice = logged_in(site)
    site.get(alice, "/help")

    until(lambda: "20 messages" in site.get(alice, "/search?q=word").text)


def test_the_deleted_account_of_somebody_gets_no_new_cache(tmp_path):
    site = portal(tmp_path)
    background.install(site.app)
    alice = logged_in(site)
    deliver(site, mail())
    site.get(alice, "/")
    until(lambda: list((tmp_path / "cache").iterdir()))

    site.post(alice, "/account/delete", password="three plain blue doors", sure="yes")
    sleep(0.2)

    until(lambda: not list((tmp_path / "cache").glob("*/*")))
