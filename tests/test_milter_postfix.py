"""The intake behind a real Postfix: what the sender hears, what lies where, what leaves, what stays untouched."""

from __future__ import annotations

import contextlib
import email
import email.policy
import signal
import smtplib
import subprocess
import threading
import time
from pathlib import Path

import pytest

from demo.postfix import CATCH, PostfixMissing, PrivatePostfix, require

from .milter_fixtures import ALIAS, ORIGINAL, SENDER, TUNNEL, Site, pair, running, write_pair

try:
    require()
    missing = ""
except PostfixMissing as error:
    missing = str(error)

pytestmark = [pytest.mark.postfix, pytest.mark.skipif(bool(missing), reason=missing)]


@pytest.fixture(scope="module")
def postfix(tmp_path_factory):
    home = tmp_path_factory.mktemp("postfix")
    # The socket's place is known only once there is a site; Postfix connects at the first mail.
    with PrivatePostfix(home, transport=CATCH) as instance:
        run = instance.home / "run"
        run.mkdir(mode=0o755)
        instance.postconf(smtpd_milters=f"unix:{run}/milter.sock", non_smtpd_milters=f"unix:{run}/milter.sock")
        yield instance


@pytest.fixture(scope="module")
def site(postfix, tmp_path_factory):
    return PostfixSite(tmp_path_factory.mktemp("portal"), sendmail=postfix.sendmail, run=postfix.home / "run")


@pytest.fixture
def milter(site):
    with running(site) as process:
        yield process


@pytest.fixture
def to():
    """A recipient nobody else has."""
    to.number = getattr(to, "number", 0) + 1
    return f"reader{to.number}@example.org"


class PostfixSite(Site):
    """A site whose socket lies where Postfix can reach it, and whose notices go into Postfix's queue."""

    def __init__(self, home: Path, sendmail: tuple[str, ...], run: Path) -> None:
        self.run = run
        super().__init__(home / "portal", sendmail)

    @property
    def socket(self) -> Path:
        return self.run / "milter.sock"


class Client(smtplib.SMTP):
    """A gateway; ``deliver`` returns the last reply."""

    def __init__(self, postfix: PrivatePostfix) -> None:
        super().__init__("127.0.0.1", postfix.port, local_hostname="gateway.example.com", timeout=60)

    def deliver(self, raw: bytes, *rcpt_tos: str) -> tuple[int, str]:
        self.ehlo_or_helo_if_needed()
        code, reply = self.mail(SENDER)
        for rcpt_to in rcpt_tos or (TUNNEL,):
            if code == 250:
                code, reply = self.rcpt(rcpt_to)
        if code == 250:
            with contextlib.suppress(smtplib.SMTPDataError):
                code, reply = self.data(raw)
        if code != 250:
            self.rset()
        return code, reply.decode()


def deliver(postfix, raw, *rcpt_tos):
    with Client(postfix) as client:
        return client.deliver(raw, *rcpt_tos)


