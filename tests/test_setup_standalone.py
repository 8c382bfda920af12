"""messenger setup --mode standalone: no key of a tunnel, no question about one, and Postfix asks the milter alone."""

import smtplib
import subprocess
import sys
import time

import pytest

from demo.postfix import CATCH, PostfixMissing, require
from messenger import config
from messenger.cli import doctor_postfix, postfix, postfix_apply, postfix_milters
from messenger.cli.doctor_finding import Host
from messenger.cli.roles import Role
from messenger.mailbox import mailbox_of
from messenger_milter.service import main as milter_main

from .cli_fixtures import MAIL, messenger_fixture, setup_words  # noqa: F401
from .setup_fixtures import contents, no_users_fixture  # noqa: F401
from .test_cli_postfix import Kept, home_fixture, parameter  # noqa: F401

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

with_postfix = pytest.mark.skipif(bool(missing), reason=missing)


def alone_words(folder, **changed):
    """As ``setup_words``, without the kind of a key that is not made."""
    words = setup_words(folder, mode="standalone", **changed)
    at = words.index("--key-type")
    return words[:at] + words[at + 2 :]


def test_no_key_of_a_tunnel_is_made_and_the_second_run_changes_nothing(messenger, tmp_path):
    first = messenger(*alone_words(tmp_path))
    before = contents(tmp_path)
    again = messenger("setup", "--non-interactive", "--config", tmp_path / "messenger.toml")

    assert (first.status, again.status) == (0, 0), first.err
    assert config.load(tmp_path / "messenger.toml").intake.mode == "standalone"
    assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["link.key", "pdf.key", "totp.key"]
    assert not (tmp_path / "gateway-bundle.json").exists()
    assert "nothing to change" in again.out
    assert contents(tmp_path) == before


def test_what_it_makes_lets_the_milter_start(messenger, tmp_path):
    messenger(*alone_words(tmp_path, sendmail="/bin/true"))
    with pytest.raises(SystemExit) as left:
        milter_main(["--config", str(tmp_path / "messenger.toml"), "--check"])

    assert left.value.code == 0


def test_it_asks_nothing_about_a_tunnel(messenger, tmp_path):
    answers = b"https://portal.example\nexample.com\n\n" + str(tmp_path / "mail").encode() + b"\n"

    done = messenger("setup", "--mode", "standalone", "--config", tmp_path / "messenger.toml", given=answers)

    assert done.status == 0, done.err
    assert config.load(tmp_path / "messenger.toml").notice.mail_from == "webmail-notice@example.com"
    for word in ("gateway", "Webmail sender", "Webmail recipient", "Kind of"):
        assert word not in done.out


@pytest.mark.parametrize(
    "words",
    [
        ("--key-type", "rsa"),
        ("--renew-tunnel",),
        ("--bundle", "b.json"),
        ("--role", "both"),
        ("--role", "gateway"),
    ],
)
def test_what_belongs_to_a_tunnel_is_refused_and_nothing_is_made(messenger, tmp_path, words):
    done = messenger(*alone_words(tmp_path / "s"), *words)

    assert done.status == 64
    assert "mode" in done.err
    assert not (tmp_path / "s").exists()


def test_a_policy_that_came_by_mistake_makes_no_gateway_of_the_site(messenger, tmp_path):
    messenger(*alone_words(tmp_path))
    settings = ("--config", tmp_path / "messenger.toml")
    messenger("gateway", "set", "otp_enabled", "yes", *settings)

    done = messenger("setup", "--non-interactive", *settings)
    (tmp_path / "gateway.toml").rename(tmp_path / "away")
    again = messenger("setup", "--non-interactive", *settings)

    assert done.status == 64
    assert "move it away" in done.err
    assert again.status == 0


