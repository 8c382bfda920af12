"""The command messenger-milter: what it refuses to start with, what it says, its socket and its checks."""

from __future__ import annotations

import grp
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from messenger.tunnel import SenderKey
from messenger_milter import socket_file
from messenger_milter.service import main
from messenger_milter.serving import EX_CONFIG
from messenger_milter.socket_file import SocketError

from .milter_fixtures import ORIGINAL, SENDER, TUNNEL, Answer, Mta, Process, Site, pair, running, write_pair
from .other_user import needs_open_source

NOBODY = 65534
BECOME_NOBODY = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})"
#: Loads all there is to load while still root: the other user may not be allowed to read this Python.
CHECK_ONCE = """
import sys
from messenger_milter.service import main
arguments = sys.argv
sys.argv = ["messenger-milter", "--config", sys.argv[2], "--check"]
try: main()
except SystemExit: pass
sys.argv = arguments
"""


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path / "portal")


def check(site, *arguments):
    return CliRunner().invoke(main, ["--config", str(site.settings), "--check", *arguments])


# --check


def test_a_site_in_order_passes_the_check(site):
    result = check(site)

    assert result.exit_code == 0
    assert "in order" in result.output


def test_the_check_changes_nothing(site):
    before = set(site.home.rglob("*"))

    check(site)

    assert set(site.home.rglob("*")) == before


def _no_key(site):
    (site.home / "keys" / "recipient.key").unlink()


def _empty_key(site):
    (site.home / "keys" / "recipient.key").write_text("")


def _foreign_key(site):
    write_pair(site.home / "keys" / "other", *pair("recipient", "other@portal.example"))
    (site.home / "keys" / "other.key").replace(site.home / "keys" / "recipient.key")


def _key_for_certificate(site):
    site.write(sender_certificates='["keys/sender.key"]')


def _no_pin(site):
    (site.home / "keys" / "sender.pem").unlink()


def _no_link_key(site):
    (site.home / "keys" / "link.key").unlink()


def _short_link_key(site):
    (site.home / "keys" / "link.key").write_text("abcd\n")


def _no_mail_root(site):
    site.mail_root.rmdir()


def _file_for_mail_root(site):
    site.mail_root.rmdir()
    site.mail_root.write_text("")


def _file_for_ledger(site):
    (site.home / "ledger").write_text("")


def _no_sendmail(site):
    (site.home / "sendmail").unlink()


def _no_socket_folder(site):
    site.socket.parent.rmdir()


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (_no_key, r"recipient\.key: .*messenger setup"),
        (_empty_key, r"recipient\.key: .*empty"),
        (_foreign_key, r"recipient\.key: .*does not belong"),
        (_key_for_certificate, r"sender\.key: .*private key"),
        (_no_pin, r"sender\.pem: .*no such file"),
        (_no_link_key, r"link\.key: .*messenger setup"),
        (_short_link_key, r"link\.key: expected 64 hexadecimal digits"),
        (_no_mail_root, r"the mail root .* is missing: mount or make it"),
        (_file_for_mail_root, r"the mail root .* is missing: mount or make it"),
        (_file_for_ledger, r"cannot write to the ledger .*; make the folder"),
        (_no_sendmail, r"sendmail, which sends the notices, is missing: install Postfix"),
        (_no_socket_folder, r"the socket's folder .* is missing: install -d"),
    ],
)
def test_the_check_says_what_is_wrong_and_what_to_do(site, break_it, says):
    break_it(site)

    result = check(site)

    assert result.exit_code == EX_CONFIG
    assert re.search(says, result.output)


def test_everything_wrong_is_said_at_once(site):
    _no_key(site)
    _no_mail_root(site)
    _no_sendmail(site)

    assert len(check(site).output.splitlines()) == 3


def test_settings_with_errors_stop_the_check_and_are_named(site):
    site.settings.write_text(site.settings.read_text().replace("[mail]", "[mial]"))

    result = check(site)

    assert result.exit_code == EX_CONFIG
    assert "mial" in result.output


def test_settings_that_are_not_there_are_named(tmp_path):
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "none.toml"), "--check"])

    assert result.exit_code == EX_CONFIG
    assert "none.toml: no settings there" in result.output


