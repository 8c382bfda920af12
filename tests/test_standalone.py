"""Stand-alone mode: mail to people outside becomes webmail without a tunnel, mail to our own people passes as it is."""

from __future__ import annotations

import email
import email.policy
import re

import pytest

from messenger import message, receipt
from messenger.envelope import Envelope
from messenger.mynetworks import wide
from messenger.tunnel_fields import Fields
from messenger_milter import networks, standalone
from messenger_milter.serving import EX_CONFIG
from messenger_milter.standalone import NoMailbox, opened

from .milter_fixtures import ORIGINAL, TUNNEL, Answer, running
from .standalone_fixtures import (  # noqa: F401
    LATER,
    NOTICES,
    OWN,
    REPORT,
    UNDELIVERABLE,
    Client,
    StandaloneSite,
    checked,
    mail_fixture,
    to_fixture,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return StandaloneSite(tmp_path_factory.mktemp("portal"))


@pytest.fixture(scope="module")
def milter(site):
    with running(site) as process:
        yield process


@pytest.fixture
def client(site, milter):
    with Client(site) as client:
        yield client


# As an MTA meets it


def test_a_mail_to_somebody_outside_is_stored_byte_for_byte_announced_and_goes_no_further(site, client, mail, to):
    answer = client.hand_in(mail, to)

    [stored] = site.stored(to)
    assert answer == Answer("discard")
    assert stored == (
        b"Return-Path: <sam@example.com>\r\nX-Webmail-Options: none\r\nDelivered-To: %b\r\n" % to.encode() + mail
    )
    notice = site.notices()[-1]
    assert to.encode() in notice
    assert b"sam@example.com" in notice
    assert b"secret plan" not in notice


def test_mail_to_our_own_people_crosses_no_further_than_its_envelope(client):
    client.envelope(OWN, b"<COLLEAGUE@Example.COM.>", "postmaster", NOTICES, mail_from=b"<ann@example.org>")

    assert client.data() == "accept"


def test_our_own_people_keep_a_mail_that_others_get_as_webmail(site, client, mail, to):
    answer = client.hand_in(mail, OWN, f"<{to.upper()}>".encode(), b"<Other@example.net>", to)

    assert answer == Answer("continue", "", (f"<{to.upper()}>", f"<{to}>", "<Other@example.net>"))
    assert len(site.stored(to)) == len(site.stored("other@example.net")) == 1


def test_an_attempt_that_fails_keeps_the_whole_mail_with_its_sender_and_the_next_serves_all(tmp_path, mail):
    site = StandaloneSite(tmp_path / "portal")
    with running(site), Client(site) as client:
        site.mail_root.rename(tmp_path / "unmounted")
        assert client.hand_in(mail, OWN, "ann@example.org") == LATER

        (tmp_path / "unmounted").rename(site.mail_root)
        answer = client.hand_in(mail, OWN, "ann@example.org")

    assert answer == Answer("continue", "", ("<ann@example.org>",))
    assert len(site.stored()) == len(site.notices()) == 1


def test_a_mail_in_several_transactions_and_tried_again_reaches_each_once(site, client, mail, to):
    others = [to, f"b-{to}", f"c-{to}"]
    before = len(site.notices())
    # What a relay and the milters before us add, differs from attempt to attempt.
    on_the_way = [b"Received: from a by b; %d\r\nX-Spam: %d\r\n" % (number, number) for number in range(5)]

    client.hand_in(on_the_way[0] + mail, others[0], queue_id="1A")
    client.hand_in(on_the_way[1] + mail, others[1], others[2], queue_id="2B")
    client.hand_in(on_the_way[2] + mail, *others, queue_id="3C")

    assert [len(site.stored(address)) for address in others] == [1, 1, 1]
    assert len(site.notices()) == before + 3


@pytest.mark.parametrize("moment", ["before", "after", "entry"])
def test_a_kill_and_a_retry_leave_one_copy_and_a_notice(tmp_path, mail, moment):
    site = StandaloneSite(tmp_path / "portal")
    what, name = ("ledger", "Ledger.enter") if moment == "entry" else ("mailbox", "Mailbox.deliver")
    room = "messenger_milter" if what == "ledger" else "messenger"
    code = (
        f"import os, signal, {room}.{what} as m\nbefore = m.{name}\n"
        f"def dying(*a, **k):\n    {'before(*a, **k)' if moment == 'after' else 'pass'}\n"
        f"    os.kill(os.getpid(), signal.SIGKILL)\nm.{name} = dying"
    )
    with running(site, code=code), Client(site) as client, pytest.raises(Exception):  # noqa: B017
        client.hand_in(mail, "ann@example.org", OWN)

    with running(site), Client(site) as client:
        answer = client.hand_in(mail, "ann@example.org", OWN, queue_id="8RETRY")

    assert answer == Answer("continue", "", ("<ann@example.org>",))
    assert len(site.stored()) == 1
    assert len(site.notices()) == (2 if moment == "entry" else 1)
    assert len({email.message_from_bytes(notice)["Message-ID"] for notice in site.notices()}) == 1


def test_header_fields_that_the_settings_name_ask_for_a_receipt_or_a_pdf(site, client, mail, to):
    client.hand_in(b"X-Receipt:\r\n\tYES\r\nX-OTP: no\r\n" + mail, to)
    client.hand_in(b"x-pdf: 1\r\nX-Webmail-Options: read-receipt\r\n" + mail, f"pdf-{to}")

    [stored] = site.stored(to)
    assert message.delivered_options(stored) == {"read-receipt"}
    assert receipt.asked_for(stored, {"example.com"}).address == "sam@example.com"
    assert site.stored(f"pdf-{to}") == []
    assert len([*(site.home / "pdf" / "new").iterdir()]) == 1


def test_a_mailbox_that_is_full_bounces_to_the_sender(tmp_path, mail):
    site = StandaloneSite(tmp_path / "portal", quota=len(mail) + 200)
    with running(site), Client(site) as client:
        client.hand_in(mail, "ann@example.org")
        answer = client.hand_in(mail.replace(b"<", b"<again."), "ann@example.org", OWN)

    assert answer == Answer("continue", "", ("<ann@example.org>",))
    assert len(site.stored()) == 1
    assert [notice for notice in site.notices() if b"multipart/report" in notice and b"5.2.2" in notice]


# What is never taken in


def test_messengers_own_mail_is_known_by_sender_and_host(site, milter, mail, to):
    for where in ("127.0.0.1", "::1"):
        with Client(site, where) as client:
            client.envelope(to, mail_from=f"<{NOTICES}>".encode())
            assert client.data() == "accept"

    with Client(site) as client:
        assert client.hand_in(mail, to, mail_from=f"<{NOTICES}>".encode()) == Answer("discard")
    with Client(site, "127.0.0.1") as client:
        assert client.hand_in(mail, to) == Answer("discard")


def test_a_report_from_nobody_passes_and_any_other_mail_from_nobody_is_taken_in(site, client, mail, to):
    assert client.hand_in(REPORT, to, mail_from=b"<>") == Answer("continue")
    assert site.stored(to) == []

    assert client.hand_in(mail, to, mail_from=b"<>") == Answer("discard")
    assert client.hand_in(REPORT, f"b-{to}") == Answer("discard")

    assert site.stored(to)[0].startswith(b"Return-Path: <>\r\n")
    assert len(site.stored(f"b-{to}")) == 1


# What is refused


def test_a_notice_that_comes_back_is_refused_since_it_would_be_announced_for_ever(site, client, mail, to):
    client.hand_in(mail, to)
    notice = site.notices()[-1].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")

    for mail_from in (NOTICES, "srs0=rewritten@example.com"):
        answer = client.hand_in(notice, to, mail_from=f"<{mail_from}>".encode())
        assert answer.reply == "550 5.4.6 Mail of Messenger's own has come back: a routing loop"

    assert len(site.stored(to)) == 1


@pytest.mark.parametrize(
    "rcpt_to",
    [
        b"<anna%example.net@example.com>",
        b"<example.net!anna@example.com>",
        b'<"anna@example.net"@example.com>',
        b"<\xff\xfe@example.net>",
        b"<anna@-.example.net>",
        b"<" + b"a" * 300 + b"@example.net>",
        TUNNEL.encode(),
    ],
)
def test_a_recipient_who_can_have_no_mailbox_is_refused_for_all_and_nothing_leaves_in_clear(
    site, client, mail, to, rcpt_to
):
    assert client.hand_in(mail, to, rcpt_to, OWN) == UNDELIVERABLE
    assert site.stored(to) == []


def test_a_mail_over_the_limit_is_refused_for_people_outside_alone(client):
    raw = b"Subject: x\r\n\r\n" + b"x" * 2_100_000

    assert client.hand_in(raw, "ann@example.org").reply == "552 5.3.4 Message too large"
    assert client.hand_in(raw, OWN) == Answer("accept")


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"\r\nNo header: at all\r\n\r\n",
        b'Subject: =?utf-8?b?////?= \xff\x01\r\n\tfolded\r\nMessage-ID: <\r\n x\r\nFrom: "c\r\nFrom:\r\n\r\n\x00\r\n',
        b"Message-ID: <9@x>\r\n" + b"X-OTP: y\xc3\xa9s\r\n" * 3000 + b"\r\n",
        b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nMessage-ID: <7@x>\r\n\r\nAAAA\r\n",
        b"X-Webmail-Recipient: eve@example.net\r\nX-Webmail-Sender: boss@example.com\r\nDelivered-To: e@x\r\n\r\n.\r\n",
    ],
    ids=["empty", "no header", "odd", "many", "an S/MIME type", "the tunnel's fields"],
)
def test_whatever_a_mail_is_made_of_is_stored_as_it_came(site, client, to, raw):
    assert client.hand_in(raw, to) == Answer("discard")

    [stored] = site.stored(to)
    assert stored.partition(b"Delivered-To: " + to.encode() + b"\r\n")[2] == raw


