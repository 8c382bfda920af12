"""Read receipts from the page to the mail system: told once, to whom it concerns, whatever fails in between."""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from itertools import pairwise

import pytest

from demo.postfix import CATCH, PrivatePostfix
from messenger.accounts import Accounts
from messenger.link import reference
from messenger.mailbox import mailbox_of
from messenger.receipt import OPENED, Asked
from messenger.submission import SubmissionError
from messenger_reader.checks import site_of
from messenger_reader.receipt_spool import CLAIMING_SECONDS, Owed, ReceiptSpool
from messenger_reader.receipts import GIVE_UP_SECONDS, LONGEST_WAIT, Receipts, Way

from .mail_pages_fixtures import deliver, flags, logged_in, mail, mailbox_at
from .reader_fixtures import ALICE, BOB, Portal, portal

TRACE = b"Return-Path: <bob@example.org>\r\nX-Webmail-Options: read-receipt\r\nDelivered-To: alice@example.net\r\n"
MAIL = TRACE + b"Message-ID: <1@example.org>\r\n" + mail("Salaries", "Secret")
ASKED = Asked("bob@example.org", "<1@example.org>")


@dataclass
class System:
    """A mail system that takes mail, or fails while it is told to; *meanwhile* happens when it has taken one."""

    taken: list[tuple[bytes, str, list[str]]] = field(default_factory=list)
    down: bool = False
    meanwhile: Callable[[], object] = lambda: None

    def __call__(self, raw, mail_from, rcpt_tos) -> None:
        if self.down:
            raise SubmissionError("no answer")
        self.taken.append((raw, mail_from, list(rcpt_tos)))
        self.meanwhile()


@dataclass
class House:
    site: Portal
    system: System
    receipts: Receipts

    def open(self, browser, path, **headers):
        return browser.get(path, base_url=self.site.base, headers={**self.site.headers, **headers})

    def owed(self, name, address=ALICE):
        return self.receipts.known(address, name)

    def audited(self):
        accounts: Accounts = self.site.app.extensions["messenger"].accounts
        return [(line.address, line.client, line.detail) for line in accounts.trail() if line.event == "receipt"]


def receipts_of(site, system, **more):
    """Another sender for the same mail: as another process, or the same one after a crash. It has no thread."""
    own = site.app.extensions["messenger"]
    made = Receipts(
        ReceiptSpool(own.config.mail.root), Way(site_of(own.config), system, own.post.sender), site.clock, **more
    )
    made.start = lambda: None
    return made


@pytest.fixture(name="house")
def house_fixture(tmp_path):
    site, system = portal(tmp_path), System()
    receipts = receipts_of(site, system)
    site.app.extensions["messenger"] = replace(site.app.extensions["messenger"], receipts=receipts)
    return House(site, system, receipts)


@pytest.fixture(name="alice")
def alice_fixture(house):
    return logged_in(house.site)


def test_whoever_opens_a_mail_is_told_that_its_sender_is_and_the_sender_is_told_once(house, alice):
    name = deliver(house.site, MAIL)

    first = house.open(alice, f"/message/{name}").text
    house.receipts.send_due()
    house.site.clock.now += 600
    second = house.open(alice, f"/message/{name}").text
    house.receipts.send_due()

    [(raw, mail_from, rcpt_tos)] = house.system.taken
    assert (mail_from, rcpt_tos) == ("", ["bob@example.org"])
    assert b"Salaries" not in raw
    assert b"Secret" not in raw
    sent = message_from_bytes(raw, policy=policy.default)
    assert (sent["To"], sent["Reply-To"], sent["In-Reply-To"]) == ("bob@example.org", ALICE, "<1@example.org>")
    assert reference(name) in sent.get_body(("plain",)).get_content()
    assert "is being told that you did on 15 January 2027" in first
    assert "was told that you did on 15 January 2027" in second
    assert house.audited() == [(ALICE, "127.0.0.1", f"{reference(name)} opened")]


