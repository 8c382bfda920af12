import sqlite3

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from messenger import mailbox as mailbox_module
from messenger_reader import access
from messenger_reader.access import COOKIE, doorway
from tests.reader_fixtures import ALICE, BOB, OURS, PASSWORD, PORTAL, Portal, portal

OPEN_ADDRESSES = {
    *("/login", "/signup", "/welcome", "/logout", "/forgot", "/reset", "/help", "/healthz", "/goodbye"),
    *("/l/", "/r/", "/static/"),
}


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


def cookie_of(response: TestResponse, name: str = COOKIE) -> str:
    [line] = [line for line in response.headers.getlist("Set-Cookie") if line.startswith(name + "=")]
    return line


def addresses(app: Flask) -> list[tuple[str, str]]:
    """A method and an address for every rule of the app."""
    adapter = app.url_map.bind("mail.example.org", url_scheme="https")
    rules = [(rule, dict.fromkeys(rule.arguments, "1")) for rule in app.url_map.iter_rules()]
    return [(max(rule.methods & {"GET", "POST"}), adapter.build(rule.endpoint, values)) for rule, values in rules]


# -- closed by default


def test_every_page_but_the_open_ones_asks_to_log_in(site):
    closed = [
        (method, path)
        for method, path in addresses(site.app)
        if not any(path.startswith(start) for start in OPEN_ADDRESSES)
    ]

    answers = {path: site.browser().open(path, method=m, base_url=PORTAL, headers=OURS) for m, path in closed}

    assert len(closed) >= 5
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(answers, 303)
    assert all(answer.headers["Location"].startswith("/login") for answer in answers.values())


def test_a_new_page_is_closed_until_somebody_opens_it(site):
    site.app.add_url_rule("/secret", "secret", lambda: "secret")

    assert site.get(site.browser(), "/secret").status_code == 303


def test_the_open_list_names_only_pages_that_exist(site):
    assert set(site.app.view_functions) >= access.OPEN


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
def test_no_method_gets_around_the_door(site, method):
    answer = site.browser().open("/", method=method, base_url=PORTAL, headers=OURS)

    assert answer.status_code in (303, 405)


def test_a_page_asked_for_too_late_is_where_the_log_in_leads(site):
    browser = site.browser()
    site.sign_up(browser)
    site.clock.now += 16 * 60

    asked = site.get(browser, "/?older=1800000000-a%3Fb")

    assert asked.headers["Location"] == "/login?next=/?older%3D1800000000-a%253Fb"


# -- sessions


