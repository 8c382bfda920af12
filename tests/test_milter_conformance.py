"""Both milters against Debian's miltertest and against orders of commands that it can't send (`make conformance`)."""

from __future__ import annotations

import pytest

from proof.conformance import orders, scripts, services

DATA_LESS = orders.OFFERS[-1]


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
    for letter in "MRT" if conversation.version > 3 else "MR":
        conversation.say(letter)
    conversation.field(name, value)
    for letter in "LNB":
        conversation.say(letter)

    # Without a tunnel, or on the way out, it is a field like any other.
    assert conversation.say("E") in (b"d", b"y")
    assert conversation.mail("R") == b"d"


def test_fields_of_more_than_the_limit_are_refused_and_the_next_mail_is_taken(conversation):
    for letter in "MRT" if conversation.version > 3 else "MR":
        conversation.say(letter)
    for _ in range(40):
        conversation.field(b"X-Long", b"y" * 60_000)
    answers = [conversation.say(letter) for letter in "N"]
    answers += [conversation.say("B")] if answers[-1] in (b"", b"c") else []

    assert answers[-1] == b"y"
    conversation.say("A")
    assert conversation.mail("R") == b"d"


def test_a_word_of_the_client_that_is_no_utf_8_keeps_no_mail_from_its_answer(service):
    with orders.Conversation(service, orders.OFFERS[0]) as conversation:
        conversation.command(b"DM{auth_authen}\0j\xf6rg\0{auth_type}\0PLAIN\0")
        conversation.command(b"DTi\x004b\xff\0")

        assert conversation.mail("R") == b"d"
    assert "UnicodeDecodeError" not in service.process.text()
