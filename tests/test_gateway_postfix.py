"""The gateway behind a real Postfix: no clear copy of a mail that must be protected leaves."""

from __future__ import annotations

import itertools
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.postfix import PostfixMissing, free_port, require

from .gateway_fixtures import PLAIN, SECRET, running
from .gateway_postfix_fixtures import Accounts, bdat, outbound

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

pytestmark = [pytest.mark.postfix, pytest.mark.skipif(bool(missing), reason=missing)]

#: Where addresses are expanded before the gateway is asked: a hop of Postfix to itself (docs/policy.md).
SUBMISSION, HOP, LOGIN = free_port(), free_port(), free_port()
HOPS = """\
127.0.0.1:{submission} inet n - n - 2 smtpd
    -o smtpd_milters=
    -o content_filter=smtp:[127.0.0.1]:{hop}
127.0.0.1:{hop} inet n - n - 2 smtpd
    -o smtpd_milters={asked}
    -o content_filter=
    -o receive_override_options=no_address_mappings
127.0.0.1:{login} inet n - n - 2 smtpd
    -o smtpd_milters={asked}
    -o smtpd_sasl_auth_enable=yes
    -o smtpd_sasl_type=dovecot
    -o smtpd_sasl_path={accounts}
"""
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
    found = outbound(
        tmp_path_factory.mktemp("postfix"),
        services=lambda asked: HOPS.format(
            submission=SUBMISSION, hop=HOP, login=LOGIN, asked=asked, accounts=f"{asked[5:]}.accounts"
        ),
        main_cf={"virtual_alias_maps": "inline:{team@example.com=ann@example.org}", "virtual_alias_domains": ""},
        processes=2,  # a copy that waited for one would wait for itself
    )
    with found as running_one:
        yield running_one


@pytest.fixture(scope="module")
def gateway(site, tmp_path_factory):
    found = site.gateway(tmp_path_factory.mktemp("gateway"), policy=RULED, section={"size_limit": "40000000"})
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
    assert [mail.raw.count(b"secure"), *(raw.count(b"secure") for [raw] in left.clear.values())] == [0, 0, 0]


@pytest.mark.parametrize(
    "rcpt_to",
    [
        "<@relay.example:ann@example.org>",
        "<@relay.example,@two.example:Ann@Example.org.>",
        "<ann@example.org> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;boss@example.com",
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


def test_who_is_refused_is_named_to_the_client_and_nobody_gets_anything(site, gateway, word):
    odd = "100%@refused.example"

    code, said = site.send(secret(word), "boss@example.com", "ann@example.org", odd, "jürgen@refused.example")

    assert (code, said.partition(" for ")[2]) == (550, f"<{odd}>, <j\\xfcrgen@refused.example>")
    percent = [f"{'%' * 50}{number}@refused.example" for number in range(9)]
    code, said = site.send(secret(word), *percent)
    assert (code, f"<{percent[0]}>, <{percent[1]}>" in said) == (550, True)
    left = site.left(gateway, word)
    assert (left.clear, left.opened) == ({}, {})


@pytest.mark.parametrize("version", ["2", "3"])
def test_an_old_milter_protocol_which_has_no_data_is_no_way_out(site, gateway, word, version):
    site.postfix.postconf(milter_protocol=version)
    try:
        assert site.send(secret(word), "ann@example.org", "boss@example.com")[0] == 250
        assert site.send(secret(word, PLAIN), "bob@example.net")[0] == 250
        # Before the next reload: a process of Postfix that just starts then may end, and is held back for a minute.
        left = site.left(gateway, word)
    finally:
        site.postfix.postconf(milter_protocol="6")

    assert set(left.clear) == {"boss@example.com", "bob@example.net"}
    assert set(left.opened) == {"ann@example.org"}


def test_five_hundred_people_get_one_tunnel_mail(site, gateway, word):
    people = [f"reader{number}@example.org" for number in range(500)]

    code, _ = site.send(secret(word), "boss@example.com", *people)

    left = site.left(gateway, word)
    assert (code, set(left.clear), list(left.opened)) == (250, {"boss@example.com"}, people)


# What they get


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: [secure]\r\n\r\n4711\r\n",
        b"Subject: [secure] Gr\xfc\xdfe\r\nX-Odd:\tfolded\r\n\t here \xe9\r\n\r\n4711\r\n",
        SECRET + b"..two dots\r\n.\r\n.x\r\n" + b"x" * 200_000 + b"\r\n\r\n\r\n",
        SECRET + b"a\0b \xff\r\n",
        SECRET + (b"x" * 76 + b"\r\n") * 330_000,
    ],
    ids=["no date, no Message-ID", "8-bit header", "dots and a long line", "NUL", "25 MB"],
)
def test_whatever_a_mail_is_made_of_arrives_byte_for_byte(site, gateway, word, raw):
    raw = secret(word, raw)

    code, _ = site.send(raw, "ann@example.org")

    [mail] = site.left(gateway, word).opened["ann@example.org"]
    assert code == 250
    head, _, body = raw.partition(b"\r\n\r\n")
    assert mail.raw.partition(b"\r\n\r\n")[2] == body
    assert all(line in mail.raw for line in head.split(b"\r\n") if b"[secure]" not in line)


