"""Stand-alone mode: mail to people outside becomes webmail without a tunnel, mail to our own people passes as it is."""

from __future__ import annotations

import email
import email.policy
import re
import smtplib
import struct
import subprocess
import time
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from miltertest import constants as words

from demo.postfix import CATCH, PostfixMissing, PrivatePostfix, require
from messenger import config, message, receipt
from messenger.cli import doctor_send
from messenger.cli.doctor_finding import Host, Level
from messenger.cli.roles import Role
from messenger.envelope import Envelope
from messenger.tunnel_fields import Fields
from messenger_milter import networks, standalone
from messenger_milter.service import main
from messenger_milter.serving import EX_CONFIG
from messenger_milter.standalone import NoMailbox, opened

from .milter_fixtures import ORIGINAL, TUNNEL, Answer, Mta, Site, running

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

NOTICES = "notices@portal.example"
OWN = "colleague@example.com"
UNDELIVERABLE = Answer("reject", "550 5.1.3 A recipient's address can't be used for webmail")
LATER = Answer("tempfail", "451 4.3.0 Please try again later")
REPORT = (
    b"From: MAILER-DAEMON@example.com\r\nTo: ann@example.org\r\nSubject: Undelivered\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="b"\r\n\r\n--b--\r\n'
)


class StandaloneSite(Site):
    """A site without any key of the tunnel."""

    def __init__(self, home: Path, **more) -> None:
        super().__init__(home, intake={"mode": '"standalone"'}, **more)
        for name in ("recipient.pem", "recipient.key", "sender.pem", "sender.key"):
            (self.home / "keys" / name).unlink()

    def write(self, **tunnel: str) -> None:
        super().write(fields='{ outer_otp = ["X-OTP", "X-PDF"], outer_receipt = ["X-Receipt"] }', **tunnel)


class Client(Mta):
    """The MTA's side, that says who its client and the mail's sender are."""

    def __init__(self, site: Site, client: str = "192.0.2.7", **more) -> None:
        super().__init__(site.socket, **more)
        family = b"6" if ":" in client else b"4"
        payload = b"client.example.com\0" + family + struct.pack("!H", 4711) + client.encode() + b"\0"
        self.command(words.SMFIC_CONNECT, payload, words.SMFIP_NR_CONN, words.SMFIP_NOCONNECT)

    def hand_in(
        self, raw: bytes, *rcpt_tos: bytes | str, mail_from: bytes = b"<sam@example.com>", queue_id: str = "4bXq7y1Z"
    ) -> Answer:
        self.envelope(*rcpt_tos, mail_from=mail_from)
        answer = self.data(queue_id)
        return Answer(answer) if answer != "continue" else self.content(raw) or self.end()


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


numbers = count(1)


@pytest.fixture
def to():
    """A recipient nobody else has."""
    return f"person{next(numbers)}@example.org"


@pytest.fixture
def mail():
    """A mail nobody else sends."""
    return ORIGINAL.replace(b"<1@", b"<%d@" % next(numbers))


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


def _check(site, **postconf):
    return CliRunner().invoke(main, ["--config", str(site.settings), "--check"])


def test_the_check_wants_no_keys_of_the_tunnel_but_all_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "_mynetworks", lambda _: "127.0.0.0/8 [::1]/128 192.0.2.25")
    site = StandaloneSite(tmp_path / "portal")
    in_order = _check(site)
    (site.home / "keys" / "link.key").unlink()

    wrong = _check(site)

    assert (in_order.exit_code, "Warning" in in_order.output) == (0, False)
    assert (wrong.exit_code, len(wrong.output.splitlines())) == (EX_CONFIG, 1)


def test_the_check_warns_of_wide_networks_and_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "_mynetworks", lambda _: "127.0.0.0/8, 10.0.0.0/8\n")

    result = _check(StandaloneSite(tmp_path / "portal"))

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
    assert networks.wide(mynetworks) == found


# Behind a real Postfix


@pytest.fixture(scope="module")
def postfix(tmp_path_factory):
    with PrivatePostfix(tmp_path_factory.mktemp("postfix"), transport=CATCH) as instance:
        (instance.home / "run").mkdir(mode=0o755)
        socket = f"unix:{instance.home}/run/milter.sock"
        instance.postconf(smtpd_milters=socket, non_smtpd_milters=socket, smtputf8_enable="yes")
        yield instance


class PostfixSite(StandaloneSite):
    """A site whose socket lies where Postfix can reach it, and whose notices go into Postfix's queue."""

    def __init__(self, home: Path, postfix: PrivatePostfix) -> None:
        self.run = postfix.home / "run"
        super().__init__(home, sendmail=postfix.sendmail)

    @property
    def socket(self) -> Path:
        return self.run / "milter.sock"


@pytest.fixture(scope="module")
def behind(postfix, tmp_path_factory):
    return PostfixSite(tmp_path_factory.mktemp("behind") / "portal", postfix)


def send(postfix, raw, *rcpt_tos, mail_from="sam@example.com", options=()) -> tuple[int, str]:
    with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="mail.example.com", timeout=60) as smtp:
        smtp.command_encoding = "utf-8"
        smtp.ehlo()
        code, reply = smtp.mail(mail_from, options)
        for rcpt_to in rcpt_tos:
            if code == 250:
                code, reply = smtp.docmd("RCPT", f"TO:{rcpt_to if '<' in rcpt_to else f'<{rcpt_to}>'}")
        if code == 250:
            code, reply = smtp.data(raw)
        return code, reply.decode()


