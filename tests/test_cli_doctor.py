"""What messenger doctor says about a site, whole and broken, and that nothing keeps it from going on."""

import json
import os
import shutil
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from messenger import config
from messenger.cli import (
    doctor,
    doctor_accounts,
    doctor_apart,
    doctor_certificates,
    doctor_clock,
    doctor_disk,
    doctor_files,
    doctor_queues,
    doctor_services,
    settings_file,
)
from messenger.cli.doctor_finding import Check, Level, ok, span, warn
from messenger.cli.roles import Role
from messenger.mailbox import mailbox_of

from .cli_fixtures import MAIL, made_site_fixture, messenger_fixture, site_fixture  # noqa: F401
from .doctor_fixtures import host_fixture, host_of, levels, only  # noqa: F401

NOW = 1_795_500_000  # 2026-11-24
DAY, HOUR = 86_400, 3600


# The command


def test_a_site_that_does_not_run_is_told_with_what_mends_it(messenger, site):
    done = messenger("doctor", "--config", site / "messenger.toml")

    lines = done.out.splitlines()
    assert done.status == 2
    assert lines[0].startswith("OK    settings")
    assert any(line.startswith("FAIL  reader") and "Nobody can read mail" in line for line in lines)
    assert any("-> systemctl restart messenger-reader" in line for line in lines)
    # The worst stands last, where the eye is; the sum below it.
    assert [line[:4].strip() for line in lines if not line.startswith(" ")][-2] == "FAIL"
    assert " FAIL, " in lines[-1]


def test_scripts_get_one_object(messenger, site):
    done = messenger("doctor", "--json", "--config", site / "messenger.toml")

    said = json.loads(done.out)
    found = {one["check"]: one for one in said["findings"]}
    assert (done.status, said["status"]) == (2, "FAIL")
    assert found["keys"] == {"check": "keys", "level": "OK", "mend": "", "text": found["keys"]["text"]}
    assert {"milter", "reader", "certificates", "accounts", "quota", "PDFs"} <= found.keys()
    assert "gateway" not in found


def test_settings_that_are_wrong_are_a_finding_and_the_only_one(messenger, site):
    (site / "messenger.toml").write_text("[site]\nportal_url = 5\n")

    done = messenger("doctor", "--quiet", "--config", site / "messenger.toml")

    assert done.status == 2
    assert done.out.startswith("FAIL  settings")
    assert "portal_url" in done.out


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        ([ok("disk", "room")], 0, ""),
        ([ok("disk", "room"), warn("clock", "late", "date -u")], 1, "WARN  clock                late\n"),
    ],
)
def test_it_leaves_as_monitoring_wants_it(messenger, site, monkeypatch, found, status, said):
    monkeypatch.setattr(doctor, "_all", lambda *_, **__: found)

    done = messenger("doctor", "--quiet", "--config", site / "messenger.toml")

    assert done.status == status
    assert done.out.startswith(said)
    assert (done.out == "") == (status == 0)


def test_an_option_that_needs_another_says_so(messenger, site):
    assert messenger("doctor", "--smtp", "127.0.0.1:25", "--config", site / "messenger.toml").status == 64


def test_which_ends_are_here_is_told_by_what_lies_here(host):
    found = host.config
    assert doctor.role_of(found) is Role.MESSENGER

    found.gateway.policy.write_text("")
    assert doctor.role_of(found) is Role.BOTH
    # Lost keys make no other host of it.
    found.tunnel.recipient_keys[0].unlink()
    assert doctor.role_of(found) is Role.BOTH
    shutil.rmtree(found.mail.root)
    assert doctor.role_of(found) is Role.GATEWAY


def test_the_postfix_is_the_one_that_gets_our_mail(site):
    text = (site / "messenger.toml").read_text()
    words = '["/usr/sbin/sendmail", "-C", "/etc/postfix-out"]'
    (site / "messenger.toml").write_text(text.replace('sendmail = ["/usr/sbin/sendmail"]', f"sendmail = {words}", 1))

    assert doctor.postfix_of(config.load(site / "messenger.toml"), Role.MESSENGER) == Path("/etc/postfix-out")


# Checks apart


