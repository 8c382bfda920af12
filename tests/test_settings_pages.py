"""My account: what is chosen there holds for pages and for notices, and what can't be chosen is refused."""

import html
import re
from dataclasses import replace
from zoneinfo import available_timezones

import pytest

from messenger import preferences
from messenger.mailbox import MailboxError
from messenger.preferences import Preferences
from messenger_reader import time_zones

from .mail_pages_fixtures import deliver, logged_in, mail, mailbox_at
from .reader_fixtures import ALICE, BOB, portal

CHOSEN = {"language": "de", "time_zone": "Europe/Berlin", "notices": "hourly", "phrase": "blue heron"}


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    return portal(tmp_path)


@pytest.fixture(name="alice")
def alice_fixture(site):
    return logged_in(site)


def preferences_of(site, address=ALICE):
    return preferences.read(mailbox_at(site, address).root.parent)


def events(site):
    return [event.event for event in site.app.extensions["messenger"].accounts.trail()]


def test_what_is_chosen_is_kept_for_pages_and_for_notices(site, alice):
    answer = site.post(alice, "/account", **CHOSEN)
    account = site.app.extensions["messenger"].accounts.find(ALICE)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?saved=")
    assert (account.language, account.time_zone) == ("de", "Europe/Berlin")
    assert preferences_of(site) == Preferences("blue heron", "hourly", "de", "Europe/Berlin")
    assert events(site)[-1] == "settings changed"


def test_the_page_shows_what_was_chosen_in_the_language_that_was_chosen(site, alice):
    site.post(alice, "/account", **CHOSEN)

    page = site.get(alice, "/account?saved").text

    assert "Ihre Einstellungen sind gespeichert." in page
    assert 'value="de" lang="de" selected' in page
    assert 'value="Europe/Berlin" selected' in page
    assert 'value="hourly" checked' in page
    assert 'value="blue heron"' in page


def test_the_page_shows_how_much_room_is_used_and_lists_warn_only_when_little_is_left(tmp_path):
    site = portal(tmp_path, mail="quota = 10000")
    alice = logged_in(site)
    mailbox_at(site).deliver(b"x" * 5000, "a" * 64)

    page = site.get(alice, "/account").text
    assert "5 KB of 10 KB used" in page
    assert re.search(r'<meter [^>]*value="50" aria-labelledby="room"', page)
    assert "nearly full" not in page + site.get(alice, "/").text

    mailbox_at(site).deliver(b"x" * 3000, "b" * 64)
    for path in ("/account", "/", "/folder/Trash"):
        assert "Your mailbox is nearly full" in site.get(alice, path).text
    assert 'value="80"' in site.get(alice, "/account").text

    mailbox_at(site).move("a" * 64, "", "Trash")
    assert "3 KB of 10 KB used" in site.get(alice, "/account").text


def test_without_a_quota_no_room_is_shown_and_trouble_with_it_hides_no_page(tmp_path, monkeypatch):
    free = portal(tmp_path, mail="quota = 0")
    assert "<meter" not in free.get(logged_in(free), "/account").text

    (tmp_path / "other").mkdir()
    site = portal(tmp_path / "other")
    alice = logged_in(site)

    def broken(*_):
        raise MailboxError("no space left")

    monkeypatch.setattr("messenger.mailbox.Mailbox.usage", broken)
    assert site.get(alice, "/account").status_code == site.get(alice, "/").status_code == 200
    assert "<meter" not in site.get(alice, "/account").text


def test_the_accounts_language_wins_over_the_browsers(site, alice):
    site.post(alice, "/account", **CHOSEN)
    site.headers["Accept-Language"] = "en"

    assert '<html lang="de">' in site.get(alice, "/").text


def test_dates_follow_the_time_zone(site, alice):
    name = deliver(site, mail())

    before = site.get(alice, f"/message/{name}").text
    site.post(alice, "/account", **CHOSEN | {"language": "en", "time_zone": "Asia/Tokyo"})

    assert "2 January 2026, 23:30" in before
    assert "3 January 2026, 08:30" in site.get(alice, f"/message/{name}").text


def test_settings_are_the_persons_own(site, alice):
    bob = logged_in(site, BOB)
    site.post(alice, "/account", **CHOSEN)

    assert preferences_of(site, BOB) == Preferences()
    assert "blue heron" not in site.get(bob, "/account").text


