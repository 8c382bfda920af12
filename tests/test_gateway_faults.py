"""The gateway dies, starves or hangs behind a real Postfix: clients come again, nobody gets clear text."""

from __future__ import annotations

import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.postfix import PostfixMissing, require

from .gateway_fixtures import PLAIN, POLICY, SECRET, running
from .gateway_postfix_fixtures import outbound

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

pytestmark = [pytest.mark.postfix, pytest.mark.skipif(bool(missing), reason=missing)]

TWO_WAYS = POLICY + '\n[user."pdf@example.org"]\notp_enabled = true\n'
EVERYBODY = ("boss@example.com", "ann@example.org", "pdf@example.org")
LATER = (451, "4.3.0 Please try again later")
#: Postfix's own word where no gateway answers.
GONE = (451, "4.7.1 Service unavailable - try again later")

#: Dies when one function is called for the n-th time: before its work, or behind it.
DIES = """\
import os, {module} as module
calls, real = [], {function}
def dying(*arguments, **named):
    calls.append(0)
    if len(calls) == {call} and {before}: os.kill(os.getpid(), 9)
    answer = real(*arguments, **named)
    if len(calls) == {call}: os.kill(os.getpid(), 9)
    return answer
{function} = dying
"""
#: What a step of the gateway is called, and how often it is before the one that never ends.
STEPS = {
    "before deciding": ("messenger.gateway.decision", "module.decide", 1, True),
    "behind the first copy": ("messenger.submission", "module.Relay.submit", 1, False),
    "before the second copy": ("messenger.submission", "module.Relay.submit", 2, True),
    "behind the second copy": ("messenger.submission", "module.Relay.submit", 2, False),
    "behind the edits": ("messenger_milter.gateway_milter", "module.Connection._edit", 1, False),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    # An impatient Postfix: it gives up where the gateway asks for no patience.
    with outbound(tmp_path_factory.mktemp("postfix"), main_cf={"milter_content_timeout": "3s"}) as found:
        yield found


@pytest.fixture
def gateway(site, tmp_path):
    return site.gateway(tmp_path, policy=TWO_WAYS)


def secret(word: str, raw: bytes = SECRET) -> bytes:
    return raw.replace(b"4711", word.encode())


def slow(gateway, seconds: float) -> None:
    """From now on Postfix's queue takes its time."""
    script = gateway.home / "slow-sendmail"
    command = " ".join(gateway.sendmail)
    script.write_text(f'#!/bin/sh\ntouch {gateway.home}/at-work\nsleep {seconds}\nexec {command} "$@"\n')
    script.chmod(0o755)
    gateway.sendmail = (str(script),)
    gateway.write()


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_protects_the_mail_at_the_next_try_for_each_once(site, gateway, step):
    module, function, call, before = STEPS[step]
    word = f"{step}."
    with running(gateway, code=DIES.format(module=module, function=function, call=call, before=before)) as process:
        assert site.send(secret(word), *EVERYBODY)[0] == 451
        assert process.popen.wait(10) == -signal.SIGKILL
    # The socket is still there, and nobody behind it.
    assert site.send(secret(word), *EVERYBODY) == GONE

    with running(gateway):
        assert site.send(secret(word), *EVERYBODY)[0] == 250
        left = site.left(gateway, word)

    assert {address: len(mails) for address, mails in left.clear.items()} == {"boss@example.com": 1}
    assert set(left.opened) == {"ann@example.org", "pdf@example.org"}
    # Messenger keeps one of those with the same digest.
    assert [len({mail.digest for mail in mails}) for mails in left.opened.values()] == [1, 1]


def test_without_a_gateway_everybody_waits(site, gateway):
    site.socket.unlink(missing_ok=True)

    assert site.send(secret("absent."), "ann@example.org") == GONE
    assert site.send(secret("absent."), "boss@example.com") == GONE


def test_what_breaks_while_it_runs_is_never_a_reason_for_clear_text(site, gateway):
    certificates = gateway.home / "certificates"
    certificates.mkdir()
    gateway.write(certificates=f'"{certificates}"')
    with running(gateway) as process:
        gateway.remove_keys()
        gateway.policy_file.unlink()
        gateway.policy_file.mkdir()
        time.sleep(1.1)  # it looks once a second
        assert site.send(secret("no keys, no policy."), "ann@example.org")[0] == 250
        assert "gateway.toml" in process.text()

        shutil.rmtree(certificates)
        time.sleep(1.1)
        for raw in (SECRET, PLAIN):
            assert site.send(secret("no certificates.", raw), "ann@example.org", "boss@example.com") == LATER
        assert "Traceback" not in process.text()

        certificates.mkdir()
        time.sleep(1.1)
        left = site.left(gateway, "no keys, no policy.")
    assert (left.clear, left.times()) == ({}, {"ann@example.org": 1})
    assert site.left(gateway, "no certificates.").clear == {}


def test_postfix_waits_while_copy_after_copy_takes_long(site, gateway):
    slow(gateway, 1.7)
    with running(gateway):
        assert site.send(secret("slow."), *EVERYBODY)[0] == 250
        left = site.left(gateway, "slow.")

    assert (set(left.clear), left.times()) == ({"boss@example.com"}, {"ann@example.org": 1, "pdf@example.org": 1})


def test_a_queue_that_hangs_is_given_up_and_the_client_comes_again(site, gateway):
    slow(gateway, 60)
    with running(gateway, code="import messenger.submission as s; s.TIMEOUT_SECONDS = 0.5"):
        assert site.send(secret("hanging."), *EVERYBODY) == LATER

    assert site.left(gateway, "hanging.").clear == {}


def test_told_to_stop_it_finishes_the_mail_in_its_hand(site, gateway):
    slow(gateway, 1)
    with running(gateway) as process, ThreadPoolExecutor() as pool:
        sent = pool.submit(site.send, secret("stopped."), "ann@example.org")
        while not (gateway.home / "at-work").exists():
            time.sleep(0.02)
        assert process.stop(signal.SIGTERM) == 0
        assert sent.result()[0] == 250

    with running(gateway):
        assert site.left(gateway, "stopped.").times() == {"ann@example.org": 1}


def test_a_copy_larger_than_postfix_takes_is_refused_for_good(site, gateway):
    site.postfix.postconf(message_size_limit="1000000")
    try:
        with running(gateway):
            code, said = site.send(secret("large.") + b"x" * 76 * 11_000, "ann@example.org", "boss@example.com")
    finally:
        site.postfix.postconf(message_size_limit="104857600")

    assert (code, said) == (552, "5.3.4 This mail must be protected, and is too large for that")
    left = site.left(gateway, "large.")
    assert (left.clear, left.opened) == ({}, {})


def test_a_flagged_mail_over_the_gateways_limit_is_refused_and_nobody_gets_it(site, gateway):
    gateway.write(size_limit="10240")
    with running(gateway):
        answer = site.send(secret("over.") + b"x" * 20_000, "ann@example.org", "boss@example.com")

    assert answer == (552, "5.3.4 Message too large")
    assert site.left(gateway, "over.").clear == {}


def test_a_full_disk_under_what_was_observed_holds_up_no_mail(site, gateway):
    gateway.write(mode='"observe"', observed='"/dev/full"')
    with running(gateway) as process:
        assert site.send(secret("observed."), "ann@example.org")[0] == 250
        assert "/dev/full: No space left on device" in process.text()

    assert list(site.left(gateway, "observed.").clear) == ["ann@example.org"]