def test_a_site_with_a_tunnel_can_change_over_and_back_and_loses_no_key(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    keys = contents(tmp_path / "keys")
    there = messenger("setup", "--non-interactive", "--mode", "standalone", "--config", tmp_path / "messenger.toml")
    between = config.load(tmp_path / "messenger.toml").intake.mode
    back = messenger("setup", "--non-interactive", "--mode", "tunnel", "--config", tmp_path / "messenger.toml")

    assert (there.status, back.status) == (0, 0)
    assert "still on its way is refused" in there.out
    assert (between, config.load(tmp_path / "messenger.toml").intake.mode) == ("standalone", "tunnel")
    assert contents(tmp_path / "keys") == keys


@pytest.mark.parametrize(
    ("milters", "default", "action"),
    [
        ("unix:a, { unix:m, default_action=tempfail }", "accept", ""),
        ("unix:m", "tempfail", ""),
        ("unix:m", "accept", "accept"),
        ("{ unix:m , content_timeout=300s,default_action = accept }", "tempfail", "accept"),
        ("{ unix:a, default_action=accept }, unix:m", "shutdown", ""),
        ("{ unix:a, default_action=accept }", "tempfail", ""),
    ],
)
def test_it_is_seen_what_postfix_does_while_nobody_answers(milters, default, action):
    assert postfix_milters.unasked("unix:m", milters, default) == action


@pytest.mark.postfix
@with_postfix
def test_postfix_asks_the_milter_first_and_a_mail_becomes_webmail(messenger, home):
    server = Kept(home / "mta", transport=CATCH, main_cf={"smtpd_milters": "{ unix:other, default_action=accept }"})
    server._write()
    sendmail = " ".join(server.sendmail)
    done = messenger(*alone_words(home / "s", sendmail=sendmail), "--apply", "--postfix-config", server.config_dir)
    milters, kept = parameter(server, "smtpd_milters"), list(server.config_dir.glob("webmail-messenger-*"))
    postfix_apply._run("postconf", postfix.inspect(server.config_dir), "-e", f"smtpd_milters={milters.split('}')[0]}}}")
    path = home / "s" / "messenger.toml"
    socket = config.load(path).intake.socket
    milter = subprocess.Popen([f"{sys.prefix}/bin/messenger-milter", "--config", path])
    try:
        with server:
            end = time.monotonic() + 20
            while not postfix_apply.answers(socket) and time.monotonic() < end:
                time.sleep(0.05)
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                client.sendmail("bob@example.com", ["anna@example.net"], MAIL.replace(b"\n", b"\r\n"))
            while not server.caught() and time.monotonic() < end:
                time.sleep(0.05)
            (notice,) = server.caught()
    finally:
        milter.terminate()
        milter.wait()

    assert done.status == 0, done.err
    assert milters == (
        f"{{ unix:{socket}, default_action=tempfail, content_timeout=300s }}, {{ unix:other, default_action=accept }}"
    )
    assert kept == []
    assert "mynetworks = 127.0.0.0/8" in done.out
    assert len(mailbox_of(home / "s" / "mail", "anna@example.net").list()) == 1
    assert (notice.rcpt_to, b"Hello" in notice.raw) == ("anna@example.net", False)


@pytest.mark.postfix
@with_postfix
def test_who_may_put_mail_in_and_what_lets_it_pass_is_named_by_setup_and_doctor(messenger, home):
    server = Kept(home / "mta", main_cf={"mynetworks": "127.0.0.0/8 10.0.0.0/8", "message_size_limit": "10240000"})
    server._write()
    words = ("--postfix-config", server.config_dir)
    before = messenger(*alone_words(home / "s"), *words)
    path = home / "s" / "messenger.toml"
    host = Host(config.load(path), path, Role.MESSENGER, server.config_dir, 0)
    lacking = list(doctor_postfix.look_at_lines(host))
    messenger("setup", "--non-interactive", "--config", path, "--apply", *words)
    socket = host.config.intake.socket
    ours = f"unix:/elsewhere.sock, {{ unix:{socket}, default_action=accept }}"
    postfix_apply._run("postconf", postfix.inspect(server.config_dir), "-e", f"smtpd_milters={ours}")
    found = {one.text: one.level.value for one in doctor_postfix.look_at_lines(host)}

    assert "takes mail from all of 10.0.0.0/8" in before.out
    assert "smtpd_milters = {" in before.out
    assert "virtual_alias_maps" not in before.out
    assert lacking[0].level.value == "FAIL"
    assert "--apply" in lacking[0].mend
    assert set(found.values()) == {"WARN"}
    for words in ("takes mail from all of", 'does "accept" with mail', "asks unix:/elsewhere.sock before", "10240000"):
        assert any(words in text for text in found), (words, found)
