"""``messenger gateway explain`` and ``report``: a decision shown like a proof, and what observe mode saw."""

import json
import os
import pty
import subprocess
import sys
import time

import pytest

from messenger.gateway import observed
from messenger.gateway.values import Choice, Way

from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401

POLICY = """
[global]
enabled = true

[domain."*.example.net"]
encrypt_mode = "mandatory"
read_receipt = true

[user."anna@partner.example"]
otp_enabled = true
webmail_recipient = "other-webmail-recipient-with-a-long-name@portal.partner.example"

[[rule]]
name = "secure in the subject"
result = "mandatory"
subject = ["[secure]"]

[[rule]]
name = "account numbers of customers, at least three of them, whoever sends them"
result = "mandatory"
text = [{ pattern = "iban", count = 2 }]

[[rule]]
name = "confidential"
result = "mandatory"
header = { "Sensitivity" = "company-confidential" }
authenticated = true
"""
MAIL = b"From: bob@example.com\nSubject: Accounts\n\nDE89 3704 0044 0532 0130 00 and GB82 WEST 1234 5698 7654 32\n"


@pytest.fixture
def place(site):
    (site / "gateway.toml").write_text(POLICY)
    return site


@pytest.fixture
def explain(messenger, place):
    def run(*words, given=b"", sender="bob@example.com"):
        done = messenger(
            "gateway", "explain", "--config", place / "messenger.toml", "--from", sender, *words, given=given
        )
        assert done.status == 0, done.err
        return json.loads(done.out) if "--json" in words else done.out

    return run


def test_a_decision_is_explained_from_each_setting_to_the_result(explain):
    shown = explain("--to", "Anna@Partner.Example", "--subject", "[SECURE] Hello")

    words = " ".join(shown.split())
    for said in (
        "From bob@example.com to anna@partner.example",
        "enabled true global",
        "encrypt_mode allow factory",
        "otp_enabled true user anna@partner.example",
        "webmail_sender webmail-sender@example.com factory: that of [tunnel]",
        'yes secure in the subject: mandatory the subject holds "[secure]"',
        "? account numbers of customers",
        "no confidential: mandatory",
        "3. rules: mandatory (secure in the subject) 4. together: mandatory 5. smime: no certificate 6. pgp: no key",
        "goes as an encrypted PDF, from webmail-sender@example.com to other-webmail-recipient-with-a-long-name@portal",
        'Taken out of the subject: "[SECURE]"',
    ):
        assert said in words
    assert max(map(len, shown.splitlines())) <= 80
    assert "\x1b" not in shown


def test_each_recipient_is_explained_and_one_who_is_refused_stops_the_mail(explain, place):
    text = (place / "gateway.toml").read_text().replace("enabled = true", "enabled = false", 1)
    (place / "gateway.toml").write_text(text)

    shown = explain("--to", "x@sub.example.net", "--to", "y@else.example", "--to", "z@example.com")

    assert "is refused: 550" in shown
    assert "so the whole mail is" in shown
    assert "the recipient is in a domain of ours" in shown
    found = explain("--to", "x@sub.example.net", "--to", "y@else.example", "--json")
    assert found["refused"]
    assert [one["way"] for one in found["recipients"]] == ["refuse", "clear"]


def test_a_whole_mail_is_judged_and_without_it_the_answer_says_what_hangs_on_it(explain, tmp_path):
    path = tmp_path / "mail.eml"
    path.write_bytes(MAIL)

    without = explain("--to", "y@else.example", "--subject", "Accounts", "--json")["recipients"][0]
    whole = explain("--to", "y@else.example", "--mail", path, "--json")["recipients"][0]
    piped = explain("--to", "y@else.example", "--mail", "-", "--json", given=MAIL)["recipients"][0]

    assert (without["way"], without["needs_mail"]) == ("clear", True)
    assert "give it with --mail" in " ".join(explain("--to", "y@else.example").split())
    assert (whole["way"], whole["needs_mail"]) == ("webmail", False)
    assert whole == piped
    assert [one["matched"] for one in whole["rules"]] == [False, True, False]
    assert "DE89" not in json.dumps(whole)


def test_header_fields_and_a_log_in_count(explain):
    words = ("--to", "y@else.example", "--header", "sensitivity: Company-Confidential", "--json")

    assert explain(*words)["recipients"][0]["way"] == "clear"
    assert explain(*words, "--authenticated")["recipients"][0]["way"] == "webmail"


