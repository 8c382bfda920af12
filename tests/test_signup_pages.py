import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger import link
from messenger_reader.access import COOKIE
from messenger_reader.entry import LINK_COOKIE
from tests.reader_fixtures import ALICE, BOB, KEY, OURS, PASSWORD, PORTAL, Portal, everything, heading, portal

FROM_WEBMAIL = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
DAY = 86_400


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


# -- the link


def test_a_link_leads_to_choosing_a_password_under_an_address_without_the_token(site):
    browser = site.browser()

    first = site.get(browser, site.link(ALICE))
    second = site.get(browser, first.headers["Location"])

    assert (first.status_code, first.headers["Location"]) == (303, "/welcome")
    assert heading(second.text) == "Choose a password"
    assert f'value="{ALICE}" readonly' in second.text


def test_the_cookie_that_carries_a_link_is_short_lived_and_comes_along_from_webmail(site):
    answer = site.get(site.browser(), site.link(ALICE))

    [line] = answer.headers.getlist("Set-Cookie")
    assert line.startswith(LINK_COOKIE + "=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"} <= set(line.split("; "))


def test_opening_a_link_any_number_of_times_changes_and_spends_nothing(site):
    before = everything(site)
    for _ in range(3):
        scanner = site.browser()
        site.get(scanner, site.link(ALICE))
        site.get(scanner, "/welcome")
        scanner.head(site.link(ALICE), base_url=PORTAL)

    assert everything(site) == before
    assert site.sign_up(site.browser()).status_code == 303


def test_a_scanner_that_presses_the_button_spends_nothing(site):
    before = everything(site)
    scanner = site.browser()
    token = site.token(ALICE)
    for form in ({}, {"token": token}, {"token": token, "password": "", "again": ""}):
        answer = site.post(scanner, "/signup", **form)
        assert answer.status_code in (410, 422)

    assert everything(site) == before
    assert site.sign_up(site.browser()).status_code == 303


def test_a_link_for_somebody_known_leads_to_the_log_in_with_the_address_filled_in(site):
    site.sign_up(site.browser())
    browser = site.browser()

    site.get(browser, site.link(ALICE))
    page = site.get(browser, "/welcome").text

    assert heading(page) == "Log in"
    assert f'value="{ALICE}"' in page


def test_a_link_in_a_browser_that_is_logged_in_leads_to_the_inbox(site):
    browser = site.browser()
    site.sign_up(browser)

    site.get(browser, site.link(ALICE))

    assert site.get(browser, "/welcome").headers["Location"] == "/"


def test_from_webmail_which_brings_no_session_along_the_log_in_page_offers_the_inbox(site):
    browser = site.browser()
    site.sign_up(site.browser())
    browser.get(site.link(ALICE), base_url=PORTAL, headers=FROM_WEBMAIL)

    page = browser.get("/welcome", base_url=PORTAL, headers=FROM_WEBMAIL).text

    assert "Logged in here already?" in page
    assert '<a href="/">Open your inbox</a>' in page
    assert "Logged in here already?" not in site.get(browser, "/welcome").text


def test_a_link_for_somebody_else_does_not_change_who_is_logged_in(site):
    browser = site.browser()
    site.sign_up(browser)

    site.get(browser, site.link(BOB))
    page = site.get(browser, "/welcome").text

    assert heading(page) == "Choose a password"
    assert f'value="{BOB}" readonly' in page
    assert site.get(browser, "/").status_code == 200