def test_a_phrase_is_cleaned_to_one_visible_line_and_drawn_escaped(site, alice):
    site.post(alice, "/account", **CHOSEN | {"phrase": ' <b>a\r\n\u202e b"\t '})

    assert preferences_of(site).phrase == '<b>a b"'
    assert html.escape('<b>a b"').replace("&quot;", "&#34;") in site.get(alice, "/account").text


def test_a_phrase_of_sixty_characters_is_kept_whole_and_a_longer_one_refused(site, alice):
    site.post(alice, "/account", **CHOSEN | {"phrase": "ä" * 60})
    answer = site.post(alice, "/account", **CHOSEN | {"phrase": "b" * 61})

    assert answer.status_code == 422
    assert "b" * 61 in answer.text
    assert "Bitte verwenden Sie höchstens 60 Zeichen." in answer.text
    assert preferences_of(site).phrase == "ä" * 60


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("language", "xx"),
        ("language", "../../etc"),
        ("language", ""),
        ("time_zone", "Mars/Olympus"),
        ("time_zone", "../../../etc/localtime"),
        ("time_zone", ""),
        ("notices", "sometimes"),
    ],
)
def test_what_is_not_on_the_list_is_refused_and_nothing_is_changed(site, alice, field, value):
    answer = site.post(alice, "/account", **CHOSEN | {field: value})

    assert answer.status_code == 422
    assert f'id="{field}-error" role="alert">Please choose one of these.' in answer.text
    assert preferences_of(site) == Preferences()
    assert site.app.extensions["messenger"].accounts.find(ALICE).language == "en"


def test_saving_leaves_what_the_form_does_not_show_as_it_is_by_then(site, alice, monkeypatch):
    site.post(alice, "/account", **CHOSEN)
    folder = mailbox_at(site).root.parent
    read = preferences.read

    def read_just_before_another_change(where):
        found = read(where)
        preferences.change(where, lambda before: replace(before, generation=before.generation + 1))
        return found

    monkeypatch.setattr("messenger_reader.settings_pages.preferences.read", read_just_before_another_change)
    answers = [site.post(alice, "/account", **CHOSEN | {"phrase": phrase}) for phrase in ("one", "two")]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert read(folder) == Preferences("two", "hourly", "de", "Europe/Berlin", generation=2)


def test_settings_can_be_kept_before_the_first_mail_came(site, alice):
    assert not mailbox_at(site).exists()

    site.post(alice, "/account", **CHOSEN)

    assert preferences_of(site).phrase == "blue heron"


def test_settings_that_can_not_be_written_change_nothing_else(site, alice, monkeypatch):
    def full(*_):
        raise MailboxError("No space left on device")

    monkeypatch.setattr("messenger_reader.settings_pages.preferences.change", full)
    answer = site.post(alice, "/account", **CHOSEN)

    assert answer.status_code == 503
    assert site.app.extensions["messenger"].accounts.find(ALICE).language == "en"


def test_an_account_keeps_a_zone_that_is_not_on_the_list(site, alice):
    site.app.extensions["messenger"].accounts.settle(1, time_zone="Asia/Calcutta")

    page = site.get(alice, "/account").text
    chosen = re.findall(r'<option value="([^"]+)" selected>', page)

    assert chosen == ["Asia/Calcutta"]
    assert site.post(alice, "/account", **CHOSEN | {"time_zone": "Asia/Calcutta"}).status_code == 303


def test_the_list_of_zones_has_real_ones_only_from_every_part_of_the_world():
    named = {name for _, places in time_zones.groups() for name, _ in places}

    assert named <= available_timezones()
    assert len(named) > 400
    assert {"Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata", "Pacific/Auckland"} <= named
    assert all(places for _, places in time_zones.groups())
    assert time_zones.place("America/Argentina/Buenos_Aires") == "Argentina, Buenos Aires"


def test_every_page_leads_to_the_account_and_the_account_to_all_that_concerns_it(site, alice):
    page = site.get(alice, "/account").text

    assert 'href="/account"' in site.get(alice, "/").text
    for path in ("password", "second-factor", "sessions", "export", "delete"):
        assert f'href="/account/{path}"' in page
    assert 'href="/account"' not in site.get(site.browser(), "/login").text


def test_a_form_of_another_site_settles_nothing(site, alice):
    site.headers = {"Sec-Fetch-Site": "cross-site"}

    assert site.post(alice, "/account", **CHOSEN).status_code == 403
    assert preferences_of(site) == Preferences()