def test_two_pages_at_once_owe_one_receipt(house):
    alices = [logged_in(house.site), house.site.browser()]
    house.site.log_in(alices[1])
    name = deliver(house.site, MAIL)
    ready = threading.Barrier(2)

    def visit(browser):
        ready.wait(10)
        assert house.open(browser, f"/message/{name}").status_code == 200

    visits = [threading.Thread(target=visit, args=(browser,)) for browser in alices]
    for one in visits:
        one.start()
    for one in visits:
        one.join()
    house.receipts.send_due()

    assert len(house.system.taken) == 1
    assert len(house.audited()) == 1


def test_what_is_not_opened_by_its_reader_is_not_told(house, alice):
    name = deliver(house.site, MAIL)
    by_bob = logged_in(house.site, BOB)

    for path in ("/", "/folder/Archive", "/search?q=Salaries"):
        house.open(alice, path)
    for ahead in ("prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"):
        house.open(alice, f"/message/{name}", **{"Sec-Purpose": ahead})
    house.open(alice, f"/message/{name}", Purpose="preview")
    alice.head(f"/message/{name}", base_url=house.site.base, headers=house.site.headers)
    house.open(by_bob, f"/message/{name}")
    house.open(house.site.browser(), f"/message/{name}")
    house.receipts.send_due()

    assert house.system.taken == []
    assert house.owed(name) is None


@pytest.mark.parametrize(("folder", "told"), [("Sent", 0), ("Drafts", 0), ("Archive", 1), ("Trash", 1)])
def test_mail_of_ones_own_tells_nobody_wherever_else_it_lies_it_does(house, alice, folder, told):
    name = deliver(house.site, MAIL)
    mailbox_at(house.site).move(name, "", folder)

    page = house.open(alice, f"/message/{name}").text
    house.receipts.send_due()

    assert len(house.system.taken) == told
    assert ("The sender asked" in page) == bool(told)


def test_mail_that_was_marked_as_read_elsewhere_is_told_when_it_is_opened(house, alice):
    name = deliver(house.site, MAIL)
    mailbox_at(house.site).flag(name, add="S")

    house.open(alice, f"/message/{name}")
    house.receipts.send_due()

    assert len(house.system.taken) == 1


def test_nobody_is_told_who_did_not_ask_or_is_not_of_our_own(house, alice):
    names = [
        deliver(house.site, MAIL.replace(b"read-receipt", b"none")),
        deliver(house.site, MAIL.replace(b"<bob@example.org>", b"<>")),
        deliver(house.site, MAIL.replace(b"<bob@example.org>", b"<bob@elsewhere.example>")),
    ]

    pages = [house.open(alice, f"/message/{name}").text for name in names]
    house.receipts.send_due()

    assert house.system.taken == []
    assert not any("The sender asked" in page for page in pages)


def test_of_a_conversation_what_is_shown_is_told_and_what_is_a_line_is_not(house, alice):
    first = deliver(house.site, MAIL)
    head = TRACE + b"References: <1@example.org>\r\n"
    others = [deliver(house.site, b"%sMessage-ID: <%d@x.example>\r\n%s" % (head, n, mail("Re"))) for n in (2, 3, 4)]
    [path] = mailbox_at(house.site).root.glob(f"new/{first}*")
    os.utime(path, (1_700_000_000, 1_700_000_000))
    house.open(alice, "/search?q=Good")

    page = house.open(alice, f"/thread/{others[2]}").text

    assert page.count("The sender asked to be told when you open this message") == 3
    assert house.owed(first) is None


def test_a_page_does_not_wait_for_a_mail_system_that_hangs(tmp_path):
    held = threading.Event()
    site = portal(tmp_path)
    receipts = receipts_of(site, lambda *_: held.wait(30))
    del receipts.start
    site.app.extensions["messenger"] = replace(site.app.extensions["messenger"], receipts=receipts)
    alice, name = logged_in(site), deliver(site, MAIL)

    begun = time.monotonic()
    page = site.get(alice, f"/message/{name}")
    taken = time.monotonic() - begun
    held.set()
    receipts.stop()

    assert page.status_code == 200
    assert taken < 10
    assert receipts.known(ALICE, name).sent


