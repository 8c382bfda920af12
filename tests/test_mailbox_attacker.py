"""Somebody who reads all of a recipient's mail, opens every link in it, and has nothing else: what they reach.

docs/security.md, "What somebody who reads the mailbox can reach", is these tests in words.
"""

import pytest
from flask.testing import FlaskClient

from messenger.accounts import Accounts
from messenger.mailbox import mailbox_of
from messenger_reader.access import FILES, HEALTH, OPEN
from tests.accounts_fixtures import HOME
from tests.reader_fixtures import ALICE, BOB, OURS, PASSWORD, PORTAL, Portal, heading, portal
from tests.second_factor_fixtures import code_of, enrol, enrolled

THEIRS = "five plain grey gates"
SUBJECT = "The plan for Thursday"
MAIL = f"From: carol@example.org\r\nSubject: {SUBJECT}\r\n\r\nAt nine.\r\n".encode()


@pytest.fixture
def site(tmp_path) -> Portal:
    found = portal(tmp_path)
    for address in (ALICE, BOB):
        mailbox_of(found.home / "mail", address).deliver(MAIL, "plan")
    return found


def accounts_of(site: Portal) -> Accounts:
    accounts: Accounts = site.app.extensions["messenger"].accounts
    return accounts


def link_from_mail(site: Portal, address: str = ALICE) -> str:
    """Ask for a letter with a link, and read it in the mailbox."""
    site.post(site.browser(), "/forgot", address=address)
    kind, to, link = site.letters[-1]
    assert (kind, to) == ("reset", address)
    return link.removeprefix(PORTAL)


def reset(site: Portal, attacker: FlaskClient, link: str, code: str = ""):
    site.get(attacker, link)
    return site.post(attacker, "/reset", token=link.rpartition("/")[2], new=THEIRS, again=THEIRS, code=code)


def reads(site: Portal, browser: FlaskClient) -> bool:
    return SUBJECT in site.get(browser, "/").text


# -- an account without a second factor


def test_without_a_second_factor_the_mailbox_is_the_account(site):
    owner, attacker = site.browser(), site.browser()
    site.sign_up(owner)

    reset(site, attacker, link_from_mail(site))
    site.log_in(attacker, password=THEIRS)

    assert reads(site, attacker)
    # The owner notices: logged out, the password gone, a letter, lines in the audit.
    assert not reads(site, owner)
    assert site.log_in(owner).status_code == 403
    assert site.letters[-1] == ("password-changed", ALICE, "")
    assert [line.event for line in accounts_of(site).trail(address=ALICE)][1:4] == ["reset asked", "reset", "log-in"]


def test_the_link_of_a_notice_alone_shows_nothing_once_there_is_an_account(site):
    site.sign_up(site.browser())
    attacker = site.browser()

    site.get(attacker, site.link(ALICE))
    page = site.get(attacker, "/welcome").text
    again = site.post(attacker, "/signup", token=site.token(ALICE), password=THEIRS, again=THEIRS)

    assert heading(page) == heading(again.text) == "Log in"
    assert again.status_code == 409
    assert not reads(site, attacker)


def test_the_owner_locks_the_attacker_out_by_another_password_and_a_second_factor(site):
    owner, attacker = site.browser(), site.browser()
    site.sign_up(owner)
    waiting = link_from_mail(site)
    reset(site, attacker, link_from_mail(site))
    site.log_in(attacker, password=THEIRS)

    # Every link is dead since the reset; the owner asks for another one, as the attacker did.
    assert site.get(owner, waiting).status_code == 410
    link = link_from_mail(site)
    site.get(owner, link)
    site.post(owner, "/reset", token=link.rpartition("/")[2], new=PASSWORD, again=PASSWORD)
    site.log_in(owner)
    enrol(site, owner)

    assert not reads(site, attacker)
    assert reset(site, attacker, link_from_mail(site)).status_code == 403
    assert reads(site, owner)


# -- an account with one


def test_with_a_second_factor_no_link_in_any_mail_leads_in(site):
    owner, secret, _ = enrolled(site)
    used = code_of(site, secret)
    attacker, link = site.browser(), link_from_mail(site)
    link_of_notice = site.link(ALICE)

    answers = [reset(site, attacker, link, code).status_code for code in ("", "000000", used[::-1], "aaaa-bbbb")]
    site.get(attacker, link_of_notice)
    adapter = site.app.url_map.bind("mail.example.org", url_scheme="https")
    closed = [
        (method, adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, "1"), method=method))
        for rule in site.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint not in {HEALTH, *FILES, *OPEN}
    ]
    # With the cookies of both links in hand.
    found = {one: attacker.open(one[1], method=one[0], base_url=PORTAL, headers=OURS).status_code for one in closed}

    assert answers == [403] * 4
    assert found == dict.fromkeys(found, 303)
    # The owner isn't disturbed: same password, still logged in.
    assert reads(site, owner)
    assert accounts_of(site).verify(ALICE, PASSWORD, HOME, int(site.clock.now)) is not None
    assert accounts_of(site).verify(ALICE, THEIRS, HOME, int(site.clock.now)) is None


