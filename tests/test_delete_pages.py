"""Delete my account: all of it or, after a crash, the rest of it; nobody else's; and never by mistake."""

import pytest

from messenger import cache_folder, preferences
from messenger.accounts import Accounts
from messenger.mailbox import Mailbox, MailboxError
from messenger.preferences import Preferences

from .mail_pages_fixtures import deliver, logged_in, mail, mailbox_at
from .reader_fixtures import ALICE, BOB, PASSWORD, portal

PAGE = "/account/delete"
SURE = {"sure": "yes", "password": PASSWORD}


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    return portal(tmp_path)


@pytest.fixture(name="alice")
def alice_fixture(site):
    """Somebody with mail that was looked at, so that there is a cache of it."""
    browser = logged_in(site)
    name = deliver(site, mail(html="<b>Hello</b>"))
    site.get(browser, "/")
    site.get(browser, f"/message/{name}")
    return browser


def accounts_of(site):
    return site.app.extensions["messenger"].accounts


def cache_of(site, address=ALICE):
    return cache_folder.folder_of(site.home / "cache", address)


def test_the_page_says_what_goes_and_what_stays_and_changes_nothing(site, alice):
    page = site.get(alice, PAGE).text

    assert "all your messages on this site" in page
    assert "an email invites you to open a new account" in page
    assert 'href="/account/export"' in page
    assert mailbox_at(site).list()


def test_mail_cache_settings_account_and_sessions_go(site, alice):
    other = site.browser()
    site.log_in(other)
    site.post(alice, "/account", language="en", time_zone="UTC", notices="off", phrase="x")

    answer = site.post(alice, PAGE, **SURE)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/goodbye")
    assert "Your account and all your messages are deleted." in site.get(alice, "/goodbye").text
    assert not mailbox_at(site).root.parent.exists()
    assert not cache_of(site).exists()
    assert accounts_of(site).find(ALICE) is None
    assert [site.get(one, "/").status_code for one in (alice, other)] == [303, 303]
    assert site.log_in(site.browser()).status_code == 403


def test_everybody_else_keeps_everything(site, alice):
    bob = logged_in(site, BOB)
    deliver(site, mail("For Bob"), BOB)
    site.get(bob, "/")

    site.post(alice, PAGE, **SURE)

    assert "For Bob" in site.get(bob, "/").text
    assert cache_of(site, BOB).exists()


def test_the_audit_stays_and_the_owner_is_told(site, alice):
    site.post(alice, PAGE, **SURE)

    events = [(event.event, event.outcome) for event in accounts_of(site).trail(address=ALICE)]
    assert events[-1] == ("delete", "done")
    assert ("sign-up", "done") in events
    assert site.letters == [("deleted", ALICE, "")]


def test_the_letter_repeats_the_phrase_that_is_deleted(site, alice, monkeypatch):
    said = []
    preferences.write(mailbox_at(site).root.parent, Preferences(phrase="blue heron"))
    letters = site.app.extensions["messenger"].letters
    monkeypatch.setattr(letters, "send", lambda *given, **more: said.append((given, more)))

    site.post(alice, PAGE, **SURE)

    assert [more for _, more in said] == [{"phrase": "blue heron"}]


def test_a_later_mail_opens_a_new_invitation(site, alice):
    site.post(alice, PAGE, **SURE)
    site.clock.now += 60
    deliver(site, mail("Again"))

    again = logged_in(site)

    assert "Again" in site.get(again, "/").text


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({}, 422, "Please tick this"),
        ({"password": PASSWORD}, 422, "Please tick this"),
        ({"sure": "yes"}, 403, "This is not your password."),
        ({"sure": "yes", "password": "not this one, sorry"}, 403, "This is not your password."),
    ],
)
def test_without_the_tick_or_the_password_nothing_goes(site, alice, form, status, words):
    answer = site.post(alice, PAGE, **form)

    assert (answer.status_code, words in answer.text) == (status, True)
    assert mailbox_at(site).list()
    assert site.get(alice, "/").status_code == 200
    assert site.letters == []


def test_guessing_the_password_is_slowed_down(site, alice):
    answers = [site.post(alice, PAGE, sure="yes", password=f"wrong number {at}") for at in range(7)]
    late = site.post(alice, PAGE, **SURE)

    assert answers[-1].status_code == late.status_code == 429
    assert "Retry-After" in late.headers
    assert mailbox_at(site).list()


def test_a_form_of_another_site_deletes_nothing(site, alice):
    site.headers = {"Sec-Fetch-Site": "cross-site"}

    assert site.post(alice, PAGE, **SURE).status_code == 403
    assert mailbox_at(site).list()


@pytest.mark.parametrize(
    ("where", "name"), [(Mailbox, "delete"), (cache_folder, "remove"), (Accounts, "delete")], ids=lambda one: str(one)
)
def test_after_trouble_at_any_step_another_try_ends_it(site, alice, monkeypatch, where, name):
    def trouble(*_, **__):
        raise MailboxError("Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(where, name, trouble)
        first = site.post(alice, PAGE, **SURE)
    told = list(site.letters)
    second = site.post(alice, PAGE, **SURE)

    assert (first.status_code, told, second.status_code) == (503, [], 303)
    assert not mailbox_at(site).root.parent.exists()
    assert not cache_of(site).exists()
    assert accounts_of(site).find(ALICE) is None


def test_a_cache_that_stays_is_said_in_a_sentence(tmp_path, monkeypatch):
    folder = cache_folder.folder_of(tmp_path, ALICE)
    cache_folder.make(folder)

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache_folder.shutil, "rmtree", refused)

    with pytest.raises(cache_folder.CacheStays, match="can't remove it: Permission denied; remove it by hand"):
        cache_folder.remove(tmp_path, ALICE)


def test_the_goodbye_is_open_and_says_nothing_of_anybody(site):
    page = site.get(site.browser(), "/goodbye")

    assert page.status_code == 200
    assert "@" not in page.text