def test_a_disk_that_takes_no_receipt_shows_the_mail_and_tries_with_the_next_opening(house, alice, caplog):
    name = deliver(house.site, MAIL)
    in_the_way = house.site.home / "mail" / ".receipts"
    in_the_way.write_text("")

    page = house.open(alice, f"/message/{name}")
    in_the_way.unlink()
    house.open(alice, f"/message/{name}")
    house.receipts.send_due()

    assert page.status_code == 200
    assert f"{reference(name)}: no receipt" in caplog.text
    assert len(house.system.taken) == 1


# The queue


def owe(house, name="a" * 64, address=ALICE):
    mailbox_of(house.site.home / "mail", address).ensure()
    house.receipts.owe(address, name, OPENED, ASKED)
    return name


def test_while_the_mail_system_is_down_the_waits_grow_and_then_it_is_sent(house):
    name = owe(house)
    house.system.down = True
    begun, tries = house.site.clock.now, []

    def failing(*_):
        tries.append(house.site.clock.now - begun)
        raise SubmissionError("no answer")

    trying = receipts_of(house.site, failing)
    while house.site.clock.now - begun < 86_400:
        trying.send_due()
        house.site.clock.now += 30
    house.system.down = False
    house.site.clock.now += LONGEST_WAIT
    house.receipts.send_due()

    assert tries[:6] == [0, 60, 120, 240, 480, 960]
    assert all(after - before <= LONGEST_WAIT + 30 for before, after in pairwise(tries))
    assert len(house.system.taken) == 1
    assert house.owed(name).sent


def test_after_five_days_it_is_given_up_with_a_line_in_the_log_and_no_address(house, alice, caplog):
    name = deliver(house.site, MAIL)
    house.open(alice, f"/message/{name}")
    house.system.down = True
    house.receipts.send_due()
    house.site.clock.now += GIVE_UP_SECONDS + 1

    house.receipts.send_due()
    house.system.down = False
    house.receipts.send_due()
    house.site.log_in(alice)

    assert f"{reference(name)}: the receipt (opened) was given up after 5 days" in caplog.text
    assert "example.org" not in caplog.text
    assert house.system.taken == []
    assert "The receipt could not be sent." in house.open(alice, f"/message/{name}").text


def test_what_a_process_left_behind_the_next_one_sends_and_two_at_once_send_it_once(house):
    name = owe(house)
    another = receipts_of(house.site, house.system)
    house.system.meanwhile = another.send_due

    receipts_of(house.site, house.system).send_due()

    assert len(house.system.taken) == 1
    assert house.owed(name).sent


def test_a_crash_before_it_is_written_down_sends_the_same_receipt_once_more(house):
    owe(house)

    def crash():
        raise KeyboardInterrupt

    house.system.meanwhile = crash
    with pytest.raises(KeyboardInterrupt):
        house.receipts.send_due()
    house.system.meanwhile = lambda: None
    after = receipts_of(house.site, house.system)
    after.send_due()
    after.send_due()

    first, second = (raw for raw, _, _ in house.system.taken)
    assert first == second


def test_a_crash_before_it_is_claimed_loses_nothing_and_leaves_no_second_one(house):
    owed = Owed(ALICE, "b" * 64, OPENED, *("bob@example.org", "<1@example.org>"), int(house.site.clock.now))
    owe(house, owed.name)
    [kept] = house.site.home.glob("mail/*/*/receipts/*.json")
    kept.unlink()  # as if the page had not come to it

    house.receipts.send_due()
    at_once = len(house.system.taken)
    house.site.clock.now += CLAIMING_SECONDS + 1
    house.receipts.send_due()
    house.receipts.owe(ALICE, owed.name, OPENED, ASKED)
    house.receipts.send_due()

    assert (at_once, len(house.system.taken)) == (0, 1)