@pytest.mark.parametrize("mail_from", [b"<root>", b"<\xff@x>", b"<a\nBcc: b@example.com>", b'<"a b@example.com>'])
def test_a_sender_to_whom_nothing_can_be_sent_counts_as_nobody(site, client, mail, to, mail_from):
    assert client.hand_in(mail, to, mail_from=mail_from) == Answer("discard")

    assert site.stored(to)[0].startswith(b"Return-Path: <>\r\nX-Webmail-Options: none\r\nDelivered-To: ")


def test_the_log_has_one_line_for_a_mail_that_says_how_it_came(milter, client, mail, to):
    client.hand_in(mail, to, queue_id="4bXqSTAND")

    [line] = [line for line in milter.text().splitlines() if line.startswith("4bXqSTAND")]
    assert re.search(r": kept: from=<sam@example\.com> .* profile=standalone signer=- digest=[0-9a-f]{16}$", line)


# When a mail is the same mail


def _digest(raw: bytes, queue_id: str = "4bXq7y1Z") -> str:
    return opened(
        Envelope("sam@example.com", ("ann@example.org",), queue_id),
        raw,
        fields=Fields(),
        own_domains={"example.com"},
        tunnel=(),
    ).digest


def test_another_word_of_the_author_makes_another_mail():
    changed = [
        ORIGINAL.replace(old, new)
        for old, new in ((b"<1@", b"<2@"), (b"secret", b"public"), (b"10:00", b"10:01"), (b"Hello", b"Hullo"))
    ]

    assert len({_digest(raw) for raw in (ORIGINAL, *changed)}) == 5


