"""Which way a mail takes: settings, rules and keys together, against a table written by hand."""

import itertools
from dataclasses import dataclass, replace

import pytest

from messenger.gateway.decision import Ground, decide, outside, trigger_words
from messenger.gateway.lookup import Levels
from messenger.gateway.values import Judgement, Policy, Result, Rule, Seen, Settings, Verdict, Way

ANNA, BOB = "anna@example.org", "bob@partner.example"
MODES = ("no-encryption", "allow", "mandatory", "force")


def judged(result=Result.NONE, *, needs_body=False, rule="the rule"):
    matched = None if needs_body else result is not Result.NONE
    rules = (rule,) if matched else ()
    verdict = Verdict(rule, matched, result, "")
    return lambda *_: Judgement(result, rules, (verdict,), needs_body)


def ground(policy=None, *, result=Result.NONE, has=(), **more):
    made = Ground(
        levels=Levels(policy or Policy(), None, Settings()),
        rules=(),
        own_domains={"example.org"},
        order=("smime", "pgp", "pdf", "webmail"),
        certificates=lambda address: address == BOB and "smime" in has,
        pgp=lambda address: address == BOB and "pgp" in has,
        webmail_sender="webmail-sender@example.org",
        webmail_recipient="webmail@portal.example.org",
        judge=judged(result),
        encrypted=lambda raw: raw.startswith(b"ENCRYPTED"),
        webmail_recipients={"webmail@portal.example.org"},
    )
    return replace(made, **more)


def seen(*recipients, raw=b"Subject: x\r\n\r\nx\r\n", **more):
    return Seen(ANNA, recipients or (BOB,), raw=raw, **more)


def way(policy=None, **more):
    (choice,) = decide(seen(), ground(policy, **more)).choices
    return choice.way


def said(everywhere=None, **settings):
    return Policy(everywhere={**(everywhere or {}), **settings})


# What must come of two modes and the rules, in a form of its own: (sender's, recipient's) to each result of the rules.
# C: clear, whatever there is. K: by a key, or by Messenger where it is for all mail, or clear. P: protected or refused.
TOGETHER = {
    ("no-encryption", "no-encryption"): "CKP",
    ("no-encryption", "allow"): "CKP",
    ("no-encryption", "force"): "KKP",
    ("allow", "no-encryption"): "CKP",
    ("allow", "allow"): "KKP",
    ("allow", "force"): "KKP",
    ("force", "no-encryption"): "KKP",
    ("force", "allow"): "KKP",
    ("force", "force"): "KKP",
    **{pair: "PPP" for other in MODES for pair in ((other, "mandatory"), ("mandatory", other))},
}
# By what the recipient has, of smime, pgp, otp, enabled: where it must be protected, and where it may be.
HAS = {
    "----": ("refuse", "clear", "clear"),
    "---e": ("webmail", "clear", "webmail"),
    "--o-": ("refuse", "clear", "clear"),
    "--oe": ("pdf", "clear", "pdf"),
    **{f"-p{rest}": ("pgp", "pgp", "pgp") for rest in ("--", "-e", "o-", "oe")},
    **{f"s{rest}": ("smime", "smime", "smime") for rest in ("---", "--e", "-o-", "-oe", "p--", "p-e", "po-", "poe")},
}


def test_every_combination_goes_the_way_the_table_says():
    assert len(TOGETHER) == len(MODES) ** 2
    assert len(HAS) == 16
    tried = 0
    for (by_sender, by_recipient), column in TOGETHER.items():
        for result, kind in zip((Result.NONE, Result.ALLOW, Result.MANDATORY), column, strict=True):
            for letters, (protected, seldom, always) in HAS.items():
                for only_if_mandatory in (True, False):
                    policy = Policy(
                        everywhere={
                            "enabled": "e" in letters,
                            "otp_enabled": "o" in letters,
                            "only_if_mandatory": only_if_mandatory,
                        },
                        users={ANNA: {"encrypt_mode": by_sender}, BOB: {"encrypt_mode": by_recipient}},
                    )
                    has = {name for name, letter in (("smime", "s"), ("pgp", "p")) if letter in letters}

                    found = way(policy, result=result, has=has)

                    if kind == "P":
                        assert found == protected
                    elif kind == "K":
                        assert found == (seldom if only_if_mandatory else always)
                    else:
                        assert found is Way.CLEAR
                    if "mandatory" in (by_sender, by_recipient, result):
                        assert found is not Way.CLEAR
                    tried += 1
    assert tried == 4 * 4 * 3 * 16 * 2


