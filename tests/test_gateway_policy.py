"""The policy's text and its file: read whole, changed by one line, taken over when it changes."""

import logging
import os
import time
from pathlib import Path

import pytest

from messenger.gateway.policy import Level, changed, parse
from messenger.gateway.policy_file import PolicyFile
from messenger.gateway.values import PolicyError, Result, Rule, TextPattern

PATH = Path("/etc/webmail-messenger/gateway.toml")
TEXT = """\
# Ours
[global]
enabled = true   # since May

# Partners want it so.
[domain."*.Partner.example"] # and all below
encrypt_mode = 'mandatory'

[[rule]]
name = "secure"
result = "mandatory"
subject = ["[secure]"]

# Anna has a phone
[user."Anna@Partner.example"]
otp_enabled = true

# Lists
[[rule]]
name = "lists"
result = "none"

[rule.header]
"List-*" = "*"
"""


def errors_of(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(text, PATH)
    return str(caught.value)


def test_a_policy_is_read_with_one_spelling_for_each_domain_and_address():
    policy = parse(
        TEXT + '[domain."Bücher.example"]\nenabled = false\n[user."<BOB@BÜCHER.example>"]\nread_receipt = true\n', PATH
    )

    assert policy.everywhere == {"enabled": True}
    assert policy.domains == {
        "*.partner.example": {"encrypt_mode": "mandatory"},
        "xn--bcher-kva.example": {"enabled": False},
    }
    assert policy.users == {
        "anna@partner.example": {"otp_enabled": True},
        "bob@xn--bcher-kva.example": {"read_receipt": True},
    }
    assert [(rule.name, rule.result) for rule in policy.rules] == [("secure", Result.MANDATORY), ("lists", Result.NONE)]


def test_a_rule_may_ask_for_everything_at_once():
    rule = parse(
        """
        [[rule]]
        name = " all "
        result = "allow"
        subject = ["geheim", "[s]"]
        subject_at = "start"
        remove_subject = false
        header = { "msip_labels" = "/label=[0-9]+/", Sensitivity = "company-*" }
        sender = ["Anna@Bücher.example", "example.com"]
        recipient = ["*.EXAMPLE.net"]
        larger_than = "2 MB"
        attachment = ["*.xlsx"]
        text = ["card", { pattern = "iban", count = 3 }, "/KD-[0-9]{6}/"]
        authenticated = true
        """,
        PATH,
    ).rules[0]

    assert rule == Rule(
        name="all",
        result=Result.ALLOW,
        subject=("geheim", "[s]"),
        subject_at="start",
        remove_subject=False,
        header={"msip_labels": "/label=[0-9]+/", "Sensitivity": "company-*"},
        sender=("anna@xn--bcher-kva.example", "example.com"),
        recipient=("*.example.net",),
        larger_than=2_000_000,
        attachment=("*.xlsx",),
        text=(TextPattern("card"), TextPattern("iban", 3), TextPattern("/KD-[0-9]{6}/")),
        authenticated=True,
    )


def test_everything_wrong_is_said_at_once_each_with_its_line_and_what_may_have_been_meant():
    text = TEXT.replace("enabled = true ", 'enabled = "yes" ').replace("encrypt_mode", "encript-mode")
    text = text.replace('result = "none"', 'result = "mandatry"').replace('"List-*" = "*"', '"List *" = ""')
    text += '\n[user."anna@partner.example"]\nread_receipt = false\n[rules]\n[domain."*"]\n[user."nobody"]\n'

    said = errors_of(text).splitlines()

    assert said[0] == f"{PATH}: 8 errors in the policy; mend:"
    assert [line.split(":")[0].strip() for line in said[1:]] == [
        "line 3", "line 7", "line 21", "line 23", "line 26", "line 28", "line 29", "line 30",
    ]  # fmt: skip
    for line, words in zip(
        said[1:],
        (
            '[global] enabled: expected true or false, found "yes"',
            "unknown setting; did you mean encrypt_mode?",
            'rule "lists": result: expected none, allow or mandatory, found "mandatry"; did you mean mandatory?',
            'rule "lists": header: expected fields with a pattern each',
            'the same as "Anna@Partner.example"; put both together',
            "[rules]: unknown section; did you mean rule?",
            "what holds for all stands in [global]",
            'expected an address such as "anna@example.com"',
        ),
        strict=True,
    ):
        assert words in line


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ('result = "none"\nsubject = ["x"]', "line 1: rule 1: lacks name: expected a name of at most 100"),
        ('name = "a\\nb"\nresult = "none"\nsubject = ["x"]', "line 2"),
        ('name = "a"\nresult = "none"', 'rule "a": holds for every mail'),
        ('name = "a"\nresult = "none"\nauthenticated = false', 'rule "a": holds for every mail'),
        ('name = "a"\nresult = "none"\nauthenticated = true\nremove_subject = true', "says nothing without subject"),
        (
            'name = "a"\nresult = "none"\nsubject = "x"',
            'a list of words such as ["[secure]"], each of at most 1000 characters, found "x"',
        ),
        ('name = "a"\nresult = "none"\nsubject = [" "]', "a list of words"),
        ('name = "a"\nresult = "none"\nsubjekt = ["x"]', "unknown key; did you mean subject?"),
        ('name = "a"\nresult = "none"\nsender = ["a b.example"]', "line 4"),
        ('name = "a"\nresult = "none"\nlarger_than = "2 XB"', 'bytes, or a size such as "5 MB", found "2 XB"'),
        ('name = "a"\nresult = "none"\ntext = ["ibam"]', "did you mean iban?"),
        ('name = "a"\nresult = "none"\ntext = ["/(/"]', "regular expression"),
        ('name = "a"\nresult = "none"\ntext = [{ pattern = "card", count = 0 }]', "a number from 1 to"),
        ('name = "a"\nresult = "none"\ntext = [{ pattern = "card", times = 3 }]', "times: unknown key"),
        ('name = "a"\nresult = "none"\nheader = { "X" = "/[/" }', "regular expression"),
        ('name = "a"\nresult = "none"\nlarger_than = 9\n[[rule]]\nname = "a"\nresult = "none"\nlarger_than = 1',
         "line 6: rule \"a\": another rule has that name"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_meant_is_refused(rule, words):
    assert words in errors_of(f"[[rule]]\n{rule}\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[global\n", "gateway.toml, line 1: not TOML"),
        ("[global]\nenabled = yes\n", "line 2: not TOML"),
        ("a = " + "[" * 5000, "line 1: not TOML"),
        ("a = 1" + "0" * 5000, "line 1: not TOML"),
        ("a = 1\n", "[a]: unknown section"),
        ("global = 1\n", "[global]: expected a section of settings, found 1"),
        ("user = 1\n", "[user]: expected a section of settings for each user"),
        ('user."a@b.example" = 1\n', '[user."a@b.example"]: expected a section of settings'),
        ('rule = "x"\n', "each under [[rule]]"),
        ('[rule]\nname = "x"\n', "each under [[rule]]"),
        ("[global]\nenabled = 1\n", "found 1"),
        ("[global]\nenabled = 0x1" + "0" * 9000, "found a number of thousands of digits"),
        (f'[[rule]]\nname = "x"\nresult = "none"\nsubject = ["{"a" * 1001}"]', "each of at most 1000 characters"),
        ('[global]\nwebmail_recipient = "nobody"\n', 'a mail address, or "" for that of [tunnel], found "nobody"'),
    ],
)
def test_what_is_no_policy_is_refused(text, words):
    assert words in errors_of(text)


