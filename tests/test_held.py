"""Notices that wait for their hour: one at a time, none lost, whatever crashes; and who is told how."""

from __future__ import annotations

import contextlib
import dataclasses
import email
import email.policy
import logging
import multiprocessing
import os
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from messenger import link
from messenger.errors import MessengerError
from messenger.notify import Notice, Site
from messenger.preferences import Preferences, write
from messenger.tunnel import TunnelMail
from messenger_milter import held as held_module
from messenger_milter.announce import Announcer
from messenger_milter.held import CLAIM_SECONDS, HOUR_SECONDS, RETRY_SECONDS, Held, HeldError

from .milter_fixtures import Answer, Mta, running
from .milter_fixtures import Site as Portal

NOW = 1_800_000_000
ANN = Notice("ann@example.org", "Sam", "sam@example.com", "K7QF-M2XA", "", "<1@portal.example>")
LATER = dataclasses.replace(ANN, sender_name="Eve", message_id="<2@portal.example>")
BOB = dataclasses.replace(ANN, to="bob@example.org")
HOSTILE = dataclasses.replace(ANN, sender_name='\ud800"\n\u202e{}', sender_address="")


class NotNow(MessengerError):
    temporary = True


class Crash(BaseException):
    """What no except clause of ours catches: the process is gone."""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "ledger" / "held"


@pytest.fixture
def held(folder):
    return Held(folder)


def given_out(held, now=NOW):
    """The notices that were given out at *now*."""
    told = []
    assert held.give_out(now, told.append) == len(told)
    return told


def raising(error):
    def call(*_):
        raise error

    return call


def kinds(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir() if path.name != ".lock")


@pytest.mark.parametrize("notice", [ANN, HOSTILE])
def test_a_notice_comes_out_as_it_was_and_once(held, notice):
    held.keep(notice)

    assert given_out(held) == [notice]
    assert given_out(held, NOW + HOUR_SECONDS) == []


def test_a_second_one_waits_until_the_hour_is_over(held):
    held.keep(ANN)
    given_out(held)
    held.keep(LATER)

    assert given_out(held, NOW + HOUR_SECONDS - 1) == []
    assert given_out(held, NOW + HOUR_SECONDS) == [LATER]


def test_of_many_in_one_hour_the_latest_is_sent(held):
    held.keep(ANN)
    given_out(held)
    for number in range(5):
        held.keep(dataclasses.replace(ANN, reference=str(number)))

    assert [notice.reference for notice in given_out(held, NOW + HOUR_SECONDS)] == ["4"]


def test_nobody_waits_for_somebody_elses_hour(held):
    held.keep(ANN)
    given_out(held)
    held.keep(BOB)
    held.keep(LATER)

    assert given_out(held, NOW + 1) == [BOB]


def test_another_spelling_of_the_address_is_the_same_person(held):
    held.keep(ANN)
    held.keep(dataclasses.replace(LATER, to="Ann@EXAMPLE.org"))

    assert [notice.sender_name for notice in given_out(held)] == ["Eve"]


def test_what_is_held_outlives_the_process(folder):
    Held(folder).keep(ANN)

    assert given_out(Held(folder)) == [ANN]


def test_nobody_else_may_look_whatever_the_umask_is(held, folder):
    before = os.umask(0)
    try:
        held.keep(ANN)
    finally:
        os.umask(before)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert "ann" not in "".join(path.name for path in folder.iterdir())


def test_a_notice_that_fails_is_tried_again_and_the_others_go_on(held, caplog):
    held.keep(ANN)
    held.keep(BOB)
    told = []

    def tell(notice):
        if notice == ANN:
            raise NotNow("no Postfix")
        told.append(notice)

    assert held.give_out(NOW, tell) == 1
    assert told == [BOB]
    assert "no Postfix" in caplog.text
    assert given_out(held, NOW + 5) == []
    assert given_out(held, NOW + RETRY_SECONDS) == [ANN]


def test_when_nobody_takes_notices_a_round_ends_early_and_none_is_lost(held):
    people = {f"p{number}@example.org" for number in range(8)}
    for address in people:
        held.keep(dataclasses.replace(ANN, to=address))
    tried = []

    def tell(notice):
        tried.append(notice.to)
        raise NotNow("no Postfix")

    held.give_out(NOW, tell)

    assert len(tried) == held_module.FAILURES
    assert {notice.to for notice in given_out(held, NOW + 1)} == people - set(tried)  # who failed blocks nobody
    assert {notice.to for notice in given_out(held, NOW + RETRY_SECONDS)} == set(tried)


