"""What messenger doctor says of a real Postfix: not set up, set up, and one that mail came into past the milter."""

import json
import smtplib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from demo.postfix import CATCH, PostfixMissing, require
from messenger import config
from messenger.cli import doctor_postfix, doctor_queues, postfix_apply
from messenger.cli.doctor_finding import Host
from messenger.cli.roles import Role
from messenger.mailbox import mailbox_of

from .cli_fixtures import messenger_fixture, setup_words  # noqa: F401
from .test_cli_postfix import Kept, started_site_again

try:
    require()
except PostfixMissing as error:
    pytest.skip(str(error), allow_module_level=True)

pytestmark = pytest.mark.postfix


@pytest.fixture(name="folder")
def folder_fixture():
    """Short and open to others: Postfix and the milter's socket want that."""
    with tempfile.TemporaryDirectory(prefix="p") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def wait(ready, seconds=20):
    end = time.monotonic() + seconds
    while not ready() and time.monotonic() < end:
        time.sleep(0.05)
    assert ready()


def levels(findings):
    return [one.level.value for one in findings]


def test_a_postfix_is_told_what_it_lacks_and_then_has_it_all_and_a_mail_goes_the_whole_way(messenger, folder):
    server = Kept(folder / "mta", transport=CATCH, main_cf={"mynetworks": "192.0.2.1", "virtual_mailbox_domains": ""})
    server._write()
    sendmail = " ".join(server.sendmail)
    messenger(*setup_words(folder / "site", webmail_recipient="webmail@portal.example", sendmail=sendmail))
    path = folder / "site" / "messenger.toml"
    host = Host(config.load(path), path, Role.MESSENGER, server.config_dir, int(time.time()))
    stopped = levels(doctor_postfix.look_whether_it_runs(host))
    lacking, unknown = list(doctor_postfix.look_at_lines(host)), levels(doctor_postfix.look_at_recipient(host))
    started_site_again(messenger, folder, server)
    milter = subprocess.Popen([Path(sys.executable).parent / "messenger-milter", "--config", path])
    try:
        with server:
            wait(lambda: postfix_apply.answers(host.config.intake.socket))
            done = messenger("doctor", "--json", "--config", path, "--send", "Zoe@example.net")
            with smtplib.SMTP("127.0.0.1", server.plain_port) as client:
                client.sendmail("x@example.com", ["webmail@portal.example"], b"Subject: past\r\n\r\nx\r\n")
            wait(lambda: "FAIL" in levels(doctor_queues.look_at_queue(host)))
            (past,) = [one for one in doctor_queues.look_at_queue(host) if one.check == doctor_queues.PAST]
    finally:
        milter.terminate()
        milter.wait()

    assert stopped == unknown == ["FAIL"]
    assert levels(lacking).count("FAIL") == 5
    assert any(f"--apply --postfix-config {server.config_dir}" in one.mend for one in lacking)
    whole = {one["check"]: one for one in json.loads(done.out)["findings"]}
    for check in ("postfix", "webmail recipient", "milter", "past the milter", "queue of notices", "test mail"):
        assert whole[check]["level"] == "OK", whole[check]
    assert whole["postfix settings"]["level"] != "FAIL"
    assert "waiting for it in the mailbox" in done.err
    assert not mailbox_of(host.config.mail.root, "zoe@example.net").exists()
    assert past.text.startswith("1 tunnel mail came in past the milter")


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        ({"hash:/a": "not-taken@webmail-messenger.invalid"}, "OK"),
        ({"hash:/a": "", "hash:/b": "not-taken@webmail-messenger.invalid"}, "OK"),
        ({"hash:/a": "joe@example.com"}, "WARN"),
        ({"hash:/a": "", "hash:/b": None}, "FAIL"),
        ({"hash:/a": ""}, "FAIL"),
        ({}, "FAIL"),
    ],
)
def test_the_webmail_recipient_leads_to_a_dead_end(answers, level):
    assert doctor_postfix.judge_recipient("w@example.org", answers, "messenger setup").level.value == level
