"""messenger-gateway as Postfix meets it: what crosses the socket, what is answered; doubt is never clear text."""

import json
import time

import pytest

from messenger_milter.parties import address_of

from .gateway_fixtures import PLAIN, POLICY, SECRET, WITHOUT_TRIGGER, Client, Gateway, running
from .milter_fixtures import OLD_MTA, SENDER, TUNNEL, Answer

DECIDING_FAILS = (
    "import messenger.gateway.grounds as g\ndef decide(*a): raise KeyError('inside')\ng.decision.decide = decide"
)
LATER = Answer("tempfail", "451 4.3.0 Please try again later")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """One gateway for all tests that change nothing of it."""
    found = Gateway(tmp_path_factory.mktemp("gateway") / "home")
    with running(found):
        yield found


@pytest.fixture
def client(gateway):
    for file in (gateway.home / "sent").iterdir():
        file.unlink()
    with Client(gateway.socket) as connection:
        yield connection


def test_mail_to_our_own_people_crosses_no_further_than_its_envelope(client):
    client.envelope("boss@example.com", "sam@EXAMPLE.com", mail_from=b"<sam@example.com>")

    assert client.data() == "accept"


def test_mail_that_no_rule_flags_crosses_no_further_than_its_header(client, gateway):
    client.envelope("ann@example.org", mail_from=b"<sam@example.com>")
    assert client.data() == "continue"

    assert client.content(PLAIN) == Answer("accept")
    assert gateway.sent() == []


def test_a_flagged_mail_becomes_a_tunnel_mail_and_is_discarded(client, gateway):
    assert client.send(SECRET, "ann@example.org", "bob@example.net") == Answer("discard")

    [sent] = gateway.sent()
    mail = gateway.opened(sent)
    assert (mail.raw, mail.mail_from) == (WITHOUT_TRIGGER, "sam@example.com")
    assert mail.rcpt_tos == ("ann@example.org", "bob@example.net")


def test_who_is_inside_keeps_the_mail_without_those_who_are_not(client, gateway):
    answer = client.send(SECRET, b"<Ann@Example.ORG>", "boss@example.com", b"<Ann@Example.ORG>")

    assert answer == Answer("continue", "", ("<Ann@Example.ORG>",))
    assert [(name, value.strip()) for name, value in map(_plain, client.edits)] == [("Subject", "A plan")]
    assert len(gateway.sent()) == 1


def test_one_connection_carries_mail_after_mail_and_each_is_decided_afresh(client, gateway):
    for raw, action in ((SECRET, "discard"), (PLAIN, "accept"), (SECRET, "discard"), (PLAIN, "accept")):
        assert client.send(raw).action == action
    client.envelope("ann@example.org", mail_from=b"<sam@example.com>")
    client.abort()

    assert client.send(PLAIN) == Answer("accept")
    assert len(gateway.sent()) == 2


@pytest.mark.parametrize(
    ("mail_from", "rcpt_to", "where"),
    [
        (b"<>", "ann@example.org", "192.0.2.7"),
        (b"<sam@example.com>", TUNNEL, "192.0.2.7"),
        (b"<notices@portal.example>", "ann@example.org", "127.0.0.1"),
        (f"<{SENDER}>".encode(), "ann@example.org", "::1"),
    ],
    ids=["bounces and receipts", "tunnel mail", "notices", "the tunnel's sender"],
)
def test_what_must_never_be_wrapped_passes(gateway, mail_from, rcpt_to, where):
    with Client(gateway.socket, client=where) as client:
        client.envelope(rcpt_to, mail_from=mail_from)

        assert client.data() == "accept"


def test_the_notices_sender_from_elsewhere_is_just_a_sender(gateway):
    with Client(gateway.socket, client="192.0.2.7") as client:
        assert client.send(SECRET, mail_from=b"<notices@portal.example>") == Answer("discard")


def test_a_person_who_has_logged_in_is_not_messenger_wherever_they_sit(gateway):
    with Client(gateway.socket, client="127.0.0.1") as client:
        answer = client.send(SECRET, mail_from=b"<notices@portal.example>", auth_type="PLAIN", auth_authen="eve")

    assert answer == Answer("discard")