def test_a_port_nobody_takes_notices_at_is_named(site):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    site.settings.write_text(site.settings.read_text() + f'smtp = "127.0.0.1:{port}"\n')

    result = check(site)

    assert result.exit_code == EX_CONFIG
    assert f"nobody takes notices at 127.0.0.1:{port}" in result.output


@needs_open_source
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_an_unreadable_key_is_named_with_the_mend(site):
    (site.home / "keys" / "recipient.key").chmod(0o600)
    for folder in (site.home, *site.home.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)

    result = _as_nobody(site)

    assert result.returncode == EX_CONFIG
    assert "recipient.key: cannot be read (Permission denied); root reads it, and systemd" in result.stdout
    assert "cannot write to the mail root" in result.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_settings_that_may_not_be_read_end_it_with_the_status_that_systemd_does_not_retry(site):
    site.settings.chmod(0o600)
    for folder in (site.home, *site.home.parents):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)

    result = _as_nobody(site)

    assert result.returncode == EX_CONFIG
    assert "can't be read (Permission denied)" in result.stdout


def _as_nobody(site):
    code = f"{CHECK_ONCE}\n{BECOME_NOBODY}\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, "--config", str(site.settings), "--check"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


# Starting


def test_a_broken_key_stops_the_start(site):
    _empty_key(site)

    process = Process(site)

    assert process.popen.wait(20) == EX_CONFIG
    assert "recipient.key" in process.text()
    assert not site.socket.exists()


def test_a_missing_mail_root_is_said_and_mail_waits(site):
    site.mail_root.rmdir()

    with running(site) as milter, Mta(site.socket) as mta:
        assert "the mail root" in milter.text()
        assert mta.send(site.tunnel_mail()).reply.startswith("451 4.3.0")


def test_systemd_is_told_when_it_is_ready_and_when_it_stops(site, tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(path))
        systemd.settimeout(15)
        code = f"import os; os.environ['NOTIFY_SOCKET'] = {str(path)!r}"
        with running(site, code=code) as milter:
            ready = systemd.recv(100)
            milter.stop()
            stopping = systemd.recv(100)

    assert (ready, stopping) == (b"READY=1", b"STOPPING=1")


# The socket


def test_the_socket_is_open_to_postfix_and_to_nobody_else(site):
    with running(site):
        found = site.socket.stat()

        assert stat.S_IMODE(found.st_mode) == 0o660
        if os.geteuid() == 0:
            assert grp.getgrgid(found.st_gid).gr_name == "postfix"


TELL_THREADS = """
import os, sys, threading
umask = os.umask
def told(mask):
    print("threads under a changed umask:", threading.active_count(), file=sys.stderr, flush=True)
    return umask(mask)
os.umask = told
"""


def test_nothing_else_makes_files_while_the_umask_is_narrow(site):
    with running(site, code=TELL_THREADS) as milter:
        pass

    # The one that makes the socket, and the main one, which waits for signals.
    assert "threads under a changed umask: 2\n" in milter.text()
    assert "umask: 3" not in milter.text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_well_and_takes_the_socket_along(site, number):
    with running(site) as milter:
        assert milter.stop(number) == 0

    assert not site.socket.exists()


def test_a_socket_left_by_a_kill_is_replaced(site):
    with running(site) as milter:
        milter.stop(signal.SIGKILL)
    assert site.socket.exists()

    with running(site), Mta(site.socket) as mta:
        mta.envelope("someone@example.org")
        assert mta.data() == "accept"


def test_a_second_milter_on_the_socket_is_refused_and_the_first_goes_on(site):
    with running(site):
        second = Process(site)

        assert second.popen.wait(20) == EX_CONFIG
        assert f"another messenger-milter answers on {site.socket}" in second.text()
        with Mta(site.socket) as mta:
            assert mta.send(site.tunnel_mail()) == Answer("discard")


def test_two_that_start_at_the_same_moment_leave_one(site):
    both = [Process(site), Process(site)]
    try:
        deadline = time.monotonic() + 20
        while all(process.popen.poll() is None for process in both) and time.monotonic() < deadline:
            time.sleep(0.02)

        assert [process.popen.returncode for process in both if process.popen.returncode is not None] == [EX_CONFIG]
        [alive] = [process for process in both if process.popen.poll() is None]
        alive.wait_ready()
        with Mta(site.socket) as mta:
            assert mta.send(site.tunnel_mail()) == Answer("discard")
    finally:
        for process in both:
            process.stop(signal.SIGKILL)


