import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from messenger_reader.access import COOKIE
from messenger_reader.reset_pages import RESET_COOKIE
from tests.reader_fixtures import ALICE, BOB, OURS, PASSWORD, PORTAL, Portal, everything, heading, portal
from tests.second_factor_fixtures import code_of, enrolled, note_on

NEW = "seven quiet green hills"
HOUR = 3600


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


def ask(site: Portal, address: str = ALICE) -> str:
    """Ask for a link as a browser does; return its path."""
    site.post(site.browser(), "/forgot", address=address)
    kind, to, link = site.letters[-1]
    assert (kind, to) == ("reset", address)
    return link.removeprefix(PORTAL)


def choose(site: Portal, path: str, **form: str):
    """Open the link as a browser does, and send the form."""
    browser = site.browser()
    site.get(browser, path)
    token = re.search(r'name="token" value="([^"]+)"', site.get(browser, "/reset").text)[1]
    return site.post(browser, "/reset", **{"token": token, "new": NEW, "again": NEW, **form})


# -- asking


def test_the_log_in_page_leads_to_it(site):
    assert '<a class="row" href="/forgot">Forgotten your password?</a>' in site.get(site.browser(), "/login").text


@pytest.mark.parametrize("address", [ALICE, BOB, "no address", "", "x" * 400])
def test_asking_has_one_answer_whether_there_is_such_an_account_or_not(site, address):
    site.sign_up(site.browser())
    browser = site.browser()

    answer = site.post(browser, "/forgot", address=address)
    page = site.get(browser, answer.headers["Location"])

    assert (answer.status_code, answer.headers["Location"]) == (303, "/forgot?sent=")
    assert heading(page.text) == "Look into your mail"
    assert not answer.headers.getlist("Set-Cookie")
    assert [letter[:2] for letter in site.letters] == ([("reset", ALICE)] if address == ALICE else [])


def test_asking_again_and_again_fills_nobodys_mailbox_and_says_nothing_else(site):
    site.sign_up(site.browser())

    answers = [site.post(site.browser(), "/forgot", address=ALICE) for _ in range(30)]

    assert {(answer.status_code, answer.headers["Location"]) for answer in answers} == {(303, "/forgot?sent=")}
    assert len(site.letters) <= 5


def test_the_old_password_works_until_another_is_chosen(site):
    site.sign_up(site.browser())
    path = ask(site)
    site.get(site.browser(), path)

    assert site.log_in(site.browser()).status_code == 303


# -- the link


def test_the_link_leads_to_an_address_without_the_token(site):
    site.sign_up(site.browser())
    browser = site.browser()

    answer = site.get(browser, ask(site))
    page = site.get(browser, answer.headers["Location"]).text

    assert (answer.status_code, answer.headers["Location"]) == (303, "/reset")
    [line] = answer.headers.getlist("Set-Cookie")
    assert line.startswith(RESET_COOKIE + "=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=3600"} <= set(line.split("; "))
    assert f'value="{ALICE}" readonly' in page
    assert 'name="code"' not in page


def test_opening_the_link_any_number_of_times_changes_and_spends_nothing(site):
    site.sign_up(site.browser())
    path = ask(site)
    before = everything(site)

    for _ in range(3):
        scanner = site.browser()
        site.get(scanner, path)
        site.get(scanner, "/reset")
        scanner.head(path, base_url=PORTAL)
        site.post(scanner, "/reset")
        site.post(scanner, "/reset", token=path.removeprefix("/r/"))

    assert everything(site) == before
    assert choose(site, path).headers["Location"] == "/login?reset="


def test_a_new_password_ends_every_session_and_takes_the_place_of_the_old_one(site):
    other = site.browser()
    site.sign_up(other)

    answer = choose(site, ask(site))

    assert answer.headers["Location"] == "/login?reset="
    assert "Your password is changed" in site.get(site.browser(), "/login?reset=").text
    assert site.get(other, "/").status_code == 303
    assert site.log_in(site.browser()).status_code == 403
    assert site.log_in(site.browser(), password=NEW).status_code == 303
    assert ("password-changed", ALICE, "") in site.letters


