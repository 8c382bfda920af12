"""What is typed into the search box: understood, or answered with a hint, and never dangerous."""

import sqlite3
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from messenger_reader import index_words
from messenger_reader.index_search import match_expression
from messenger_reader.search_query import PARTS, Hint, Query, Term, parse
from messenger_reader.word_forms import marked, pattern, snippet, spaced, spellings


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("", Query()),
        ("contract", Query(needed=(Term("contract", prefix=True),))),
        ("old contract", Query(needed=(Term("old"), Term("contract", prefix=True)))),
        ("rechn* 2026", Query(needed=(Term("rechn", prefix=True), Term("2026", prefix=True)))),
        ('"the contract"', Query(needed=(Term("the contract"),))),
        ("„der Vertrag“", Query(needed=(Term("der Vertrag"),))),
        ("contract -draft", Query(needed=(Term("contract"),), excluded=(Term("draft"),))),
        ('-"first draft"', Query(excluded=(Term("first draft"),))),
        ("from:bob x", Query(needed=(Term("bob", "sender"),))),
        ("from: bob hello", Query(needed=(Term("bob", "sender"), Term("hello", prefix=True)))),
        ('to:"Anna Arendt"', Query(needed=(Term("Anna Arendt", "recipients"),))),
        ("Subject:minutes -from:bob", Query(needed=(Term("minutes", "subject"),), excluded=(Term("bob", "sender"),))),
        ("has:attachment", Query(attachment=True)),
        ("-has:attachment", Query(attachment=False)),
        ("is:unread is:starred", Query(unread=True, starred=True)),
        ("is:read", Query(unread=False)),
        ("before:2026-03-01", Query(before=date(2026, 3, 1))),
        ("after:2025 before:2026-02", Query(after=date(2025, 1, 1), before=date(2026, 2, 1))),
        ("in:archive", Query(folder="archive")),
        ('-in:trash in:"Old mail"', Query(folder="old mail", not_in=("trash",))),
        (
            "von:bob an:anna hat:anhang",
            Query(needed=(Term("bob", "sender"), Term("anna", "recipients")), attachment=True),
        ),
        ("vor:01.03.2026 nach:2025", Query(before=date(2026, 3, 1), after=date(2025, 1, 1))),
        ("re: hello", Query(needed=(Term("re:"), Term("hello", prefix=True)))),
        ("salt - pepper", Query(needed=(Term("salt"), Term("pepper", prefix=True)))),
        ("請求書", Query(needed=(Term("請求書", prefix=True),))),
    ],
)
def test_what_is_typed_is_understood(typed, understood):
    query = parse(typed.removesuffix(" x")) if typed.endswith(" x") else parse(typed)

    if typed.endswith(" x"):
        understood = Query(needed=(Term("bob", "sender", True),))
    assert query == understood
    assert query.hints == ()


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("befor:2026-01-01", Hint("unknown-operator", "befor:", "before:")),
        ("form:bob", Hint("unknown-operator", "form:", "from:")),
        ("before:yesterday", Hint("bad-date", "before:yesterday")),
        ("after:2026-02-30", Hint("bad-date", "after:2026-02-30")),
        ("before:9999-99", Hint("bad-date", "before:9999-99")),
        ("has:wings", Hint("bad-has", "has:wings")),
        ("is:green", Hint("bad-is", "is:green")),
        ("from:", Hint("no-value", "from:")),
        ("from: to:bob", Hint("no-value", "from:")),
        ('"never closed', Hint("open-quote", "never closed")),
        ("?!", Hint("no-words", "?!")),
        ("after:2026 before:2025", Hint("no-time")),
        ("a " * (PARTS + 1), Hint("too-long")),
        ("a" * 5000, Hint("too-long")),
    ],
)
def test_what_is_not_understood_is_named(typed, hint):
    assert hint in parse(typed).hints


def test_what_is_not_understood_leaves_the_rest_of_the_search_as_it_is():
    assert parse("contract before:soon from:bob").needed == (Term("contract"), Term("bob", "sender", True))


@pytest.mark.parametrize("typed", ["http://example.org/?a=b", "12:30", "WG: Vertrag", "e-mail:", "C:\\x", "::", ":"])
def test_a_colon_in_a_word_is_no_slip(typed):
    assert not [hint for hint in parse(typed).hints if hint.kind == "unknown-operator"]


@pytest.fixture(scope="module", name="words")
def words_fixture():
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(index_words._CREATE % 1)
    insert = index_words._INSERT % 1
    db.execute(
        insert, (1, *map(spaced, ("Rechnung Müller", "Bob b@x.org", "", "Die Straße. 請求書を送ります", "a.pdf")))
    )
    return db


def found(words, typed):
    query = parse(typed)
    if not query.needed:
        return False
    sql = "SELECT rowid FROM words_1 WHERE words_1 MATCH ?"
    return words.execute(sql, (match_expression(query.needed, query.excluded),)).fetchall() == [(1,)]


@pytest.mark.parametrize(
    "typed",
    [
        "rechn", "RECHNUNG", "muller", "Mueller", "müller", "strasse", "straße", "請求",
        "求書", "送ります", "from:b@x.org",
        "subject:rechnung bob", '"die strasse"', "a.pdf", 'rechnung "請求書"', "rechnung -vertrag", "ＲＥＣＨＮＵＮＧ",
    ],
)  # fmt: skip
def test_words_are_found_however_they_are_spelled(words, typed):
    assert found(words, typed)


@pytest.mark.parametrize(
    "typed", ["echnung", "書請", "from:rechnung", "subject:bob", "rechnung -straße", '"rechn"', '"müller rechnung"']
)
def test_what_is_not_there_is_not_found(words, typed):
    assert not found(words, typed)


ODD = st.sampled_from([*"\"'*()^{}:+-–„“\\ \0\n\ud800ß請กüéʼ%_,.;<>", "AND", "OR", "NOT", "NEAR(", "from:", "in:", "-"])


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(ODD, st.text(max_size=4)), max_size=30).map("".join))
@example('subject:"" OR 1')
@example("NEAR(a b, 10)")
@example('* "*" -* from:*')
@example("\U0001e900\U0001e901")  # letters that SQLite's Unicode doesn't know
def test_whatever_is_typed_the_statement_holds(words, typed):
    query = parse(typed)

    expression = match_expression(query.needed, query.excluded)
    if expression:
        words.execute("SELECT rowid FROM words_1 WHERE words_1 MATCH ?", (expression,)).fetchall()
    hits = pattern(query.needed)
    assert "".join(piece.text for piece in marked(typed, hits)) == typed


def test_a_hit_is_marked_where_it_stands():
    hits = pattern(parse('mueller "alte straße" 請求').needed)

    pieces = marked("Frau Müllers, Fr. MÜLLER, Alte-Strasse, 請 求書", hits)

    assert [piece.text for piece in pieces if piece.hit] == ["MÜLLER", "Alte-Strasse", "請 求"]


def test_a_snippet_stands_around_the_first_hit():
    text = "word " * 5000 + "needle " + "word " * 5000

    pieces = snippet(text, pattern(parse("needle").needed))

    assert [piece.text for piece in pieces if piece.hit] == ["needle"]
    assert pieces[0].text == "… "
    assert sum(len(piece.text) for piece in pieces) < 300


def test_an_umlaut_that_is_none_has_one_spelling():
    assert spellings("Bauer") == ("Bauer",)
    assert spellings("neue") == ("neue",)