def caught_for(postfix, address, seconds=30.0):
    """The first mail that left for *address*."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for caught in postfix.caught():
            if caught.rcpt_to == address:
                return caught.raw
        time.sleep(0.05)
    raise AssertionError(f"nothing left for {address}")


# From end to end


def test_a_tunnel_mail_is_stored_announced_and_goes_no_further(postfix, site, milter, to):
    assert deliver(postfix, site.tunnel_mail(to=[to]))[0] == 250

    assert [stored.endswith(ORIGINAL) for stored in site.stored(to)] == [True]
    notice = email.message_from_bytes(caught_for(postfix, to), policy=email.policy.default)
    assert notice["Auto-Submitted"] == "auto-generated"
    assert "https://portal.example/l/" in notice.get_body(("plain",)).get_content()
    assert b"secret plan" not in notice.as_bytes()
    assert not [caught for caught in postfix.caught() if caught.rcpt_to == TUNNEL]


def test_the_sender_of_a_mail_that_does_not_fit_gets_a_bounce(postfix, site, to):
    site.quota = len(ORIGINAL) + 1000
    site.write()
    sender = f"sender-to-{to.partition('@')[0]}@example.com"
    first = ORIGINAL + b"x" * 800 + b"\r\n"
    second = first.replace(b"<1@", b"<2@")
    try:
        with running(site):
            assert deliver(postfix, site.tunnel_mail(first, [to], mail_from=sender))[0] == 250
            assert deliver(postfix, site.tunnel_mail(second, [to, f"other-{to}"], mail_from=sender))[0] == 250
    finally:
        site.quota = 0
        site.write()

    assert len(site.stored(to)) == len(site.stored(f"other-{to}")) == 1
    bounce = email.message_from_bytes(caught_for(postfix, sender), policy=email.policy.default)
    assert [mail.mail_from for mail in postfix.caught() if mail.rcpt_to == sender] == [""]
    assert (bounce.get_content_type(), bounce["In-Reply-To"]) == ("multipart/report", "<2@example.com>")
    assert f"Final-Recipient: rfc822; {to}" in bounce.as_string()
    assert b"secret plan" not in bounce.as_bytes()


def test_other_recipients_of_a_tunnel_mail_get_it_as_it_is(postfix, site, milter, to):
    mail = site.tunnel_mail(to=[to])

    assert deliver(postfix, mail, f"other-{to}", "Tunnel@Portal.Example")[0] == 250

    assert len(site.stored(to)) == 1
    passed_on = caught_for(postfix, f"other-{to}")
    assert passed_on.replace(b"\n", b"\r\n").endswith(mail.partition(b"\r\n\r\n")[2])


def test_an_alias_in_the_settings_works(postfix, site, milter, to):
    assert deliver(postfix, site.tunnel_mail(to=[to]), ALIAS)[0] == 250

    assert len(site.stored(to)) == 1


def test_a_large_mail_arrives_whole(postfix, site, milter, to):
    raw = ORIGINAL + b".dots at the start of a line\r\n" * 40_000

    assert deliver(postfix, site.tunnel_mail(raw, [to]))[0] == 250

    [stored] = site.stored(to)
    assert stored.endswith(raw)


def test_a_tunnel_mail_handed_over_by_sendmail_is_taken_too(postfix, site, milter, to):
    mail = site.tunnel_mail(to=[to]).replace(b"\r\n", b"\n")

    subprocess.run([*postfix.sendmail, "-i", "-f", SENDER, "--", TUNNEL], input=mail, check=True)

    caught_for(postfix, to)
    assert len(site.stored(to)) == 1


def test_recipients_hidden_by_bcc_and_of_other_scripts_get_theirs(postfix, site, milter, to):
    others = [to, f"grüße-{to}", to.replace("example.org", "bücher.example")]

    assert deliver(postfix, site.tunnel_mail(to=others))[0] == 250

    assert [len(site.stored(address)) for address in others] == [1, 1, 1]


# What is not for us


def test_mail_for_others_passes_untouched_with_the_milter_and_without(postfix, site, milter, to):
    raw = (
        b"From: a@example.com\r\nTo:   b@example.org\r\nX-Odd:\tfolded\r\n\t  here \xe9\r\n"
        b"Subject: =?utf-8?q?=C3=A9?=\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-Id: <2@example.com>\r\n\r\n"
        b"  body \xff\r\n..two dots\r\n\r\n"
    )

    deliver(postfix, raw, to)
    with smtplib.SMTP("127.0.0.1", postfix.plain_port) as client:
        client.sendmail(SENDER, [f"plain-{to}"], raw)

    with_milter, without = caught_for(postfix, to), caught_for(postfix, f"plain-{to}")
    assert with_milter.partition(b"From: ")[2] == without.partition(b"From: ")[2]
    assert with_milter.partition(b"From: ")[2] == raw.partition(b"From: ")[2].replace(b"\r\n", b"\n")
    assert to not in milter.text()


def test_mail_on_one_connection_is_told_apart(postfix, site, milter, to):
    with Client(postfix) as client:
        assert client.deliver(b"Subject: one\r\n\r\n1\r\n", f"first-{to}")[0] == 250
        assert client.deliver(site.tunnel_mail(to=[to]))[0] == 250
        assert client.deliver(b"Subject: two\r\n\r\n2\r\n")[0] == 550
        assert client.deliver(b"Subject: three\r\n\r\n3\r\n", f"third-{to}")[0] == 250

    assert len(site.stored(to)) == 1
    caught_for(postfix, f"first-{to}")
    caught_for(postfix, f"third-{to}")


# What the sender hears


def test_a_mail_in_the_clear_is_refused_and_leaves_nothing(postfix, site, milter):
    before = sorted(site.mail_root.rglob("*"))

    assert deliver(postfix, b"Subject: x\r\n\r\nin the clear\r\n") == (550, "5.7.1 Not accepted here")

    assert sorted(site.mail_root.rglob("*")) == before


def test_a_mail_over_our_limit_is_refused_as_too_large(postfix, site, milter):
    assert deliver(postfix, b"Subject: x\r\n\r\n" + b"x" * 70 * 30 + b"\r\n" + b"y\r\n" * 700_000) == (
        552,
        "5.3.4 Message too large",
    )


def test_without_the_milter_mail_waits_and_then_arrives_once(postfix, site, to):
    mail = site.tunnel_mail(to=[to])
    assert deliver(postfix, mail)[0] == 451

    with running(site):
        assert deliver(postfix, mail)[0] == 250

    assert len(site.stored(to)) == 1


def test_a_mail_store_that_is_away_costs_a_retry_and_nothing_else(postfix, site, milter, to):
    away = site.mail_root.with_name("away")
    site.mail_root.rename(away)
    mail = site.tunnel_mail(to=[to])
    assert deliver(postfix, mail) == (451, "4.3.0 Please try again later")

    away.rename(site.mail_root)
    assert deliver(postfix, mail)[0] == 250

    assert len(site.stored(to)) == 1


def test_a_full_disk_costs_a_retry_and_nothing_else(postfix, site, milter, to, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    kept = site.mail_root.with_name("kept")
    site.mail_root.rename(kept)
    site.mail_root.symlink_to(small)
    try:
        mail = site.tunnel_mail(ORIGINAL + b"x" * 78 + b"\r\n" * 70_000, [to])
        assert deliver(postfix, mail) == (451, "4.3.0 Please try again later")
        assert site.stored(to) == []

        subprocess.run(["mount", "-o", "remount,size=4m", str(small)], check=True)
        assert deliver(postfix, mail)[0] == 250
        assert len(site.stored(to)) == 1
    finally:
        site.mail_root.unlink()
        kept.rename(site.mail_root)
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_around_the_write_leaves_one_copy_after_the_retry(postfix, site, to, moment):
    code = (
        "import os, signal, messenger.mailbox as m\ndeliver = m.Mailbox.deliver\n"
        f"def dying(*a, **k):\n    {'deliver(*a, **k)' if moment == 'after' else 'pass'}\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\nm.Mailbox.deliver = dying"
    )
    mail = site.tunnel_mail(to=[to])
    with running(site, code=code):
        assert deliver(postfix, mail)[0] == 451

    with running(site):
        assert deliver(postfix, mail)[0] == 250
        caught_for(postfix, to)  # while the milter runs: the notice, too, is asked about

    assert len(site.stored(to)) == 1
    time.sleep(0.5)
    assert len([caught for caught in postfix.caught() if caught.rcpt_to == to]) == 1


def test_a_stop_lets_the_client_hear_that_its_mail_was_taken(postfix, site, to):
    code = "import messenger.mailbox as m, time\nd = m.Mailbox.deliver\n"
    code += "m.Mailbox.deliver = lambda *a, **k: (print('in hand', flush=True), time.sleep(6), d(*a, **k))[2]"
    replies = []
    with running(site, code=code) as milter:
        thread = threading.Thread(target=lambda: replies.append(deliver(postfix, site.tunnel_mail(to=[to]))))
        thread.start()
        milter.wait_log("in hand")
        assert milter.stop(signal.SIGTERM) == 0
        thread.join()

    assert replies[0][0] == 250
    assert len(site.stored(to)) == 1


def test_a_long_work_is_waited_for_beyond_postfixs_patience(postfix, site, to):
    postfix.postconf(milter_content_timeout="3s")
    code = "import messenger.mailbox as m, time\nd = m.Mailbox.deliver\n"
    code += "m.Mailbox.deliver = lambda *a, **k: (time.sleep(2), d(*a, **k))[1]"
    try:
        with running(site, code=code):
            assert deliver(postfix, site.tunnel_mail(to=[to, f"b-{to}", f"c-{to}"]))[0] == 250
    finally:
        postfix.postconf(milter_content_timeout="300s")


# Mail made by somebody else's software


@pytest.mark.parametrize(
    ("sign", "encrypt"),
    [
        ([], ["-aes256"]),
        (["-nodetach"], ["-aes-128-cbc"]),
        (["-md", "sha512"], ["-aes-256-gcm"]),
        (["-nodetach", "-stream", "-indef"], ["-aes256", "-stream", "-indef"]),
    ],
    ids=["clear, CBC", "opaque, CBC", "SHA-512, GCM", "BER"],
)
def test_tunnel_mail_made_by_openssl_is_taken(postfix, site, milter, to, tmp_path, sign, encrypt):
    write_pair(tmp_path / "sender", *pair("sender", SENDER))
    write_pair(tmp_path / "recipient", *pair("recipient", TUNNEL))
    fields = ("Content-Type: message/rfc822", "X-Webmail-Sender: sam@example.com", f"X-Webmail-Recipient: {to}", "", "")
    entity = "\r\n".join(fields).encode() + ORIGINAL
    signed = subprocess.run(
        ["openssl", "cms", "-sign", "-binary", *sign, "-signer", "sender.pem", "-inkey", "sender.key"],
        cwd=tmp_path, input=entity, capture_output=True, check=True,
    ).stdout  # fmt: skip
    envelope = ["-from", SENDER, "-to", TUNNEL, "-subject", "tunnel"]
    sealed = subprocess.run(
        ["openssl", "cms", "-encrypt", "-binary", *encrypt, *envelope, "-recip", "recipient.pem"],
        cwd=tmp_path, input=signed, capture_output=True, check=True,
    ).stdout  # fmt: skip

    reply = deliver(postfix, sealed.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    assert reply[0] == 250, milter.text()
    [stored] = site.stored(to)
    assert stored.endswith(ORIGINAL)