def test_a_reset_logs_nobody_in(site):
    site.sign_up(site.browser())
    browser = site.browser()
    site.get(browser, ask(site))
    token = browser.get_cookie(RESET_COOKIE, "mail.example.org").value

    site.post(browser, "/reset", token=token, new=NEW, again=NEW)

    assert browser.get_cookie(COOKIE, "mail.example.org") is None
    assert browser.get_cookie(RESET_COOKIE, "mail.example.org") is None
    assert site.get(browser, "/").status_code == 303


def test_a_link_works_once(site):
    site.sign_up(site.browser())
    path = ask(site)
    browser = site.browser()
    site.get(browser, path)
    choose(site, path)

    again = site.post(browser, "/reset", token=path.removeprefix("/r/"), new="another fine password", again="x")

    for answer in (again, site.get(site.browser(), path), site.get(browser, "/reset")):
        assert answer.status_code == 410
        assert heading(answer.text) == "This link doesn’t work any more"
        assert 'href="/forgot"' in answer.text
    assert site.log_in(site.browser(), password=NEW).status_code == 303


def test_of_two_who_use_one_link_at_once_one_wins(site):
    site.sign_up(site.browser())
    path = ask(site)
    token = path.removeprefix("/r/")

    def attempt(number: int) -> int:
        password = f"{NEW} {number}"
        return site.post(site.browser(), "/reset", token=token, new=password, again=password).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(attempt, range(4)))

    assert statuses == [303, 410, 410, 410]


def test_a_link_works_for_an_hour(site):
    site.sign_up(site.browser())
    path = ask(site)
    site.clock.now += HOUR - 1
    in_time = site.get(site.browser(), path).status_code
    site.clock.now += 1

    assert (in_time, site.get(site.browser(), path).status_code) == (303, 410)


@pytest.mark.parametrize("token", ["A" * 43, "x", "A" * 5000, "%00%FF", "1' OR '1'='1"])
def test_a_link_that_was_made_up_says_what_to_do(site, token):
    site.sign_up(site.browser())
    before = everything(site)

    answer = site.get(site.browser(), "/r/" + token)
    posted = site.post(site.browser(), "/reset", token=token, new=NEW, again=NEW)

    assert (answer.status_code, posted.status_code) == (410, 410)
    assert not [line for line in answer.headers.getlist("Set-Cookie") if "Max-Age=0" not in line]
    assert everything(site) == before


def test_the_form_decides_for_whom_not_a_link_opened_since_in_another_tab(site):
    site.sign_up(site.browser())
    site.sign_up(site.browser(), BOB)
    alice, bob = ask(site), ask(site, BOB)
    browser = site.browser()
    site.get(browser, alice)
    site.get(browser, bob)

    site.post(browser, "/reset", token=alice.removeprefix("/r/"), new=NEW, again=NEW)

    assert site.log_in(site.browser(), password=NEW).status_code == 303
    assert site.log_in(site.browser(), BOB).status_code == 303


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"again": NEW + "!"}, "not the same"),
        ({"new": "short", "again": "short"}, "at least 12 characters"),
        ({"new": "password1234", "again": "password1234"}, "guessed first"),
        ({"new": ALICE, "again": ALICE}, "made of your address"),
    ],
)
def test_a_password_that_is_refused_is_told_why_and_the_link_still_works(site, form, words):
    site.sign_up(site.browser())
    path = ask(site)

    answer = choose(site, path, **form)

    assert answer.status_code == 422
    assert words in note_on(answer.text)
    assert not re.search(r'type="password"[^>]*\bvalue=', answer.text)
    assert choose(site, path).status_code == 303


def test_a_form_of_another_site_is_refused(site):
    site.sign_up(site.browser())
    path = ask(site)
    form = {"token": path.removeprefix("/r/"), "new": NEW, "again": NEW}
    headers = {**OURS, "Sec-Fetch-Site": "cross-site"}

    for target in ("/reset", "/forgot"):
        answer = site.browser().post(target, base_url=PORTAL, headers=headers, data=form)
        assert answer.status_code == 403
    assert site.log_in(site.browser()).status_code == 303


# -- never around the second factor


