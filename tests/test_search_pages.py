"""The pages that search and that show conversations, as a person without a script sees them."""

import os
import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from messenger_reader import index_file, search_pages, thread_pages
from messenger_reader.index_file import CacheUnusable

from .mail_pages_fixtures import deliver, flags, logged_in, mail, mailbox_at, with_file
from .reader_fixtures import BOB, portal
from .test_mail_audit import written


@pytest.fixture(name="site")
def site_fixture(tmp_path):
    return portal(tmp_path)


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    monkeypatch.setattr(search_pages, "LOOK_SECONDS", 60)


@pytest.fixture(name="alice")
def alice_fixture(site):
    return logged_in(site)


def search(site, browser, typed, **more):
    answer = site.get(browser, "/search", query_string={"q": typed, **more})
    assert answer.status_code == 200
    return answer.text


def subjects(page):
    return re.findall(
        r'<p class="subject" dir="auto"><a href="/message/[^>]*>(?:<span[^>]*>[^<]*</span>)?(.*?)</a>', page
    )


def answer_to(number, subject="Re: x", text="Quite so"):
    head, _, body = mail(subject, text).partition(b"\r\n")
    fields = f"Message-ID: <{number}@x>\r\n" + ("References: <1@x>\r\n" if number > 1 else "")
    return head + b"\r\n" + fields.encode() + body


def test_what_is_typed_is_found_and_marked(site, alice):
    deliver(site, mail("The invoice", "Please pay the invoice soon"))
    deliver(site, mail("Other", "nothing"))

    page = search(site, alice, "invoi")

    assert subjects(page) == ["The <mark>invoi</mark>ce"]
    assert "Please pay the <mark>invoi</mark>ce soon" in page
    assert 'value="invoi"' in page
    assert "1 message<" in page
    assert ">Inbox</bdi>" in page


def test_every_list_page_has_the_search_box(site, alice):
    for path in ("/", "/folder/Sent", "/search"):
        page = site.get(alice, path).text
        assert 'role="search" action="/search"' in page, path
        assert '<input id="q" name="q" type="search"' in page, path


@pytest.mark.parametrize(
    "hostile",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 71 * 71 }}", "%s %(x)s", "' OR 1=1 --"],
)
def test_neither_what_is_typed_nor_what_is_found_is_ever_markup(site, alice, hostile):
    deliver(
        site, mail(hostile, f"needle {hostile} needle", sender=f'"{hostile.replace(chr(34), "")}" <bob@example.org>')
    )

    for typed in ("needle", hostile, f"before:{hostile}", f"in:{hostile}", f'from:"{hostile}'):
        page = search(site, alice, typed)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "5041" not in re.sub(r'="[^"]*"', "", page)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("befor:2026-01-01", "Did you mean “before:”?"),
        ("before:soon", "Example: before:2026-03-31"),
        ("has:wings", "There is: has:attachment"),
        ("is:green", "is:unread, is:read, is:starred"),
        ("in:nowhere x", "There is no folder “nowhere”"),
        ('"open', "The quotation mark was not closed."),
        ("from:", "Something is missing behind “from:”"),
        ("???", "has no letters and digits"),
        ("x" * 3000, "That was very long."),
        ("after:2026 before:2025", "No day is after the one and before the other."),
    ],
)
def test_what_is_not_understood_is_explained_on_the_page(site, alice, typed, said):
    assert said in search(site, alice, typed)


@pytest.mark.parametrize(
    "query", ["", "?q=", "?q=x&older=999999999999999999999", "?q=x&older=-1", "?q=%00%FF%ED%A0%80", "?x"]
)
def test_any_address_of_the_search_is_answered(site, alice, query):
    assert site.get(alice, f"/search{query}").status_code == 200


def test_an_empty_search_and_an_empty_result_say_what_to_try(site, alice):
    for page in (search(site, alice, ""), search(site, alice, "nowhere")):
        assert "What you can search for" in page
        assert 'href="/search?q=has:attachment"' in page
    assert "Nothing found" in search(site, alice, "nowhere")


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_example_is_understood_in_the_language_it_is_shown_in(site, language):
    site.headers["Accept-Language"] = language
    browser = logged_in(site)

    page = search(site, browser, "")

    examples = re.findall(r'<dt><a class="code" href="([^"]+)">([^<]+)', page)
    assert len(examples) == 8
    assert ("von:anna" in page) == (language == "de")
    for address, _ in examples:
        assert 'class="note' not in site.get(browser, address.replace("&amp;", "&")).text, address


def test_folders_go_by_their_names_in_either_language(site, alice):
    raw = mail("In the archive", "word")
    mailbox_at(site).deliver(raw, "archived", folder="Archive", flags="S")
    mailbox_at(site).deliver(mail("In projects", "word"), "made", folder="Projects.Köln", flags="S")

    assert subjects(search(site, alice, "in:archive word")) == ["In the archive"]
    assert subjects(search(site, alice, "in:Archiv word")) == ["In the archive"]
    assert subjects(search(site, alice, "word in:Projects.Köln")) == ["In projects"]
    assert subjects(search(site, alice, "word -in:archive")) == ["In projects"]


