"""Answers: whom they go to, what they are called, what they belong to, what they quote."""

import pytest

from messenger import message, reply

OWN = "alice@example.net"
DOMAINS = ("example.org", "xn--bcher-kva.example")


def original(**fields: str) -> message.Message:
    head = {"From": "Bob <bob@example.org>", "To": "Alice <alice@example.net>", **fields}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items() if value)
    return message.read(f"{lines}\r\nHello\r\n".encode())


def answered(to_all: bool = False, **fields: str) -> reply.Recipients:
    return reply.recipients(original(**fields), OWN, DOMAINS, to_all=to_all)


def test_an_answer_goes_to_the_sender():
    assert answered() == reply.Recipients(("bob@example.org",))


def test_reply_to_comes_before_the_sender():
    assert answered(Reply_To="team@EXAMPLE.org, carl@bücher.example").to == (
        "team@example.org",
        "carl@xn--bcher-kva.example",
    )


def test_who_is_outside_is_named_and_gets_nothing():
    found = answered(Reply_To="eve@elsewhere.example, team@example.org, eve@elsewhere.example")

    assert found == reply.Recipients(("team@example.org",), (), ("eve@elsewhere.example",))


@pytest.mark.parametrize(
    "address", ["bob@sub.example.org", "bob@example.org.evil.example", "bob@example.com", "nonsense", '"x@example.org"']
)
def test_only_the_very_domains_are_inside(address):
    assert answered(Reply_To=address).to == ()


def test_an_answer_to_all_reaches_the_others_once_and_not_oneself():
    found = answered(
        to_all=True,
        To="alice@example.net, Carl <carl@example.org>, bob@example.org",
        Cc="dora@example.org, x@elsewhere.example, ALICE@example.net, Carl@example.org",
    )

    assert found.to == ("bob@example.org",)
    assert found.cc == ("carl@example.org", "dora@example.org")
    assert found.outside == ("x@elsewhere.example",)


def test_an_answer_to_all_goes_to_the_others_where_the_sender_is_out_of_reach():
    found = answered(to_all=True, From="x@elsewhere.example", Cc="dora@example.org")

    assert (found.to, found.cc, found.outside) == (("dora@example.org",), (), ("x@elsewhere.example",))


def test_an_answer_to_a_mail_of_ones_own_goes_to_whom_that_went():
    assert answered(From=OWN, To="bob@example.org").to == ("bob@example.org",)


@pytest.mark.parametrize(
    ("given", "again"),
    [
        ("Offer", "Re: Offer"),
        ("RE: Offer", "Re: Offer"),
        ("AW: Re: AW: Offer", "Re: Offer"),
        ("Re[2]: Offer", "Re: Offer"),
        ("WG: Offer", "Re: WG: Offer"),
        ("Reference: 4711", "Re: Reference: 4711"),
        ("回复：Offer", "Re: Offer"),
        ("", "Re:"),
        ("a\r\nBcc: eve@example.org", "Re: a Bcc: eve@example.org"),
    ],
)
def test_the_subject_of_an_answer_has_one_mark(given, again):
    assert reply.subject_of_answer(given) == again


@pytest.mark.parametrize(
    ("given", "passed"),
    [("Offer", "Fwd: Offer"), ("WG: FW: Offer", "Fwd: Offer"), ("AW: Offer", "Fwd: AW: Offer"), ("", "Fwd:")],
)
def test_the_subject_of_a_forward_has_one_mark(given, passed):
    assert reply.subject_of_forward(given) == passed


def test_a_thread_goes_on():
    found = reply.thread(original(Message_ID="<c@x>", References="<a@x>\r\n <b@x>", In_Reply_To="<b@x>"))

    assert found == reply.Thread("<c@x>", ("<a@x>", "<b@x>", "<c@x>"))


def test_a_thread_without_references_goes_by_what_was_answered():
    assert reply.thread(original(Message_ID="<c@x>", In_Reply_To="<b@x>")).references == ("<b@x>", "<c@x>")
    assert reply.thread(original(Message_ID="<c@x>", In_Reply_To="<a@x> <b@x>")).references == ("<c@x>",)


def test_an_endless_thread_keeps_its_beginning_and_its_end():
    every = " ".join(f"<{number}@x>" for number in range(5000))

    found = reply.thread(original(Message_ID="<new@x>", References=every)).references

    assert len(found) == 20
    assert (found[0], found[-1]) == ("<0@x>", "<new@x>")


@pytest.mark.parametrize("identity", ["", "none", "<a b@x>", f"<{'x' * 300}@x>", "<ü@x>"])
def test_a_mail_without_a_usable_id_begins_a_thread(identity):
    assert reply.thread(original(Message_ID=identity)) == reply.Thread()


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("Bob@Example.org", ("bob@example.org",)),
        ('"Brown, Bob" <bob@example.org>; carl@example.org', ("bob@example.org", "carl@example.org")),
        ("bob@example.org carl@example.org\r\nbob@example.org", ("bob@example.org", "carl@example.org")),
        ("bob@bücher.example,,", ("bob@xn--bcher-kva.example",)),
        ("", ()),
    ],
)
def test_typed_addresses_are_read_as_people_type_them(text, addresses):
    assert reply.typed(text) == reply.Typed(addresses, ())


@pytest.mark.parametrize("text", ["bob", "bob@", "bob@example.org Carl <carl@example.org>", "@example.org"])
def test_nobody_who_was_typed_is_dropped_silently(text):
    assert reply.typed(text).unclear


def test_lines_are_quoted_and_quoted_again():
    assert reply.quoted("one\n\n> two\n") == "> one\n>\n>> two"


def test_a_long_text_is_quoted_in_part_and_says_so():
    assert reply.quoted("word\n" * 50_000).endswith("> […]")


def test_a_quotation_is_taken_out_with_the_line_above_it():
    text = "Yes.\r\n\r\nOn 2 January, Bob wrote:\r\n> Will you come?\r\n>\r\n> Bob\r\n\r\nAlice"

    assert reply.unquoted(text) == "Yes.\n\nAlice"
