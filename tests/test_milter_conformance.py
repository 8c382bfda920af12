"""Both milters against Debian's miltertest and against orders of commands that it can't send (`make conformance`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from proof.conformance import orders, scripts, services

#: As the gateway was before it asked at the end of the header: mail of an MTA without DATA was nobody's.
ASKED_AT_DATA_ALONE = (
    "import messenger_milter.gateway_milter as g\n"
    "def eoh(self, real=g.Connection.eoh):\n"
    "    self._decided = True\n"
    "    return real(self)\n"
    "g.Connection.eoh = eoh"
)


@pytest.fixture(scope="module", params=services.ALL)
def service(request, tmp_path_factory):
    with services.ALL[request.param](tmp_path_factory.mktemp("milter")) as running:
        yield running
        assert running.process.popen.poll() is None, running.process.text()


@pytest.fixture(params=orders.OFFERS, ids=lambda offer: offer.name)
def conversation(request, service):
    with orders.Conversation(service, request.param) as speaking:
        yield speaking


@pytest.mark.parametrize("script", scripts.NAMES)
def test_every_case_of_a_script_of_miltertest_holds(service, script):
    found = scripts.found(service, script)

    assert len(found) > 5
    assert [f"{one.case}: {one.trouble}" for one in found if one.trouble] == []


def test_an_mta_that_knows_no_data_gets_the_same_verdicts(conversation):
    assert conversation.mail("R") == b"d"
    assert conversation.mail("r") == b"a"
    assert conversation.mail("R", "r") == b"c"  # ours was taken off, or `command` would have complained
    assert conversation.mail("r") == b"a"


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"X-Long", b"y" * 65_000), (b"X" * 65_000, b"y"), (b"X-Folded", b"y\n " * 20_000), (b"X-Nul", b"a\0b")],
    ids=["value", "name", "folds", "NUL"],
)
def test_a_field_as_large_as_a_packet_is_taken_with_its_mail(conversation, name, value):
    for letter in conversation.up_to_data:
        conversation.say(letter)
    conversation.field(name, value)
    for letter in "LNB":
        conversation.say(letter)

    # Without a tunnel, or on the way out, it is a field like any other.
    assert conversation.say("E") in (b"d", b"y")
    assert conversation.mail("R") == b"d"


def test_fields_of_more_than_the_limit_are_refused_and_the_next_mail_is_taken(conversation):
    for letter in conversation.up_to_data:
        conversation.say(letter)
    for _ in range(40):
        conversation.field(b"X-Long", b"y" * 60_000)
    answers = [conversation.say(letter) for letter in "N"]
    answers += [conversation.say("B")] if answers[-1] in (b"", b"c") else []

    assert answers[-1] == b"y"
    conversation.say("A")
    assert conversation.mail("R") == b"d"


def test_more_fields_than_any_program_writes_are_refused_however_small_and_are_not_kept(service):
    with orders.Conversation(service, orders.OFFERS[0]) as conversation:
        for letter in conversation.up_to_data:
            conversation.say(letter)
        before = peak(service)
        for _ in range(100_000):
            conversation.field(b"a", b"b")
        answers = [conversation.say("N")]
        answers += [conversation.say("B")] if answers == [b""] else []

        assert answers[-1] == b"y"
        assert peak(service) - before < 8_000  # where each was kept: 15,000
        conversation.say("A")
        assert conversation.mail("R") == b"d"


def peak(service) -> int:
    """The most memory that the milter's process has had so far, in KB."""
    status = Path(f"/proc/{service.process.popen.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def test_a_word_of_the_client_that_is_no_utf_8_keeps_no_mail_from_its_answer(service):
    with orders.Conversation(service, orders.OFFERS[0]) as conversation:
        conversation.command(b"DM{auth_authen}\0j\xf6rg\0{auth_type}\0PLAIN\0")
        conversation.command(b"DTi\x004b\xff\0")

        assert conversation.mail("R") == b"d"
    assert "UnicodeDecodeError" not in service.process.text()


def test_what_is_ours_never_passes_in_any_order_of_commands_and_the_next_mail_is_taken(service):
    for offer in orders.OFFERS:
        tries = orders.all_tried(service, offer, depth=1)

        assert len(tries) == len(orders.BEGINNINGS) * len(orders.COMMANDS)
        assert [one for one in tries if one.trouble] == []


@pytest.mark.parametrize("order", ["MRTLNU", "MRTLNUR"], ids=["recipients", "sender"])
def test_a_mail_of_unknown_sender_or_recipients_is_put_off(service, order):
    with orders.Conversation(service, orders.OFFERS[1]) as conversation:
        # libmilter forgets a mail when a command comes in its middle that is unknown, and then lets any step follow.
        for letter in order:
            conversation.say(letter)

        assert conversation.say("T") == b"y"
    assert "names no sender or no recipient" in service.process.text()
    with orders.Conversation(service, orders.OFFERS[0]) as conversation:
        assert conversation.mail("R") == b"d"


def test_a_gateway_that_lets_mail_pass_is_found_out(tmp_path):
    with services.gateway(tmp_path, ASKED_AT_DATA_ALONE) as broken:
        found = orders.tried(broken, orders.OFFERS[-1], "MRLN")

    assert found.trouble.startswith("passed what is ours")