@pytest.mark.parametrize("code", ["", "000000", "0000-0000-0000-0000-0000-0000-0000"])
def test_with_a_second_factor_the_link_alone_changes_nothing(site, code):
    enrolled(site)
    path = ask(site)

    answer = choose(site, path, code=code)

    assert answer.status_code == 403
    assert note_on(answer.text)
    assert site.log_in(site.browser()).status_code == 303
    assert site.log_in(site.browser(), password=NEW).status_code == 403
    assert site.get(site.browser(), path).status_code == 303


def test_with_the_code_the_password_is_changed_and_the_second_step_stays(site):
    _, secret, _ = enrolled(site)

    answer = choose(site, ask(site), code=code_of(site, secret))

    assert answer.headers["Location"] == "/login?reset="
    assert site.log_in(site.browser(), password=NEW).headers["Location"] == "/login/code"
    assert "recovery-used" not in [letter[0] for letter in site.letters]


def test_a_recovery_code_does_it_too_and_the_owner_is_told(site):
    _, _, codes = enrolled(site)

    answer = choose(site, ask(site), code=codes[0])

    assert answer.headers["Location"] == "/login?reset="
    assert [letter[0] for letter in site.letters[-2:]] == ["password-changed", "recovery-used"]


def test_a_refused_password_uses_no_code_up(site):
    _, _, codes = enrolled(site)
    path = ask(site)

    choose(site, path, code=codes[0], new="short", again="short")

    assert choose(site, path, code=codes[0]).status_code == 303


def test_guessing_codes_with_a_link_has_to_wait(site):
    enrolled(site)
    path = ask(site)

    statuses = [choose(site, path, code="000000").status_code for _ in range(6)]

    assert statuses == [403] * 5 + [429]


def test_the_page_for_an_account_with_a_second_factor_says_what_to_do_without_a_phone(site):
    enrolled(site)
    browser = site.browser()
    site.get(browser, ask(site))

    page = site.get(browser, "/reset").text

    assert 'name="code"' in page
    assert 'href="/help#lost"' in page
    assert 'id="lost"' in site.get(browser, "/help").text


# -- changing it


def test_changing_the_password_wants_the_old_one_and_keeps_this_browser_alone(site):
    browser, other = site.browser(), site.browser()
    site.sign_up(browser)
    site.log_in(other)
    before = browser.get_cookie(COOKIE, "mail.example.org").value

    answer = site.post(browser, "/account/password", password=PASSWORD, new=NEW, again=NEW)

    assert "Your password is changed." in site.get(browser, answer.headers["Location"]).text
    assert browser.get_cookie(COOKIE, "mail.example.org").value != before
    assert site.get(other, "/").status_code == 303
    assert ("password-changed", ALICE, "") in site.letters
    assert site.log_in(site.browser(), password=NEW).status_code == 303


@pytest.mark.parametrize(
    ("form", "words", "status"),
    [
        ({"password": "not this one, sorry"}, "This is not your password.", 403),
        ({"again": "something else"}, "not the same", 422),
        ({"new": "short", "again": "short"}, "at least 12 characters", 422),
    ],
)
def test_a_change_that_is_refused_is_told_why_and_changes_nothing(site, form, words, status):
    browser = site.browser()
    site.sign_up(browser)

    answer = site.post(browser, "/account/password", **{"password": PASSWORD, "new": NEW, "again": NEW, **form})

    assert answer.status_code == status
    assert words in note_on(answer.text)
    assert site.letters == []
    assert site.get(browser, "/").status_code == 200
    assert site.log_in(site.browser()).status_code == 303


def test_guessing_the_old_password_in_a_session_that_was_found_open_has_to_wait(site):
    browser = site.browser()
    site.sign_up(browser)

    statuses = [
        site.post(browser, "/account/password", password="not this one, sorry", new=NEW, again=NEW).status_code
        for _ in range(6)
    ]

    assert statuses == [403] * 5 + [429]


def test_with_a_second_factor_changing_the_password_keeps_the_session_whole(site):
    browser, _, _ = enrolled(site)

    site.post(browser, "/account/password", password=PASSWORD, new=NEW, again=NEW)

    assert site.get(browser, "/").status_code == 200
