"""Where I am logged in, log-outs from afar, and when this log-in ends."""

import re

import pytest

from messenger.accounts import CODE
from messenger_reader.browser_words import device

from .mail_pages_fixtures import deliver, logged_in, mail
from .reader_fixtures import ALICE, BOB, PASSWORD, portal

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"
PAGE = "/account/sessions"
STAY = re.compile(r'href="(/stay\?[^"]*)"')


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    return portal(tmp_path)


@pytest.fixture(name="alice")
def alice_fixture(site):
    return logged_in(site)


@pytest.fixture(name="accounts")
def accounts_fixture(site):
    return site.app.extensions["messenger"].accounts


def elsewhere(site, address=ALICE, agent=SAFARI):
    """The same person in another browser."""
    browser = site.browser()
    site.headers["User-Agent"] = agent
    site.log_in(browser, address)
    del site.headers["User-Agent"]
    return browser


def ids(page):
    return re.findall(r'name="session" value="([0-9a-f]{64})"', page)


def is_in(site, browser):
    return site.get(browser, "/").status_code == 200


# -- the list


def test_each_device_is_named_in_words_with_its_address_this_one_first(site, alice):
    site.clock.now += 120
    elsewhere(site)

    page = site.get(alice, PAGE).text
    names = [name.strip() for name in re.findall(r"<h2>([^<]*)", page)]

    assert names == ["A browser that we don’t know", "Safari on iPhone"]
    assert page.count("this device") == 1
    assert "127.0.0.1" in page
    assert "Since 15 January 2027, 08:02" in page


def test_the_page_holds_no_token_that_logs_in(site, alice):
    elsewhere(site)
    cookies = [cookie.value for cookie in alice._cookies.values()]

    page = site.get(alice, PAGE).text

    assert cookies
    assert not any(cookie in page for cookie in cookies)


def test_other_peoples_log_ins_are_not_on_it(site, alice):
    logged_in(site, BOB)

    assert ids(site.get(alice, PAGE).text) == []


def test_what_a_browser_calls_itself_is_never_drawn(site, alice):
    elsewhere(site, agent="<script>alert(1)</script> \u202e Firefox/1")

    page = site.get(alice, PAGE).text

    assert "<script" not in page
    assert "Firefox" in page


def test_a_log_in_that_lacks_its_second_step_is_a_warning(site, alice, accounts):
    accounts.open_session(1, "198.51.100.9", int(site.clock.now), SAFARI, CODE)

    page = site.get(alice, PAGE).text

    assert "The password was right; the second step is missing." in page
    assert "198.51.100.9" in page


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, ("Firefox", "Windows")),
        (SAFARI, ("Safari", "iPhone")),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36", ("Chrome", "Linux")),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/131.0 Mobile Safari/537.36 EdgA/131", ("Edge", "Android")),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/17.6 Safari/605.1.15", ("Safari", "macOS")),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) Chrome/131.0 Safari/537.36", ("Chrome", "ChromeOS")),
        ("Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) FxiOS/133.0 Safari/605.1.15", ("Firefox", "iPad")),
        ("Mozilla/5.0 (Linux; Android 14) SamsungBrowser/26.0 Chrome/122", ("Samsung Internet", "Android")),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/131.0 Safari/537.36 OPR/116.0", ("Opera", "Windows")),
        ("curl/8.11.0", ("", "")),
        ("", ("", "")),
    ],
)  # fmt: skip
def test_a_browser_and_its_system_are_told_from_what_it_says(agent, words):
    assert device(agent) == words


# -- log-outs from afar


def test_one_device_is_logged_out_and_the_others_stay(site, alice):
    phone, laptop = elsewhere(site), elsewhere(site, agent=FIREFOX)
    page = site.get(alice, PAGE).text
    [of_phone] = [found for found in ids(page) if "Safari on iPhone" in page.partition(found)[2].partition("</li>")[0]]

    answer = site.post(alice, f"{PAGE}/end", session=of_phone, password=PASSWORD)

    assert answer.headers["Location"] == f"{PAGE}?ended=1"
    assert [is_in(site, one) for one in (alice, phone, laptop)] == [True, False, True]
    assert "One log-in is ended." in site.get(alice, f"{PAGE}?ended=1").text


def test_all_others_are_logged_out_at_once(site, alice):
    others = [elsewhere(site) for _ in range(3)]

    answer = site.post(alice, f"{PAGE}/end-others", password=PASSWORD)

    assert answer.headers["Location"] == f"{PAGE}?ended=3"
    assert is_in(site, alice)
    assert not any(is_in(site, one) for one in others)