@pytest.mark.parametrize("sender", ["", "<>"])
def test_a_bounce_and_mail_of_messengers_own_are_said_to_pass(explain, sender):
    assert "the null sender" in explain("--to", "x@sub.example.net", sender=sender)

    own = explain("--to", "x@sub.example.net", sender="webmail-sender@example.com")
    assert "mail of this sender passes" in " ".join(own.split())


def test_observe_mode_and_odd_addresses_are_said(explain, place):
    path = place / "messenger.toml"
    path.write_text(path.read_text().replace('mode = "enforce"', 'mode = "observe"'))

    shown = " ".join(explain("--to", "odd..one@sub.example.net").split())

    assert "noted, and the mail goes on as it is" in shown
    assert "no address that Messenger knows" in shown


def test_wrong_words_are_a_matter_of_usage(messenger, place):
    base = (
        "gateway",
        "explain",
        "--config",
        place / "messenger.toml",
        "--from",
        "a@example.com",
        "--to",
        "b@x.example",
    )

    assert messenger(*base, "--mail", "-", "--subject", "x").status == 64
    assert messenger(*base, "--header", "no colon").status == 64
    (place / "gateway.toml").write_text("[global]\nenabeld = true\n")
    done = messenger(*base)
    assert done.status != 0
    assert "enabled" in done.err


@pytest.mark.parametrize("no_color", ["", "1"])
def test_there_are_colours_on_a_terminal_alone_and_not_where_they_are_unwanted(place, no_color):
    words = [
        "gateway",
        "explain",
        "--config",
        place / "messenger.toml",
        "--from",
        "a@example.com",
        "--to",
        "b@x.example",
    ]
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from messenger.cli import main; main()", *map(str, words)]
    done = subprocess.run(
        command, stdout=theirs, check=False, timeout=60, env={**os.environ, "NO_COLOR": no_color, "TERM": "xterm"}
    )
    os.close(theirs)
    shown = os.read(ours, 100_000)
    os.close(ours)

    assert done.returncode == 0
    assert (b"\x1b[" in shown) is not bool(no_color)


def note(path, now, *choices, sender="bob@example.com"):
    observed.append(
        path, observed.line(now, "4XYZ", sender, [Choice(f"{who}", way, rules=rules) for who, way, rules in choices])
    )


def test_what_observe_mode_saw_is_added_up(messenger, place):
    path, now = place / "observed.jsonl", time.time()
    settings = place / "messenger.toml"
    text = settings.read_text()
    line = next(one for one in text.splitlines() if one.startswith("observed ="))
    settings.write_text(text.replace(line, 'observed = "observed.jsonl"'))
    note(path, now - 10 * 86_400, ("old@else.example", Way.CLEAR, ()))
    note(path, now, ("x@sub.example.net", Way.WEBMAIL, ("secure",)), ("y@else.example", Way.CLEAR, ()))
    note(path, now, ("x@sub.example.net", Way.REFUSE, ("secure", "cards")), sender="carl@example.com")
    with path.open("a") as file:
        file.write('{"time": 12')

    words = " ".join(messenger("gateway", "report", "--config", settings, "--since", "7").out.split())
    found = json.loads(messenger("gateway", "report", "--config", settings, "--json").out)

    assert words.startswith("2 mails to outside, from ")
    for said in (
        "1 in clear 1 by webmail 1 refused",
        "2 secure 1 cards",
        "2 example.com",
        "2 sub.example.net 1 else.example",
        "1 carl@example.com to x@sub.example.net",
        "1 lines could not be read",
    ):
        assert said in words
    assert found["mails"] == 3
    assert found["ways"] == {"clear": 2, "webmail": 1, "refuse": 1}
    assert found["refused"] == [{"sender": "carl@example.com", "recipient": "x@sub.example.net", "count": 1}]
    path.unlink()
    assert messenger("gateway", "report", "--config", settings).status == 66
    path.touch()
    assert "No mail" in messenger("gateway", "report", "--config", settings).out


def test_the_record_is_turned_over_when_it_is_large(tmp_path, monkeypatch):
    monkeypatch.setattr(observed, "MAX_BYTES", 300)
    path = tmp_path / "observed.jsonl"

    for number in range(10):
        note(path, number, ("x@else.example", Way.CLEAR, ()))

    assert sorted(one.name for one in tmp_path.iterdir()) == ["observed.jsonl", "observed.jsonl.1"]
    assert max(one.stat().st_size for one in tmp_path.iterdir()) < 500
    assert path.stat().st_mode & 0o777 == 0o640
    seen = observed.report(observed.lines(path))
    assert seen.last == 9
    assert 0 < seen.mails < 10
