"""Plain text: links, quotes, flowed lines, and text made out of HTML."""

import re
import time

import pytest

from messenger.message import html_text, text_html
from messenger.message.text import unflowed
from tests.hostile_html import VECTORS


def linked(address: str, after: str = "") -> str:
    return f'<a href="{address}" target="_blank" rel="noopener noreferrer nofollow">{address}</a>{after}'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("see https://x.test/a.", "see " + linked("https://x.test/a", ".")),
        ("(https://x.test/a)", "(" + linked("https://x.test/a", ")")),
        ("https://x.test/a_(b)", linked("https://x.test/a_(b)")),
        ("https://x.test/a_(b)).", linked("https://x.test/a_(b)", ").")),
        ("<https://x.test/a?b=1&c=2>", "&lt;" + linked("https://x.test/a?b=1&amp;c=2", "&gt;")),
        ("https://x.test/&", linked("https://x.test/", "&amp;")),
        ("mailto:a@x.test,", linked("mailto:a@x.test", ",")),
        ("HTTP://X.test", linked("HTTP://X.test")),
        ("https://", "https://"),
        ("mailto:: mailto:?. http://.", "mailto:: mailto:?. http://."),
        ("javascript:alert(1) data:text/html,x ftp://x.test", "javascript:alert(1) data:text/html,x ftp://x.test"),
        ("xhttps://x.test", "xhttps://x.test"),
        ('https://x.test/"onclick="x', linked("https://x.test/", "&quot;onclick=&quot;x")),
        ("https://x.test/'onclick='x", linked("https://x.test/", "&#x27;onclick=&#x27;x")),
        ("<script>&amp;</script>", "&lt;script&gt;&amp;amp;&lt;/script&gt;"),
        ("„https://x.test“", "„" + linked("https://x.test") + "“"),
        ("> a\n>> b\nc", '<span class="quoted">&gt; a\n&gt;&gt; b\n</span>c'),
        ("a > b", "a &gt; b"),
        ("", ""),
    ],
)
def test_text_as_html(text, html):
    assert text_html(text) == html


@pytest.mark.parametrize("name", VECTORS)
def test_no_markup_but_ours_comes_out_of_the_text(name):
    tags = re.findall("<[^>]*>", text_html(VECTORS[name]))

    assert all(
        re.fullmatch('</?span(?: class="quoted")?>|</a>|<a href="(?:https?://|mailto:)[^"]*" .*', one) for one in tags
    )


@pytest.mark.parametrize(
    "piece", ["http://", "http://x)", "mailto:", "&", "> x\n", ">", "http://a&", "http://x/" + "(" * 50]
)
def test_a_megabyte_of_anything_is_text_soon(piece):
    text = piece * (1_000_000 // len(piece))

    begun = time.process_time()
    text_html(text)

    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("text", "joined"),
    [
        ("a \nb", "a b"),
        ("a \n\nb", "a \n\nb"),
        ("> a \n> b\nc", "> a b\nc"),
        ("> a \nb", "> a \nb"),
        ("> a \n>> b", "> a \n>> b"),
        ("-- \nAnna", "-- \nAnna"),
        ("a \n-- \nAnna", "a \n-- \nAnna"),
        (" >not a quote", ">not a quote"),
        (" From here", "From here"),
        ("", ""),
    ],
)
def test_flowed_lines_are_joined(text, joined):
    assert unflowed(text, delete_space=False) == joined


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<div>a</div><div>b</div>", "a\nb"),
        ("a   \n b", "a b"),
        ("a&lt;b&gt;&amp;&eacute;", "a<b>&é"),
        ("<style>p{}</style><script>x</script><title>t</title>a", "a"),
        ("<!-- x -->a<!--[if mso]>b<![endif]-->c", "ac"),
        ('<a href="https://x.test/1">here</a>', "here <https://x.test/1>"),
        ('<a href="https://x.test/">https://x.test/</a>', "https://x.test/"),
        ('<a href="javascript:x">here</a>', "here"),
        ('<img src=x alt="A &quot;b&quot;">', '[A "b"]'),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n\n  - c"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a\tb\nc"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>c", "> a\n>\n> > b\n\nc"),
        ('<div style="display:none">hidden</div>shown', "shown"),
        ('<div style="display:none">all there is</div>', "all there is"),
        ("a<b", "a"),
        ("1 < 2 <3", "1 < 2 <3"),
        ('<p title="a>b">c', "c"),
        ("<p title='a>b'x=\">\">c", "c"),
        ("</p>a</", "a"),
        ("", ""),
    ],
)
def test_the_words_of(html, text):
    assert html_text.words(html) == text


@pytest.mark.parametrize(
    "piece",
    ["<", "<a ", "<!--", "<!", "</", '<a "', "<a b='", '="', "<b>", "<title>", "&#", "<a =\"", "<pre>\n", "<ul><li>x",
     "<img alt=a>", "<a href=http://a>&#32;</a>"],
)  # fmt: skip
def test_a_megabyte_of_any_html_is_words_soon(piece):
    html = piece * (1_000_000 // len(piece))

    begun = time.process_time()
    html_text.words(html)
    html_text.depth(html, 512)

    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("html", "depth"),
    [
        ("<p>a<p>b<p>c", 1),
        ("<div><div><div>", 3),
        ("<div></div>" * 100, 1),
        ("<b><i></b></i>", 2),
        ("<br><img><hr>", 0),
        ("</div>" * 10, 0),
        ("<ul>" + "<li>x" * 100 + "</ul>", 2),
        ("<div>" * 2000, 513),
    ],
)
def test_how_deep_tags_are_nested(html, depth):
    assert html_text.depth(html, 512) == depth