def test_a_subject_of_another_charset_stays_readable_for_those_who_get_it_in_clear(site, gateway, word):
    raw = secret(word, SECRET.replace(b"A plan", b"Gr\xfc\xdfe"))

    assert site.send(raw, "boss@example.com", "ann@example.org")[0] == 250

    [mail] = site.left(gateway, word).clear["boss@example.com"]
    assert b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n" in mail


def test_mail_of_other_scripts_in_pieces_and_by_sendmail_is_protected_too(site, gateway, word):
    lines = secret(word).replace(b"\r\n", b"\n")

    assert site.send(secret(word), "jürgen@bücher.example", "boss@example.com", mail_from="<säm@example.com>")[0] == 250
    assert bdat(site.postfix.port, secret(word), "sam@example.com", "bdat@example.org").startswith(b"250")
    for words in (["--", "first@example.org", "boss@example.com"], ["-t"]):
        given = lines.replace(b"\nTo:", b"\nBcc: second@example.org\nTo:")
        subprocess.run([*site.postfix.sendmail, "-i", "-f", "sam@example.com", *words], input=given, check=True)

    left = site.left(gateway, word)
    assert set(left.clear) == {"boss@example.com"}
    names = ("jürgen@xn--bcher-kva.example", "bdat@example.org", "first@example.org", "second@example.org")
    assert left.times() == dict.fromkeys((*names, "ann@example.org"), 1)
    assert b"second@" not in left.opened["second@example.org"][0].raw


@pytest.mark.parametrize("rcpt_to", ["ann@example.org.", "@relay.example:ann@example.org", "<@two:Ann@example.org>"])
def test_whatever_sendmail_makes_of_an_address_nobody_outside_gets_it_in_clear_as_well(site, gateway, word, rcpt_to):
    lines = secret(word).replace(b"\r\n", b"\n")
    words = ["-i", "-f", "Sam@example.com", "--", "boss@example.com", rcpt_to, "News@open.example"]

    subprocess.run([*site.postfix.sendmail, *words], input=lines, check=True)

    left = site.left(gateway, word)
    assert sorted((address, len(mails)) for address, mails in left.clear.items()) == [
        ("News@open.example", 1),
        ("boss@example.com", 1),
    ]
    assert left.times() == {"ann@example.org": 1}
    assert all(b"[secure]" not in mail for [mail] in left.clear.values())


def test_more_mails_at_a_time_than_postfix_has_processes_wait_for_none_of_their_copies(site, gateway, word):
    def send(number: int) -> int:
        return site.send(secret(f"{number}-{word}"), f"reader{number}@example.org", "boss@example.com")[0]

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(send, range(8)))

    left = site.left(gateway, word)
    assert (codes, set(left.clear), len(left.opened)) == ([250] * 8, {"boss@example.com"}, 8)