def test_without_the_password_no_log_in_is_ended_and_the_page_asks_for_it(site, alice):
    phone = elsewhere(site)
    [of_phone] = ids(site.get(alice, PAGE).text)

    asked = site.post(alice, f"{PAGE}/end", session=of_phone)
    wrong = site.post(alice, f"{PAGE}/end", session=of_phone, password="not this one")
    others = site.post(alice, f"{PAGE}/end-others")
    wrong_others = site.post(alice, f"{PAGE}/end-others", password="")

    assert [answer.status_code for answer in (asked, wrong, others, wrong_others)] == [200, 403, 200, 403]
    assert ids(asked.text) == ids(wrong.text) == [of_phone]
    assert "Safari on iPhone" in asked.text
    assert 'role="alert"' not in asked.text + others.text
    assert "This is not your password." in wrong.text
    assert "This is not your password." in wrong_others.text
    assert is_in(site, phone)


def test_nobody_ends_the_log_in_of_somebody_else(site, alice, accounts):
    bob = logged_in(site, BOB)
    [of_bob] = accounts.sessions(2, int(site.clock.now))

    answer = site.post(alice, f"{PAGE}/end", session=of_bob.id)
    site.post(alice, f"{PAGE}/end-others", password=PASSWORD)

    assert answer.headers["Location"] == f"{PAGE}?ended=0"
    assert is_in(site, bob)


@pytest.mark.parametrize("given", ["", "x", "0" * 64, "' OR 1=1 --"])
def test_a_session_that_is_none_is_over_already(site, alice, given):
    assert site.post(alice, f"{PAGE}/end", session=given).headers["Location"] == f"{PAGE}?ended=0"


@pytest.mark.parametrize("given", ["", "-1", "²", "1" * 5000, "<b>"])
def test_an_odd_address_says_nothing_odd(site, alice, given):
    answer = site.browser().get(f"{PAGE}?ended={given}", base_url=site.base, headers=site.headers)
    page = site.get(alice, PAGE, query_string={"ended": given})

    assert answer.status_code in (303, 414)
    assert page.status_code == 200
    assert 'role="status"' not in page.text


def test_a_form_of_another_site_ends_nothing(site, alice):
    phone = elsewhere(site)
    [of_phone] = ids(site.get(alice, PAGE).text)
    ours, site.headers = site.headers, {"Sec-Fetch-Site": "cross-site"}

    refused = [site.post(alice, f"{PAGE}/end", session=of_phone), site.post(alice, f"{PAGE}/end-others")]
    site.headers = ours

    assert [answer.status_code for answer in refused] == [403, 403]
    assert is_in(site, phone)


# -- when it ends


def test_a_page_says_when_it_logs_out_in_the_readers_zone_and_is_right(site, alice, accounts):
    site.clock.now += 59  # 08:00:59, so that rounding up would be a lie
    accounts.settle(1, time_zone="Asia/Tokyo")

    page = site.get(alice, "/").text

    assert "You are logged out at 17:15 if you do nothing." in page
    site.clock.now = 1_800_000_000 + 15 * 60
    assert not is_in(site, alice)


def test_what_a_page_says_is_never_later_than_what_happens(site, alice):
    """The last use is written down once a minute; a page between two of those must not promise more."""
    for after in (0, 20, 59, 61, 100, 600):
        site.clock.now = 1_800_000_000 + after
        browser = elsewhere(site)
        site.clock.now += 45
        said = re.search(r"logged out at (\d+):(\d+)", site.get(browser, "/").text)
        assert said
        begins = 1_800_000_000 - 8 * 3600  # 00:00
        site.clock.now = begins + int(said[1]) * 3600 + int(said[2]) * 60 - 1

        # The clock stands at the last second before what was said, and nothing was done since.
        assert is_in(site, browser)


def test_staying_leads_back_to_the_page_and_moves_the_end(site, alice):
    name = deliver(site, mail("Hello", html="<b>x</b>"))
    page = site.get(alice, f"/message/{name}?pictures=1").text
    [stay] = STAY.findall(page)
    site.clock.now += 10 * 60

    answer = site.get(alice, stay)

    assert answer.headers["Location"] == f"/message/{name}?pictures=1"
    site.clock.now += 10 * 60
    assert is_in(site, alice)


def test_near_the_absolute_end_a_page_says_that_staying_does_not_help(site, alice):
    for _ in range(34):
        site.clock.now += 14 * 60
        page = site.get(alice, "/").text
        if "in any case" in page:
            break

    assert "You are logged out at 16:00 in any case. Please log in again then." in page
    assert not STAY.findall(page)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "/\r\nX: y", "", "evil"],
)
def test_staying_never_leads_to_another_site(site, alice, target):
    answer = site.get(alice, "/stay", query_string={"next": target})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_who_stays_too_late_logs_in_and_is_led_back(site, alice):
    [stay] = STAY.findall(site.get(alice, "/account").text)
    site.clock.now += 16 * 60

    asked = site.get(alice, stay)

    assert asked.headers["Location"].startswith("/login?next=/stay?next")


def test_a_page_that_answers_a_form_leads_back_to_the_form(site, alice):
    answer = site.post(alice, "/account/delete")

    assert answer.status_code == 422
    assert STAY.findall(answer.text) == ["/stay?next=/account/delete"]


def test_who_is_not_logged_in_is_told_no_end(site):
    for path in ("/login", "/help", "/nothing"):
        assert "logged out at" not in site.get(site.browser(), path).text
