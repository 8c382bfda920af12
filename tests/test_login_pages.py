import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messenger_reader.entry import our_path
from tests.reader_fixtures import ALICE, BOB, OURS, PASSWORD, PORTAL, Portal, portal

DAY = 86_400


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


# -- logging in


def test_logging_in_opens_the_inbox(site):
    site.sign_up(site.browser())
    browser = site.browser()

    answer = site.log_in(browser, "  Alice@EXAMPLE.net ")

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert site.get(browser, "/").status_code == 200


def without_typed(page: str) -> str:
    return re.sub(r'value="[^"]*"', "", page)


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(site):
    site.sign_up(site.browser())

    wrong = site.log_in(site.browser(), ALICE, "not this one, sorry")
    unknown = site.log_in(site.browser(), BOB, "not this one, sorry")
    nonsense = site.log_in(site.browser(), "no address", "not this one, sorry")

    assert wrong.status_code == unknown.status_code == nonsense.status_code == 403
    assert without_typed(wrong.text) == without_typed(unknown.text) == without_typed(nonsense.text)
    assert sorted(wrong.headers.keys()) == sorted(unknown.headers.keys())


def test_what_was_typed_comes_back_escaped_and_the_password_never(site):
    answer = site.log_in(site.browser(), '"><script>alert(1)</script>', "a secret <b>password</b>")

    assert "<script>" not in answer.text
    assert "secret" not in answer.text


def test_too_many_tries_say_how_long_to_wait(site):
    site.sign_up(site.browser())
    for _ in range(5):
        site.log_in(site.browser(), ALICE, "not this one, sorry")

    answer = site.log_in(site.browser(), ALICE, PASSWORD)

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "1"
    assert "wait a minute" in answer.text
    site.clock.now += 1
    assert site.log_in(site.browser(), ALICE, PASSWORD).status_code == 303


def test_the_wait_is_told_in_minutes_and_is_the_same_for_an_unknown_address(site):
    for address in (ALICE, BOB):
        if address == ALICE:
            site.sign_up(site.browser())
        for _ in range(40):
            answer = site.log_in(site.browser(), address, "not this one, sorry")
            if answer.status_code == 429 and int(answer.headers["Retry-After"]) > 600:
                break
            site.clock.now += int(answer.headers.get("Retry-After", 0))

        assert "wait 15 minutes" in answer.text


@pytest.mark.parametrize("path", ["/", "/message/0af3", "/?older=1800000000-a%3Fb", "/message/a!b/body?pictures=1"])
def test_a_log_in_leads_back_to_where_somebody_wanted_to_go(site, path):
    site.sign_up(site.browser())
    browser = site.browser()

    asked = site.get(browser, path)
    page = site.get(browser, asked.headers["Location"]).text
    back = re.search(r'name="next" value="([^"]*)"', page)[1].replace("&amp;", "&")
    answer = site.post(browser, "/login", address=ALICE, password=PASSWORD, next=back)

    assert unquote(answer.headers["Location"]) == unquote(path)


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example/",
        "/\n/evil.example/",
        "\t//evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/ /evil.example",
        "/x\r\nSet-Cookie: a=b",
        "https:evil.example",
        "//evil.example\\@mail.example.org/",
    ],
)
def test_a_log_in_never_leads_to_another_site(site, target):
    site.sign_up(site.browser())
    browser = site.browser()

    page = browser.get("/login", query_string={"next": target}, base_url=PORTAL, headers=OURS).text
    answer = site.post(browser, "/login", address=ALICE, password=PASSWORD, next=target)
    again = browser.get("/login", query_string={"next": target}, base_url=PORTAL, headers=OURS)

    assert 'name="next" value=""' in page
    assert answer.headers["Location"] == "/"
    assert again.headers["Location"] == "/"


@given(st.text(alphabet="/\\\\:.@?#%\t\r\n aehlptvx", max_size=20).map(lambda text: "/" + text))
def test_whatever_passes_for_a_path_of_ours_is_one(text):
    found = our_path(text)

    assert found in ("", text)
    # Browsers take a backslash for a slash and skip tabs and line ends.
    assert (
        urlsplit(urljoin(PORTAL, re.sub(r"[\t\r\n]", "", found).replace("\\", "/"))).netloc == urlsplit(PORTAL).netloc
    )


def test_whoever_is_logged_in_is_not_asked_again(site):
    browser = site.browser()
    site.sign_up(browser)

    assert site.get(browser, "/login?next=/message/1").headers["Location"] == "/message/1"


# -- logging out


def test_logging_out_says_so_and_closes_the_inbox(site):
    browser = site.browser()
    site.sign_up(browser)

    answer = site.post(browser, "/logout")
    page = site.get(browser, answer.headers["Location"]).text

    assert answer.status_code == 303
    assert "You are logged out." in page
    assert site.get(browser, "/").status_code == 303


def test_logging_out_works_when_the_session_is_over_already(site):
    browser = site.browser()
    site.sign_up(browser)
    site.clock.now += DAY

    assert site.post(browser, "/logout").status_code == 303
    assert site.post(site.browser(), "/logout").status_code == 303


def test_a_picture_in_a_mail_cannot_log_anybody_out(site):
    browser = site.browser()
    site.sign_up(browser)

    assert site.get(browser, "/logout").status_code == 405
    assert site.get(browser, "/").status_code == 200


def test_no_page_about_accounts_needs_a_script_or_says_anything_inline(site):
    for path in ("/login", "/l/forged", site.link(ALICE)):
        page = site.browser().get(path, base_url=PORTAL, headers=OURS, follow_redirects=True).text
        assert not re.search(r"<script|\son[a-z]+=|\sstyle=|javascript:", page)


def test_an_international_address_is_shown_as_people_write_it_and_taken_in_either_form(site):
    browser = site.browser()
    site.get(browser, site.link("jörg@xn--bcher-kva.example"))
    page = site.get(browser, "/welcome").text

    assert 'value="jörg@bücher.example"' in page
    site.sign_up(site.browser(), "jörg@xn--bcher-kva.example")
    assert site.log_in(site.browser(), "Jörg@Bücher.example").status_code == 303
    assert site.log_in(site.browser(), "jo\u0308rg@XN--bcher-kva.example").status_code == 303
