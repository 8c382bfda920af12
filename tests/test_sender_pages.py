"""Who a mail is from and to, as its page says it: what poses, what deceives, what is too much."""

import re

import pytest

from .mail_pages_fixtures import deliver, mail
from .reading_fixtures import alice_fixture, site_fixture  # noqa: F401


def test_a_name_that_poses_as_an_address_is_pointed_out(site, alice):
    name = deliver(site, mail(sender='"chief@bank.example" <thief@example.com>'))

    assert "shows another email address" in site.get(alice, f"/message/{name}").text
    assert "chief@bank.example" not in site.get(alice, "/").text


def test_the_real_address_stands_out_beside_a_name_that_poses_as_one(site, alice):
    name = deliver(site, mail(sender='"chief@bank.example" <thief@example.com>'))

    assert '<span class="who">&lt;thief@example.com&gt;</span>' in site.get(alice, f"/message/{name}").text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Bob.Brown@Example.org", "Bob.Brown@Example.org"),
        ("bob@b\u00fccher.example", "bob@b\u00fccher.example"),
        ("bob@xn--bcher-kva.example", "bob@b\u00fccher.example"),
        ("bob@ex\u0430mple.org", "bob@xn--exmple-4nf.org"),
        ("bob@xn--exmple-4nf.org", "bob@xn--exmple-4nf.org"),
        ("bob@ex\u0430mple.org.", r"bob@ex\u0430mple.org."),
        ("bob\u0430", r"bob\u0430"),
    ],
)
def test_an_address_that_only_looks_like_another_is_spelled_out(site, alice, given, shown):
    raw = mail().replace(b"Bob <bob@example.org>", f"Bob <{given}>".encode())
    name = deliver(site, raw)

    assert f"&lt;{shown}&gt;" in site.get(alice, f"/message/{name}").text


def test_a_mail_without_a_sender_says_so(site, alice):
    name = deliver(site, b"Subject: who?\r\n\r\nhello\r\n")

    assert "<dd>Unknown sender</dd>" in site.get(alice, f"/message/{name}").text


def test_hundreds_of_recipients_are_folded(site, alice):
    crowd = ", ".join(f"p{number}@example.com" for number in range(500)).encode()
    name = deliver(site, mail().replace(b"Alice <alice@example.net>", crowd))

    before, after = site.get(alice, f"/message/{name}").text.split("<details><summary>and 494 more</summary>")

    assert "p5@example.com" in before
    assert "p6@example.com" not in before
    assert "p499@example.com" in after.partition("</details>")[0]


def test_a_subject_that_fills_screens_is_cut_and_whole_among_the_headers(site, alice):
    subject = "word " * 300 + "end"
    name = deliver(site, mail(subject))

    page = site.get(alice, f"/message/{name}").text
    listed = site.get(alice, f"/message/{name}/headers").text

    [heading] = re.findall(r'<h1 dir="auto" class="long">(.*)</h1>', page)
    assert len(heading) == 300
    assert heading.endswith("…")
    assert " ".join(subject.split()) in " ".join(listed.split())


def test_a_hundred_authors_make_few_warnings(site, alice):
    crowd = ", ".join(f'"a{number}@bank.example" <thief@example.com>' for number in range(100))
    name = deliver(site, mail().replace(b"Bob <bob@example.org>", crowd.encode()))

    assert site.get(alice, f"/message/{name}").text.count("shows another email address") == 3


def test_two_senders_are_pointed_out(site, alice):
    name = deliver(site, mail().replace(b"To: Alice", b"From: Eve <eve@example.com>\r\nTo: Alice"))

    assert "names its sender more than once" in site.get(alice, f"/message/{name}").text