def test_the_order_says_what_is_tried_first_and_what_is_not_named_is_never_taken():
    everything = {"has": {"smime", "pgp"}, "result": Result.MANDATORY}
    policy = said(enabled=True, otp_enabled=True)

    for order in itertools.permutations(("smime", "pgp", "pdf", "webmail")):
        assert way(policy, order=order, **everything) == order[0]
    assert way(policy, order=("pgp",), has={"smime"}, result=Result.MANDATORY) is Way.REFUSE
    assert way(policy, order=(), **everything) is Way.REFUSE
    # Where nothing must be, a key comes before Messenger whatever the order.
    free = said(enabled=True, only_if_mandatory=False)
    assert way(free, order=("webmail", "pgp", "smime"), has={"smime", "pgp"}) is Way.PGP
    assert way(free, order=("pdf", "webmail")) is Way.WEBMAIL


@pytest.mark.parametrize(
    ("change", "recipient"),
    [
        ({"mail_from": ""}, BOB),
        ({}, "carl@example.org"),
        ({}, "postmaster"),
        ({}, "webmail@portal.example.org"),
        ({"mail_from": "notice@example.org"}, BOB),
    ],
)
def test_some_mail_is_never_touched_and_no_rule_asked(change, recipient):
    def never(*_):
        raise AssertionError("asked")

    strict = ground(said(encrypt_mode="mandatory"), judge=never, exempt_senders={"notice@example.org"})

    for raw in (None, b"ENCRYPTED"):
        decision = decide(replace(seen(recipient, raw=raw), **change), strict)
        assert [choice.way for choice in decision.choices] == [Way.CLEAR]
        assert not decision.needs_body


def test_a_notices_sender_is_believed_only_where_its_client_is():
    mail = replace(seen(), mail_from="notice@example.org")

    assert decide(mail, ground(said(encrypt_mode="mandatory"))).choices[0].way is Way.REFUSE


def test_what_is_encrypted_already_is_left_as_it_is_and_looked_at_once():
    looks = []
    standing = ground(said(encrypt_mode="mandatory"), encrypted=lambda _: not looks.append(1))
    assert {choice.way for choice in decide(seen(BOB, "eve@else.example"), standing).choices} == {Way.ENCRYPTED}
    assert looks == [1]

    decision = decide(seen(raw=b"ENCRYPTED"), ground(said(encrypt_mode="mandatory"), has={"smime"}))

    assert decision.choices[0].way is Way.ENCRYPTED
    assert decision.remove == ()


@pytest.mark.parametrize(
    ("address", "leaves"),
    [
        (BOB, True),
        ("carl@example.org", False),
        ("carl@EXAMPLE.org.", False),
        ("carl@sub.example.org", True),
        ("carl@notexample.org", True),
        ("carl@[192.0.2.1]", True),
        ("postmaster", False),
        # Postfix takes its own domain off, and sends to what is left.
        ("bob%partner.example@example.org", True),
        ("partner.example!bob@example.org", True),
        ('"bob@partner.example"@example.org', True),
        ("bob%partner.example", True),
        ("bob%partner.example%example.org@example.org", True),
        ("@example.org:bob@partner.example", True),
        ("bob%example.org@example.org", False),
        ("%" * 50 + "@example.org", True),
        ("Bob@PARTNER.example", True),
    ],
)
def test_nobody_gets_around_the_gateway_by_writing_an_address_otherwise(address, leaves):
    assert outside(address, {"example.org"}) is leaves

    if leaves and "bob" in address.lower():
        strict = Policy(users={BOB: {"encrypt_mode": "mandatory"}}, everywhere={"enabled": True})
        (choice,) = decide(seen(address), ground(strict, has={"smime"})).choices
        assert choice.recipient == address
        # A copy can't be sent to an address like that.
        assert choice.way is (Way.SMIME if address.lower() == BOB else Way.REFUSE)
        assert decide(seen(address), ground()).choices[0].way is Way.CLEAR


def test_an_address_that_messenger_does_not_know_is_refused_where_its_mail_must_be_protected():
    odd = "bob..smith@partner.example"
    policy = said(enabled=True, only_if_mandatory=False)

    assert decide(seen(odd), ground(policy, result=Result.MANDATORY)).choices[0].way is Way.REFUSE
    assert decide(seen(odd), ground(policy)).choices[0].way is Way.CLEAR
    assert decide(replace(seen(), mail_from=odd), ground(policy)).choices[0].way is Way.CLEAR