def test_a_person_who_has_logged_in_does_not_get_past_the_policy_as_nobody(client):
    logged_in = {"auth_type": "PLAIN", "auth_authen": "eve"}

    assert client.send(SECRET, mail_from=b"<>", **logged_in).reply.startswith("550 5.7.1 Not sent to anybody")
    assert client.send(PLAIN, mail_from=b"<>", **logged_in) == Answer("accept")


def test_what_comes_back_from_the_filter_in_clear_is_refused_though_nothing_flags_it_any_more(client, gateway):
    came_back = b"X-Webmail-Gateway: pgp\r\n" + WITHOUT_TRIGGER

    assert client.send(came_back).reply.startswith("550 5.4.6")
    assert client.send(b"X-Webmail-Gateway: pgp\r\n" + SECRET) == Answer("discard")


def test_a_route_through_our_own_domain_is_a_way_out(client):
    assert client.send(SECRET, b"<ann%example.org@example.com>").action in ("discard", "reject")


@pytest.mark.parametrize("protocol", [OLD_MTA], ids=["old"])
def test_an_mta_that_skips_no_step_is_served_the_same(gateway, protocol):
    with Client(gateway.socket, protocol) as client:
        assert client.send(SECRET) == Answer("discard")
        assert client.send(PLAIN) == Answer("accept")


def test_international_addresses_and_odd_subjects_travel(client, gateway):
    raw = SECRET.replace(b"Subject: [secure] A plan", b"Subject: =?utf-8?q?=5Bsecure=5D_Gr=C3=BC=C3=9Fe?=")

    assert client.send(raw, "jürgen@bücher.example".encode().join((b"<", b">"))) == Answer("discard")

    mail = gateway.opened(gateway.sent()[-1])
    assert mail.rcpt_tos == ("jürgen@xn--bcher-kva.example",)
    assert b"secure" not in mail.raw


def test_the_same_mail_again_is_the_same_tunnel_mail(client, gateway):
    client.send(SECRET)
    client.send(SECRET, queue_id="4bZZZZZZ")

    first, second = (gateway.opened(sent) for sent in gateway.sent())
    assert first.digest == second.digest


@pytest.mark.parametrize(
    ("strings", "expected"),
    [(b"<Ann@EXAMPLE.org>", "ann@example.org"), (b"ann@example.org.", "ann@example.org"), (b"<>", ""),
     (b"<@relay.example:ann@example.org>", "ann@example.org"), (b"<<ann@example.org>>", "<<ann@example.org>>"),
     (b"<two words@x>", "two words@x")],
)  # fmt: skip
def test_an_address_has_one_spelling(strings, expected):
    assert address_of(strings) == expected


def test_domains_of_ours_are_ours_in_any_script_and_case_and_no_others_are(tmp_path):
    gateway = Gateway(tmp_path / "home")
    words = gateway.settings.read_text().replace('["example.com"]', '["Example.com", "Bücher.example"]')
    gateway.settings.write_text(words)
    ours = ("a@bücher.example", "a@BU\u0308CHER.example.", "a@XN--BCHER-KVA.example", "a@EXAMPLE.COM.")
    others = ("a@sub.bücher.example", "a@example.com.example.org", "a@notexample.com", "a@[192.0.2.1]")
    with running(gateway), Client(gateway.socket) as client:
        assert [client.send(SECRET, address).action for address in ours] == ["accept"] * 4
        assert [client.send(SECRET, address).action for address in others] == ["discard"] * 4


# What goes wrong


def test_while_postfix_takes_no_copy_the_client_is_asked_to_come_again(tmp_path):
    gateway = Gateway(tmp_path / "home")
    with running(gateway), Client(gateway.socket) as client:
        gateway.break_sendmail()

        assert client.send(SECRET) == LATER
        assert client.send(PLAIN) == Answer("accept")