def test_a_failed_notice_does_not_replace_a_later_one(held):
    held.keep(ANN)

    def tell(notice):
        held.keep(LATER)
        raise NotNow("no Postfix")

    held.give_out(NOW, tell)

    assert given_out(held, NOW + RETRY_SECONDS) == [LATER]


def test_one_that_comes_while_another_is_being_sent_is_sent_an_hour_later(held):
    held.keep(ANN)

    held.give_out(NOW, lambda notice: held.keep(LATER))

    assert given_out(held, NOW + 5) == []
    assert given_out(held, NOW + HOUR_SECONDS) == [LATER]


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_crash_while_sending_costs_a_second_notice_never_the_only_one(folder, point):
    first = Held(folder)
    first.keep(ANN)
    sent = []

    def tell(notice):
        if point == "after":
            sent.append(notice)
        raise Crash

    with pytest.raises(Crash):
        first.give_out(NOW, tell)
    second = Held(folder)

    assert given_out(second, NOW + CLAIM_SECONDS - 1) == []  # who knows, it may still be at it
    assert given_out(second, NOW + CLAIM_SECONDS) == [ANN]
    assert given_out(second, NOW + 10 * HOUR_SECONDS) == []


def test_of_what_a_crash_left_and_a_later_one_the_later_is_sent(folder):
    first = Held(folder)
    first.keep(ANN)
    with pytest.raises(Crash):
        first.give_out(NOW, raising(Crash))
    first.keep(LATER)

    assert given_out(Held(folder), NOW + CLAIM_SECONDS) == [LATER]
    assert given_out(Held(folder), NOW + 10 * HOUR_SECONDS) == []


@pytest.mark.parametrize("call", ["rename", "link", "utime", "unlink", "fsync", "open"])
@pytest.mark.parametrize("count", range(6))
def test_a_crash_at_any_system_call_loses_nothing(folder, monkeypatch, call, count):
    Held(folder).keep(ANN)
    sent, left = [], [count]
    real = getattr(os, call)

    def crashing(*arguments, **keywords):
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        return real(*arguments, **keywords)

    monkeypatch.setattr(os, call, crashing)
    with contextlib.suppress(Crash):
        Held(folder).give_out(NOW, sent.append)
    monkeypatch.undo()
    for hour in range(1, 4):
        sent += given_out(Held(folder), NOW + hour * HOUR_SECONDS)

    assert ANN in sent
    assert len(sent) <= 2


def test_a_date_that_cannot_be_written_does_not_send_a_notice_each_round(held, monkeypatch):
    held.keep(ANN)
    sent = []
    monkeypatch.setattr(held, "_done", raising(OSError(28, "No space left on device")))

    for minute in range(59):
        held.give_out(NOW + 60 * minute, sent.append)

    assert sent == [ANN]


def test_dates_are_forgotten_when_they_say_nothing_any_more(held, folder):
    held.keep(ANN)
    given_out(held)

    given_out(held, NOW + HOUR_SECONDS)
    kept = kinds(folder)
    given_out(held, NOW + 2 * HOUR_SECONDS)

    assert (kept, kinds(folder)) == ([".told"], [])


def test_a_clock_that_was_put_back_holds_nothing_back_for_ever(held):
    held.keep(ANN)
    given_out(held, NOW + 30 * HOUR_SECONDS)
    held.keep(LATER)

    assert given_out(held) == [LATER]


def test_a_broken_file_is_put_aside_and_named(held, folder, caplog):
    held.keep(ANN)
    [path] = folder.glob("*.kept")
    path.write_bytes(b"\xff{")

    assert given_out(held) == []
    assert given_out(held, NOW + RETRY_SECONDS) == []
    assert kinds(folder) == [".broken"]
    assert ".broken: no notice can be made of it" in caplog.text


def test_a_folder_that_was_never_used_is_nothing(held, folder):
    assert given_out(held) == []
    assert not folder.exists()


