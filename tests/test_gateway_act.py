"""What the gateway does with a decision: copies in Postfix's queue before the answer, and never clear text in doubt."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from messenger import tunnel
from messenger.envelope import Envelope
from messenger.gateway.values import Choice, Decision, Seen, Way
from messenger.submission import SubmissionError
from messenger.tunnel_fields import Fields
from messenger_milter.gateway import GONE, LATER, LOOP, PASSED, Desk, Outcome, carry_out
from messenger_milter.gateway_copies import HANDED, Keys

from .tunnel_fixtures import NOW, gateway, keys, messenger

RAW = b"From: sam@example.com\r\nTo: ann@example.org\r\nSubject: Re: [secure] Plans\r\n\r\nHello Ann\r\n"
HEADERS = (("From", b"sam@example.com"), ("To", b"ann@example.org"), ("Subject", b"Re: [secure] Plans"))
ANN = Choice("ann@example.org", Way.WEBMAIL, webmail_sender="gateway@example.org", webmail_recipient="wm@example.org")


class Post:
    """Stands where Postfix's queue is; what comes after *room* mails is not taken."""

    def __init__(self, room: int = 99, error: Exception | None = None) -> None:
        self.sent: list[tuple[bytes, str, tuple[str, ...]]] = []
        self._room, self._error = room, error or SubmissionError("sendmail: queue file write error")

    def __call__(self, message: bytes, mail_from: str, rcpt_tos: Sequence[str]) -> None:
        if len(self.sent) >= self._room:
            raise self._error
        self.sent.append((message, mail_from, tuple(rcpt_tos)))


def act(
    *choices: Choice,
    post: Post,
    to_filter: Post | None = None,
    others: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
    headers: tuple[tuple[str, bytes], ...] = HEADERS,
    raw: bytes = RAW,
) -> Outcome:
    rcpt_tos = tuple(choice.recipient for choice in choices)
    seen = Seen("sam@example.com", rcpt_tos, headers, raw=raw)
    made_with = Keys(
        sender=gateway().sender,
        webmail_recipient=lambda address: messenger().certificate,
        certificate=lambda address: messenger("p256").certificate,
        signing_key=lambda address: None,
        fields=Fields(),
    )
    desk = Desk(lambda: made_with, post, to_filter or Post(0), lambda: NOW)
    return carry_out(
        Envelope("sam@example.com", rcpt_tos + others, "4bX"), seen, Decision(choices, False, remove), desk
    )


def clear(recipient: str) -> Choice:
    return Choice(recipient, Way.CLEAR)


def test_when_all_go_by_webmail_the_mail_itself_is_discarded():
    post = Post()

    outcome = act(ANN, replace(ANN, recipient="bob@example.org"), post=post)

    assert outcome == Outcome(GONE, ("ann@example.org", "bob@example.org"))
    [(message, mail_from, rcpt_tos)] = post.sent
    assert (mail_from, rcpt_tos) == ("gateway@example.org", ("wm@example.org",))
    assert tunnel.unwrap(message, keys()).raw == RAW


@pytest.mark.parametrize("others", [{"others": ("boss@example.com",)}, {}], ids=["inside", "in clear"])
def test_who_is_not_taken_gets_the_mail_from_postfix(others):
    choices = [ANN] if others else [ANN, clear("carl@example.net")]

    outcome = act(*choices, post=Post(), **others)

    assert outcome == Outcome(PASSED, ("ann@example.org",))


def test_one_who_can_not_be_protected_stops_the_mail_for_all_and_nothing_is_sent():
    post = Post()

    outcome = act(ANN, Choice("eve@example.net", Way.REFUSE), post=post)

    assert not post.sent
    assert outcome.verdict.reply.startswith("550 5.7.1 Not sent to anybody")
    assert "<eve@example.net>" in outcome.verdict.reply
    assert "ann@example.org" not in outcome.verdict.reply


