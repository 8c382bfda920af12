"""Somebody who knows the old password is faster than the lock: what was proven before a change opens nothing after it.

Each test stops a request of the thief between the proof and what it is for, and lets the owner act in that moment.
"""

from collections.abc import Callable

import pytest

from messenger.accounts import Accounts
from tests.accounts_fixtures import HOME
from tests.reader_fixtures import ALICE, PASSWORD, Portal, portal
from tests.second_factor_fixtures import ENROL, OVERVIEW, begin, code_of, codes_on, enrol, enrolled

NEW = "four plain red windows"
THIEFS = "five plain grey gates"


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


def accounts_of(site: Portal) -> Accounts:
    accounts: Accounts = site.app.extensions["messenger"].accounts
    return accounts


def after(monkeypatch, name: str, act: Callable[[], object]) -> None:
    """Let *act* happen once, right after the next call of the accounts' method *name*."""
    real, left = getattr(Accounts, name), [act]

    def then(self, *given, **named):
        found = real(self, *given, **named)
        if left:
            left.pop()()
        return found

    monkeypatch.setattr(Accounts, name, then)


def change(site: Portal) -> None:
    """The owner sets another password, somewhere else."""
    accounts = accounts_of(site)
    accounts.change_password(accounts.find(ALICE).id, NEW, HOME, int(site.clock.now))


def is_in(site: Portal, browser) -> bool:
    return site.get(browser, "/account").status_code == 200


@pytest.mark.parametrize("act", ["password", "disable and enable", "end sessions", "reset", "delete"])
def test_a_log_in_that_is_overtaken_opens_nothing(site, monkeypatch, act):
    site.sign_up(site.browser())
    accounts, thief, now = accounts_of(site), site.browser(), int(site.clock.now)
    account = accounts.find(ALICE)

    def owner() -> None:
        if act == "password":
            change(site)
        elif act == "disable and enable":
            accounts.disable(account.id, "admin:root", now)
            accounts.enable(account.id, "admin:root", now)
        elif act == "end sessions":
            accounts.end_all(account.id, "admin:root", now)
        elif act == "reset":
            accounts.reset(accounts.ask_reset(ALICE, HOME, now)[1], NEW, "", HOME, now)
        else:
            accounts.delete(account.id, HOME, now)
            accounts.sign_up(ALICE, NEW, HOME, now)

    after(monkeypatch, "verify", owner)
    answer = site.log_in(thief)

    assert answer.status_code == 303
    assert not is_in(site, thief)


def test_a_log_in_that_nobody_overtakes_opens_the_inbox(site, monkeypatch):
    site.sign_up(site.browser())
    browser = site.browser()

    after(monkeypatch, "verify", lambda: None)
    site.log_in(browser)

    assert is_in(site, browser)


def test_a_code_typed_while_the_password_is_changed_opens_nothing(site, monkeypatch):
    _, secret, _ = enrolled(site)
    thief = site.browser()
    site.log_in(thief)

    after(monkeypatch, "prove", lambda: change(site))
    site.post(thief, "/login/code", code=code_of(site, secret))

    assert not is_in(site, thief)


def test_of_two_who_change_the_password_at_once_the_later_does_not_undo_the_earlier(site, monkeypatch):
    thief = site.browser()
    site.sign_up(thief)

    after(monkeypatch, "confirm", lambda: change(site))
    answer = site.post(thief, "/account/password", password=PASSWORD, new=THIEFS, again=THIEFS)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert not is_in(site, thief)
    assert accounts_of(site).verify(ALICE, NEW, HOME, int(site.clock.now)) is not None


def test_the_session_after_a_changed_password_is_overtaken_by_another_change(site, monkeypatch):
    thief = site.browser()
    site.sign_up(thief)

    after(monkeypatch, "change_password", lambda: change(site))
    site.post(thief, "/account/password", password=PASSWORD, new=THIEFS, again=THIEFS)

    assert not is_in(site, thief)


@pytest.mark.parametrize("what", ["remove", "codes", "another phone"])
def test_a_second_factor_is_not_touched_with_a_password_that_was_changed_meanwhile(site, monkeypatch, what):
    thief, secret, codes = enrolled(site)
    form = {"password": PASSWORD, "code": code_of(site, secret)}
    if what == "another phone":
        form["code"] = code_of(site, begin(site, thief))
    page = {"remove": OVERVIEW + "/remove", "codes": OVERVIEW + "/codes", "another phone": ENROL}[what]

    after(monkeypatch, "confirm", lambda: change(site))
    answer = site.post(thief, page, **form)

    accounts = accounts_of(site)
    account = accounts.find(ALICE)
    assert (answer.status_code, codes_on(answer.text)) == (303, [])
    assert account.second_factor
    assert accounts.prove(account.id, codes[0], HOME, int(site.clock.now)) == "recovery"
    assert not is_in(site, thief)


def test_a_secret_shown_to_a_thief_never_becomes_the_owners(site):
    owner, thief = site.browser(), site.browser()
    site.sign_up(owner)
    site.log_in(thief)

    seen = begin(site, thief)
    own = begin(site, owner)

    assert own != seen
    assert site.get(thief, ENROL).status_code == 303  # and what the owner began is not shown to the thief
    assert site.post(thief, ENROL, password=PASSWORD, code=code_of(site, own)).status_code == 303
    assert codes_on(site.post(owner, ENROL, password=PASSWORD, code=code_of(site, own)).text)


def test_where_everybody_must_enrol_a_thief_of_the_password_can_not_know_the_owners_secret(tmp_path):
    site = portal(tmp_path, accounts='require_totp = "always"')
    owner, thief = site.browser(), site.browser()
    site.sign_up(owner)
    site.log_in(thief)

    seen = begin(site, thief)
    own, _ = enrol(site, owner)

    assert own != seen
    assert is_in(site, owner)
    # The thief's log-in, which was let through to these pages, is over.
    assert site.get(thief, OVERVIEW).headers["Location"].startswith("/login")
    assert site.post(thief, OVERVIEW + "/begin").headers["Location"].startswith("/login")


def test_setting_up_a_second_factor_ends_other_sessions_in_the_same_moment(site, monkeypatch):
    owner, thief = site.browser(), site.browser()
    site.sign_up(owner)
    site.log_in(thief)
    found = []

    accounts, now = accounts_of(site), int(site.clock.now)
    after(monkeypatch, "confirm_totp", lambda: found.append(accounts.sessions(accounts.find(ALICE).id, now)))
    enrol(site, owner)

    assert found == [[]]
    assert not is_in(site, thief)
    assert is_in(site, owner)
