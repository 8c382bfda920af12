import logging

import pytest

from tests.reader_fixtures import ALICE, OURS, PORTAL, Portal, portal


@pytest.fixture
def site(tmp_path) -> Portal:
    return portal(tmp_path)


def raising(error: Exception):
    def view() -> str:
        raise error

    return view


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/message/1/nothing", 404), ("/logout", 405)])
def test_an_error_is_a_page_that_says_what_to_do(site, path, status):
    answer = site.get(site.browser(), path)

    assert answer.status_code == status
    assert "<h1>" in answer.text
    assert "</html>" in answer.text
    assert "werkzeug" not in answer.text.lower()


def test_too_large_a_form_is_refused_unread(site):
    answer = site.post(site.browser(), "/login", address=ALICE, password="x" * 70_000)

    assert answer.status_code == 413
    assert "larger than we accept" in answer.text


def test_too_many_fields_are_refused(site):
    answer = site.browser().post(
        "/login",
        base_url=PORTAL,
        headers=OURS,
        data={f"f{n}": "x" for n in range(100)},
        content_type="multipart/form-data",
    )

    assert answer.status_code == 413


def test_a_surprise_is_one_line_in_the_log_and_tells_the_reader_nothing(site, caplog):
    site.app.add_url_rule("/help/boom", "boom", raising(ValueError("the mail says hello")))
    browser = site.browser()
    site.sign_up(browser)

    with caplog.at_level(logging.INFO):
        answer = site.get(browser, "/help/boom")

    assert answer.status_code == 500
    assert "ValueError" not in answer.text
    assert "Your messages are safe" in answer.text
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("GET boom: ValueError")
    assert "hello" not in line


def test_where_even_the_error_page_fails_plain_words_come_instead(site, monkeypatch):
    def broken(*_names: str, **_values: str) -> str:
        raise RuntimeError("no template")

    monkeypatch.setattr("messenger_reader.error_pages.render_template", broken)

    answer = site.get(site.browser(), "/nothing")

    assert answer.status_code == 404
    assert answer.mimetype == "text/plain"
    assert "no such page" in answer.text


def test_a_broken_database_is_a_page_that_says_try_again(site, caplog):
    browser = site.browser()
    site.sign_up(browser)
    site.app.extensions["messenger"].accounts.close()
    (site.home / "accounts" / "accounts.sqlite").write_bytes(b"rubbish" * 1000)

    for path in ("/", "/login", "/help"):
        answer = site.get(browser, path)
        assert answer.status_code == 503
        assert "try again in a few minutes" in answer.text
        assert str(site.home) not in answer.text
        assert answer.headers["Retry-After"] == "60"
    assert "accounts.sqlite" in caplog.text
    assert site.get(browser, "/healthz").status_code == 503


def test_health_is_told_to_anybody_and_nothing_more(site):
    answer = site.browser().get("/healthz", headers={"Host": "127.0.0.1:8025"})

    assert (answer.status_code, answer.text) == (200, "ok\n")