def test_a_refusal_names_five_and_counts_the_others_and_holds_nothing_that_harms_a_reply():
    many = [Choice(f"u{n}%s\r\n@exämple.net", Way.REFUSE) for n in range(8)]

    reply = act(*many, post=Post()).verdict.reply

    assert "and 3 more" in reply
    assert reply.isascii()
    assert not set("\r\n") & set(reply)
    assert "%" not in reply.replace("%%", "")


@pytest.mark.parametrize("room", [0, 1])
def test_when_postfix_takes_a_copy_no_more_the_client_is_asked_to_come_again(room):
    smime = replace(ANN, recipient="bob@example.org", way=Way.SMIME)

    outcome = act(ANN, smime, clear("carl@example.net"), post=Post(room))

    assert outcome == Outcome(LATER)


def test_a_copy_that_postfix_finds_too_large_is_no_matter_of_waiting():
    for said in (
        "SMTP to [::1]:25: (552, b'5.3.4 Message size exceeds fixed limit')",
        "sendmail: message file too big",
    ):
        assert act(ANN, post=Post(0, SubmissionError(said))).verdict.reply.startswith("552 5.3.4")


def test_a_missing_certificate_is_mended_by_an_operator_so_the_mail_waits():
    def none(address: str):
        raise tunnel.KeyFileError("no certificate")

    seen = Seen("sam@example.com", ("ann@example.org",), HEADERS, raw=RAW)
    desk = Desk(
        lambda: Keys(gateway().sender, none, lambda address: None, lambda address: None, Fields()),
        Post(),
        Post(),
        lambda: NOW,
    )

    for way in (Way.WEBMAIL, Way.SMIME):
        decision = Decision((replace(ANN, way=way),))
        assert carry_out(Envelope("", ("ann@example.org",), "4bX"), seen, decision, desk) == Outcome(LATER)


def test_the_trigger_goes_from_what_is_wrapped_and_from_what_stays():
    post = Post()

    outcome = act(ANN, clear("carl@example.net"), post=post, remove=("[secure]",))

    assert outcome.subject == b"Re: Plans"
    assert tunnel.unwrap(post.sent[0][0], keys()).raw == RAW.replace(b"[secure] ", b"")


def test_a_signed_subject_is_left_alone():
    post = Post()
    signed = (*HEADERS, ("DKIM-Signature", b"v=1; h=subject"))

    outcome = act(ANN, clear("carl@example.net"), post=post, remove=("[secure]",), headers=signed)

    assert outcome.subject is None
    assert tunnel.unwrap(post.sent[0][0], keys()).raw == RAW


def test_mail_for_pgp_is_handed_to_the_filter_and_to_nobody_else():
    post, to_filter = Post(), Post()

    outcome = act(replace(ANN, way=Way.PGP), post=post, to_filter=to_filter)

    assert outcome == Outcome(GONE, ("ann@example.org",))
    assert not post.sent
    assert to_filter.sent == [(f"{HANDED}: pgp\r\n".encode() + RAW, "sam@example.com", ("ann@example.org",))]


def test_mail_that_comes_back_from_the_filter_in_clear_ends_there():
    to_filter = Post()

    outcome = act(replace(ANN, way=Way.PGP), post=Post(), to_filter=to_filter, headers=((HANDED, b"pgp"), *HEADERS))

    assert outcome.verdict == LOOP
    assert not to_filter.sent


def test_an_address_that_messenger_can_not_keep_mail_for_is_refused():
    assert act(replace(ANN, recipient="two words@example.org"), post=Post()).verdict.reply.startswith("550")


def test_the_log_has_one_line_with_the_queue_id_first_and_no_subject(caplog):
    caplog.set_level("INFO")

    act(replace(ANN, rules=("secure in the subject",)), clear("carl@example.net"), post=Post())

    [line] = caplog.messages
    assert line.startswith("4bX: gateway: passed: from=<sam@example.com>")
    assert line.endswith('clear=1 webmail=1 rule="secure in the subject"')
    assert "Plans" not in line