def test_a_notice_that_cannot_be_kept_is_temporary_trouble(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(HeldError, match="give the ledger to messenger-milter") as refusal:
        Held(tmp_path / "file" / "held").keep(ANN)
    assert refusal.value.temporary


def _serve(folder: Path, out: Path, rounds: int) -> None:
    held = Held(folder)

    def tell(notice: Notice) -> None:
        with (out / f"{os.getpid()}").open("a") as file:
            file.write(f"{notice.to}\n")

    for number in range(rounds):
        held.give_out(NOW + number, tell)


def test_several_processes_send_each_notice_once(folder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    addresses = [f"p{number}@example.org" for number in range(100)]
    held = Held(folder)
    for address in addresses:
        held.keep(dataclasses.replace(ANN, to=address))
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_serve, args=(folder, out, 20)) for _ in range(4)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert sorted("".join(path.read_text() for path in out.iterdir()).split()) == sorted(addresses)


def test_threads_that_keep_while_another_gives_out_lose_nothing(held):
    told, stop = [], threading.Event()

    def give():
        now = NOW
        while not stop.is_set():
            held.give_out(now, told.append)
            now += HOUR_SECONDS

    def keep(address):
        for number in range(100):
            held.keep(dataclasses.replace(ANN, to=address, reference=str(number)))

    addresses = [f"p{number}@example.org" for number in range(4)]
    keepers = [threading.Thread(target=keep, args=(address,)) for address in addresses]
    giver = threading.Thread(target=give)
    for thread in (giver, *keepers):
        thread.start()
    for keeper in keepers:
        keeper.join()
    stop.set()
    giver.join()
    held.give_out(NOW + 10**8, told.append)

    # For each the last of all was the last that was sent, and none came twice.
    assert {notice.to: notice.reference for notice in told} == dict.fromkeys(addresses, "99")
    assert len(set(told)) == len(told)


# -- the announcer: who is told how


MAIL = TunnelMail(
    raw=b"From: Sam <sam@example.com>\r\n\r\nHello\r\n",
    mail_from="sam@example.com",
    rcpt_tos=("ann@example.org",),
    options=frozenset(),
    digest="1f" * 32,
    profile="wrapped",
    signer="5e" * 32,
)
KEY = bytes(32)
DEFAULT = Preferences()


class FakeRelay:
    def __init__(self):
        self.sent = []

    def submit(self, raw, mail_from, rcpt_tos):
        self.sent.append((rcpt_tos, email.message_from_bytes(raw, policy=email.policy.default)))


@dataclasses.dataclass
class Desk:
    """An announcer, what a person wants of it, the time, and what was sent."""

    held: Held
    wanted: Preferences = DEFAULT
    now: int = NOW
    mailbox: bool = True
    relay: FakeRelay = dataclasses.field(default_factory=FakeRelay)

    @property
    def announcer(self) -> Announcer:
        site = Site("Example Bank", "https://portal.example", "notices@portal.example")
        clock = datetime.fromtimestamp(self.now, UTC)
        return Announcer(
            site, self.relay, KEY, lambda: clock, lambda address: self.wanted, lambda address: self.mailbox, self.held
        )

    def announce(self, mail=MAIL):
        return self.announcer.announce("ann@example.org", mail)


@pytest.fixture
def desk(held):
    return Desk(held)


def test_by_default_each_mail_is_announced_at_once(desk):
    assert desk.announce() is True
    assert desk.announce() is True

    assert len(desk.relay.sent) == 2


def test_who_wants_no_notices_gets_none(desk):
    desk.wanted = Preferences(notices="off")

    assert desk.announce() is False
    assert desk.announcer.tell_held() == 0
    assert desk.relay.sent == []


def test_who_wants_one_an_hour_gets_one_an_hour(desk):
    desk.wanted = Preferences("Blue hippo", "hourly", "de")
    counts = []
    for _ in range(180):
        assert desk.announce() is False
        desk.announcer.tell_held()
        counts.append(len(desk.relay.sent))
        desk.now += 60

    assert (counts[0], counts[59], counts[60], counts[119], counts[120], counts[-1]) == (1, 1, 2, 2, 3, 3)
    notice = desk.relay.sent[-1][1]
    assert "Ihr Kennsatz: Blue hippo" in notice.get_body(("plain",)).get_content()


def test_a_link_counts_from_when_the_notice_is_sent(desk):
    desk.wanted = Preferences(notices="hourly")
    desk.announce()
    desk.now += 5 * 86_400

    desk.announcer.tell_held()

    text = desk.relay.sent[0][1].get_body(("plain",)).get_content()
    [token] = [line.rpartition("/")[2] for line in text.splitlines() if "/l/" in line]
    assert link.open_token(KEY, token, desk.now, 1) == "ann@example.org"


def test_a_held_notice_has_the_message_id_of_one_sent_at_once(desk):
    desk.announce()
    desk.wanted = Preferences(notices="hourly")
    desk.announce()
    desk.announcer.tell_held()

    first, second = (mail["Message-ID"] for _, mail in desk.relay.sent)
    assert first == second


def test_who_says_off_while_a_notice_is_held_gets_none(desk):
    desk.wanted = Preferences(notices="hourly")
    desk.announce()
    desk.wanted = Preferences(notices="off")

    desk.announcer.tell_held()
    desk.now += HOUR_SECONDS
    desk.wanted = Preferences()
    desk.announcer.tell_held()

    assert desk.relay.sent == []


def test_a_notice_held_for_a_mailbox_that_was_deleted_is_never_sent(desk):
    desk.wanted = Preferences(notices="hourly")
    desk.announce()
    desk.wanted = Preferences()  # the folder is gone, and what was wanted with it
    desk.mailbox = False

    assert desk.announcer.tell_held() == 0
    desk.now += HOUR_SECONDS
    desk.mailbox = True  # by new mail, which brings a notice of its own
    assert desk.announcer.tell_held() == 0

    assert desk.relay.sent == []


# -- the real messenger-milter


@pytest.fixture
def portal(tmp_path):
    return Portal(tmp_path / "portal")


def wish(portal, preferences, address="ann"):
    person = portal.mail_root / "example.org" / address
    person.mkdir(parents=True, exist_ok=True)
    write(person, preferences)


def wait_notices(portal, count, seconds=20.0):
    deadline = time.monotonic() + seconds
    while len(portal.notices()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return portal.notices()


FAST = "import messenger_milter.service as s; s.HELD_SECONDS = 0.05"


def test_the_milter_tells_each_as_that_person_wants(portal):
    wish(portal, Preferences("Blue hippo"), "ann")
    wish(portal, Preferences(notices="off"), "bob")
    wish(portal, Preferences(notices="hourly", language="de"), "eve")
    to = [f"{name}@example.org" for name in ("ann", "bob", "eve")]

    with running(portal, code=FAST) as milter, Mta(portal.socket) as mta:
        assert mta.send(portal.tunnel_mail(to=to)) == Answer("discard")
        assert mta.send(portal.tunnel_mail(b"From: a@example.com\r\n\r\nAgain\r\n", to=to)) == Answer("discard")
        milter.wait_log("1 notices sent that were held back")
        time.sleep(0.3)
        mails = [email.message_from_bytes(raw, policy=email.policy.default) for raw in portal.notices()]
        log = milter.text()

    assert [len(portal.stored(address)) for address in to] == [2, 2, 2]
    assert sorted(mail["To"] for mail in mails) == ["ann@example.org", "ann@example.org", "eve@example.org"]
    for mail in mails:
        assert ("Blue hippo" in mail.get_body(("plain",)).get_content()) == (mail["To"] == "ann@example.org")
    assert log.count("announced=1 ") == 2
    assert log.count("unannounced=2") == 2


def test_a_milter_that_is_killed_sends_what_it_held_after_its_next_start(portal):
    wish(portal, Preferences(notices="hourly"))
    with running(portal, code="import messenger_milter.service as s; s.HELD_SECONDS = 3600") as milter:
        with Mta(portal.socket) as mta:
            assert mta.send(portal.tunnel_mail()) == Answer("discard")
        milter.popen.kill()
        milter.popen.wait()
    assert portal.notices() == []

    with running(portal, code=FAST):
        assert len(wait_notices(portal, 1)) == 1


def test_a_retry_of_mail_that_was_held_back_changes_nothing(portal):
    wish(portal, Preferences(notices="hourly"))

    with running(portal, code=FAST) as milter, Mta(portal.socket) as mta:
        assert mta.send(portal.tunnel_mail()) == Answer("discard")
        milter.wait_log("1 notices sent")
        assert mta.send(portal.tunnel_mail()) == Answer("discard")

    assert len(portal.stored()) == 1
    assert list((portal.home / "ledger" / "held").glob("*.kept")) == []


def test_log_lines_of_held_notices_name_no_content(held, caplog):
    caplog.set_level(logging.DEBUG)
    held.keep(ANN)
    held.give_out(NOW, raising(NotNow("no Postfix")))

    assert "sam@example.com" not in caplog.text
