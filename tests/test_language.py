"""Words, dates and sizes in the reader's own language; nothing left in English by accident."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from messenger_reader import language
from scripts.catalogues import template

from .mail_pages_fixtures import deliver, logged_in, mail
from .reader_fixtures import portal

OTHERS = [name for name in language.available() if name != language.SOURCE]


def catalogue(name: str):
    path = language.LOCALE / name / "LC_MESSAGES" / f"{language.DOMAIN}.po"
    with path.open("rb") as file:
        return read_po(file, locale=name)


def texts(message) -> tuple[str, ...]:
    return message.string if isinstance(message.string, tuple) else (message.string,)


def test_german_is_there():
    assert language.available()[:2] == ("en", "de")


@pytest.mark.parametrize("name", OTHERS)
def test_every_word_is_translated(name):
    translated = {message.id: message for message in catalogue(name) if message.id}
    wanted = {message.id for message in template() if message.id}

    assert wanted - translated.keys() == set(), "run python -m scripts.catalogues and fill in what is empty"
    assert translated.keys() - wanted == set(), "run python -m scripts.catalogues: these are gone"
    assert not [key for key, message in translated.items() if not all(texts(message)) or message.fuzzy]


def blanks(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s|</?\w+", text))


@pytest.mark.parametrize("name", OTHERS)
def test_a_translation_keeps_what_is_filled_in(name):
    for message in catalogue(name):
        ids = message.id if isinstance(message.id, tuple) else (message.id,)
        for at, text in enumerate(texts(message) if message.id else ()):
            assert blanks(text) == blanks(ids[min(at, len(ids) - 1)]), text


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("de", "de"), ("de-AT,en;q=0.5", "de"), ("en-US,de;q=0.9", "en"), ("ja,fr", "en"), ("", "en"), ("x" * 9000, "en")],
)
def test_the_browser_says_which_language(tmp_path, asked, shown):
    site = portal(tmp_path)

    page = site.browser().get("/help", base_url=site.base, headers={"Accept-Language": asked}).text

    assert f'<html lang="{shown}">' in page
    assert ("Was ist diese Seite" in page) == (shown == "de")


def test_the_site_says_it_where_the_browser_does_not(tmp_path):
    site = portal(tmp_path, site='language = "de"')

    assert "Was ist diese Seite" in site.browser().get("/help", base_url=site.base).text
    english = {"Accept-Language": "en"}
    assert "What is this site" in site.browser().get("/help", base_url=site.base, headers=english).text


def test_an_account_keeps_the_language_it_was_opened_in(tmp_path):
    site = portal(tmp_path)
    site.headers["Accept-Language"] = "de"
    browser = logged_in(site)
    site.headers["Accept-Language"] = "en"
    name = deliver(site, mail())

    assert "1 ungelesene Nachricht" in site.get(browser, "/").text
    page = site.get(browser, f"/message/{name}").text
    assert "2. Januar 2026, 23:30" in page
    assert "Als ungelesen markieren" in page


@pytest.fixture
def english(tmp_path):
    with portal(tmp_path).app.test_request_context("/", headers={"Accept-Language": "en"}):
        yield


@pytest.fixture
def german(tmp_path):
    with portal(tmp_path).app.test_request_context("/", headers={"Accept-Language": "de"}):
        yield


@pytest.mark.usefixtures("english")
def test_a_list_shows_the_time_today_and_else_the_day():
    now = datetime.now(UTC)

    assert language.short_date(now) == f"{now:%H:%M}"
    assert language.short_date(datetime(2001, 3, 4, 5, 6, tzinfo=UTC)) == "4 Mar 2001"
    assert str(now.year) not in language.short_date(datetime(now.year, 1 if now.month > 6 else 12, 2, tzinfo=UTC))


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize("moment", [datetime.min, datetime.max, datetime.min.replace(tzinfo=UTC), 0, -1, 253402300799])
def test_the_ends_of_time_can_be_shown(moment):
    for show in (language.short_date, language.full_date, language.machine_date):
        assert show(moment)


@pytest.mark.usefixtures("english")
@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 KB"), (48_700, "49 KB"), (2_340_000, "2.3 MB"), (7e12, "7,000 GB")],
)
def test_a_size_is_said_as_people_say_it(size, shown):
    assert language.file_size(size) == shown


@pytest.mark.usefixtures("german")
def test_a_size_has_the_decimal_mark_of_the_language():
    assert language.file_size(1500) == "1,5 KB"


def test_every_word_in_a_template_is_marked_for_translation():
    for path in (Path(language.__file__).parent / "templates").glob("*.html"):
        bare = re.sub(
            r"{#.*?#}|{%\s*trans.*?endtrans\s*%}|{{.*?}}|{%.*?%}|<[^>]*>", " ", path.read_text(), flags=re.DOTALL
        )
        assert not re.search(r"[A-Za-z]{3,}", bare), path.name