def test_one_change_is_one_line_and_comments_stay_where_they_were():
    assert changed(TEXT, Level.GLOBAL, "", "enabled", False) == TEXT.replace("true   # since", "false   # since")
    assert changed(TEXT, Level.DOMAIN, "*.PARTNER.example", "encrypt_mode", "force") == TEXT.replace(
        "'mandatory'", '"force"'
    )
    assert changed(TEXT, Level.USER, "anna@partner.EXAMPLE", "read_receipt", True) == TEXT.replace(
        "otp_enabled = true\n", "otp_enabled = true\nread_receipt = true\n"
    )
    assert changed(TEXT, Level.USER, '"a \\" # b"@bücher.example', "enabled", True) == (
        TEXT + '\n[user."\\"a \\\\\\" # b\\"@xn--bcher-kva.example"]\nenabled = true\n'
    )
    # It says that already.
    assert changed(TEXT, Level.GLOBAL, "", "enabled", True) == TEXT


def test_what_is_taken_out_leaves_what_was_there_before():
    for level, target in ((Level.USER, '"a \\" # b"@x.example'), (Level.DOMAIN, "*.x.example")):
        with_it = changed(changed(TEXT, level, target, "enabled", True), level, target, "otp_enabled", True)
        with_one = changed(with_it, level, target, "enabled", None)

        assert with_one.endswith("]\notp_enabled = true\n")
        assert changed(with_one, level, target, "otp_enabled", None) == TEXT

    assert changed(changed("", Level.GLOBAL, "", "enabled", True), Level.GLOBAL, "", "enabled", None) == ""
    # A section that somebody wrote about stays.
    assert changed(TEXT, Level.DOMAIN, "*.partner.example", "encrypt_mode", None) == TEXT.replace(
        "encrypt_mode = 'mandatory'\n", ""
    )
    assert changed(TEXT, Level.USER, "nobody@x.example", "enabled", None) == TEXT