@pytest.mark.parametrize("made_up", [b"<20261124101112.%b@mail.portal.test>", b"<%b@mail.portal.test>"])
def test_what_postfix_makes_up_at_each_attempt_is_no_part_of_a_mail(made_up):
    def attempt(queue_id: bytes, head: bytes = b"Received: from app by relay; 1\r\n") -> str:
        added = b"Message-Id: " + made_up % queue_id + b"\r\nDate: it is %b\r\n" % queue_id
        return _digest(head + b"Subject: x\r\n" + added + b"\r\nHello\r\n", queue_id.decode())

    assert attempt(b"4bXq7y1Z") == attempt(b"4bXq8a2A")
    assert attempt(b"4bXq7y1Z") != attempt(b"4bXq7y1Z", b"Received: from app by relay; 2\r\n")
    # Nothing tells one from the next: both are delivered.
    assert attempt(b"4bXq7y1Z", b"") != attempt(b"4bXq8a2A", b"")


def test_mails_of_the_same_words_and_no_name_are_mails_of_their_own():
    alarm = b"Subject: disk full\r\n\r\nagain\r\n"

    assert _digest(alarm, "4bXq7y1Z") != _digest(alarm, "4bXq8a2A")
    assert _digest(b"Date: today\r\n" + alarm, "4bXq7y1Z") == _digest(b"Date: today\r\n" + alarm, "4bXq8a2A")


def test_a_way_through_our_domain_says_in_the_log_what_to_write():
    with pytest.raises(NoMailbox, match="write where it leads"):
        standalone.opened(
            Envelope("", ("anna%example.net@example.com",), ""),
            ORIGINAL,
            fields=Fields(),
            own_domains={"example.com"},
            tunnel=(),
        )


# --check


def test_the_check_wants_no_keys_of_the_tunnel_but_all_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "_mynetworks", lambda _: "127.0.0.0/8 [::1]/128 192.0.2.25")
    site = StandaloneSite(tmp_path / "portal")
    in_order = checked(site)
    (site.home / "keys" / "link.key").unlink()

    wrong = checked(site)

    assert (in_order.exit_code, "Warning" in in_order.output) == (0, False)
    assert (wrong.exit_code, len(wrong.output.splitlines())) == (EX_CONFIG, 1)


def test_the_check_warns_of_wide_networks_and_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "_mynetworks", lambda _: "127.0.0.0/8, 10.0.0.0/8\n")

    result = checked(StandaloneSite(tmp_path / "portal"))

    assert result.exit_code == 0
    assert "Warning: Postfix takes mail from all of 10.0.0.0/8 (mynetworks)" in result.output


@pytest.mark.parametrize(
    ("mynetworks", "found"),
    [
        ("127.0.0.0/8 [::1]/128 [::ffff:127.0.0.0]/104 192.0.2.25/32 198.51.100.0/28 [2001:db8::25]", []),
        ("127.0.0.0/8, 192.0.2.0/24,[fe80::]/64 10.1.2.3/8", ["192.0.2.0/24", "[fe80::]/64", "10.1.2.3/8"]),
        (
            "0.0.0.0/0 [::]/0 static:all [::ffff:0.0.0.0]/96",
            ["0.0.0.0/0", "[::]/0", "static:all", "[::ffff:0.0.0.0]/96"],
        ),
        ("hash:/etc/postfix/clients !10.0.0.0/8 /etc/postfix/file", []),
        ("", []),
    ],
)
def test_networks_with_more_machines_than_a_mail_server_has_are_wide(mynetworks, found):
    assert wide(mynetworks) == found