def test_the_session_cookie_is_for_this_host_over_https_and_no_script(site):
    answer = site.sign_up(site.browser())

    value, *attributes = cookie_of(answer).split("; ")
    assert len(value) == len(COOKIE) + 1 + 43
    assert set(attributes) == {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"}


def test_a_cookie_brought_along_never_becomes_a_session(site):
    """Session fixation: the attacker knows the token before the log-in, not after."""
    browser = site.browser()
    site.sign_up(site.browser())
    browser.set_cookie(COOKIE, "A" * 43, domain="mail.example.org")

    answer = site.log_in(browser)

    assert "A" * 43 not in cookie_of(answer)
    thief = site.browser()
    thief.set_cookie(COOKIE, "A" * 43, domain="mail.example.org")
    assert site.get(thief, "/").status_code == 303


def test_of_two_session_cookies_none_is_taken_and_the_log_out_ends_both(site):
    tokens = []
    for address in (ALICE, BOB):
        browser = site.browser()
        answer = site.sign_up(browser, address)
        tokens.append(cookie_of(answer).partition(";")[0])
    both = {**OURS, "Cookie": "; ".join(tokens)}

    asked = site.browser().get("/account", base_url=PORTAL, headers=both)
    site.browser().post("/logout", base_url=PORTAL, headers=both)

    assert asked.status_code == 303
    for token in tokens:
        alone = site.browser().get("/account", base_url=PORTAL, headers={**OURS, "Cookie": token})
        assert alone.status_code == 303


def test_a_second_log_in_ends_the_session_it_came_with(site):
    browser, thief = site.browser(), site.browser()
    site.sign_up(browser)
    thief.set_cookie(COOKIE, browser.get_cookie(COOKIE, "mail.example.org").value, domain="mail.example.org")
    assert site.get(thief, "/").status_code == 200

    site.log_in(browser)

    assert site.get(browser, "/").status_code == 200
    assert site.get(thief, "/").status_code == 303


def test_a_copied_cookie_is_worth_nothing_after_the_log_out(site):
    browser, thief = site.browser(), site.browser()
    site.sign_up(browser)
    thief.set_cookie(COOKIE, browser.get_cookie(COOKIE, "mail.example.org").value, domain="mail.example.org")

    gone = site.post(browser, "/logout")

    assert "Max-Age=0" in cookie_of(gone)
    assert site.get(thief, "/").status_code == 303
    assert site.get(browser, "/").status_code == 303


@pytest.mark.parametrize("value", ["", "A" * 43, "A" * 5000, "é", "../..", "' OR 1=1", "1"])
def test_a_made_up_cookie_opens_nothing(site, value):
    site.sign_up(site.browser())
    headers = {**OURS, "Cookie": f"{COOKIE}={value}".encode().decode("latin-1")}

    assert site.browser().get("/", base_url=PORTAL, headers=headers).status_code == 303


def test_what_flask_login_and_flask_keep_in_cookies_of_their_own_is_not_looked_at(site):
    site.sign_up(site.browser())
    forged = "remember_token=1|abc; session=eyJfdXNlcl9pZCI6IjEifQ.x.y; ;=1|abc"

    answer = site.browser().get("/", base_url=PORTAL, headers={**OURS, "Cookie": forged})

    assert answer.status_code == 303
    assert not answer.headers.getlist("Set-Cookie")


def test_a_session_left_alone_ends_and_the_page_says_so_once(site):
    browser = site.browser()
    site.sign_up(browser)
    site.clock.now += 15 * 60

    asked = site.get(browser, "/")
    first = site.get(browser, asked.headers["Location"])
    second = site.get(browser, asked.headers["Location"])

    assert "You were logged out" in first.text
    assert "You were logged out" not in second.text
    assert "Log in" in second.text


def test_a_session_in_use_still_ends_after_eight_hours(site):
    browser = site.browser()
    site.sign_up(browser)

    for _ in range(47):
        site.clock.now += 10 * 60
        assert site.get(browser, "/").status_code == 200
    site.clock.now += 10 * 60

    assert site.get(browser, "/").status_code == 303


def test_the_settings_say_how_long_sessions_last(tmp_path):
    site = portal(tmp_path, accounts="idle_minutes = 2")
    browser = site.browser()
    site.sign_up(browser)

    site.clock.now += 2 * 60

    assert site.get(browser, "/").status_code == 303


def test_each_person_sees_their_own_mail_and_nobody_elses(site):
    for address, subject in ((ALICE, "for alice"), (BOB, "for bob")):
        raw = f"From: a@example.org\r\nTo: {address}\r\nSubject: {subject}\r\n\r\nhello\r\n".encode()
        mailbox_module.mailbox_of(site.home / "mail", address).deliver(raw, f"{len(subject):064x}")
    alice, bob = site.browser(), site.browser()
    site.sign_up(alice, ALICE)
    site.sign_up(bob, BOB)

    assert "for alice" in site.get(alice, "/").text
    assert "for bob" not in site.get(alice, "/").text
    assert site.get(bob, f"/message/{len('for bob'):064x}").status_code == 200
    assert site.get(alice, f"/message/{len('for bob'):064x}").status_code == 404


# -- forms of other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site", "Origin": PORTAL},
        {"Sec-Fetch-Site": "Same-Origin, cross-site"},
        {},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "http://mail.example.org"},
        {"Origin": PORTAL + ":8443"},
        {"Origin": PORTAL + ".evil.example"},
        {"Origin": PORTAL + "/"},
        {"Referer": PORTAL + "/login"},
    ],
)
@pytest.mark.parametrize("path", ["/login", "/signup", "/logout", "/"])
def test_a_form_that_is_not_ours_is_refused(site, headers, path):
    browser = site.browser()
    site.sign_up(browser)

    answer = browser.post(path, base_url=PORTAL, headers=headers, data={"address": ALICE, "password": PASSWORD})

    assert answer.status_code == 403
    assert not answer.headers.getlist("Set-Cookie")
    assert site.get(browser, "/").status_code == 200


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": PORTAL}])
def test_a_form_of_ours_is_taken_also_from_browsers_without_fetch_metadata(site, headers):
    site.sign_up(site.browser())
    form = {"address": ALICE, "password": PASSWORD}

    answer = site.browser().post("/login", base_url=PORTAL, headers=headers, data=form)

    assert answer.status_code == 303


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_get_is_a_get_whatever_a_header_says(site, name):
    browser = site.browser()
    site.sign_up(browser)

    browser.get("/logout?_method=POST", base_url=PORTAL, headers={name: "POST"})

    assert site.get(browser, "/").status_code == 200


# -- the host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "mail.example.org.evil.example",
        "evil.example:443",
        "mail.example.org:8025",
        "mail.example.org.",
        "mail.example.org@evil.example",
        "127.0.0.1:8025",
        "",
        "mail.example.org, evil.example",
        "[::1]",
    ],
)
def test_another_host_name_is_refused(site, host):
    answer = site.browser().get("/login", headers={**OURS, "Host": host})

    assert answer.status_code == 400
    assert host not in answer.text or not host


