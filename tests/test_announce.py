"""Who is told of a mail how, and that the real milter does so."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import time
from datetime import UTC, datetime

import pytest

from messenger import link
from messenger.notify import Site
from messenger.preferences import Preferences, write
from messenger.tunnel import TunnelMail
from messenger_milter import housekeeping
from messenger_milter.announce import Announcer
from messenger_milter.held import HOUR_SECONDS, Held

from .held_fixtures import NOW, folder_fixture, held_fixture  # noqa: F401
from .milter_fixtures import Answer, Mta, running
from .milter_fixtures import Site as Portal

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


FAST = "import messenger_milter.housekeeping as h; h.HELD_SECONDS = 0.05"


def test_a_look_through_very_many_held_notices_leaves_most_of_the_time_to_mail():
    assert housekeeping.rest(0.02) == housekeeping.HELD_SECONDS
    assert housekeeping.rest(2.0) == 38.0
    assert housekeeping.rest(300.0) == housekeeping.HELD_LONGEST_SECONDS


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
    with running(portal, code="import messenger_milter.housekeeping as h; h.HELD_SECONDS = 3600") as milter:
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
