"""Somebody with a second factor, and what their app shows."""

import html
import re

from flask.testing import FlaskClient

from messenger import totp

from .reader_fixtures import ALICE, PASSWORD, Portal

OVERVIEW, ENROL = "/account/second-factor", "/account/second-factor/enrol"


def code_of(site: Portal, secret: str) -> str:
    """What the app shows now."""
    return totp.code(secret, totp.step_of(int(site.clock.now)))


def secret_on(page: str) -> str:
    found = re.search(r'class="key"><span class="code">([^<]+)', page)
    assert found, page
    return found[1].replace(" ", "")


def codes_on(page: str) -> list[str]:
    """The recovery codes a page shows."""
    return re.findall(r'<li><span class="code">([^<]+)', page)


def note_on(page: str) -> str:
    """What a page says went wrong."""
    return " ".join(html.unescape(one) for one in re.findall(r'role="alert"[^>]*>([^<]+)', page))


def begin(site: Portal, browser: FlaskClient) -> str:
    """Begin to enrol, and return the secret."""
    site.post(browser, OVERVIEW + "/begin")
    return secret_on(site.get(browser, ENROL).text)


def enrol(site: Portal, browser: FlaskClient) -> tuple[str, list[str]]:
    """Set up a second factor for who is logged in; return its secret and the recovery codes. A step later, too."""
    secret = begin(site, browser)
    answer = site.post(browser, ENROL, password=PASSWORD, code=code_of(site, secret))
    site.clock.now += totp.STEP_SECONDS
    return secret, codes_on(answer.text)


def enrolled(site: Portal, address: str = ALICE) -> tuple[FlaskClient, str, list[str]]:
    """A browser that is logged in to a new account with a second factor, its secret and recovery codes."""
    browser = site.browser()
    site.sign_up(browser, address)
    return browser, *enrol(site, browser)
