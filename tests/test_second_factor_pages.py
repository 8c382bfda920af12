import re

import pytest

from messenger import totp
from messenger_reader.access import COOKIE
from tests.reader_fixtures import ALICE, OURS, PASSWORD, PORTAL, Portal, everything, heading, portal
from tests.second_factor_fixtures import (
    ENROL,
    OVERVIEW,
    begin,
    code_of,
    codes_on,
    enrol,
    enrolled,
    note_on,
)


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


def token_of(browser) -> str:
    return browser.get_cookie(COOKIE, "mail.example.org").value


# -- setting it up


def test_the_page_shows_a_picture_and_a_key_that_say_the_same(site):
    browser = site.browser()
    site.sign_up(browser)

    secret = begin(site, browser)
    page = site.get(browser, ENROL).text

    assert re.search(r'<img class="qr" src="data:image/svg\+xml;[^"]+"', page)
    assert f'href="otpauth://totp/Webmail%20Messenger:{ALICE.replace("@", "%40")}?secret={secret}&amp;' in page
    assert len(secret) == 32


def test_looking_at_the_pages_changes_nothing(site):
    browser = site.browser()
    site.sign_up(browser)
    before = everything(site)

    statuses = [site.get(browser, path).status_code for path in (OVERVIEW, ENROL, OVERVIEW + "/codes")]

    assert statuses == [200, 303, 303]
    assert everything(site) == before


def test_a_code_and_the_password_turn_it_on_and_show_ten_recovery_codes_once(site):
    browser = site.browser()
    site.sign_up(browser)
    secret = begin(site, browser)

    answer = site.post(browser, ENROL, password=PASSWORD, code=code_of(site, secret))

    assert heading(answer.text) == "Keep these recovery codes"
    assert len(set(codes_on(answer.text))) == 10
    assert "The second step is on." in site.get(browser, OVERVIEW).text
    assert not codes_on(site.get(browser, OVERVIEW).text)
    assert site.get(browser, ENROL).headers["Location"] == OVERVIEW
    assert ("totp-on", ALICE, "") in site.letters


def test_turning_it_on_gives_a_new_session_and_ends_all_others(site):
    browser, other = site.browser(), site.browser()
    site.sign_up(browser)
    site.log_in(other)
    before = token_of(browser)

    enrol(site, browser)

    assert token_of(browser) != before
    assert site.get(browser, "/").status_code == 200
    assert site.get(other, "/").status_code == 303
    thief = site.browser()
    thief.set_cookie(COOKIE, before, domain="mail.example.org")
    assert site.get(thief, "/").status_code == 303


@pytest.mark.parametrize(
    ("form", "words", "status"),
    [
        ({"password": "not this one, sorry"}, "This is not your password.", 403),
        ({"password": PASSWORD, "code": "000000"}, "This code is not right", 403),
        ({"password": PASSWORD, "code": ""}, "Please type the code", 403),
        ({}, "This is not your password.", 403),
    ],
)
def test_what_is_typed_wrong_while_setting_up_is_told_and_turns_nothing_on(site, form, words, status):
    browser = site.browser()
    site.sign_up(browser)
    secret = begin(site, browser)

    answer = site.post(browser, ENROL, **{"code": code_of(site, secret), **form})

    assert answer.status_code == status
    assert words in note_on(answer.text)
    assert 'class="qr"' in answer.text
    assert "Set it up" in site.get(browser, OVERVIEW).text
    assert site.letters == []


def test_too_many_wrong_codes_while_setting_up_have_to_wait(site):
    browser = site.browser()
    site.sign_up(browser)
    begin(site, browser)

    answers = [site.post(browser, ENROL, password=PASSWORD, code="000000") for _ in range(6)]

    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0


def test_confirming_what_was_never_begun_leads_to_the_beginning(site):
    browser = site.browser()
    site.sign_up(browser)

    answer = site.post(browser, ENROL, password=PASSWORD, code="000000")

    assert answer.headers["Location"] == OVERVIEW