def test_a_socket_that_another_program_answers_is_left_alone(site):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(site.socket))
        other.listen()

        with (
            pytest.raises(SocketError, match="another messenger-milter answers"),
            socket_file.claimed(str(site.socket)),
        ):
            pass

    assert site.socket.exists()


def test_what_is_wrong_with_a_socket_names_the_service_whose_it_is(tmp_path):
    path, gateway = tmp_path / "none" / "g.sock", socket_file.GATEWAY
    socket_name = str(path)
    with pytest.raises(SocketError, match="install -d -o messenger-gateway -g postfix"):
        socket_file.check(socket_name, gateway)
    path.parent.mkdir()
    path.touch()
    with pytest.raises(SocketError, match=r"another \[gateway\] socket"), socket_file.claimed(socket_name, gateway):
        pass
    path.unlink()
    with (
        socket_file.claimed(socket_name, gateway),
        pytest.raises(SocketError, match="another messenger-gateway answers"),
        socket_file.claimed(socket_name, gateway),
    ):
        pass


def test_a_file_in_the_sockets_place_is_not_removed(site):
    site.socket.write_text("somebody's notes")

    with pytest.raises(SocketError, match="is not a socket"), socket_file.claimed(str(site.socket)):
        pass

    assert site.socket.read_text() == "somebody's notes"


def test_it_can_listen_on_a_port_of_loopback(site):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with running(site, "--socket", f"inet:{port}@127.0.0.1"), Mta(("127.0.0.1", port)) as mta:
        assert mta.send(site.tunnel_mail()) == Answer("discard")
        second = Process(site, "--socket", f"inet:{port}@127.0.0.1")
        assert second.popen.wait(20) == EX_CONFIG
        assert "another messenger-milter answers" in second.text()


# Rolling keys over


def test_two_recipient_keys_and_two_pinned_senders_work_side_by_side(site):
    write_pair(site.home / "keys" / "recipient-2", *pair("recipient", TUNNEL, 1))
    write_pair(site.home / "keys" / "sender-2", *pair("sender", SENDER, 1))
    site.write(
        recipient_certificates='["keys/recipient-2.pem", "keys/recipient.pem"]',
        recipient_keys='["keys/recipient-2.key", "keys/recipient.key"]',
        sender_certificates='["keys/sender-2.pem", "keys/sender.pem"]',
    )
    mails = [
        site.tunnel_mail(ORIGINAL + bytes([65 + number]), recipient=recipient[0], sender=SenderKey(*sender))
        for number, (recipient, sender) in enumerate(
            (recipient, sender)
            for recipient in (pair("recipient", TUNNEL), pair("recipient", TUNNEL, 1))
            for sender in (pair("sender", SENDER), pair("sender", SENDER, 1))
        )
    ]

    with running(site), Mta(site.socket) as mta:
        answers = [mta.send(mail) for mail in mails]

    assert answers == [Answer("discard")] * 4
    assert len(site.stored()) == 4


def test_a_sender_that_is_no_longer_pinned_is_refused(site):
    mail = site.tunnel_mail(sender=SenderKey(*pair("sender", SENDER, 1)))

    with running(site), Mta(site.socket) as mta:
        assert mta.send(mail).reply == "550 5.7.1 Not accepted here"

    assert site.stored() == []


@needs_open_source
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_without_root_the_folder_hands_the_socket_to_postfix(site):
    postfix = grp.getgrnam("postfix").gr_gid
    for path in (site.home, *site.home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for folder in (site.home, *site.home.parents):
        folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    os.chown(site.socket.parent, NOBODY, postfix)
    site.socket.parent.chmod(0o2750)

    with running(site, code=f"{CHECK_ONCE}\n{BECOME_NOBODY}") as milter, Mta(site.socket) as mta:
        found = site.socket.stat()

        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, postfix, 0o660)
        assert mta.send(site.tunnel_mail()) == Answer("discard"), milter.text()
