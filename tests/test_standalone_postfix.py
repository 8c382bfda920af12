"""Stand-alone mode behind a real Postfix: what is stored, what leaves, and that nothing leaves in clear."""

from __future__ import annotations

import email
import email.policy
import smtplib
import subprocess
import time
from pathlib import Path

import pytest

from demo.postfix import CATCH, PostfixMissing, PrivatePostfix, require
from messenger import config
from messenger.cli import doctor_send
from messenger.cli.doctor_finding import Host, Level
from messenger.cli.roles import Role

from .milter_fixtures import running
from .standalone_fixtures import REPORT, StandaloneSite, checked, mail_fixture, to_fixture  # noqa: F401

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)


@pytest.fixture(scope="module")
def postfix(tmp_path_factory):
    with PrivatePostfix(tmp_path_factory.mktemp("postfix"), transport=CATCH) as instance:
        (instance.home / "run").mkdir(mode=0o755)
        socket = f"unix:{instance.home}/run/milter.sock"
        instance.postconf(smtpd_milters=socket, non_smtpd_milters=socket, smtputf8_enable="yes")
        yield instance


class PostfixSite(StandaloneSite):
    """A site whose socket lies where Postfix can reach it, and whose notices go into Postfix's queue."""

    def __init__(self, home: Path, postfix: PrivatePostfix) -> None:
        self.run = postfix.home / "run"
        super().__init__(home, sendmail=postfix.sendmail)

    @property
    def socket(self) -> Path:
        return self.run / "milter.sock"


@pytest.fixture(scope="module")
def behind(postfix, tmp_path_factory):
    return PostfixSite(tmp_path_factory.mktemp("behind") / "portal", postfix)


def send(postfix, raw, *rcpt_tos, mail_from="sam@example.com", options=()) -> tuple[int, str]:
    with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="mail.example.com", timeout=60) as smtp:
        smtp.command_encoding = "utf-8"
        smtp.ehlo()
        code, reply = smtp.mail(mail_from, options)
        for rcpt_to in rcpt_tos:
            if code == 250:
                code, reply = smtp.docmd("RCPT", f"TO:{rcpt_to if '<' in rcpt_to else f'<{rcpt_to}>'}")
        if code == 250:
            code, reply = smtp.data(raw)
        return code, reply.decode()


def left(postfix, address, seconds=20.0) -> list[bytes]:
    """What left for *address*, once something has."""
    deadline = time.monotonic() + seconds
    while not (found := [mail.raw for mail in postfix.caught() if mail.rcpt_to == address]):
        assert time.monotonic() < deadline, f"nothing left for {address}"
        time.sleep(0.05)
    return found


def _bare(raw: bytes) -> bytes:
    """As Postfix has it, without what it put on top."""
    return raw.replace(b"\r\n", b"\n")[raw.replace(b"\r\n", b"\n").index(b"From: ") :]


def with_postfix(test):
    return pytest.mark.postfix(pytest.mark.skipif(bool(missing), reason=missing)(test))


@with_postfix
def test_a_mail_is_stored_its_notice_leaves_and_our_own_people_get_it_as_it_is(postfix, behind, mail, to):
    name = to.partition("@")[0]
    colleague = f"colleague-of-{name}@example.com"
    with running(behind):
        # Each is taken off the mail, however it is written.
        spellings = [f"<{to.upper()}.>", f'<"{name}"@example.org>', f"<@relay.example:{to}>", f"<{to}>"]
        assert send(postfix, mail, *spellings, colleague)[0] == 250
        [notice] = left(postfix, to)
        [passed] = left(postfix, colleague)

    # The notice came by the milter too, through sendmail(1), and was known.
    assert [_bare(stored) for stored in behind.stored(to)] == [_bare(mail)]
    assert _bare(passed) == _bare(mail)
    assert email.message_from_bytes(notice, policy=email.policy.default)["Auto-Submitted"] == "auto-generated"
    assert b"secret plan" not in notice