@pytest.mark.parametrize(
    "code",
    [
        DECIDING_FAILS,
        "import messenger_milter.gateway as g\ndef copies(*a): raise MemoryError\ng.copies = copies",
        "import messenger_milter.gateway_milter as g\ndef edit(*a): raise ValueError('inside')\n"
        "g.Connection._edit = edit",
        "import messenger_milter.gateway_milter as g\ndef taken(*a): raise OSError('inside')\n"
        "g.Connection._taken = taken",
    ],
    ids=["deciding", "copying", "editing", "collecting"],
)
def test_what_nobody_foresaw_is_answered_451_and_never_passed(tmp_path, code):
    gateway = Gateway(tmp_path / "home")
    with running(gateway, code=code) as process, Client(gateway.socket) as client:
        assert client.send(SECRET, "ann@example.org", "boss@example.com").reply == LATER.reply
        assert "unforeseen in" in process.text()


def test_a_flagged_mail_that_is_too_large_is_refused_and_others_of_that_size_pass(client):
    padding = b"x" * 76 + b"\r\n"
    large = padding * 30_000

    assert client.send(SECRET + large) == Answer("reject", "552 5.3.4 Message too large")
    assert client.send(PLAIN + large) == Answer("accept")


def test_a_policy_that_changes_is_followed_and_a_broken_one_is_not(tmp_path):
    gateway = Gateway(tmp_path / "home")
    with running(gateway) as process, Client(gateway.socket) as client:
        gateway.policy_file.write_text(POLICY.replace("[secure]", "[private]"))
        _wait_until(lambda: client.send(SECRET) == Answer("accept"))
        assert client.send(SECRET.replace(b"[secure]", b"[private]")) == Answer("discard")

        gateway.policy_file.write_text("[global\n")
        process.wait_log("gateway.toml")
        _wait_until(lambda: client.send(PLAIN) == Answer("accept") and "line 1" in process.text())
        assert client.send(SECRET.replace(b"[secure]", b"[private]")) == Answer("discard")


@pytest.mark.parametrize("missing", ["keys", "policy"])
def test_it_does_not_start_without_keys_or_policy_and_names_them(tmp_path, missing):
    gateway = Gateway(tmp_path / "home")
    gateway.remove_keys() if missing == "keys" else gateway.policy_file.unlink()

    with pytest.raises(AssertionError, match="ended with 78") as caught, running(gateway):
        pass
    assert "sender.pem" in str(caught.value) or "gateway.toml" in str(caught.value)


# Observing


def test_who_only_observes_changes_nothing_and_writes_down_what_would_be_done(tmp_path):
    gateway = Gateway(tmp_path / "home", section={"mode": '"observe"'})
    with running(gateway), Client(gateway.socket) as client:
        assert client.send(SECRET) == Answer("accept")
        assert client.send(PLAIN) == Answer("accept")

    assert gateway.sent() == []
    first, second = (json.loads(line) for line in (gateway.home / "observed.jsonl").read_text().splitlines())
    assert (first["recipients"][0]["way"], second["recipients"][0]["way"]) == ("webmail", "clear")
    assert "plan" not in (gateway.home / "observed.jsonl").read_text()


@pytest.mark.parametrize(
    "code",
    [
        DECIDING_FAILS,
        "import messenger_milter.gateway_observing as g\ndef append(*a): raise OSError(28, 'No space left')\n"
        "g.observed.append = append",
    ],
    ids=["deciding fails", "disk full"],
)
def test_who_only_observes_stands_in_nobodys_way(tmp_path, code):
    gateway = Gateway(tmp_path / "home", section={"mode": '"observe"', "size_limit": "10240"})
    with running(gateway, code=code), Client(gateway.socket) as client:
        assert client.send(SECRET) == Answer("accept")
        assert client.send(SECRET + b"x" * 20_000).action == "accept"


def _plain(edit):
    name, value = edit
    decode = lambda word: word.decode() if isinstance(word, bytes) else word  # noqa: E731
    return decode(name), decode(value)


def _wait_until(held, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not held():
        assert time.monotonic() < deadline
        time.sleep(0.2)