def test_another_phone_takes_the_place_of_the_first(site):
    browser, old, _ = enrolled(site)

    new, codes = enrol(site, browser)
    site.post(browser, "/logout")
    site.log_in(browser)

    assert old != new
    assert len(codes) == 10
    assert site.post(browser, "/login/code", code=code_of(site, old)).status_code == 403
    assert site.post(browser, "/login/code", code=code_of(site, new)).status_code == 303


# -- recovery codes


def test_the_codes_come_as_a_file_on_request_and_nothing_else_does(site):
    browser, _, codes = enrolled(site)

    answer = site.post(browser, OVERVIEW + "/codes.txt", codes=" ".join(codes))
    other = site.post(browser, OVERVIEW + "/codes.txt", codes="<script>alert(1)</script>")

    assert answer.headers["Content-Disposition"] == 'attachment; filename="recovery-codes.txt"'
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(codes) <= set(answer.text.split("\r\n"))
    assert ALICE in answer.text
    assert other.status_code == 303


def test_new_codes_want_the_password_and_end_the_old_ones(site):
    browser, _, old = enrolled(site)

    refused = site.post(browser, OVERVIEW + "/codes", password="not this one, sorry")
    made = site.post(browser, OVERVIEW + "/codes", password=PASSWORD)
    site.post(browser, "/logout")
    site.log_in(browser)

    assert refused.status_code == 403
    assert "This is not your password." in note_on(refused.text)
    assert len(codes_on(made.text)) == 10
    assert ("recovery-made", ALICE, "") in site.letters
    assert site.post(browser, "/login/code", code=old[0]).status_code == 403
    assert site.post(browser, "/login/code", code=codes_on(made.text)[0]).status_code == 303


def test_no_codes_are_made_for_somebody_without_a_second_factor(site):
    browser = site.browser()
    site.sign_up(browser)

    assert site.post(browser, OVERVIEW + "/codes", password=PASSWORD).headers["Location"] == OVERVIEW


def test_the_page_warns_when_few_codes_are_left(site):
    browser, _, codes = enrolled(site)
    for code in codes[:8]:
        site.post(browser, "/logout")
        site.log_in(browser)
        site.post(browser, "/login/code", code=code)

    page = site.get(browser, OVERVIEW).text

    assert '<p class="note warn">You have 2 recovery codes left' in page


# -- turning it off


def test_turning_it_off_wants_the_password_and_a_code(site):
    browser, secret, _ = enrolled(site)
    code = code_of(site, secret)

    for form in (
        {"password": "not this one, sorry", "code": code},
        {"password": PASSWORD, "code": "000000"},
        {"password": PASSWORD},
        {"code": code},
    ):
        assert site.post(browser, OVERVIEW + "/remove", **form).status_code == 403
    answer = site.post(browser, OVERVIEW + "/remove", password=PASSWORD, code=code)

    assert answer.headers["Location"] == OVERVIEW + "?off="
    assert "The second step is off." in site.get(browser, answer.headers["Location"]).text
    assert ("totp-off", ALICE, "") in site.letters
    assert site.log_in(site.browser()).headers["Location"] == "/"


def test_a_recovery_code_turns_it_off_too(site):
    browser, _, codes = enrolled(site)

    answer = site.post(browser, OVERVIEW + "/remove", password=PASSWORD, code=codes[3].upper())

    assert answer.status_code == 303
    assert "Set it up" in site.get(browser, OVERVIEW).text


def test_turning_it_off_ends_other_sessions_and_gives_this_one_a_new_token(site):
    browser, secret, _ = enrolled(site)
    other = site.browser()
    site.log_in(other)
    site.post(other, "/login/code", code=code_of(site, secret))
    site.clock.now += totp.STEP_SECONDS
    before = token_of(browser)

    site.post(browser, OVERVIEW + "/remove", password=PASSWORD, code=code_of(site, secret))

    assert token_of(browser) != before
    assert site.get(browser, "/").status_code == 200
    assert site.get(other, "/").status_code == 303


