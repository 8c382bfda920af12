"""Every page there is, also one that is added tomorrow: no form of another site, nothing without all steps taken."""

import pytest

from messenger_reader.access import FILES, HEALTH, OPEN, STEPS
from tests.reader_fixtures import OURS, PASSWORD, PORTAL, Portal, everything, portal
from tests.second_factor_fixtures import enrolled

#: One made-up value fits each part of an address.
PART = "1"


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


def pages(site: Portal) -> list[tuple[str, str, str]]:
    """Endpoint, method and address of every rule of the app, with each method it takes."""
    adapter = site.app.url_map.bind("mail.example.org", url_scheme="https")
    return [
        (rule.endpoint, method, adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, PART), method=method))
        for rule in site.app.url_map.iter_rules()
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"})
    ]


def forms(site: Portal) -> list[tuple[str, str]]:
    return [(method, path) for _, method, path in pages(site) if method != "GET"]


def test_every_form_of_another_site_is_refused_and_changes_nothing(site):
    browser, _, _ = enrolled(site)
    before = everything(site)

    answers = {
        (path, foreign): browser.open(
            path,
            method=method,
            base_url=PORTAL,
            headers={"Sec-Fetch-Site": foreign} if foreign else {},
            data={"password": PASSWORD, "sure": "1", "session": PART},
        ).status_code
        for method, path in forms(site)
        for foreign in ("cross-site", "same-site", "none", "")
    }

    assert len(answers) >= 4 * 12
    assert answers == dict.fromkeys(answers, 403)
    assert everything(site) == before


def test_every_page_but_the_open_ones_leads_somebody_without_a_session_to_the_log_in(site):
    closed = [one for one in pages(site) if one[0] not in {HEALTH, *FILES, *OPEN}]

    found = {
        (method, path): site.browser().open(path, method=method, base_url=PORTAL, headers=OURS)
        for _, method, path in closed
    }

    assert len(found) >= 20
    where = {one: (answer.status_code, answer.location.partition("?")[0]) for one, answer in found.items()}
    assert where == dict.fromkeys(where, (303, "/login"))


def half_way_in(home, pending: str) -> tuple[Portal, object]:
    """A portal, and a browser whose log-in lacks the step *pending*."""
    if pending == "code":
        site = portal(home)
        enrolled(site)
    else:
        site = portal(home, accounts='require_totp = "always"')
        site.sign_up(site.browser())
    browser = site.browser()
    site.log_in(browser)
    return site, browser


@pytest.mark.parametrize(
    ("pending", "first"), [("code", "/login/code"), ("enrol", "/account/second-factor")], ids=["code", "enrol"]
)
def test_every_page_but_its_own_leads_a_log_in_that_lacks_a_step_to_that_step(tmp_path, pending, first):
    site, browser = half_way_in(tmp_path, pending)
    closed = [one for one in pages(site) if one[0] not in {HEALTH, *FILES, *OPEN, *STEPS[pending]}]
    before = everything(site)

    found = {
        (method, path): browser.open(
            path,
            method=method,
            base_url=PORTAL,
            headers=OURS,
            data={"password": PASSWORD, "sure": "1", "new": "four plain red doors", "again": "four plain red doors"}
            if method != "GET"
            else None,
        )
        for _, method, path in closed
    }

    assert len(found) >= 18
    where = {one: (answer.status_code, answer.location.partition("?")[0]) for one, answer in found.items()}
    assert where == dict.fromkeys(where, (303, first))
    assert everything(site) == before