@with_postfix
def test_a_mail_that_postfix_names_at_each_attempt_is_known_again(postfix, behind, to):
    bare = b"Received: from app.example.com by mail.example.com; id %d\r\nSubject: bare\r\n\r\nHello\r\n"
    with running(behind, code=_dying_at_the_ledger()):
        assert send(postfix, bare % 1, to)[0] == 451
    with running(behind):
        assert send(postfix, bare % 1, to)[0] == 250
        assert send(postfix, bare % 2, to)[0] == 250

    first, second = sorted(behind.stored(to))
    assert b"\r\nMessage-Id: <" in first
    assert (b"id 1" in first, b"id 2" in second) == (True, True)


@with_postfix
def test_addresses_and_headers_beyond_ascii_are_taken(postfix, behind, mail, to):
    person = to.replace("person", "grüße").replace("example.org", "bücher.example")
    raw = mail.replace(b"A secret plan", "Geheim: Größe".encode())
    with running(behind):
        assert send(postfix, raw, person, mail_from="jörg@example.com", options=["SMTPUTF8"])[0] == 250

    [stored] = behind.stored(person)
    assert stored.startswith("Return-Path: <jörg@example.com>\r\n".encode())
    assert "Geheim: Größe".encode() in stored


@with_postfix
def test_what_must_not_be_taken_in_is_not_and_nothing_leaves_in_clear_while_the_milter_is_away(
    postfix, behind, mail, to
):
    assert send(postfix, mail, to, f"x-{to}")[0] == 451

    with running(behind):
        assert send(postfix, REPORT, f"report-{to}", mail_from="")[0] == 250
        assert send(postfix, mail, f"ann%{to.replace('@', '.')}@example.com")[0] == 550
        subprocess.run(
            [*postfix.sendmail, "-i", "-f", "sam@example.com", "--", to],
            input=mail.replace(b"\r\n", b"\n"),
            check=True,
        )
        notice = left(postfix, to)

    assert b"Undelivered" in left(postfix, f"report-{to}")[0]
    assert len(behind.stored(to)) == len(notice) == 1
    assert not [caught for caught in postfix.caught() if b"secret plan" in caught.raw and to in caught.rcpt_to]


@with_postfix
@pytest.mark.parametrize("spelling", ["{}.", "@relay.example:{}"])
def test_mail_by_sendmail_leaves_in_clear_for_nobody_outside_however_they_are_written(
    postfix, behind, mail, to, spelling
):
    colleague = f"colleague-of-{to.partition('@')[0]}@example.com"
    with running(behind):
        subprocess.run(
            [*postfix.sendmail, "-i", "-f", "sam@example.com", "--", spelling.format(to), colleague],
            input=mail.replace(b"\r\n", b"\n"),
            check=True,
        )
        [passed] = left(postfix, colleague)
        [notice] = left(postfix, to)

    assert b"secret plan" in passed
    assert b"secret plan" not in notice
    assert len(behind.stored(to)) == 1


@with_postfix
def test_the_check_asks_the_postfix_that_notices_leave_by(postfix, behind):
    assert "Warning" not in checked(behind).output
    postfix.postconf(mynetworks="127.0.0.0/8, 192.168.0.0/16")
    try:
        assert "Warning: Postfix takes mail from all of 192.168.0.0/16" in checked(behind).output
    finally:
        postfix.postconf(mynetworks="127.0.0.0/8")


def _dying_at_the_ledger() -> str:
    return (
        "import os, signal, messenger_milter.ledger as m\n"
        "m.Ledger.enter = lambda *a: os.kill(os.getpid(), signal.SIGKILL)"
    )


@with_postfix
def test_the_doctors_test_mail_goes_that_way_too_and_is_removed(postfix, behind, to):
    path = behind.settings
    host = Host(config.load(path), path, Role.MESSENGER, postfix.config_dir, int(time.time()))
    with running(behind):
        (found,) = doctor_send.sent(host, to, "", lambda _: None)
        (inside,) = doctor_send.sent(host, "sam@example.com", "", lambda _: None)

    assert found.level is Level.OK, found
    assert behind.stored(to) == []
    assert "people outside" in inside.text