# -- what the site asks for


def test_where_everybody_must_have_one_signing_up_goes_on_to_it_and_nothing_else_is_open(tmp_path):
    site = portal(tmp_path, accounts='require_totp = "always"')
    browser = site.browser()

    answer = site.sign_up(browser)

    assert answer.headers["Location"] == OVERVIEW
    for path in ("/", "/message/1", "/account/password", OVERVIEW + "/codes"):
        assert site.get(browser, path).headers["Location"].startswith(OVERVIEW + "?next=")
    for path in ("codes", "codes.txt", "remove"):
        assert site.post(browser, f"{OVERVIEW}/{path}", password=PASSWORD).headers["Location"] == OVERVIEW
    assert "this site asks everybody for a second step" in site.get(browser, OVERVIEW).text
    assert site.get(browser, "/help").status_code == 200

    secret = begin(site, browser)
    shown = site.post(browser, ENROL, code=code_of(site, secret))

    assert len(codes_on(shown.text)) == 10
    assert site.get(browser, "/").status_code == 200


def test_where_everybody_must_have_one_the_page_wanted_is_where_it_leads(tmp_path):
    site = portal(tmp_path, accounts='require_totp = "always"')
    site.sign_up(site.browser())
    browser = site.browser()
    answer = site.post(browser, "/login", address=ALICE, password=PASSWORD, next="/message/1")

    begun = site.post(browser, OVERVIEW + "/begin", next="/message/1")
    secret = begin(site, browser)
    shown = site.post(browser, ENROL, code=code_of(site, secret), next="/message/1")

    assert answer.headers["Location"] == OVERVIEW + "?next=/message/1"
    assert begun.headers["Location"] == ENROL + "?next=/message/1"
    assert 'href="/message/1">I have kept them' in shown.text


def test_where_everybody_must_have_one_it_cannot_be_turned_off(tmp_path):
    site = portal(tmp_path, accounts='require_totp = "always"')
    browser = site.browser()
    site.sign_up(browser)
    secret = begin(site, browser)
    site.post(browser, ENROL, code=code_of(site, secret))
    site.clock.now += totp.STEP_SECONDS

    page = site.get(browser, OVERVIEW).text
    answer = site.post(browser, OVERVIEW + "/remove", password=PASSWORD, code=code_of(site, secret))

    assert "can’t be turned off" in page
    assert answer.headers["Location"] == OVERVIEW
    assert "The second step is on." in site.get(browser, OVERVIEW).text


def test_a_site_that_offers_none_says_so(tmp_path):
    site = portal(tmp_path, accounts='require_totp = "never"')
    browser = site.browser()
    site.sign_up(browser)

    page = site.get(browser, OVERVIEW).text
    begun = site.post(browser, OVERVIEW + "/begin")

    assert "doesn’t offer a second step" in page
    assert "Set it up" not in page
    assert site.get(browser, begun.headers["Location"]).headers["Location"] == OVERVIEW


def test_no_page_of_it_needs_a_script_or_says_anything_inline(site):
    browser, _, _ = enrolled(site)
    site.post(browser, OVERVIEW + "/begin")
    pages = [site.get(browser, path).text for path in (OVERVIEW, ENROL, "/account/password")]
    pages.append(site.post(browser, OVERVIEW + "/codes", password=PASSWORD).text)

    for page in pages:
        assert not re.search(r"<script|\son[a-z]+=|\sstyle=|javascript:", page)


def test_a_form_of_another_site_cannot_turn_it_off(site):
    browser, secret, _ = enrolled(site)
    form = {"password": PASSWORD, "code": code_of(site, secret)}

    answer = browser.post(
        OVERVIEW + "/remove", base_url=PORTAL, headers={**OURS, "Sec-Fetch-Site": "cross-site"}, data=form
    )

    assert answer.status_code == 403
    assert "The second step is on." in site.get(browser, OVERVIEW).text