def spoiled_links() -> dict[str, str]:
    now = 1_800_000_000
    good = link.token(KEY, ALICE, now)
    other = link.token(KEY, BOB, now)
    return {
        "too old": link.token(KEY, ALICE, now - 31 * DAY),
        "from tomorrow": link.token(KEY, ALICE, now + DAY),
        "another key": link.token(bytes(32), ALICE, now),
        "cut off": good[:-5],
        "longer": good + "A",
        "changed": good[:40] + ("A" if good[40] != "A" else "B") + good[41:],
        "mixed": good[: len(good) // 2] + other[len(other) // 2 :],
        "empty-ish": ".",
        "not ours": "A" * 60 + "1",
        "binary": "%00%FF",
        "long": "A" * 3000,
    }


@pytest.mark.parametrize("kind", list(spoiled_links()))
def test_a_link_that_is_not_good_says_what_to_do(site, kind):
    before = everything(site)
    answer = site.get(site.browser(), "/l/" + spoiled_links()[kind])

    assert answer.status_code == 410
    assert heading(answer.text) == "This link doesn’t work"
    assert "ask the sender to write to you again" in answer.text
    assert PORTAL in answer.text
    assert not answer.headers.getlist("Set-Cookie")
    assert everything(site) == before


@pytest.mark.parametrize("kind", list(spoiled_links()))
def test_a_token_that_is_not_good_signs_nobody_up(site, kind):
    before = everything(site)
    browser = site.browser()
    browser.set_cookie(LINK_COOKIE, site.token(ALICE), domain="mail.example.org")

    answer = site.post(
        browser, "/signup", token=spoiled_links()[kind], password=PASSWORD, again=PASSWORD, address=ALICE
    )

    assert answer.status_code == 410
    assert everything(site) == before


def test_a_link_works_for_as_long_as_the_settings_say(site):
    token = site.token(ALICE)
    site.clock.now += 30 * DAY
    in_time = site.get(site.browser(), "/l/" + token).status_code
    site.clock.now += 1

    assert (in_time, site.get(site.browser(), "/l/" + token).status_code) == (303, 410)


def test_welcome_without_a_link_says_what_to_do(site):
    assert site.get(site.browser(), "/welcome").status_code == 410


# -- signing up


def test_signing_up_opens_the_inbox(site):
    browser = site.browser()

    answer = site.sign_up(browser)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert site.get(browser, "/").status_code == 200


def test_the_passwords_typed_must_be_the_same(site):
    before = everything(site)

    answer = site.post(site.browser(), "/signup", token=site.token(ALICE), password=PASSWORD, again=PASSWORD + "!")

    assert answer.status_code == 422
    assert "not the same" in answer.text
    assert everything(site) == before


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short", "at least 12 characters"),
        ("x1" * 65, "at most 128"),
        ("password1234", "guessed first"),
        (ALICE, "made of your address"),
        ("Webmail Messenger", "made of your address or the name of this site"),
        ("with\x00in it somewhere", "can’t be typed everywhere"),
    ],
)
def test_a_password_that_is_refused_is_told_why_and_never_shown_again(site, password, words):
    before = everything(site)

    answer = site.post(site.browser(), "/signup", token=site.token(ALICE), password=password, again=password)

    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert not re.search(r'type="password"[^>]*\bvalue=', answer.text)
    assert everything(site) == before


def test_the_form_decides_for_whom_not_a_link_opened_since_in_another_tab(site):
    browser = site.browser()
    token = site.token(ALICE)
    site.get(browser, "/l/" + token)
    site.get(browser, site.link(BOB))

    site.post(browser, "/signup", token=token, password=PASSWORD, again=PASSWORD, address=BOB)

    assert site.log_in(site.browser(), ALICE).status_code == 303
    assert site.log_in(site.browser(), BOB).status_code == 403


def test_a_link_used_again_neither_changes_the_password_nor_logs_in(site):
    site.sign_up(site.browser())
    browser = site.browser()

    answer = site.post(
        browser, "/signup", token=site.token(ALICE), password="another fine password", again="another fine password"
    )

    assert answer.status_code == 409
    assert "You have an account already" in answer.text
    assert COOKIE not in str(answer.headers)
    assert site.log_in(site.browser(), ALICE).status_code == 303
    assert site.log_in(site.browser(), ALICE, "another fine password").status_code == 403


def test_of_two_who_sign_up_at_once_one_is_let_in_and_the_other_asked_to_log_in(site):
    token = site.token(ALICE)

    def attempt(number: int) -> int:
        password = f"{PASSWORD} {number}"
        return site.post(site.browser(), "/signup", token=token, password=password, again=password).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(attempt, range(6)))

    assert statuses == [303] + [409] * 5


def test_signing_up_as_somebody_else_ends_the_session_the_browser_had(site):
    browser, copy = site.browser(), site.browser()
    site.sign_up(browser)
    copy.set_cookie(COOKIE, browser.get_cookie(COOKIE, "mail.example.org").value, domain="mail.example.org")

    site.sign_up(browser, BOB)

    assert site.get(copy, "/").status_code == 303


def test_an_account_keeps_the_language_it_was_opened_in(site):
    german = {**OURS, "Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}
    browser = site.browser()
    form = {"token": site.token(ALICE), "password": PASSWORD, "again": PASSWORD}

    browser.post("/signup", base_url=PORTAL, headers=german, data=form)

    account = site.app.extensions["messenger"].accounts.find(ALICE)
    assert account.language == "de"


def test_coming_back_to_the_forms_address_leads_to_the_form(site):
    browser = site.browser()
    site.get(browser, site.link(ALICE))

    assert site.get(browser, "/signup").headers["Location"] == "/welcome"
