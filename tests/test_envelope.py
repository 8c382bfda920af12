"""Addresses: one spelling for each mailbox, and no spelling for what is not one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from messenger.envelope import AddressError, Envelope, display, domain_of, local_part_of, normal

ATEXT = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~äßÄİſΣς日"
DOMAINS = st.sampled_from(["example.org", "EXAMPLE.org", "bücher.example", "xn--bcher-kva.example", "日本.jp", "a-b.c"])
PLAIN = st.lists(st.text(ATEXT, min_size=1, max_size=5), min_size=1, max_size=3).map(".".join)
QUOTED = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc",)), max_size=12).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
ANY_SCRIPT = st.text(st.characters(min_codepoint=0x80, exclude_categories=("Cs",)), min_size=1, max_size=10)
ADDRESSES = st.builds("{}@{}".format, PLAIN | QUOTED | ANY_SCRIPT, DOMAINS)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Anna@Example.ORG", "anna@example.org"),
        ("<anna@example.org>", "anna@example.org"),
        ('"anna"@example.org', "anna@example.org"),
        (r'"an\na"@example.org', "anna@example.org"),
        ('"Anna B"@example.org', '"anna b"@example.org'),
        (r'"a\"b\\c"@example.org', r'"a\"b\\c"@example.org'),
        ('"a..b"@example.org', '"a..b"@example.org'),
        ('"a@b"@example.org', '"a@b"@example.org'),
        ("anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
        ("anna@straße.example", "anna@xn--strae-oqa.example"),
        ("anna@例え.テスト", "anna@xn--r8jz45g.xn--zckzah"),
        ("anna@example。org", "anna@example.org"),
        ("ÄNNA@example.org", "änna@example.org"),
        ("a\u0308nna@example.org", "änna@example.org"),
        ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
        ("anna@localhost", "anna@localhost"),
        ("anna@[192.0.2.1]", "anna@[192.0.2.1]"),
        ("anna@[IPv6:2001:DB8:0::1]", "anna@[ipv6:2001:db8::1]"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_one_mailbox_has_one_spelling(written, meant):
    assert normal(written) == meant


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("straße@example.org", "strasse@example.org"),
        ("ſam@example.org", "sam@example.org"),
        ("İsa@example.org", "isa@example.org"),
        ("anna@straße.example", "anna@strasse.example"),
        ('"a b"@example.org', "ab@example.org"),
        ("a.b@example.org", "ab@example.org"),
    ],
)
def test_what_other_mail_systems_may_keep_apart_stays_apart(one, another):
    assert normal(one) != normal(another)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<>",
        "anna",
        "@",
        "@example.org",
        "anna@",
        '""@example.org',
        "Postmaster",
        "anna@example.org.",
        "anna@.example.org",
        "anna@example..org",
        "anna@-example.org",
        "anna@example-.org",
        "anna@exam_ple.org",
        "anna@exam ple.org",
        "anna@example.org@example.com",
        "anna.@example.org",
        ".anna@example.org",
        "an..na@example.org",
        "an na@example.org",
        " anna@example.org",
        "anna@example.org ",
        "anna@example.org\n",
        "anna\r\nBcc: eve@example.org@example.org",
        '"anna\r\nBcc: eve"@example.org',
        "anna\x00@example.org",
        '"anna\x00"@example.org',
        '"anna@example.org',
        'an"na@example.org',
        '"anna"b@example.org',
        r'"anna\"@example.org',
        "<@relay.example,@other.example:anna@example.org>",
        "@relay.example:anna@example.org",
        "Anna <anna@example.org>",
        "anna@example.org,eve@example.org",
        "<anna@example.org",
        "anna@example.org>",
        "anna(comment)@example.org",
        "anna@[192.0.2]",
        "anna@[192.0.2.1",
        "anna@[192.0.2.01]",
        "anna@[IPv6:2001:db8::1%eth0]",
        "anna@[IPv6:]",
        "anna@[x-tag:whatever]",
        "anna@[]",
        "an\u202ena@example.org",
        "an\u200bna@example.org",
        "an\u2028na@example.org",
        "an\x85na@example.org",
        "an\ud800na@example.org",
        "anna@\ud800.example",
        "an\uffffna@example.org",
        "anna@❤.example",
        "anna@exa\u2024mple.org\u2488",
        "a" * 65 + "@example.org",
        '"' + "a b" * 21 + '"@example.org',
        "ä" * 33 + "@example.org",
        "a@" + "b" * 64 + ".example",
        "a@" + ".".join(["b" * 49] * 5) + ".org",
        "a" * 64 + "@" + ".".join(["b" * 62] * 3) + ".org",
        "a" * 5000 + "@example.org",
        "anna@" + "ä." * 5000 + "org",
    ],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(AddressError) as refusal:
        normal(text)

    assert not refusal.value.temporary
    assert str(refusal.value).isprintable()  # it goes into a log


@settings(deadline=None)
@given(ADDRESSES)
def test_normalising_twice_is_normalising_once(address):
    try:
        once = normal(address)
    except AddressError:
        return

    assert normal(once) == once
    assert normal(f"<{once}>") == once
    assert (domain_of(once), local_part_of(once)) == (domain_of(address), local_part_of(address))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.text('a@."\\[]<>:,ä\u202e%/ \x00', max_size=20))
def test_whatever_comes_in_gives_an_address_or_a_refusal(text):
    try:
        address = normal(text)
    except AddressError:
        return

    assert len(address.encode()) <= 254
    assert address.isprintable()
    assert normal(address) == address


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("Anna@xn--bcher-kva.example", "anna@bücher.example"),
        ("anna@xn--r8jz45g.xn--zckzah", "anna@例え.テスト"),
        ("anna@xn--80a1acny.xn--p1ai", "anna@почта.рф"),
        ("anna@example.org", "anna@example.org"),
        ("anna@[ipv6:2001:db8::1]", "anna@[ipv6:2001:db8::1]"),
    ],
)
def test_people_read_a_domain_in_its_own_script(address, shown):
    assert display(address) == shown


@pytest.mark.parametrize(
    "domain",
    [
        "xn--80ak6aa92e.com",  # аррӏе in Cyrillic
        "xn--pple-43d.com",  # аpple, one Cyrillic letter among Latin ones
        "xn--i-7iq.ws",  # a heart: not of IDNA 2008
        "xn--a",  # decodes to nothing
        "xn--0.example",
    ],
)
def test_a_domain_that_could_pass_for_another_is_shown_as_it_travels(domain):
    assert display(f"anna@{domain}") == f"anna@{domain}"


def test_an_envelope_is_a_value():
    assert Envelope("a@b", ("c@d",), "4Xyz") == Envelope("a@b", ("c@d",), "4Xyz")
