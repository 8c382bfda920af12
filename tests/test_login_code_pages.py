"""The second step of a log-in: a code after the password."""

import pytest

from messenger import totp
from messenger_reader.access import COOKIE
from tests.reader_fixtures import ALICE, PASSWORD, Portal, heading, portal
from tests.second_factor_fixtures import OVERVIEW, code_of, enrolled, note_on


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


def token_of(browser) -> str:
    return browser.get_cookie(COOKIE, "mail.example.org").value


def half_way(site: Portal):
    """A browser that has shown the password; the secret; recovery codes."""
    _, secret, codes = enrolled(site)
    browser = site.browser()
    site.log_in(browser)
    return browser, secret, codes


def test_after_the_password_a_code_is_asked_for_and_then_the_inbox_opens(site):
    _, secret, _ = enrolled(site)
    browser = site.browser()

    asked = site.log_in(browser)
    page = site.get(browser, asked.headers["Location"]).text
    answer = site.post(browser, "/login/code", code=code_of(site, secret))

    assert asked.headers["Location"] == "/login/code"
    assert heading(page) == "Enter your code"
    assert 'autocomplete="one-time-code"' in page
    assert answer.headers["Location"] == "/"
    assert site.get(browser, "/").status_code == 200


@pytest.mark.parametrize("path", ["/", "/message/1", OVERVIEW, "/account/password", "/nothing/../"])
def test_the_password_alone_opens_nothing(site, path):
    browser, _, _ = half_way(site)

    answer = site.get(browser, path)

    assert answer.status_code in (303, 404)
    if answer.status_code == 303:
        assert answer.headers["Location"].startswith("/login/code?next=")
    assert ALICE not in site.get(browser, "/login/code").text


@pytest.mark.parametrize("path", ["begin", "enrol", "codes", "codes.txt", "remove"])
def test_the_password_alone_changes_nothing_about_the_second_factor(site, path):
    browser, _, _ = half_way(site)

    answer = site.post(browser, f"{OVERVIEW}/{path}", password=PASSWORD, code="000000")

    assert answer.headers["Location"] == "/login/code"


def test_a_session_without_its_code_may_log_out_and_read_the_help(site):
    browser, _, _ = half_way(site)

    assert site.get(browser, "/help").status_code == 200
    assert "Log out" in site.get(browser, "/login/code").text
    assert site.post(browser, "/logout").headers["Location"] == "/login?out="
    assert site.get(browser, "/login/code").headers["Location"].startswith("/login?")


def test_the_code_brings_a_new_token_and_the_one_before_is_worth_nothing(site):
    browser, secret, _ = half_way(site)
    before = token_of(browser)

    site.post(browser, "/login/code", code=code_of(site, secret))

    assert token_of(browser) != before
    thief = site.browser()
    thief.set_cookie(COOKIE, before, domain="mail.example.org")
    assert site.get(thief, "/login/code").headers["Location"].startswith("/login?")


def test_a_wrong_code_is_told_and_opens_nothing(site):
    browser, _, _ = half_way(site)

    answer = site.post(browser, "/login/code", code="000000")

    assert answer.status_code == 403
    assert "This code is not right" in note_on(answer.text)
    assert site.get(browser, "/").status_code == 303


def test_a_code_works_once(site):
    browser, secret, _ = half_way(site)
    code = code_of(site, secret)
    site.post(browser, "/login/code", code=code)
    second = site.browser()
    site.log_in(second)

    assert site.post(second, "/login/code", code=code).status_code == 403


@pytest.mark.parametrize("way", ["{0[0]}{0[1]}{0[2]} {0[3]}{0[4]}{0[5]}", " {0} ", "{0}\n"])
def test_a_code_may_be_typed_with_spaces(site, way):
    browser, secret, _ = half_way(site)

    assert site.post(browser, "/login/code", code=way.format(code_of(site, secret))).status_code == 303


def test_the_code_of_the_step_before_still_works_and_an_older_one_does_not(site):
    browser, secret, _ = half_way(site)
    code = code_of(site, secret)

    site.clock.now += 2 * totp.STEP_SECONDS
    late = site.post(browser, "/login/code", code=code).status_code
    before = code_of(site, secret)
    site.clock.now += totp.STEP_SECONDS

    assert (late, site.post(browser, "/login/code", code=before).status_code) == (403, 303)


def test_too_many_wrong_codes_have_to_wait_whoever_logs_in_again(site):
    browser, secret, _ = half_way(site)
    for _ in range(5):
        site.post(browser, "/login/code", code="000000")
    site.log_in(browser)

    answer = site.post(browser, "/login/code", code=code_of(site, secret))

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    assert "wait a minute" in note_on(answer.text)