def test_one_that_left_but_can_not_be_written_down_is_not_sent_a_second_time(house, caplog):
    name = owe(house)
    kept = house.site.home / "mail" / "example.net" / "alice" / "receipts"

    def something_is_in_the_way():
        kept.rename(kept.with_name("elsewhere"))
        kept.write_text("")

    house.system.meanwhile = something_is_in_the_way
    for _ in range(3):
        house.receipts.send_due()
        house.site.clock.now += 60
    kept.unlink()
    kept.with_name("elsewhere").rename(kept)
    house.site.clock.now += LONGEST_WAIT
    house.receipts.send_due()

    assert "readers must be able to write to the mail root" in caplog.text
    assert len(house.system.taken) == 1
    assert house.owed(name).sent


def test_with_a_mailbox_what_is_owed_goes(house):
    owe(house)
    mailbox_of(house.site.home / "mail", ALICE).delete()
    house.site.clock.now += 3600

    house.receipts.send_due()

    assert house.system.taken == []
    assert [*(house.site.home / "mail" / ".receipts").iterdir()] == []


def test_one_that_can_not_be_sent_keeps_no_other_back(house):
    for number in range(6):
        owe(house, f"{number}" * 64)
        house.site.clock.now += 1
    mine = house.system

    def picky(raw, mail_from, rcpt_tos):
        if b"receipt." in raw and raw.count(reference("5" * 64).encode()) == 0:
            raise SubmissionError("550 not this one")
        mine(raw, mail_from, rcpt_tos)

    trying = receipts_of(house.site, picky)
    for _ in range(3):
        trying.send_due()

    assert len(mine.taken) == 1


def test_switched_off_nothing_is_owed_nothing_leaves_and_no_page_speaks_of_it(house, alice):
    name = owe(house)
    off = receipts_of(house.site, house.system, enabled=False)
    site = house.site
    site.app.extensions["messenger"] = replace(site.app.extensions["messenger"], receipts=off)
    new = deliver(site, MAIL)

    page = house.open(alice, f"/message/{new}").text
    del off.start
    off.start()

    assert "The sender asked" not in page
    assert off.known(ALICE, new) is None
    assert off._thread is None
    assert name
    assert "S" in flags(site, new)


def test_the_thread_sends_what_is_due_at_the_start_and_a_stop_waits_for_it(house, caplog):
    owe(house)
    sender = receipts_of(house.site, house.system)
    del sender.start
    entered, going = threading.Event(), threading.Event()

    def slow():
        entered.set()
        going.wait(10)

    house.system.meanwhile = slow
    with caplog.at_level(logging.INFO):
        sender.start()
        assert entered.wait(10)
        threading.Timer(0.05, going.set).start()
        sender.stop()

    assert house.owed("a" * 64).sent
    assert f"{reference('a' * 64)}: receipt (opened) sent" in caplog.text


@pytest.mark.postfix
def test_a_real_postfix_brings_it_to_the_sender_from_nobody(tmp_path):
    with PrivatePostfix(tmp_path / "postfix", transport=CATCH) as postfix:
        site = portal(tmp_path, sendmail='", "'.join(postfix.sendmail))
        name, alice = deliver(site, MAIL), logged_in(site)
        site.get(alice, f"/message/{name}")
        site.get(alice, f"/message/{name}")

        [caught] = postfix.wait_caught(1)
        receipts = site.app.extensions["messenger"].receipts
        receipts.stop()

    assert (caught.mail_from, caught.rcpt_to) == ("", "bob@example.org")
    sent = message_from_bytes(caught.raw, policy=policy.default)
    assert sent.get_param("report-type") == "disposition-notification"
    [for_programs] = list(sent.iter_parts())[1].get_payload()
    assert for_programs["Original-Message-ID"] == "<1@example.org>"
    assert for_programs["Final-Recipient"] == f"rfc822; {ALICE}"
    assert receipts.known(ALICE, name).sent