# What a sender may try


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b"Subject:", b"Subject: nothing\r\nSubject:"),
        (b"Subject:", b"Subject\t:"),
        (b"Subject: [secure] A plan", b"Subject:\r\n =?utf-8?q?=5Bsec?=\r\n =?utf-8?b?dXJlXQ==?= A plan"),
        (b"Subject: [secure]", b"Subject: \xe4\xf6 [SECURE]"),
        (b"To: Ann", b"X-Webmail-Recipient: <eve@example.net>\r\nX-Webmail-Gateway: pgp\r\nTo: Ann"),
        (b"To: Ann", b"X-Webmail-Options: otp-pdf, read-receipt\r\nX-Webmail-Rule: none\r\nTo: Ann"),
        (b"To: Ann", b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\nTo: Ann"),
        (b"To: Ann", b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\nTo: Ann'),
    ],
    ids=[
        "two subjects", "a blank before the colon", "in pieces", "8 bits", "another recipient",
        "options", "no S/MIME", "no PGP",
    ],
)  # fmt: skip
def test_no_header_field_leads_a_flagged_mail_past_the_tunnel_or_changes_it(site, gateway, word, was, now):
    code, _ = site.send(secret(word, SECRET.replace(was, now)), "ann@example.org")

    left = site.left(gateway, word)
    assert (code, left.clear, left.times()) == (250, {}, {"ann@example.org": 1})
    assert not left.opened["ann@example.org"][0].options


def test_one_encrypted_part_does_not_hide_one_in_clear_beside_it(site, gateway, word):
    first = (
        b"Subject: [secure] two\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nMIIB\r\n--b\r\n\r\n4711\r\n--b--\r\n"
    )

    assert site.send(secret(word, first), "ann@example.org")[0] == 250

    left = site.left(gateway, word)
    assert (left.clear, left.times()) == ({}, {"ann@example.org": 1})


@pytest.mark.parametrize(
    "rcpt_to", ["boss@EXAMPLE.com", "boss@example.com.", "<@relay.example:boss@example.com>", '<"boss"@example.com>']
)
def test_our_own_people_are_ours_however_they_are_written(site, gateway, word, rcpt_to):
    assert site.send(secret(word), rcpt_to)[0] == 250

    left = site.left(gateway, word)
    assert (len(left.clear), left.opened) == (1, {})


def test_an_alias_inside_that_leads_outside_meets_the_policy_on_a_hop_behind_its_expansion(site, gateway, word):
    for port in (site.postfix.port, SUBMISSION):
        assert site.send(secret(f"{port}-{word}"), "team@example.com", "boss@example.com", port=port)[0] == 250

    # What docs/policy.md warns of, and what it advises.
    assert site.left(gateway, f"{site.postfix.port}-{word}").outside_in_clear() == ["ann@example.org"]
    left = site.left(gateway, f"{SUBMISSION}-{word}")
    assert (list(left.clear), left.times()) == (["boss@example.com"], {"ann@example.org": 1})
    site.send(secret(f"no-{word}"), "ann@refused.example", port=SUBMISSION)
    bounced = site.left(gateway, f"no-{word}")
    assert list(bounced.clear) == ["sam@example.com"]
    assert b"5.7.1 Not sent to anybody" in bounced.clear["sam@example.com"][0]


def test_who_logs_in_gets_past_the_policy_neither_as_messenger_nor_as_nobody(site, gateway, word):
    notices = "<notices@portal.example>"
    with Accounts(site.run / "gateway.sock.accounts"):
        assert site.send(secret(word), "ann@example.org", mail_from=notices, port=LOGIN, user="eve")[0] == 250
        assert site.send(secret(word), "eve@example.org", mail_from="<>", port=LOGIN, user="eve")[0] == 550
        assert site.send(secret(word), "bob@example.org", mail_from=notices)[0] == 250

    left = site.left(gateway, word)
    assert (list(left.clear), left.times()) == (["bob@example.org"], {"ann@example.org": 1})


def test_mail_that_no_rule_flags_leaves_as_if_nobody_had_asked(site, gateway, word):
    for number, port in enumerate((site.postfix.port, site.postfix.plain_port)):
        site.send(secret(word, PLAIN + b"\xff\r\n"), f"reader{number}@example.org", port=port)

    left = site.left(gateway, word)
    asked, unasked = (left.clear[f"reader{number}@example.org"][0].partition(b"From: Sam")[2] for number in (0, 1))
    assert asked == unasked