@pytest.mark.parametrize("host", ["mail.example.org", "MAIL.example.ORG", "mail.example.org:443"])
def test_the_portals_own_name_is_taken_in_any_spelling(site, host):
    assert site.browser().get("/login", headers={**OURS, "Host": host}).status_code == 200


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "Forwarded", "X-Host", "X-Original-Host", "X-Forwarded-Server"])
def test_no_header_stands_in_for_the_host(site, name):
    value = "host=evil.example" if name == "Forwarded" else "evil.example"

    answer = site.get(site.browser(), "/")
    spoofed = site.browser().get("/", base_url=PORTAL, headers={**OURS, name: value})

    assert spoofed.headers["Location"] == answer.headers["Location"]
    assert "evil" not in spoofed.text


@pytest.mark.parametrize(
    ("url", "origin", "hosts"),
    [
        ("https://Mail.Example.org", "https://mail.example.org", {"mail.example.org", "mail.example.org:443"}),
        ("https://mail.example.org:443", "https://mail.example.org", {"mail.example.org", "mail.example.org:443"}),
        ("https://mail.example.org:8443", "https://mail.example.org:8443", {"mail.example.org:8443"}),
        ("http://localhost:8025", "http://localhost:8025", {"localhost:8025"}),
        ("http://[::1]:8025", "http://[::1]:8025", {"[::1]:8025"}),
    ],
)
def test_the_portals_url_says_under_which_names_it_may_be_called(url, origin, hosts):
    assert (doorway(url).origin, doorway(url).hosts) == (origin, hosts)


# -- where a browser comes from


def clients(site: Portal) -> list[str]:
    database = sqlite3.connect(site.home / "accounts" / "accounts.sqlite")
    return [row[0] for row in database.execute("SELECT client FROM audit WHERE event = 'log-in'")]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "client"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "10.9.9.9, 203.0.113.9", "203.0.113.9"),  # the first one is what the client claims
        (2, "10.9.9.9, 203.0.113.9, 192.0.2.1", "203.0.113.9"),
        (2, "203.0.113.9", "127.0.0.1"),  # came past one of them: believe nothing
        (1, "", "127.0.0.1"),
    ],
)
def test_only_as_many_proxies_are_believed_as_the_settings_name(tmp_path, proxies, forwarded, client):
    site = portal(tmp_path, reader=f"trusted_proxies = {proxies}")
    headers = {**OURS, "X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
    form = {"address": ALICE, "password": "not this one, sorry"}

    site.browser().post("/login", base_url=PORTAL, headers=headers, data=form)

    assert clients(site) == [client]


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("admin:root", "unknown"),  # as the audit writes of an administrator
        ("<script>", "unknown"),
        ("a" * 3000, "unknown"),
        ("1.2.3", "unknown"),
        ("fe80::1%admin:root", "fe80::1"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
    ],
)
def test_what_a_proxy_hands_on_is_an_address_or_nothing(tmp_path, forwarded, client):
    site = portal(tmp_path, reader="trusted_proxies = 1")
    headers = {**OURS, "X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
    form = {"address": ALICE, "password": "not this one, sorry"}

    site.browser().post("/login", base_url=PORTAL, headers=headers, data=form)

    assert clients(site) == [client]


def test_a_made_up_sender_address_does_not_get_around_the_throttle(site):
    form = {"address": ALICE, "password": "not this one, sorry"}
    statuses = [
        site.browser()
        .post("/login", base_url=PORTAL, headers={**OURS, "X-Forwarded-For": f"203.0.113.{n}"}, data=form)
        .status_code
        for n in range(7)
    ]

    assert statuses == [403] * 5 + [429] * 2


# -- what every answer carries


EXPECTED = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-DNS-Prefetch-Control": "off",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=63072000",
    "Cache-Control": "no-store",
}


@pytest.mark.parametrize(
    "path", ["/", "/login", "/help", "/healthz", "/l/forged", "/nothing/here", "/logout", "/welcome"]
)
def test_every_answer_is_sealed(site, path):
    answer = site.get(site.browser(), path)

    assert {name: answer.headers.get(name) for name in EXPECTED} == EXPECTED


def test_the_pages_of_somebody_logged_in_are_sealed_too(site):
    browser = site.browser()
    site.sign_up(browser)

    answer = site.get(browser, "/")

    assert {name: answer.headers.get(name) for name in EXPECTED} == EXPECTED
    assert "<script" not in answer.text


def test_a_style_sheet_may_be_kept_and_everything_else_may_not(site):
    page = site.get(site.browser(), "/login").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]

    assert "immutable" in site.get(site.browser(), address).headers["Cache-Control"]
    assert site.get(site.browser(), "/static/nothing.css?v=1").headers["Cache-Control"] == "no-store"
    assert "access.py" not in site.get(site.browser(), "/static/../access.py").text