def test_a_change_that_cannot_be_is_refused():
    for level, target, name, value, words in (
        (Level.GLOBAL, "", "enable", True, "did you mean enabled?"),
        (Level.GLOBAL, "", "encrypt_mode", "forced", "did you mean force?"),
        (Level.DOMAIN, "*", "enabled", True, "[global]"),
        (Level.USER, "anna", "enabled", True, "anna@example.com"),
    ):
        with pytest.raises(PolicyError, match=None) as caught:
            changed(TEXT, level, target, name, value)
        assert words in str(caught.value)
    # Written in a way that has no line of its own for it; nothing is guessed.
    for text in ("global = { enabled = true }\n", "[global]\nenabled =\\\n true\n"):
        with pytest.raises(PolicyError):
            changed(text, Level.GLOBAL, "", "enabled", False)


def test_the_file_is_taken_over_when_it_changes_even_in_the_same_second_with_the_same_size(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text('[global]\nencrypt_mode = "force"\n')
    file = PolicyFile(path)
    now = time.time()
    first = file.current(now)
    stamp = path.stat()

    path.write_text('[global]\nencrypt_mode = "allow"\n')
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert file.current(now + 0.5) is first  # looked at once a second
    assert file.current(now + 1.1).everywhere == {"encrypt_mode": "allow"}
    path.with_name("new").write_text('[global]\nencrypt_mode = "force"\n')
    path.with_name("new").replace(path)
    assert file.current(now + 2.2) == first
    # Touched without a change: the same object, so that nobody builds anything anew.
    again = file.current(now + 3.3)
    path.touch()
    assert file.current(now + 4.4) is again


def test_what_goes_wrong_while_running_leaves_the_last_good_policy_and_is_said_once(tmp_path, caplog):
    path = tmp_path / "gateway.toml"
    with pytest.raises(PolicyError, match="no policy there; make one by `messenger gateway set`"):
        PolicyFile(path).current(0)
    path.write_text("[global]\nenabled = true\n")
    file = PolicyFile(path)
    now = time.time()
    good = file.current(now)
    caplog.set_level(logging.ERROR)

    path.write_text("[global]\nenabled = maybe\n")
    assert [file.current(now + second) for second in range(2, 5)] == [good] * 3
    path.unlink()
    assert [file.current(now + second) for second in range(5, 8)] == [good] * 3
    path.write_bytes(b"\xff")
    assert file.current(now + 9) is good

    assert [record.message.split(":")[0].removeprefix(str(path)) for record in caplog.records] == [
        ", line 2",
        "",
        ", line 1",
    ]
    assert all("the policy that was read before holds" in record.message for record in caplog.records)
    path.write_text("[global]\nenabled = false\n")
    assert file.current(now + 11).everywhere == {"enabled": False}
    path.write_bytes(b"\xff")
    with pytest.raises(PolicyError, match="not UTF-8"):
        PolicyFile(path).current(now)


def test_a_file_that_somebody_copies_over_is_not_taken_for_an_empty_policy(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text('[global]\nencrypt_mode = "mandatory"\n')
    file = PolicyFile(path)
    now = time.time()
    strict = file.current(now)

    path.write_text("")

    written = path.stat().st_mtime
    assert file.current(written + 1.5) is strict
    # Meant so after all.
    assert file.current(written + 3).everywhere == {}
