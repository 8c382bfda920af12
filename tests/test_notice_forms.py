"""The quick way to a body gives the bytes of the slow one, or isn't taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import messenger
from messenger import notice_forms
from messenger.notice_forms import body, fixed_text
from messenger.notice_mail import encoded
from messenger.notice_texts import NoticeError, environment, render
from messenger.notify import Site

from .test_notify import HOSTILE

SITE = Site("<Bank> & Söhne", "https://portal.example.org", "notice@portal.example.org")
FIXED = {"site": SITE, "language": "en", "direction": "ltr", "subject": "A <subject>"}
VALUES = {
    "sender_name": "Eva & 'Co' <x>",
    "sender_address": "eva@example.com",
    "received": "24 November 2026, 07:31 CET",
    "reference": "K7QF-M2XA",
    "link": "https://portal.example.org/l/abc?d=e&f",
    "phrase": "Blue hippo",
}

one_line = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=120)
#: Any values: letters, what HTML and quoted-printable treat as special, and empty ones in every combination.
values = st.fixed_dictionaries({
    name: st.one_of(
        st.just(""), one_line, st.sampled_from([text for text in HOSTILE if text.isprintable() and len(text) < 500])
    )
    for name in VALUES
})  # fmt: skip

#: Templates whose text around the values is the same whatever they are.
PLAIN = [
    "",
    "\n",
    "{{ link }}",
    "{{ link }}\n",
    "{{ link }}{{ link }}\n\n",
    "a {{ link }} b\n{{ phrase }}",
    "{% if phrase %}{{ phrase }}{% else %}none{% endif %}\n",
    "{% if phrase and not sender_name %}{{ phrase }}{% elif link or phrase %}{{ link }}{% endif %}",
    "{{ sender_name or phrase or _('nobody') }}",
    "{{ (sender_name and phrase) or link }}",
    "{{ sender_name if phrase else link }}",
    "{{ sender_name if phrase }}",
    "{% filter upper %}{{ site.name }}{% endfilter %}{{ link }}",
    "{% trans n=site.name %}{{ n }} 100%{% endtrans %} {{ reference }}\n\n\n",
    ".\n{{ link }}\n.\n",
    "  {{ link }}  \n \n",
    "{{ site.name|wordwrap(3) }}{{ link }}",
    "{{ '<b>'|safe }}{{ link }}",
    "x" * 200 + "{{ link }}" + "y" * 200,
    "{# {{ nothing }} #}{% raw %}{{ link }}{% endraw %}{{ link }}",
    "{{ site.name ~ '!' }}{{ phrase }}",
]
#: Templates that do more with a value than show it, or take something from elsewhere.
OTHERS = [
    "{{ sender_name|upper }}",
    "{{ sender_name|length }}",
    "{{ sender_name|safe }}",
    "{{ sender_name ~ phrase }}",
    "{{ sender_name[:3] }}",
    "{{ sender_name.upper() }}",
    "{{ sender_name * 2 }}",
    "{{ [sender_name] }}",
    "{{ phrase == 'Blue hippo' }}",
    "{% if phrase == 'Blue hippo' %}x{% endif %}",
    "{% if 'a' in sender_name %}x{% endif %}",
    "{% if sender_name|length > 3 %}x{% endif %}",
    "{% if phrase is defined %}x{% endif %}",
    "{% filter wordwrap(10) %}{{ sender_name }}{% endfilter %}",
    "{% filter upper %}{% if phrase %}{{ site.name }}{{ phrase }}{% endif %}{% endfilter %}",
    "{% trans n=sender_name %}by {{ n }}{% endtrans %}",
    "{% set link = phrase %}{{ link }}",
    "{% for c in sender_name %}{{ c }}-{% endfor %}",
    "{% for link in ['x'] %}{{ link }}{% endfor %}",
    "{% macro m(link) %}{{ link }}{% endmacro %}{{ m('x') }}",
    "{% with link = 'x' %}{{ link }}{% endwith %}",
    "{% autoescape false %}{{ sender_name }}{% endautoescape %}",
    "{% include 'part.txt' %}",
    "{% import 'part.txt' as part with context %}{{ part }}",
    "{% extends 'part.txt' %}",
    "{% block b %}{{ sender_name }}{% endblock %}",
    "{{ range(3)|list }}",
    "{{ cycler('a', 'b').next() }}",
    "{{ dict(a=sender_name) }}",
    "{{ link.split('/')|join(' ') }}",
]


def made_of(tmp_path: Path, source: str, language: str = "en"):
    for name in ("notice.txt", "notice.html"):
        (tmp_path / name).write_text(source)
    (tmp_path / "part.txt").write_text("part {{ sender_name }}\n")
    return environment(tmp_path, language)


def slowly(made, name, given):
    return encoded(render(made, name, FIXED | given))


def outcome(way, *arguments):
    try:
        return way(*arguments)
    except NoticeError as error:
        return str(error)


def form_of(made, name, given=VALUES):
    filled = frozenset(key for key, value in given.items() if value)
    return notice_forms._form(made.get_template(name), tuple(FIXED.items()), tuple(given), filled)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", ["notice.txt", "notice.html"])
@settings(deadline=None, max_examples=150)
@given(given=values)
def test_our_templates_give_the_same_bytes_both_ways(name, language, given):
    made = environment(None, language)

    assert form_of(made, name, given) is not None
    assert body(made, name, FIXED, given) == slowly(made, name, given)


@pytest.mark.parametrize("name", ["notice.txt", "notice.html"])
@pytest.mark.parametrize("source", PLAIN)
def test_a_plain_template_gives_the_same_bytes_both_ways(tmp_path, name, source):
    made = made_of(tmp_path, source)
    combinations = [{key: text if number >> bit & 1 else "" for bit, key in enumerate(VALUES)}
                    for number in range(64) for text in ("a < b", "ä", " .", "=" * 100)]  # fmt: skip

    assert form_of(made, name) is not None
    for some in (VALUES, *combinations):
        assert body(made, name, FIXED, some) == slowly(made, name, some)


@pytest.mark.parametrize("name", ["notice.txt", "notice.html"])
@pytest.mark.parametrize("source", OTHERS)
def test_a_template_that_does_more_is_rendered_each_time(tmp_path, name, source):
    made = made_of(tmp_path, source)

    assert form_of(made, name) is None
    for some in (VALUES, dict.fromkeys(VALUES, ""), VALUES | {"sender_name": "abc", "phrase": "x" * 50}):
        assert body(made, name, FIXED, some) == slowly(made, name, some)


fragments = st.recursive(
    st.sampled_from([
        "x", "\n", " ", "é", ".", "=", "{{ link }}", "{{ phrase }}", "{{ sender_name|upper }}", "{{ site.name }}",
        "{{ phrase or link }}", "{% trans %}From{% endtrans %}", "{{ sender_name ~ link }}", "{{ 'a'|upper }}",
    ]),
    lambda inner: st.builds(
        lambda kind, parts: kind.replace("…", "".join(parts)),
        st.sampled_from([
            "{% if phrase %}…{% endif %}",
            "{% if not link %}…{% else %}y{% endif %}",
            "{% filter upper %}…{% endfilter %}",
            "{% for n in [1, 2] %}…{% endfor %}",
            "{% set phrase = 'q' %}…",
        ]),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(source=st.lists(fragments, max_size=6).map("".join), given=values)
def test_whatever_a_template_does_both_ways_give_the_same_bytes(tmp_path_factory, source, given):
    made = made_of(tmp_path_factory.mktemp("site"), source)

    for name in ("notice.txt", "notice.html"):
        assert outcome(body, made, name, FIXED, given) == outcome(slowly, made, name, given)


@pytest.mark.parametrize("value", ["a\nb", "a\r\nb", "a\r"])
def test_a_value_of_several_lines_goes_the_slow_way(value):
    made = environment(None, "en")
    given = VALUES | {"phrase": value}

    assert body(made, "notice.txt", FIXED, given) == slowly(made, "notice.txt", given)


def test_a_changed_template_is_read_at_once(tmp_path):
    made = made_of(tmp_path, "one {{ link }}")
    first = body(made, "notice.txt", FIXED, VALUES)
    made_of(tmp_path, "another {{ link }}")
    os.utime(tmp_path / "notice.txt", (1_700_000_000, 1_700_000_000))

    assert (first[:4], body(made, "notice.txt", FIXED, VALUES)[:8]) == (b"one ", b"another ")


def test_another_site_has_texts_of_its_own():
    made = environment(None, "en")
    other = FIXED | {"site": Site("Other-Bank", "https://other.example", "x@other.example")}

    assert b"S=C3=B6hne" in body(made, "notice.txt", FIXED, VALUES)
    assert b"Other-Bank" in body(made, "notice.txt", other, VALUES)


def test_a_mistake_in_a_branch_that_is_seldom_taken_is_named_when_it_is(tmp_path):
    made = made_of(tmp_path, "{% if phrase %}{{ link }}{% else %}{{ phrase_of_old }}{% endif %}")

    assert body(made, "notice.txt", FIXED, VALUES)
    with pytest.raises(NoticeError, match=r"notice\.txt: 'phrase_of_old' is undefined"):
        body(made, "notice.txt", FIXED, VALUES | {"phrase": ""})


def test_a_text_of_fixed_things_is_rendered_once_and_any_other_each_time(tmp_path):
    (tmp_path / "notice-subject.txt").write_text("{{ site.name }}")
    made = environment(tmp_path, "en")
    (tmp_path / "other.txt").write_text("{{ ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']|random }}")

    assert fixed_text(made, "notice-subject.txt", {"site": SITE}) == SITE.name
    assert len({fixed_text(made, "other.txt", {"site": SITE}) for _ in range(100)}) > 1


def test_every_template_of_the_notice_goes_the_quick_way():
    """A change to them that needs the slow way should be known to cost four times as much."""
    templates = Path(messenger.__file__).parent / "templates"

    for language in ("en", "de"):
        made = environment(None, language)
        for path in templates.glob("notice.*"):
            assert form_of(made, path.name) is not None
