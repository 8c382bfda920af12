import logging
import threading
from email import message_from_bytes, policy

import pytest

from messenger import preferences
from messenger.accounts import Account
from messenger.mailbox import mailbox_of
from messenger.notify import Site
from messenger.submission import SubmissionError
from messenger_reader import letters as module
from messenger_reader.letters import Letters

ALICE = Account(7, "alice@example.net", 1_700_000_000, "en", "UTC")
SITE = Site(name="Messages", portal_url="https://mail.example.org", notice_from="webmail@example.org")
LINK = "https://mail.example.org/r/secret-token"


class Relay:
    """Takes mail, or fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.taken: list[tuple[bytes, str, list[str]]] = []
        self.asked = 0

    def __call__(self, raw, mail_from, rcpt_tos) -> None:
        self.asked += 1
        if self.asked <= self.failures:
            raise SubmissionError("no answer")
        self.taken.append((raw, mail_from, list(rcpt_tos)))

    def mails(self):
        return [message_from_bytes(raw, policy=policy.default) for raw, _, _ in self.taken]


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "RETRY_SECONDS", (0.01, 0.01))


def letters_by(relay, tmp_path) -> Letters:
    return Letters(SITE, tmp_path, lambda: 1_800_000_000.5, relay)


def test_a_letter_goes_to_the_owner_from_the_sites_address(tmp_path):
    relay = Relay()
    letters = letters_by(relay, tmp_path)

    letters.send("reset", ALICE, LINK)
    letters.flush()

    [(_raw, mail_from, rcpt_tos)] = relay.taken
    [mail] = relay.mails()
    assert (mail_from, rcpt_tos) == ("webmail@example.org", [ALICE.address])
    assert LINK in mail.get_body(("plain",)).get_content()
    assert mail["Message-ID"].endswith("@example.org>")


def test_letters_are_in_the_language_of_the_account_and_carry_its_phrase(tmp_path):
    relay = Relay()
    letters = letters_by(relay, tmp_path)
    folder = mailbox_of(tmp_path, ALICE.address).root.parent
    folder.mkdir(parents=True)
    preferences.write(folder, preferences.Preferences(phrase="blue heron"))

    letters.send("password-changed", Account(**{**ALICE.__dict__, "language": "de"}))
    letters.flush()

    [mail] = relay.mails()
    assert mail["Content-Language"] == "de"
    assert "blue heron" in mail.get_body(("plain",)).get_content()


def test_a_phrase_that_is_given_needs_no_folder_any_more(tmp_path):
    relay = Relay()
    letters = letters_by(relay, tmp_path)

    letters.send("deleted", ALICE, phrase="blue heron")
    letters.flush()

    [mail] = relay.mails()
    assert "blue heron" in mail.get_body(("plain",)).get_content()


def test_sending_never_waits_for_the_mail_server(tmp_path):
    held, entered = threading.Event(), threading.Event()

    def slow(*_: object) -> None:
        entered.set()
        held.wait(10)

    letters = letters_by(slow, tmp_path)

    for _ in range(5):
        letters.send("totp-on", ALICE)
    assert entered.wait(10)
    letters.send("totp-on", ALICE)
    held.set()
    letters.flush()


def test_no_work_on_a_letter_starts_before_its_answer_has_left(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 30)
    relay = Relay()
    letters = letters_by(relay, tmp_path)

    letters.send("totp-on", ALICE)
    before = relay.asked
    letters.flush()

    assert (before, relay.asked) == (0, 1)


def test_a_mail_server_that_restarts_gets_the_letter_later(tmp_path):
    relay = Relay(failures=2)
    letters = letters_by(relay, tmp_path)

    letters.send("totp-on", ALICE)
    letters.flush()

    assert (relay.asked, len(relay.taken)) == (3, 1)


def test_a_letter_that_cannot_be_sent_is_a_line_in_the_log_without_link_and_address(tmp_path, caplog):
    relay = Relay(failures=3)
    letters = letters_by(relay, tmp_path)

    with caplog.at_level(logging.ERROR):
        letters.send("reset", ALICE, LINK)
        letters.flush()

    assert 'a letter "reset" to account 7 was not sent: no answer' in caplog.text
    assert "secret-token" not in caplog.text
    assert ALICE.address not in caplog.text


def test_a_letter_that_fails_in_a_way_nobody_foresaw_does_not_keep_the_next_one_back(tmp_path, caplog):
    relay = Relay()
    letters = letters_by(relay, tmp_path)

    with caplog.at_level(logging.ERROR):
        letters.send("no such kind", ALICE, LINK)
        letters.send("totp-off", ALICE)
        letters.flush()

    assert len(relay.taken) == 1
    assert 'a letter "no such kind" to account 7' in caplog.text
    assert "secret-token" not in caplog.text


def test_a_flood_is_a_line_in_the_log_and_not_a_queue_without_end(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(module, "LONGEST_QUEUE", 2)
    held = threading.Event()
    letters = letters_by(lambda *_: held.wait(10), tmp_path)

    with caplog.at_level(logging.ERROR):
        for _ in range(10):
            letters.send("totp-on", ALICE)
    held.set()
    letters.flush()

    assert "was not written: 2 wait" in caplog.text


def test_nothing_to_send_is_flushed_at_once(tmp_path):
    letters_by(Relay(), tmp_path).flush()
