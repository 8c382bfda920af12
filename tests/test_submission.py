"""Handing mail to the mail system: it is taken for everybody, or somebody hears that it isn't."""

import contextlib
import re
import smtplib
import socket
import threading
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.postfix import CATCH, PrivatePostfix, free_port
from messenger import submission
from messenger.notify import Notice, Site, letter
from messenger.submission import Route, SubmissionError, SubmissionUnclear, submit

MAIL = b"From: notice@portal.example.org\r\nTo: anna@example.org\r\n\r\nHello\r\n.\r\nEnd\r\n"

SENDMAIL = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done > {folder}/words
cat > {folder}/mail
echo "{says}" >&2
{action}
"""


@pytest.fixture
def fake_sendmail(tmp_path):
    """A sendmail(1) that keeps what it was given and ends as it is told."""

    def made(action="exit 0", says=""):
        path = tmp_path / "sendmail"
        path.write_text(SENDMAIL.format(folder=tmp_path, action=action, says=says))
        path.chmod(0o755)
        return Route(sendmail=(str(path), "-C", "folder"))

    return made


class Server:
    """An SMTP server that answers as it is told: *answers* maps the beginning of a command to a reply."""

    def __init__(self, answers, extensions):
        self.answers, self.extensions = answers, extensions
        self.commands, self.mails = [], []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def route(self):
        return Route(smtp=f"127.0.0.1:{self.port}")

    def _serve(self):
        with contextlib.suppress(OSError):
            client, _ = self._listener.accept()
            with client, client.makefile("rb") as lines:
                self._say(client, self._answer("", "220 test"))
                for line in lines:
                    self._take(client, lines, line.rstrip(b"\r\n").decode())

    def _take(self, client, lines, command):
        verb, space, rest = command.partition(" ")
        command = verb.upper() + space + rest
        self.commands.append(command)
        if command == "EHLO" or command.startswith("EHLO "):
            words = ["test", *self.extensions]
            usual = "\r\n".join(f"250{'-' if word is not words[-1] else ' '}{word}" for word in words)
        elif command == "DATA":
            usual = "354 go on"
        elif command == "QUIT":
            usual = "221 bye"
        else:
            usual = "250 ok"
        answer = self._answer(command, usual)
        self._say(client, answer)
        if command == "DATA" and answer.startswith("354"):
            mail = b""
            for line in lines:
                if line == b".\r\n":
                    self.mails.append(mail)
                    self._say(client, self._answer("end", "250 queued"))
                    break
                mail += line

    def _answer(self, command, usual):
        return next((reply for start, reply in self.answers.items() if command.startswith(start)), usual)

    @staticmethod
    def _say(client, text):
        if text:
            client.sendall(text.encode() + b"\r\n")

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes whoever waits for a client
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def server():
    running = []

    def made(answers=None, extensions=("8BITMIME", "SMTPUTF8")):
        running.append(Server(answers or {}, extensions))
        return running[-1]

    yield made
    for one in running:
        one.close()


# -- sendmail


def test_sendmail_is_given_sender_recipients_and_mail(fake_sendmail, tmp_path):
    submit(MAIL, "notice@portal.example.org", ["anna@example.org", "bob@example.org"], fake_sendmail())

    assert (tmp_path / "words").read_text().splitlines() == [
        "-C",
        "folder",
        "-i",
        "-f",
        "notice@portal.example.org",
        "--",
        "anna@example.org",
        "bob@example.org",
    ]
    assert (tmp_path / "mail").read_bytes() == MAIL.replace(b"\r\n", b"\n")


@pytest.mark.parametrize("address", ["-oQ/tmp@example.org", "--help@example.org", "-bp", '"-a b"@example.org'])
def test_no_address_becomes_an_option(fake_sendmail, tmp_path, address):
    submit(MAIL, address, [address], fake_sendmail())

    assert (tmp_path / "words").read_text().splitlines()[2:] == ["-i", "-f", address, "--", address]


def test_addresses_beyond_ascii_are_utf8_whatever_the_locale(fake_sendmail, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")

    submit(MAIL, "notice@portal.example.org", ["用户@example.org"], fake_sendmail())

    assert (tmp_path / "words").read_bytes().endswith("用户@example.org\n".encode())


@pytest.mark.parametrize("status", [1, 64, 65, 67, 69, 70, 75, 77, 78, 255])
def test_any_status_but_zero_is_temporary_and_its_reason_is_kept(fake_sendmail, status):
    route = fake_sendmail(f"exit {status}", "queue file write error")

    with pytest.raises(SubmissionError, match=f"status {status}: queue file write error") as refusal:
        submit(MAIL, "notice@portal.example.org", ["anna@example.org"], route)

    assert refusal.value.temporary


def test_a_killed_sendmail_is_temporary(fake_sendmail):
    with pytest.raises(SubmissionError, match="status -9"):
        submit(MAIL, "a@b.example", ["anna@example.org"], fake_sendmail("kill -9 $$"))


def test_a_complaint_is_one_short_line_for_the_log(fake_sendmail):
    route = fake_sendmail("exit 75", "one\n\ttwo\x1b[31m" + "x" * 5000)

    with pytest.raises(SubmissionError) as refusal:
        submit(MAIL, "a@b.example", ["anna@example.org"], route)

    assert str(refusal.value).isprintable()
    assert "one two" in str(refusal.value)
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize("action", ["exec sleep 20", "sleep 20", "sleep 20 & wait"])
def test_a_sendmail_that_hangs_is_temporary(fake_sendmail, monkeypatch, action):
    monkeypatch.setattr(submission, "TIMEOUT_SECONDS", 0.2)
    start = time.monotonic()

    with pytest.raises(SubmissionError, match="longer than"):
        submit(MAIL, "a@b.example", ["anna@example.org"], fake_sendmail(action))

    assert time.monotonic() - start < 10


def test_a_sendmail_that_reads_nothing_is_believed_by_its_status(tmp_path):
    path = tmp_path / "sendmail"
    path.write_text("#!/bin/sh\nexit 75\n")
    path.chmod(0o755)

    with pytest.raises(SubmissionError, match="status 75"):
        submit(MAIL * 100_000, "a@b.example", ["anna@example.org"], Route(sendmail=(str(path),)))


def test_a_missing_sendmail_is_named_with_the_mend(tmp_path):
    with pytest.raises(SubmissionError, match="install Postfix, or set sendmail or smtp") as refusal:
        submit(MAIL, "a@b.example", ["anna@example.org"], Route(sendmail=(str(tmp_path / "none"),)))
    assert refusal.value.temporary


def test_a_sendmail_that_may_not_run_is_named(tmp_path):
    (tmp_path / "sendmail").write_text("no program")
    (tmp_path / "sendmail").chmod(0o755)

    with pytest.raises(SubmissionError, match="can't run"):
        submit(MAIL, "a@b.example", ["anna@example.org"], Route(sendmail=(str(tmp_path / "sendmail"),)))


@pytest.mark.parametrize("address", ["a@b\r\nRCPT TO:<eve@example.org>", "a@b\n", "a\x00@b", "\udce4@b"])
def test_an_address_with_a_control_character_goes_nowhere(fake_sendmail, server, address, tmp_path):
    smtp = server()
    for route in (fake_sendmail(), smtp.route):
        with pytest.raises(SubmissionError, match="control or broken character"):
            submit(MAIL, "a@b.example", [address], route)
        with pytest.raises(SubmissionError, match="control or broken character"):
            submit(MAIL, address, ["a@b.example"], route)

    assert not (tmp_path / "words").exists()
    assert smtp.commands == []


def test_a_mail_for_nobody_is_an_error(fake_sendmail):
    with pytest.raises(SubmissionError, match="nobody"):
        submit(MAIL, "a@b.example", [], fake_sendmail())


# -- SMTP


def test_smtp_is_given_sender_recipients_and_mail(server):
    smtp = server()

    submit(
        MAIL.replace(b"\r\n", b"\n"), "notice@portal.example.org", ["anna@example.org", "-x@example.org"], smtp.route
    )

    assert smtp.commands[1:] == [
        "MAIL FROM:<notice@portal.example.org>",
        "RCPT TO:<anna@example.org>",
        "RCPT TO:<-x@example.org>",
        "DATA",
        "QUIT",
    ]
    assert smtp.mails == [MAIL.replace(b"\r\n.\r\n", b"\r\n..\r\n")]


def test_the_dns_is_asked_for_nothing(server, monkeypatch):
    monkeypatch.setattr(socket, "getfqdn", lambda *_: pytest.fail("asked for a name"))
    smtp = server()

    submit(MAIL, "notice@portal.example.org", ["anna@example.org"], smtp.route)

    assert smtp.commands[0] == "EHLO [127.0.0.1]"


def test_smtp_takes_a_mail_without_a_sender(server):
    smtp = server()

    submit(MAIL, "", ["anna@example.org"], smtp.route)

    assert "MAIL FROM:<>" in smtp.commands


def test_an_address_beyond_ascii_asks_for_smtputf8(server):
    smtp = server()

    submit(MAIL, "notice@portal.example.org", ["用户@example.org"], smtp.route)

    assert "MAIL FROM:<notice@portal.example.org> SMTPUTF8" in smtp.commands
    assert "RCPT TO:<用户@example.org>" in smtp.commands


def test_a_mail_of_eight_bits_asks_for_8bitmime(server):
    smtp = server()

    submit(MAIL + b"\xc3\xa4\r\n", "notice@portal.example.org", ["anna@example.org"], smtp.route)

    assert "MAIL FROM:<notice@portal.example.org> BODY=8BITMIME" in smtp.commands


@pytest.mark.parametrize(
    ("mail", "to", "extension"),
    [(MAIL, "用户@example.org", "SMTPUTF8"), (b"Subject: \xc3\xa4\r\n\r\n", "a@b.example", "SMTPUTF8"),
     (MAIL + b"\xe4", "a@b.example", "8BITMIME")],
)  # fmt: skip
def test_a_server_that_lacks_what_the_mail_needs_is_given_nothing(server, mail, to, extension):
    smtp = server(extensions=("PIPELINING",))

    with pytest.raises(SubmissionError, match=f"doesn't offer {extension}"):
        submit(mail, "notice@portal.example.org", [to], smtp.route)

    assert smtp.mails == []


PIPELINING = ("PIPELINING", "8BITMIME", "SMTPUTF8")


def test_a_server_that_takes_several_commands_at_once_is_given_them_at_once(server, monkeypatch):
    smtp = server(extensions=PIPELINING)
    sent = []
    send = smtplib.SMTP.send
    monkeypatch.setattr(smtplib.SMTP, "send", lambda self, data: (sent.append(data), send(self, data)))

    submit(MAIL, "notice@portal.example.org", ["anna@example.org", "bob@example.org"], smtp.route)

    commands = (
        "MAIL FROM:<notice@portal.example.org>\r\nRCPT TO:<anna@example.org>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
    )
    assert commands in sent
    assert smtp.mails == [MAIL.replace(b"\r\n.\r\n", b"\r\n..\r\n")]


def test_a_mail_for_hundreds_is_asked_for_in_groups(server):
    smtp = server(extensions=PIPELINING)
    to = [f"p{number}@example.org" for number in range(500)]

    submit(MAIL, "notice@portal.example.org", to, smtp.route)

    assert [line for line in smtp.commands if line.startswith("RCPT")] == [f"RCPT TO:<{one}>" for one in to]
    assert len(smtp.mails) == 1


@pytest.mark.parametrize(
    "answers",
    [
        {"MAIL": "451 later"},
        {"RCPT TO:<bob": "550 5.1.1 no such user"},
        {"RCPT TO:<anna": "252 perhaps"},
        {"DATA": "451 no"},
    ],
)
def test_where_one_of_several_commands_is_refused_nobody_gets_the_mail(server, answers):
    smtp = server(answers, PIPELINING)

    with pytest.raises(SubmissionError, match=next(iter(answers.values()))[:3]):
        submit(MAIL, "notice@portal.example.org", ["anna@example.org", "bob@example.org"], smtp.route)
    smtp.close()

    assert [mail for mail in smtp.mails if mail] == []


@given(st.lists(st.sampled_from([b".", b"..", b"a", b"\n", b"\r\n", b"\r", b"\xff", b"=2E"])).map(b"".join))
def test_a_mail_is_quoted_as_the_standard_library_does(mail):
    crlf = re.sub(rb"\r?\n", b"\r\n", mail)
    quoted = re.sub(rb"(?m)^\.", b"..", crlf)

    assert submission._content(mail) == quoted + (b"" if quoted.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def test_one_refused_recipient_is_an_error_and_nobody_gets_the_mail(server):
    smtp = server({"RCPT TO:<bob": "550 5.1.1 no such user"})

    with pytest.raises(SubmissionError, match=r"550.*no such user") as refusal:
        submit(MAIL, "notice@portal.example.org", ["anna@example.org", "bob@example.org"], smtp.route)

    assert refusal.value.temporary
    assert smtp.mails == []


@pytest.mark.parametrize(
    "answers",
    [
        {"": "554 no"},
        {"": "421 busy"},
        {"EHLO": "500 what", "HELO": "500 what"},
        {"MAIL": "451 4.3.0 later"},
        {"RCPT": "252 perhaps"},
        {"DATA": "451 later"},
        {"end": "452 4.3.1 disk full"},
        {"end": "550 5.7.1 spam"},
    ],
)
def test_any_answer_but_yes_is_temporary(server, answers):
    smtp = server(answers)

    with pytest.raises(SubmissionError) as refusal:
        submit(MAIL, "notice@portal.example.org", ["anna@example.org"], smtp.route)

    assert refusal.value.temporary
    assert str(refusal.value).isprintable()


@pytest.mark.parametrize("reply", ["421 too late", "", "nonsense"])
def test_what_is_said_after_the_mail_is_queued_changes_nothing(server, reply, monkeypatch):
    monkeypatch.setattr(submission, "TIMEOUT_SECONDS", 0.3)
    smtp = server({"QUIT": reply})

    submit(MAIL, "notice@portal.example.org", ["anna@example.org"], smtp.route)

    assert len(smtp.mails) == 1


def test_nobody_listening_is_temporary():
    with pytest.raises(SubmissionError, match="refused"):
        submit(MAIL, "a@b.example", ["anna@example.org"], Route(smtp=f"127.0.0.1:{free_port()}"))


def test_a_server_that_says_nothing_is_temporary(server, monkeypatch):
    monkeypatch.setattr(submission, "TIMEOUT_SECONDS", 0.3)
    smtp = server({"": ""})

    with pytest.raises(SubmissionError, match="timed out"):
        submit(MAIL, "a@b.example", ["anna@example.org"], smtp.route)


def test_a_server_that_took_all_of_the_mail_and_says_nothing_leaves_it_unclear(server, monkeypatch):
    monkeypatch.setattr(submission, "TIMEOUT_SECONDS", 0.3)
    silent, unwilling = server({"end": ""}), server({"end": "452 disk full"})

    with pytest.raises(SubmissionUnclear, match="no answer to the mail"):
        submit(MAIL, "a@b.example", ["anna@example.org"], silent.route)
    with pytest.raises(SubmissionError) as refusal:
        submit(MAIL, "a@b.example", ["anna@example.org"], unwilling.route)

    assert len(silent.mails) == 1
    assert not isinstance(refusal.value, SubmissionUnclear)


# -- a real Postfix


@pytest.fixture(scope="module")
def postfix(tmp_path_factory):
    with PrivatePostfix(tmp_path_factory.mktemp("postfix"), transport=CATCH) as instance:
        yield instance


@pytest.mark.postfix
def test_postfix_takes_notices_both_ways(postfix):
    site = Site("Bücher & Söhne", "https://portal.example.org", "notice@portal.example.org", "de")
    sent = {}
    routes = (Route(sendmail=postfix.sendmail), Route(smtp=f"127.0.0.1:{postfix.plain_port}"))
    recipients = ("anna@example.org", '"anna b"@example.org', "-oQ@example.org", "用户@example.org")
    postfix.postconf(allow_min_user="yes")
    for number, route in enumerate(routes):
        for to in recipients:
            message_id = f"<{number}.{len(to)}@portal.example.org>"
            link = "https://portal.example.org/l/x"
            notice = Notice(to, "Eva", "eva@example.com", "K7QF-M2XA", link, message_id, phrase="Grüner Hund")
            submit(letter(notice, site, datetime.now(UTC)), site.notice_from, [to], route)
            sent[message_id] = to

    caught = postfix.wait_caught(len(sent))

    assert len(caught) == len(sent)
    for mail in caught:
        (message_id,) = [one for one in sent if f"Message-ID: {one}".encode() in mail.raw]
        assert mail.mail_from == "notice@portal.example.org"
        assert mail.rcpt_to == sent[message_id]
        assert b"Auto-Submitted: auto-generated" in mail.raw