def test_a_recovery_code_works_once_tells_the_owner_and_leads_to_setting_up_another_phone(site):
    browser, _, codes = half_way(site)

    asked = site.get(browser, "/login/code?recovery=").text
    answer = site.post(browser, "/login/code", code=codes[0], recovery="1")
    page = site.get(browser, answer.headers["Location"]).text
    second = site.browser()
    site.log_in(second)

    assert heading(asked) == "Use a recovery code"
    assert answer.headers["Location"] == OVERVIEW + "?used="
    assert "You have 9 recovery codes left" in page
    assert ("recovery-used", ALICE, "") in site.letters
    refused = site.post(second, "/login/code", code=codes[0], recovery="1")
    assert refused.status_code == 403
    assert "Each recovery code works once." in note_on(refused.text)
    assert heading(refused.text) == "Use a recovery code"


@pytest.mark.parametrize("spelled", [str.upper, lambda code: code.replace("-", ""), lambda code: f" {code} "])
def test_a_recovery_code_is_taken_in_the_field_for_codes_however_it_is_typed(site, spelled):
    browser, _, codes = half_way(site)

    assert site.post(browser, "/login/code", code=spelled(codes[1])).status_code == 303


def test_where_somebody_wanted_to_go_survives_both_steps(site):
    _, secret, _ = enrolled(site)
    browser = site.browser()

    asked = site.post(browser, "/login", address=ALICE, password=PASSWORD, next="/message/1")
    page = site.get(browser, asked.headers["Location"]).text
    wrong = site.post(browser, "/login/code", code="000000", next="/message/1").text
    answer = site.post(browser, "/login/code", code=code_of(site, secret), next="/message/1")

    assert asked.headers["Location"] == "/login/code?next=/message/1"
    assert 'name="next" value="/message/1"' in page
    assert 'name="next" value="/message/1"' in wrong
    assert 'href="/login/code?recovery=&amp;next=/message/1"' in page
    assert answer.headers["Location"] == "/message/1"


def test_where_somebody_wanted_to_go_survives_a_recovery_code_too(site):
    browser, _, codes = half_way(site)

    answer = site.post(browser, "/login/code", code=codes[0], next="/message/1")

    assert 'href="/message/1">Go on' in site.get(browser, answer.headers["Location"]).text


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:x"])
def test_a_code_never_leads_to_another_site(site, target):
    browser, secret, _ = half_way(site)

    page = browser.get("/login/code", query_string={"next": target}, base_url=site.base, headers=site.headers).text
    answer = site.post(browser, "/login/code", code=code_of(site, secret), next=target)

    assert "evil" not in page
    assert answer.headers["Location"] == "/"


def test_the_code_page_without_a_password_before_it_asks_for_one(site):
    enrolled(site)

    assert site.get(site.browser(), "/login/code").headers["Location"] == "/login?next=/login/code"
    assert site.post(site.browser(), "/login/code", code="000000").headers["Location"] == "/login"


def test_whoever_is_logged_in_is_not_asked_for_a_code_again(site):
    browser, _, _ = enrolled(site)

    assert site.get(browser, "/login/code?next=/message/1").headers["Location"] == "/message/1"
    assert site.post(browser, "/login/code", code="x").headers["Location"] == "/"


def test_a_password_waiting_for_its_code_ends_like_any_session(site):
    browser, secret, _ = half_way(site)
    site.clock.now += 15 * 60

    answer = site.post(browser, "/login/code", code=code_of(site, secret))

    assert answer.headers["Location"] == "/login"
    assert "You were logged out" in site.get(browser, "/login").text


def test_the_log_in_page_does_not_end_a_session_that_waits_for_its_code(site):
    browser, secret, _ = half_way(site)

    page = site.get(browser, "/login").text

    assert "You were logged out" not in page
    assert site.post(browser, "/login/code", code=code_of(site, secret)).status_code == 303


def test_the_audit_says_what_was_shown_and_no_log_out_in_between(site):
    browser, secret, _ = half_way(site)
    site.post(browser, "/login/code", code="000000")
    site.post(browser, "/login/code", code=code_of(site, secret))

    trail = [(event.event, event.outcome) for event in site.app.extensions["messenger"].accounts.trail()]

    assert trail[-3:] == [("log-in", "done"), ("second factor", "refused"), ("second factor", "done")]
    assert "log-out" not in [event for event, _ in trail]