def test_a_check_that_hangs_breaks_or_dies_keeps_none_from_being_told(host):
    def hang(_):
        time.sleep(60)

    def break_(_):
        raise ZeroDivisionError("by zero")

    def die(_):
        os._exit(1)

    def missing(_):
        return Path("/nowhere/at/all").read_text()

    checks = [
        Check("hangs", hang),
        Check("slow", hang, late=Level.WARN),
        Check("breaks", break_),
        Check("dies", die),
        Check("misses", missing),
        Check("long", lambda _: [ok("long", "x" * 200_000)]),
        *(Check(f"fine {number}", lambda _, number=number: [ok(f"fine {number}", "well")]) for number in range(12)),
    ]
    begun = time.monotonic()

    found = list(doctor_apart.run(checks, host, seconds=0.7))

    assert time.monotonic() - begun < 4
    assert [only(one).check for one in found] == [check.name for check in checks]
    assert levels(map(only, found)) == ["FAIL", "WARN", "FAIL", "FAIL", "FAIL", *["OK"] * 13]
    assert "0.7 seconds" in only(found[0]).text
    assert "ZeroDivisionError" in only(found[2]).text
    assert only(found[4]).text == "/nowhere/at/all: No such file or directory"
    assert len(only(found[5]).text) == 200_000


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_who_may_not_look_is_told_so_and_not_that_it_is_broken(host):
    def as_nobody(look):
        def looked(host):
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            yield from look(host)

        return looked

    looks = (
        doctor_files.look_at_keys,
        doctor_files.look_at_folders,
        doctor_certificates.look,
        doctor_certificates.look_at_both_ends,
        doctor_queues.look_at_pdfs,
        doctor_queues.look_at_held,
        doctor_accounts.look_at_database,
        doctor_accounts.look_at_quota,
    )
    host.settings.parent.chmod(0o700)

    found = list(doctor_apart.run([Check(str(look), as_nobody(look)) for look in looks], host))

    assert [levels(one) for one in found] == [["SKIP"]] * len(looks)


# Disk, clock, certificates


def test_room_and_inodes_are_told_before_they_are_gone(host):
    def disk(**changed):
        return doctor_disk.Disk(**{"path": Path("/m"), "free_octets": 10**9, "free": 50, "free_inodes": 50} | changed)

    assert doctor_disk.judge(disk()) == []
    assert levels(doctor_disk.judge(disk(free=9.9))) == ["WARN"]
    assert levels(doctor_disk.judge(disk(free=2.0, free_inodes=1.0))) == ["FAIL", "FAIL"]
    assert "inodes" in only(doctor_disk.judge(disk(free_inodes=1.0))).mend
    assert "read-only" in only(doctor_disk.judge(disk(read_only=True))).text
    assert len(list(doctor_disk.probe(iter([host.settings.parent, host.config.mail.root, Path("/nowhere")])))) == 1


def test_a_clock_that_nobody_sets_is_a_warning():
    assert [doctor_clock.judge(state).level for state in (0, 5, None)] == [Level.OK, Level.WARN, Level.SKIP]
    assert doctor_clock.probe() in (None, *range(6))


def test_certificates_are_told_sixty_days_before_they_end(host):
    path = host.config.tunnel.recipient_certificates[0]
    one = doctor_certificates.dated(path, "recipient")
    older = doctor_certificates.dated(path, "recipient", older=True)

    def level(found, now):
        return doctor_certificates.judge(found, now).level

    assert level(one, one.ends - 61 * DAY) is Level.OK
    assert level(one, one.ends - 59 * DAY) is level(older, one.ends + 1) is Level.WARN
    assert level(one, one.ends + 1) is level(one, one.begins - 1) is Level.FAIL
    assert one.mark[:16] in doctor_certificates.judge(one, NOW).text
    assert doctor_certificates.judge(older, one.ends + 1).mend == f"messenger tunnel retire {one.mark[:16]}"
    assert levels(doctor_certificates.look(host)) == ["OK", "OK"]


def test_two_ends_that_mean_different_certificates_are_told(host, site):
    both = host_of(site, Role.BOTH)
    assert levels(doctor_certificates.look_at_both_ends(host)) == ["SKIP"]
    assert levels(doctor_certificates.look_at_both_ends(both)) == ["OK", "OK"]

    sender, recipient = both.config.gateway.sender_certificate, both.config.gateway.recipient_certificate
    keys = {"recipient_certificate": sender, "sender_key": both.config.tunnel.recipient_keys[0]}
    changes = {("gateway", key): str(path) for key, path in keys.items()}
    settings_file.rewrite(both.settings, changes, datetime.now(UTC))
    signs, encrypts, half = doctor_certificates.look_at_both_ends(host_of(site, Role.BOTH))

    assert [signs.level, encrypts.level, half.level] == [Level.OK, Level.FAIL, Level.FAIL]
    assert "all its mail is refused" in encrypts.text
    assert f"is not the key of {sender}" in half.text
    assert recipient.exists()
    judged = doctor_certificates.judge_ends("signs with", sender, "aa", ["bb"])
    assert judged.mend == f"messenger tunnel import {sender} && systemctl reload messenger-milter"


# Accounts and mailboxes


def test_a_database_is_sound_missing_or_damaged(host):
    path = host.config.accounts.database
    missing = only(doctor_accounts.look_at_database(host))
    with sqlite3.connect(path) as db:
        db.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY, x); CREATE INDEX i ON a (x);")
        db.executemany("INSERT INTO a (x) VALUES (?)", [("x" * 500,)] * 200)
    db.close()
    sound = only(doctor_accounts.look_at_database(host))
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    damaged = only(doctor_accounts.look_at_database(host))
    path.write_bytes(b"no database at all" * 100)
    none = only(doctor_accounts.look_at_database(host))

    assert [one.level for one in (missing, sound, damaged, none)] == [Level.WARN, Level.OK, Level.FAIL, Level.FAIL]
    assert "restore it from the backup" in damaged.mend


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_database_that_its_service_cannot_use_is_broken_and_not_passed_by(host):
    path = host.config.accounts.database
    path.touch()
    os.chown(path.parent, 1, 1)

    found = only(doctor_accounts.look_at_database(host))

    assert found.level is Level.FAIL
    assert "chown daemon:" in found.text