def test_each_recipient_has_a_choice_of_their_own_in_their_order():
    policy = Policy(
        everywhere={"enabled": True, "only_if_mandatory": False, "read_receipt": True},
        users={
            "pdf@partner.example": {"otp_enabled": True, "read_receipt": False},
            "other@partner.example": {"webmail_sender": "s@example.org", "webmail_recipient": "w@example.org"},
        },
    )
    recipients = (BOB, "carl@example.org", "pdf@partner.example", "other@partner.example", "eve@else.example", BOB)

    choices = decide(seen(*recipients), ground(policy, has={"smime"})).choices

    assert tuple(choice.recipient for choice in choices) == recipients
    assert [choice.way for choice in choices] == ["smime", "clear", "pdf", "webmail", "webmail", "smime"]
    assert [choice.options for choice in choices[2:5]] == [{"otp-pdf"}, {"read-receipt"}, {"read-receipt"}]
    assert (choices[3].webmail_sender, choices[3].webmail_recipient) == ("s@example.org", "w@example.org")
    assert choices[4].webmail_recipient == "webmail@portal.example.org"
    assert choices[4].webmail_sender == "webmail-sender@example.org"


def test_the_proof_names_each_step_and_where_it_was_said():
    policy = Policy(
        everywhere={"enabled": True},
        domains={"*.example": {"encrypt_mode": "force"}, "example.org": {"otp_enabled": True}},
    )

    (choice,) = decide(seen(), ground(policy, result=Result.MANDATORY)).choices

    assert choice.rules == ("the rule",)
    assert choice.proof == (
        "encrypt_mode of the sender: allow (factory)",
        "encrypt_mode of the recipient: force (domain *.example)",
        "rules: mandatory (the rule)",
        "together: mandatory",
        "smime: no certificate",
        "pgp: no key",
        "pdf needs enabled: true (global)",
        "pdf needs otp_enabled: true (domain example.org)",
        "read_receipt: false (factory)",
        "so: pdf",
    )


def test_the_body_is_asked_for_only_where_it_can_matter():
    def needs(policy=None, headers=(), **more):
        return decide(seen(raw=None, headers=headers), ground(policy, **more)).needs_body

    assert not needs()
    assert not needs(said(enabled=True))
    assert needs(judge=judged(needs_body=True))
    assert needs(has={"smime"})
    assert needs(said(encrypt_mode="mandatory"))  # refused, unless it is encrypted already
    assert needs(said(enabled=True, only_if_mandatory=False))
    assert not decide(seen(), ground(judge=judged(needs_body=True))).needs_body


def test_words_leave_the_subject_where_their_rule_spoke_and_nobody_signed_it():
    rules = (Rule("the rule", Result.ALLOW, subject=("[secure]",)), Rule("silent", Result.ALLOW, subject=("plan",)))
    standing = ground(rules=rules, result=Result.ALLOW)
    headers = (("Subject", b"[SECURE] The plan"),)

    assert decide(seen(headers=headers), standing).remove == ("[SECURE]",)
    assert decide(seen(headers=headers, raw=None), standing).needs_body  # it goes in clear, and its subject changes
    signed = (*headers, ("DKIM-signature", b"v=1"))
    assert decide(seen(headers=signed), standing).remove == ()
    assert not decide(seen(headers=signed, raw=None), standing).needs_body
    assert decide(seen("carl@example.org", headers=headers), standing).remove == ()


def test_trigger_words_are_spelled_as_they_stand_there_and_found_in_their_place():
    subject = seen(headers=(("SUBJECT", b"=?utf-8?q?Re=3A_Geheim=3A_der_Plan?= secure GEHEIM:"),))

    def words(*rules):
        return trigger_words(subject, rules)

    assert words(Rule("a", Result.ALLOW, subject=("geheim:",))) == ("Geheim:", "GEHEIM:")
    assert words(Rule("a", Result.ALLOW, subject=("geheim:", "secure"), subject_at="end")) == ("GEHEIM:",)
    assert words(Rule("a", Result.ALLOW, subject=("geheim:",), subject_at="start")) == ("Geheim:",)
    assert words(Rule("a", Result.ALLOW, subject=("geheim:",), remove_subject=False)) == ()


@dataclass
class Broken:
    """A table that can't be asked."""

    def setting(self, *_):
        raise LookupError

    mode_of = setting


def test_a_table_that_cannot_be_asked_is_no_leave_to_send_in_clear():
    with pytest.raises(LookupError):
        decide(seen(), ground(levels=Broken()))