def test_days_are_those_of_the_readers_time_zone(site, alice):
    deliver(site, mail("Now", "word"))
    [entry] = mailbox_at(site).list()
    site.post(alice, "/account", language="en", time_zone="Pacific/Kiritimati", notices="each", phrase="")
    day = datetime.fromtimestamp(entry.received, ZoneInfo("Pacific/Kiritimati")).date()
    after = day + timedelta(days=1)

    assert subjects(search(site, alice, f"after:{day} before:{after}")) == ["Now"]
    assert subjects(search(site, alice, f"before:{day}")) == []
    assert subjects(search(site, alice, f"after:{after}")) == []


def test_hits_come_in_pages_of_fifty(site, alice):
    for at in range(60):
        deliver(site, mail(f"Number {at}", f"word {at}"))

    first = search(site, alice, "word")
    older = re.search(r'href="(/search\?q=word&amp;older=\d+)"', first)
    second = site.get(alice, older[1].replace("&amp;", "&")).text

    assert "More than 50 messages" in first
    assert len(subjects(first)) == 50
    assert len(set(subjects(first) + subjects(second))) == 60
    assert "Newest hits" in second
    assert "Older hits" not in second


def test_a_search_in_the_middle_of_looking_says_how_far_it_is(site, alice, monkeypatch):
    for at in range(5):
        deliver(site, mail(f"Number {at}", f"word {at}"))
    monkeypatch.setattr(search_pages, "LOOK_SECONDS", -1)

    assert "1 of 5 messages searched so far" in search(site, alice, "word")
    monkeypatch.setattr(search_pages, "LOOK_SECONDS", 60)
    assert "searched so far" not in search(site, alice, "word")


def test_without_a_cache_the_search_says_so(site, alice, monkeypatch):
    name = deliver(site, mail("Still shown"))

    def broken(*_):
        raise CacheUnusable("disk full")

    monkeypatch.setattr(index_file, "use", broken)

    assert "The search does not work right now." in search(site, alice, "word")
    assert "Still shown" in site.get(alice, f"/message/{name}").text


def test_nobody_finds_anybody_elses_mail(site, alice):
    name = deliver(site, mail("Of Bob", "secretword"), BOB)

    assert subjects(search(site, alice, "secretword")) == []
    assert site.get(alice, f"/thread/{name}").status_code == 404
    assert site.get(site.browser(), "/search?q=secretword").status_code == 303


def test_a_hit_in_the_name_of_a_file_shows_the_name(site, alice):
    deliver(site, with_file(b"x", "text/csv", "balance sheet.csv"))

    assert "<mark>balance</mark> sheet.csv" in search(site, alice, "balance")


def test_searching_is_not_reading(site, alice):
    name = deliver(site, mail("The invoice", "Please pay"))

    search(site, alice, "invoice")

    assert "S" not in flags(site, name)
    assert written(site) == []


def conversation(site, count):
    names = []
    for number in range(1, count + 1):
        names.append(deliver(site, answer_to(number, text=f"This is answer {number}")))
        path = next(mailbox_at(site).root.glob(f"*/{names[-1]}*"))
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    site.get(alice_of(site), "/search?q=answer")
    return names


def alice_of(site):
    browser = site.browser()
    site.log_in(browser)
    return browser


def test_a_message_names_the_others_of_its_conversation(site, alice):
    names = conversation(site, 3)

    page = site.get(alice, f"/message/{names[1]}").text

    assert "3 messages in this conversation" in page
    assert page.count('aria-current="true"') == 1
    assert f'href="/message/{names[0]}"' in page
    assert "This is answer 3" in page
    assert f'href="/thread/{names[1]}#this"' in page


def test_a_message_that_is_alone_has_no_conversation(site, alice):
    name = deliver(site, mail())

    assert "conversation" not in site.get(alice, f"/message/{name}").text
    answer = site.get(alice, f"/thread/{name}")
    assert (answer.status_code, answer.location) == (302, f"/message/{name}")


def test_a_conversation_shows_the_newest_in_full_marks_them_read_and_writes_them_down(site, alice):
    names = conversation(site, 6)

    page = site.get(alice, f"/thread/{names[0]}").text

    read = {names[0], *names[3:]}
    assert page.count('<div class="letter text"') == len(read) == thread_pages.OPEN + 1
    assert {name for name in names if "S" in flags(site, name)} == read
    lines = written(site)
    assert len(lines) == len(read)
    assert all(line[0] == "read" and line[3].endswith(" thread") for line in lines)
    positions = [page.index(f"answer {number}") for number in range(1, 7)]
    assert positions == sorted(positions)


def test_a_browser_that_fetches_ahead_reads_no_conversation(site, alice):
    names = conversation(site, 2)
    site.headers["Sec-Purpose"] = "prefetch"

    site.get(alice, f"/thread/{names[0]}")

    assert not [name for name in names if "S" in flags(site, name)]


def test_a_conversation_draws_nothing_of_a_mail_unescaped(site, alice):
    for number in (1, 2):
        deliver(site, answer_to(number, subject="<b>x</b>", text=f"{number} <script>alert(1)</script>"))
    names = [entry.name for entry in mailbox_at(site).list()]
    site.get(alice, "/search?q=x")

    for path in (f"/thread/{names[0]}", f"/message/{names[0]}"):
        page = site.get(alice, path).text
        assert "in this conversation" in page
        assert "<script>" not in page
        assert "<b>x</b>" not in page


def test_a_long_conversation_folds_the_older_ones(site, alice):
    names = conversation(site, 12)

    page = site.get(alice, f"/message/{names[-1]}").text

    assert "6 older messages" in page
    assert page.count("This is answer") >= 12