def test_mailboxes_that_are_nearly_full_are_named(host, site):
    (site / "messenger.toml").write_text(
        (site / "messenger.toml").read_text().replace('quota = "2 GB"', "quota = 1000")
    )
    host.config.accounts.database.touch()
    for number, octets in enumerate((100, 950, 1200)):
        mailbox_of(host.config.mail.root, f"p{number}@example.net").deliver(b"x" * octets, f"{number:064x}")

    found = only(doctor_accounts.look_at_quota(host_of(site)))

    assert found.level is Level.WARN
    assert found.text.startswith("3 mailboxes: 2 filled to 90 % or more: p2@example.net 120 %, p1@example.net 95 %; ")
    assert "mail to 1 of them is refused" in found.text
    assert doctor_accounts.judge_quota({}, 1).level is Level.OK


# What waits


def mails(count, age, reason=""):
    return [doctor_queues.Waiting(f"Q{number}", NOW - age, ("anna@example.net",), reason) for number in range(count)]


@pytest.mark.parametrize(
    ("waiting", "level"),
    [
        ([], "OK"),
        (mails(50, 60), "OK"),
        (mails(2, 3 * HOUR, "mailbox full"), "OK"),
        (mails(2, 5 * HOUR, "mailbox full"), "WARN"),
        (mails(10, 2 * HOUR, "no route to host"), "FAIL"),
    ],
)
def test_many_notices_that_wait_are_worse_than_one_that_nobody_takes(waiting, level):
    found = doctor_queues.judge_notices(waiting, NOW)

    assert found.level.value == level
    assert not waiting or waiting[0].reason in found.text


def test_tunnel_mail_past_the_milter_or_stuck_at_the_gateway_is_broken():
    assert doctor_queues.judge_past([]).level is Level.OK
    assert "1 tunnel mail came in past the milter" in doctor_queues.judge_past(mails(1, 1)).text
    assert doctor_queues.judge_tunnel("w@example.org", mails(3, 60), NOW).level is Level.OK
    stuck = doctor_queues.judge_tunnel("w@example.org", mails(3, HOUR, "refused"), NOW)
    assert (stuck.level, "refused" in stuck.text) == (Level.FAIL, True)


def test_pdfs_held_notices_and_receipts_that_lie_too_long_are_told(host):
    spool, held = host.config.pdf.spool, host.config.intake.ledger / "held"
    receipts = host.config.mail.root / ".receipts"
    for folder in (spool / "new", spool / "failed", held, receipts):
        folder.mkdir(parents=True)
    for path, age in ((spool / "new" / "a", 3 * HOUR), (held / "x.kept", 3 * HOUR), (held / "y.told", 9 * HOUR),
                      (receipts / "k", 2 * HOUR), (spool / "failed" / "b", 0)):  # fmt: skip
        path.touch()
        os.utime(path, (host.now - age, host.now - age))

    stuck, given_up = doctor_queues.look_at_pdfs(host)
    notice, read = only(doctor_queues.look_at_held(host)), only(doctor_queues.look_at_receipts(host))

    assert [stuck.level, given_up.level, notice.level, read.level] == [Level.FAIL, *[Level.WARN] * 3]
    assert stuck.text == "1 PDF to be made, the oldest for 3 hours; nobody makes them"
    assert given_up.mend.startswith("messenger pdf list")
    assert notice.text.startswith("1 notice to be sent, the oldest for 3 hours: messenger-milter")
    assert read.text.startswith("1 receipt to be sent, the oldest for 2 hours: messenger-reader")
    assert levels(doctor_queues.judge_pdfs([20 * 60], 0)) == ["WARN"]
    assert span(59) == "59 seconds"


# Services


def test_a_policy_that_is_wrong_is_told_as_gateway_check_tells_it(host):
    said = [("wrong", "gateway.toml, line 3: no rule"), ("look at", "nobody is protected"), ("ok", "sender.pem")]

    wrong, look = doctor_services.judge_policy(said)

    assert (wrong.level, look.level) == (Level.FAIL, Level.WARN)
    assert levels(doctor_services.judge_policy([("ok", "gateway.toml: 1 rule"), ("ok", "x")])) == ["OK"]


def test_what_a_service_says_of_itself_becomes_one_line():
    good = doctor_services.judge_service("messenger-milter --check", "messenger-milter", 0, "a\nin order.\n")
    bad = doctor_services.judge_service("messenger-milter --check", "", 78, "no key\nno spool\n")

    assert (good.level, good.text) == (Level.OK, "as messenger-milter: in order.")
    assert (bad.level, bad.text, bad.mend) == (Level.FAIL, "no key; no spool", "messenger-milter --check")
