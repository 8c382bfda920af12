"""The gateway behind a real Postfix: no clear copy of a mail that must be protected leaves."""

from __future__ import annotations

import itertools

import pytest

from demo.postfix import PostfixMissing, require

from .gateway_fixtures import SECRET, running
from .gateway_postfix_fixtures import outbound

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

pytestmark = [pytest.mark.postfix, pytest.mark.skipif(bool(missing), reason=missing)]

RULED = """\
[global]
enabled = true

[domain."refused.example"]
enabled = false

[[rule]]
name = "the newsletter is for everybody"
result = "none"
recipient = ["open.example"]

[[rule]]
name = "secure in the subject"
result = "mandatory"
subject = ["[secure]"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with outbound(tmp_path_factory.mktemp("postfix"), more_ports={"few": ""}) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(site, tmp_path_factory):
    found = site.gateway(tmp_path_factory.mktemp("gateway"), policy=RULED)
    with running(found):
        yield found


@pytest.fixture
def word():
    """A word that no other mail has."""
    return f"code-{next(word.number)}."


word.number = itertools.count(4711)


def secret(word: str, raw: bytes = SECRET) -> bytes:
    return raw.replace(b"4711", word.encode())


# Who gets what


def test_each_recipient_of_one_mail_gets_it_as_the_policy_says(site, gateway, word):
    raw = secret(word, SECRET.replace(b"\r\n\r\n", b"\r\nBcc: bea@example.org\r\n\r\n", 1))

    code, _ = site.send(raw, "boss@example.com", "Ann@Example.ORG", "news@open.example", "bea@example.org")

    left = site.left(gateway, word)
    assert code == 250
    assert set(left.clear) == {"boss@example.com", "news@open.example"}
    assert {address: len(mails) for address, mails in left.opened.items()} == {
        "ann@example.org": 1,
        "bea@example.org": 1,
    }
    [mail] = left.opened["bea@example.org"]
    assert b"bea@" not in mail.raw
    assert b"secure" not in mail.raw


@pytest.mark.parametrize(
    "rcpt_to",
    [
        "<@relay.example:ann@example.org>",
        "<@relay.example,@two.example:Ann@Example.org.>",
        '<@relay.example:"ann"@example.org>',
        '<"an\\n"@example.org>',
        '<"ann"@example.org.>',
        "<ann@xn--bcher-kva.example>",
        "<jürgen@BÜCHER.example>",
        "<ann@[192.0.2.1]>",
        "<ann%example.org@[127.0.0.1]>",
        "<ann%example.org@example.com>",
        '<"ann@example.org"@example.com>',
        "<ann@example.org@example.com>",
        "<example.org!ann@example.com>",
        "<ann%example.org>",
        "<<ann@example.org>>",
        "<@relay.example:<ann@example.org>>",
        "<ann@example.org (boss@example.com)>",
        '<"boss@example.com" <ann@example.org>>',
        "<group:ann@example.org;>",
        "<ann @ example.org>",
    ],
)
def test_however_an_address_outside_is_written_nobody_there_gets_it_in_clear(site, gateway, word, rcpt_to):
    code, said = site.send(secret(word), "boss@example.com", rcpt_to)

    left = site.left(gateway, word)
    assert left.outside_in_clear() == []
    assert (code, list(left.clear), len(left.opened)) == (250, ["boss@example.com"], 1) or (code, left.clear) == (
        550,
        {},
    )
    assert said.startswith(("2.0.0", "5.7.1 Not sent to anybody"))