def test_with_a_second_factor_and_guessing_codes_the_attacker_waits_and_the_owner_logs_in(site):
    _, secret, _ = enrolled(site)
    attacker, owner, link = site.browser(), site.browser(), link_from_mail(site)

    answers = [reset(site, attacker, link, f"{number:06}").status_code for number in range(8)]
    site.log_in(owner)
    site.post(owner, "/login/code", code=code_of(site, secret))

    assert answers == [403] * 5 + [429] * 3
    assert reads(site, owner)


def test_no_letter_holds_a_code_or_a_password(site):
    owner, secret, codes = enrolled(site)
    link_from_mail(site)
    site.post(owner, "/account/second-factor/codes", password=PASSWORD)

    assert [kind for kind, _, _ in site.letters] == ["totp-on", "reset", "recovery-made"]
    written = " ".join(link for _, _, link in site.letters)
    assert not any(word in written for word in (secret, PASSWORD, *codes))


def test_links_from_before_an_administrator_took_the_second_factor_off_are_dead_and_new_ones_are_not(site):
    enrolled(site)
    attacker, before = site.browser(), link_from_mail(site)

    accounts = accounts_of(site)
    accounts.reset_totp(accounts.find(ALICE).id, "admin:root", int(site.clock.now))

    assert reset(site, attacker, before).status_code == 410
    # From here on it is an account without one: whoever takes it off must know whom they are talking to.
    assert reset(site, attacker, link_from_mail(site)).status_code == 303


# -- an address without an account


def test_before_the_sign_up_the_link_of_a_notice_is_the_account(site):
    attacker, owner = site.browser(), site.browser()

    site.sign_up(attacker, BOB, THEIRS)

    assert reads(site, attacker)
    # The owner, later, finds that there is an account, and gets it by the mailbox that both read.
    site.get(owner, site.link(BOB))
    assert heading(site.get(owner, "/welcome").text) == "Log in"
    assert reset(site, owner, link_from_mail(site, BOB)).status_code == 303
    assert not reads(site, attacker)


def test_an_attacker_who_signed_up_first_and_set_up_a_second_factor_is_shut_out_by_an_administrator_alone(site):
    attacker, owner = site.browser(), site.browser()
    site.sign_up(attacker, BOB, PASSWORD)
    enrol(site, attacker)

    assert reset(site, owner, link_from_mail(site, BOB)).status_code == 403
    accounts = accounts_of(site)
    accounts.delete(accounts.find(BOB).id, "admin:root", int(site.clock.now))

    assert not reads(site, attacker)
    assert site.sign_up(owner, BOB).status_code == 303


def test_an_account_that_is_shut_is_shut_to_whoever_reads_the_mailbox_and_a_deleted_one_is_not(site):
    attacker = site.browser()
    site.sign_up(attacker, BOB, THEIRS)
    link, accounts = link_from_mail(site, BOB), accounts_of(site)
    letters = len(site.letters)

    accounts.disable(accounts.find(BOB).id, "admin:root", int(site.clock.now))

    assert not reads(site, attacker)
    assert site.log_in(attacker, BOB, THEIRS).status_code == 403
    assert site.get(attacker, link).status_code == 410
    site.get(attacker, site.link(BOB))
    assert heading(site.get(attacker, "/welcome").text) == "Log in"
    site.post(attacker, "/forgot", address=BOB)
    assert len(site.letters) == letters
    # Links in old notices sign up anew.
    accounts.delete(accounts.find(BOB).id, "admin:root", int(site.clock.now))
    assert site.sign_up(attacker, BOB, THEIRS).status_code == 303


def test_without_any_mail_for_an_address_nothing_can_be_asked_for_it(site):
    attacker = site.browser()

    asked = site.post(attacker, "/forgot", address="nobody@example.net")
    signed_up = site.post(attacker, "/signup", token="made-up", password=THEIRS, again=THEIRS)

    assert (asked.status_code, signed_up.status_code, site.letters) == (303, 410, [])


# -- a site where everybody must have one


def test_where_a_second_factor_is_a_must_it_protects_from_the_day_it_is_set_up(tmp_path):
    site = portal(tmp_path, accounts='require_totp = "always"')
    owner, attacker = site.browser(), site.browser()
    site.sign_up(owner)  # and leaves before setting it up

    reset(site, attacker, link_from_mail(site))
    answer = site.log_in(attacker, password=THEIRS)

    assert answer.headers["Location"].startswith("/account/second-factor")
