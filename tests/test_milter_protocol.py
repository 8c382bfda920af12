"""messenger-milter as an MTA meets it: the real process on a real socket, every answer in the protocol's words."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from miltertest import constants as words

from messenger_milter.connection import Load
from messenger_milter.milter import TunnelAddresses

from .milter_fixtures import ALIAS, NEW_MTA, OLD_MTA, ORIGINAL, TUNNEL, Answer, Mta, Site, running

LATER = Answer("tempfail", "451 4.3.0 Please try again later")
REFUSED = Answer("reject", "550 5.7.1 Not accepted here")
TOO_LARGE = Answer("reject", "552 5.3.4 Message too large")
PLAIN = b"From: x@example.com\r\nSubject: in the clear\r\n\r\nHello\r\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return Site(tmp_path_factory.mktemp("portal"))


@pytest.fixture(scope="module")
def milter(site):
    with running(site) as process:
        yield process


@pytest.fixture
def to():
    """A recipient nobody else has."""
    to.number = getattr(to, "number", 0) + 1
    return f"person{to.number}@example.org"


# What is not for us


def test_only_the_steps_that_are_needed_are_asked_for(site, milter):
    with Mta(site.socket) as mta:
        assert mta.protocol_flags & words.SMFIP_NOCONNECT
        assert mta.protocol_flags & words.SMFIP_NOHELO
        assert mta.protocol_flags & words.SMFIP_NOUNKNOWN
        assert mta.protocol_flags & words.SMFIP_NR_MAIL
        assert mta.protocol_flags & words.SMFIP_NR_RCPT


def test_no_right_is_asked_for_but_to_delete_a_recipient(site, milter):
    with Mta(site.socket) as mta:
        assert mta.action_flags == words.SMFIF_DELRCPT


@pytest.mark.parametrize("protocol", [NEW_MTA, OLD_MTA], ids=["new", "old"])
def test_mail_for_others_is_accepted_before_its_body(site, milter, protocol):
    with Mta(site.socket, protocol) as mta:
        mta.envelope("someone@example.org", "other@example.org")

        assert mta.data() == "accept"


@pytest.mark.parametrize(
    "address",
    [
        b"<>",
        b"<@>",
        b"",
        b"<tunnel>",
        b"<tunnel@portal.example.org>",
        b"<xtunnel@portal.example>",
        b"<tunnel@@portal.example>",
        b'<"tun nel"@portal.example>',
        b"<\xff\xfe@portal.example>",
        b"<" + b"a" * 5000 + b"@portal.example>",
    ],
)
def test_an_address_that_is_not_ours_is_not_ours(site, milter, address):
    with Mta(site.socket) as mta:
        mta.envelope(address)

        assert mta.data() == "accept"


def test_each_mail_on_a_connection_is_looked_at_afresh(site, milter, to):
    with Mta(site.socket) as mta:
        mta.envelope("someone@example.org")
        assert mta.data() == "accept"

        assert mta.send(site.tunnel_mail(to=[to])) == Answer("discard")

        mta.envelope("someone@example.org")
        assert mta.data() == "accept"
    assert len(site.stored(to)) == 1


# What is for us


@pytest.mark.parametrize("protocol", [NEW_MTA, OLD_MTA], ids=["new", "old"])
def test_a_tunnel_mail_is_stored_and_goes_no_further(site, milter, to, protocol):
    with Mta(site.socket, protocol) as mta:
        assert mta.send(site.tunnel_mail(to=[to])) == Answer("discard")

    [stored] = site.stored(to)
    assert stored.endswith(ORIGINAL)


def test_the_notice_tells_sender_reference_and_link_and_nothing_of_the_content(site, milter, to):
    with Mta(site.socket) as mta:
        mta.send(site.tunnel_mail(to=[to]))

    notice = site.notices()[-1]
    assert to.encode() in notice
    assert b"https://portal.example/l/" in notice
    assert b"sam@example.com" in notice
    assert b"secret plan" not in notice
    assert b"Hello Ann" not in notice


@pytest.mark.parametrize(
    "address",
    [
        TUNNEL.encode(),
        b"<" + TUNNEL.upper().encode() + b">",
        b'<"tunnel"@portal.example>',
        b"<tunnel@portal.example.>",
        b"<@relay.example,@other.example:tunnel@portal.example>",
        f"<{ALIAS.title()}>".encode(),
    ],
)
def test_the_webmail_recipient_is_known_in_any_spelling(site, milter, to, address):
    with Mta(site.socket) as mta:
        assert mta.send(site.tunnel_mail(to=[to]), address) == Answer("discard")

    assert len(site.stored(to)) == 1


def test_among_other_recipients_only_ours_is_deleted_as_the_client_spelled_it(site, milter, to):
    with Mta(site.socket) as mta:
        answer = mta.send(site.tunnel_mail(to=[to]), "someone@example.org", b"<TUNNEL@Portal.Example>")

    assert answer == Answer("continue", "", ("<TUNNEL@Portal.Example>",))
    assert len(site.stored(to)) == 1


def test_a_recipient_named_twice_is_deleted_and_served_once(site, milter, to):
    with Mta(site.socket) as mta:
        answer = mta.send(site.tunnel_mail(to=[to, to]), TUNNEL, "someone@example.org", TUNNEL, ALIAS)

    assert answer == Answer("continue", "", (f"<{TUNNEL}>", f"<{ALIAS}>"))
    assert len(site.stored(to)) == 1


def test_a_retry_under_another_queue_id_changes_nothing(site, milter, to):
    mail = site.tunnel_mail(to=[to])
    with Mta(site.socket) as mta:
        assert mta.send(mail, queue_id="first") == Answer("discard")
        notices = len(site.notices())

        assert mta.send(mail, queue_id="second") == Answer("discard")

    assert len(site.stored(to)) == 1
    assert len(site.notices()) == notices


def test_a_mail_without_queue_id_is_taken_all_the_same(site, milter, to):
    with Mta(site.socket) as mta:
        assert mta.send(site.tunnel_mail(to=[to]), queue_id="") == Answer("discard")


def test_a_large_mail_comes_in_pieces_and_whole(site, milter, to):
    raw = ORIGINAL + b"0123456789abcdef\r\n" * 50_000
    with Mta(site.socket) as mta:
        assert mta.send(site.tunnel_mail(raw, [to])) == Answer("discard")

    [stored] = site.stored(to)
    assert stored.endswith(raw)


# What is refused


@pytest.mark.parametrize(
    "raw",
    [
        PLAIN,
        b"Subject: nothing\r\n\r\n",
        b"\r\nno header\r\n",
        b"Subject: \xff\xfe\xfd\r\nX-1: \xe9\r\n\r\n\x00\x01\xff" * 10,
        b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nAAAA",
    ],
    ids=["plain", "empty", "no header", "junk", "no CMS"],
)
def test_what_is_no_tunnel_mail_is_refused_with_one_text(site, milter, raw):
    with Mta(site.socket) as mta:
        assert mta.send(raw) == REFUSED


def test_a_refusal_among_other_recipients_deletes_nobody(site, milter):
    with Mta(site.socket) as mta:
        assert mta.send(PLAIN, "someone@example.org", TUNNEL) == REFUSED


def test_a_refused_mail_leaves_nothing_behind(site, milter):
    before = sorted(site.mail_root.rglob("*"))
    with Mta(site.socket) as mta:
        mta.send(PLAIN)

    assert sorted(site.mail_root.rglob("*")) == before


def test_a_mail_over_the_limit_is_turned_away_before_its_end(site, milter):
    with Mta(site.socket) as mta:
        mta.envelope(TUNNEL)
        assert mta.data() == "continue"

        assert mta.content(b"Subject: x\r\n\r\n" + b"x" * 2_100_000) == TOO_LARGE


def test_header_fields_count_towards_the_limit(site, milter):
    head = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 60_000) for number in range(40))
    with Mta(site.socket) as mta:
        assert mta.send(head + b"\r\nbody\r\n") == TOO_LARGE


def test_the_connection_is_good_for_another_mail_after_a_refusal(site, milter, to):
    with Mta(site.socket) as mta:
        assert mta.send(b"Subject: x\r\n\r\n" + b"x" * 2_100_000) == TOO_LARGE
        assert mta.send(PLAIN) == REFUSED

        assert mta.send(site.tunnel_mail(to=[to])) == Answer("discard")


def test_the_log_gives_the_reason_after_the_queue_id(site, milter):
    with Mta(site.socket) as mta:
        mta.send(PLAIN, queue_id="4bXqREFUSE")

    assert "\n4bXqREFUSE: Refused: " in milter.text()


# What breaks off


def test_an_aborted_mail_leaves_nothing_to_the_next(site, milter, to):
    with Mta(site.socket) as mta:
        mta.envelope(TUNNEL)
        mta.data()
        mta.content(PLAIN)
        mta.abort()

        assert mta.send(site.tunnel_mail(to=[to])) == Answer("discard")


def test_a_new_mail_forgets_the_recipients_of_an_aborted_one(site, milter):
    with Mta(site.socket) as mta:
        mta.envelope(TUNNEL)
        mta.abort()
        mta.envelope("someone@example.org")

        assert mta.data() == "accept"


def test_a_connection_cut_in_the_body_harms_nobody(site, milter, to):
    with Mta(site.socket) as mta:
        mta.envelope(TUNNEL)
        mta.data()
        mta.content(PLAIN)

    with Mta(site.socket) as mta:
        assert mta.send(site.tunnel_mail(to=[to])) == Answer("discard")


def test_many_connections_at_once_are_all_served(site, milter):
    answers = []

    def one(number):
        with Mta(site.socket) as mta:
            answers.append(mta.send(site.tunnel_mail(to=[f"crowd{number}@example.org"])))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [Answer("discard")] * 12


@pytest.mark.parametrize("commands", [b"\0\0\0\0", b"\xff\xff\xff\xffM", b"\0\0\0\x01?", b"GET / HTTP/1.0\r\n\r\n"])
def test_what_does_not_speak_the_protocol_is_dropped_and_harms_nobody(site, milter, commands):
    with Mta(site.socket) as mta:
        mta.sock.sendall(commands)

    with Mta(site.socket) as mta:
        mta.envelope("someone@example.org")
        assert mta.data() == "accept"


# What goes wrong inside


def test_an_unforeseen_error_at_the_end_answers_451_and_tells_nothing(tmp_path):
    site = Site(tmp_path / "portal")
    code = "import messenger_milter.service as s\ndef take_in(*a): raise KeyError('inside')\ns.take_in = take_in"
    with running(site, code=code) as milter, Mta(site.socket) as mta:
        assert mta.send(site.tunnel_mail()) == LATER
        assert "4bXq7y1Z: unforeseen in eom" in milter.text()


def test_an_unforeseen_error_before_the_end_answers_451(tmp_path):
    site = Site(tmp_path / "portal")
    code = (
        "import messenger_milter.milter as m\n"
        "def explode(self, given): raise ValueError('inside')\n"
        "m.TunnelAddresses.__contains__ = explode"
    )
    with running(site, code=code), Mta(site.socket) as mta:
        mta.envelope("someone@example.org")
        mta.sock.sendall(b"\0\0\0\x01T")
        assert mta._disposition() == LATER


@pytest.mark.parametrize("protocol", [NEW_MTA, OLD_MTA], ids=["new", "old"])
def test_an_unforeseen_error_where_no_answer_is_expected_is_answered_at_the_next_step(tmp_path, protocol):
    site = Site(tmp_path / "portal")
    code = (
        "import messenger_milter.milter as m\n"
        "def explode(self, piece): raise MemoryError\n"
        "m.Connection._collect = explode"
    )
    with running(site, code=code), Mta(site.socket, protocol) as mta:
        assert mta.send(site.tunnel_mail()) == LATER

        mta.envelope("someone@example.org")
        assert mta.data() == "accept"


def test_mail_that_can_not_be_stored_now_is_asked_for_again_and_then_kept(tmp_path):
    site = Site(tmp_path / "portal")
    with running(site), Mta(site.socket) as mta:
        site.mail_root.rename(tmp_path / "unmounted")
        assert mta.send(site.tunnel_mail()) == LATER

        (tmp_path / "unmounted").rename(site.mail_root)
        assert mta.send(site.tunnel_mail()) == Answer("discard")

    assert len(site.stored()) == len(site.notices()) == 1


def test_a_refused_submission_is_asked_for_again_and_the_retry_sends_the_notice(tmp_path):
    site = Site(tmp_path / "portal")
    with running(site), Mta(site.socket) as mta:
        (site.home / "sendmail").chmod(0o600)
        assert mta.send(site.tunnel_mail()) == LATER
        assert len(site.stored()) == 1

        (site.home / "sendmail").chmod(0o755)
        assert mta.send(site.tunnel_mail()) == Answer("discard")

    assert len(site.stored()) == len(site.notices()) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_write_and_a_retry_leave_one_copy_and_a_notice(tmp_path, moment):
    site = Site(tmp_path / "portal")
    code = (
        "import os, signal, messenger.mailbox as m\n"
        "deliver = m.Mailbox.deliver\n"
        "def dying(*a, **k):\n"
        f"    {'deliver(*a, **k)' if moment == 'after' else 'pass'}\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "m.Mailbox.deliver = dying"
    )
    with running(site, code=code), Mta(site.socket) as mta, pytest.raises(Exception):  # noqa: B017
        mta.send(site.tunnel_mail())
    assert site.notices() == []

    with running(site), Mta(site.socket) as mta:
        assert mta.send(site.tunnel_mail()) == Answer("discard")

    assert len(site.stored()) == len(site.notices()) == 1


# Stopping


def test_a_stop_finishes_the_mail_in_hand(tmp_path):
    site = Site(tmp_path / "portal")
    # Longer than the five seconds libmilter itself waits for its threads.
    code = "import messenger.mailbox as m, time\nd = m.Mailbox.deliver\n"
    code += "m.Mailbox.deliver = lambda *a, **k: (print('in hand', flush=True), time.sleep(7), d(*a, **k))[2]"
    answers = []

    with running(site, code=code) as milter:

        def send():
            with Mta(site.socket) as mta:
                answers.append(mta.send(site.tunnel_mail()))

        thread = threading.Thread(target=send)
        thread.start()
        milter.wait_log("in hand")
        status = milter.stop(signal.SIGTERM)
        thread.join()

    assert status == 0
    assert answers == [Answer("discard")]
    assert len(site.stored()) == len(site.notices()) == 1
    assert "stopped: 1 answered kept" in milter.text()


# Parts that need no process


def test_an_address_of_another_script_is_known_as_it_is_and_as_a_labels():
    ours = TunnelAddresses(["empfänger@bücher.example"])

    assert "EMPFÄNGER@bücher.example".encode() in ours
    assert "empfänger@xn--bcher-kva.example".encode() in ours
    assert b"empf\xe4nger@xn--bcher-kva.example" not in ours


def test_too_much_at_one_time_is_not_taken():
    load = Load(limit=100)

    assert load.grow(60)
    assert not load.grow(60)
    load.shrink(60)
    assert load.grow(100)


def test_waiting_for_what_is_in_hand_has_an_end():
    load = Load()

    with load:
        began = time.monotonic()
        assert not load.settle(0.05)
        assert time.monotonic() - began < 5

    assert load.settle(0.05)