def left(postfix, address, seconds=20.0) -> list[bytes]:
    """What left for *address*, once something has."""
    deadline = time.monotonic() + seconds
    while not (found := [mail.raw for mail in postfix.caught() if mail.rcpt_to == address]):
        assert time.monotonic() < deadline, f"nothing left for {address}"
        time.sleep(0.05)
    return found


def _bare(raw: bytes) -> bytes:
    """As Postfix has it, without what it put on top."""
    return raw.replace(b"\r\n", b"\n")[raw.replace(b"\r\n", b"\n").index(b"From: ") :]


def with_postfix(test):
    return pytest.mark.postfix(pytest.mark.skipif(bool(missing), reason=missing)(test))


@with_postfix
def test_a_mail_is_stored_its_notice_leaves_and_our_own_people_get_it_as_it_is(postfix, behind, mail, to):
    name = to.partition("@")[0]
    colleague = f"colleague-of-{name}@example.com"
    with running(behind):
        # Each is taken off the mail, however it is written.
        spellings = [f"<{to.upper()}.>", f'<"{name}"@example.org>', f"<@relay.example:{to}>", f"<{to}>"]
        assert send(postfix, mail, *spellings, colleague)[0] == 250
        [notice] = left(postfix, to)
        [passed] = left(postfix, colleague)

    # The notice came by the milter too, through sendmail(1), and was known.
    assert [_bare(stored) for stored in behind.stored(to)] == [_bare(mail)]
    assert _bare(passed) == _bare(mail)
    assert email.message_from_bytes(notice, policy=email.policy.default)["Auto-Submitted"] == "auto-generated"
    assert b"secret plan" not in notice


@with_postfix
def test_a_mail_that_postfix_names_at_each_attempt_is_known_again(postfix, behind, to):
    bare = b"Received: from app.example.com by mail.example.com; id %d\r\nSubject: bare\r\n\r\nHello\r\n"
    with running(behind, code=_dying_at_the_ledger()):
        assert send(postfix, bare % 1, to)[0] == 451
    with running(behind):
        assert send(postfix, bare % 1, to)[0] == 250
        assert send(postfix, bare % 2, to)[0] == 250

    first, second = sorted(behind.stored(to))
    assert b"\r\nMessage-Id: <" in first
    assert (b"id 1" in first, b"id 2" in second) == (True, True)


@with_postfix
def test_addresses_and_headers_beyond_ascii_are_taken(postfix, behind, mail, to):
    person = to.replace("person", "grüße").replace("example.org", "bücher.example")
    raw = mail.replace(b"A secret plan", "Geheim: Größe".encode())
    with running(behind):
        assert send(postfix, raw, person, mail_from="jörg@example.com", options=["SMTPUTF8"])[0] == 250

    [stored] = behind.stored(person)
    assert stored.startswith("Return-Path: <jörg@example.com>\r\n".encode())
    assert "Geheim: Größe".encode() in stored


@with_postfix
def test_what_must_not_be_taken_in_is_not_and_nothing_leaves_in_clear_while_the_milter_is_away(
    postfix, behind, mail, to
):
    assert send(postfix, mail, to, f"x-{to}")[0] == 451

    with running(behind):
        assert send(postfix, REPORT, f"report-{to}", mail_from="")[0] == 250
        assert send(postfix, mail, f"ann%{to.replace('@', '.')}@example.com")[0] == 550
        subprocess.run(
            [*postfix.sendmail, "-i", "-f", "sam@example.com", "--", to],
            input=mail.replace(b"\r\n", b"\n"),
            check=True,
        )
        notice = left(postfix, to)

    assert b"Undelivered" in left(postfix, f"report-{to}")[0]
    assert len(behind.stored(to)) == len(notice) == 1
    assert not [caught for caught in postfix.caught() if b"secret plan" in caught.raw and to in caught.rcpt_to]


@with_postfix
@pytest.mark.parametrize("spelling", ["{}.", "@relay.example:{}"])
def test_mail_by_sendmail_leaves_in_clear_for_nobody_outside_however_they_are_written(
    postfix, behind, mail, to, spelling
):
    colleague = f"colleague-of-{to.partition('@')[0]}@example.com"
    with running(behind):
        subprocess.run(
            [*postfix.sendmail, "-i", "-f", "sam@example.com", "--", spelling.format(to), colleague],
            input=mail.replace(b"\r\n", b"\n"),
            check=True,
        )
        [passed] = left(postfix, colleague)
        [notice] = left(postfix, to)

    assert b"secret plan" in passed
    assert b"secret plan" not in notice
    assert len(behind.stored(to)) == 1


@with_postfix
def test_the_check_asks_the_postfix_that_notices_leave_by(postfix, behind):
    assert "Warning" not in _check(behind).output
    postfix.postconf(mynetworks="127.0.0.0/8, 192.168.0.0/16")
    try:
        assert "Warning: Postfix takes mail from all of 192.168.0.0/16" in _check(behind).output
    finally:
        postfix.postconf(mynetworks="127.0.0.0/8")


def _dying_at_the_ledger() -> str:
    return (
        "import os, signal, messenger_milter.ledger as m\n"
        "m.Ledger.enter = lambda *a: os.kill(os.getpid(), signal.SIGKILL)"
    )


@with_postfix
def test_the_doctors_test_mail_goes_that_way_too_and_is_removed(postfix, behind, to):
    path = behind.settings
    host = Host(config.load(path), path, Role.MESSENGER, postfix.config_dir, int(time.time()))
    with running(behind):
        (found,) = doctor_send.sent(host, to, "", lambda _: None)
        (inside,) = doctor_send.sent(host, "sam@example.com", "", lambda _: None)

    assert found.level is Level.OK, found
    assert behind.stored(to) == []
    assert "people outside" in inside.text
