"""``messenger gateway`` set, unset, show, check."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from messenger.gateway.policy import parse
from messenger.gateway.policy_file import PolicyFile

from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401

ANNA = "anna@mail.partner.example"
POSTMAP = shutil.which("postmap") or "/usr/sbin/postmap"
TEXT = f"""\
# What we owe our partners
[domain."*.partner.example"]   # all of them
encrypt_mode = "mandatory"

[user."{ANNA}"]
otp_enabled = true

[[rule]]
name = "secure"
result = "mandatory"
subject = ["[secure]"]

[global]
enabled = true
"""


@pytest.fixture
def policy(site) -> Path:
    return site / "gateway.toml"


@pytest.fixture
def gateway(messenger, site):
    return lambda *words: messenger("gateway", *words, "--config", site / "messenger.toml")


def in_another_process(site, *words, before="pass"):
    program = f"import os, signal, sys\nfrom pathlib import Path\n{before}\nfrom messenger.cli import main\nmain()\n"
    return subprocess.Popen(
        [sys.executable, "-c", program, "gateway", *words, "--config", str(site / "messenger.toml")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_set_makes_the_policy_and_changes_it_keeping_comments_and_the_old_one(gateway, policy):
    first = gateway("set", "enabled", "yes")
    assert (first.status, policy.read_text()) == (0, "[global]\nenabled = true\n")
    assert first.out == f"global: enabled is true (before: not set)\nwrote {policy}\n"
    assert policy.stat().st_mode & 0o777 == 0o644
    policy.write_text(TEXT)
    policy.chmod(0o640)

    done = gateway("set", "encrypt_mode", "force", "--domain", "*.PARTNER.example")
    again = gateway("set", "encrypt_mode", "force", "--domain", "*.partner.example")

    assert policy.read_text() == TEXT.replace('"mandatory"\n\n[user', '"force"\n\n[user')
    assert done.out.startswith("domain *.partner.example: encrypt_mode is force (before: mandatory)\n")
    assert again.out == "domain *.partner.example: encrypt_mode is force already\n"
    backups = [path for path in policy.parent.iterdir() if path.name.startswith("gateway.toml.")]
    assert [path.read_text() for path in backups] == [TEXT]
    assert f"changed {policy}; the old one is {backups[0]}" in done.out
    assert policy.stat().st_mode & 0o777 == 0o640


def test_unset_takes_it_back(gateway, policy):
    policy.write_text(TEXT)

    gateway("set", "read_receipt", "on", "--user", "Bob@BÜCHER.example")
    done = gateway("unset", "read_receipt", "--user", "<bob@xn--bcher-kva.example>")
    never = gateway("unset", "read_receipt", "--user", "bob@bücher.example")

    assert policy.read_text() == TEXT
    assert done.out.startswith("user bob@xn--bcher-kva.example: read_receipt is not set (before: true)\n")
    assert (never.status, never.out) == (0, "user bob@xn--bcher-kva.example: read_receipt is not set there\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "enable", "yes"), "enable: unknown setting; did you mean enabled?"),
        (("set", "encrypt-mode", "force"), "did you mean encrypt_mode?"),
        (("set", "encrypt_mode", "mandatry"), "did you mean mandatory?"),
        (("set", "enabled", "maybe"), 'expected yes or no (true or false), found "maybe"'),
        (("set", "webmail_sender", "nobody"), 'a mail address, or "" for that of [tunnel], found "nobody"'),
        (("set", "enabled", "yes", "--domain", "*"), "what holds for all stands in [global]"),
        (("set", "enabled", "yes", "--user", "anna"), 'expected an address such as "anna@example.com"'),
        (("set", "enabled", "yes", "--user", ANNA, "--global"), "name one of --global, --domain and --user"),
        (("unset", "enable"), "did you mean enabled?"),
        (("show", "--user", ANNA, "--to", ANNA), "name --from and --to, or --domain, or --user"),
        (("show", "--domain", "a b"), "expected a domain such as"),
    ],
)
def test_what_cannot_be_is_refused_and_the_near_one_named(gateway, policy, words, said):
    policy.write_text(TEXT)

    done = gateway(*words)

    assert (done.status, done.out) == (64, "")
    assert said in done.err
    assert policy.read_text() == TEXT


def test_a_policy_with_errors_is_left_as_it_is_and_each_line_is_named(gateway, policy):
    policy.write_text("[global]\nenabled = 1\n[domain.x]\nencript_mode = 2\n")

    for words in (("set", "read_receipt", "yes"), ("unset", "enabled"), ("show",)):
        done = gateway(*words)
        assert done.status == 78
        assert "line 2: [global] enabled: expected true or false, found 1\n" in done.err
        assert 'line 4: [domain."x"] encript_mode: unknown setting; did you mean encrypt_mode?\n' in done.err
    assert list(policy.parent.glob("gateway.toml.*")) == []
    policy.unlink()
    assert "make one by `messenger gateway set`" in gateway("show").err


def test_show_names_the_value_and_the_origin_of_each_setting(gateway, policy):
    policy.write_text(TEXT)

    pair = gateway("show", "--from", "bob@example.com", "--to", f"<{ANNA.upper()}>")
    as_json = json.loads(gateway("show", "--to", ANNA, "--json").out)
    domain = json.loads(gateway("show", "--domain", "x.partner.example", "--json").out)
    user = gateway("show", "--user", ANNA)

    lines = [line.split(maxsplit=2) for line in pair.out.splitlines()]
    assert lines[:4] == [
        ["setting", "value", "origin"],
        ["enabled", "true", "global"],
        ["encrypt_mode", "mandatory", "domain *.partner.example"],
        ["only_if_mandatory", "true", "factory"],
    ]
    assert ["otp_enabled", "true", f"user {ANNA}"] in lines
    assert ["webmail_recipient", "webmail@webmail.example.com", "factory"] in lines
    assert "encrypt_mode of the sender: allow (factory)\n" in pair.out
    assert as_json["encrypt_mode"]["recipient"] == {"value": "mandatory", "origin": "domain *.partner.example"}
    assert {"name": "otp_enabled", "value": True, "origin": f"user {ANNA}"} in as_json["settings"]
    assert domain["domain"] == "x.partner.example"
    assert {"name": "encrypt_mode", "value": "mandatory", "origin": "domain *.partner.example"} in domain["settings"]
    assert {"name": "otp_enabled", "value": False, "origin": "factory"} in domain["settings"]
    assert f"user {ANNA}\n" in user.out


def test_show_with_nothing_named_shows_all_that_is_said(gateway, policy):
    policy.write_text(TEXT)

    assert [line.split() for line in gateway("show").out.splitlines()] == [
        ["where", "what", "value"],
        ["global", "enabled", "true"],
        ["domain", "*.partner.example", "encrypt_mode", "mandatory"],
        ["user", ANNA, "otp_enabled", "true"],
        ["rule", "secure", "mandatory"],
    ]
    assert json.loads(gateway("show", "--json").out) == {
        "global": {"enabled": True},
        "domains": {"*.partner.example": {"encrypt_mode": "mandatory"}},
        "users": {ANNA: {"otp_enabled": True}},
        "rules": [{"name": "secure", "result": "mandatory"}],
    }


def test_a_webmail_recipient_without_a_certificate_is_set_with_a_warning(gateway, site):
    other = "other@portal.example"
    bare = gateway("set", "webmail_recipient", other)
    ours = gateway("set", "webmail_recipient", "")
    settings = site / "messenger.toml"
    settings.write_text(settings.read_text().replace('more_recipients = ""', 'more_recipients = "more"'))
    (site / "more").mkdir()
    missing = gateway("set", "webmail_recipient", other, "--user", ANNA)
    shutil.copy(site / "keys/webmail-recipient.pem", site / "more" / f"{other}.pem")
    there = gateway("set", "webmail_recipient", other, "--domain", "a.example")

    assert [done.status for done in (bare, ours, missing, there)] == [0, 0, 0, 0]
    assert "name that [gateway] more_recipients" in bare.err
    assert f"{other}.pem" in missing.err
    assert (ours.err, there.err) == ("", "")


def test_check_says_of_each_thing_whether_it_is_there_and_how_to_mend_it(gateway, site, policy):
    nothing = gateway("check")
    assert nothing.status == 78
    assert "wrong    " in nothing.out
    assert "no policy there" in nothing.out
    policy.write_text(TEXT)
    fine = gateway("check")
    policy.write_text(TEXT + 'webmail_recipient = "other@portal.example"\n')
    settings = site / "messenger.toml"
    settings.write_text(
        settings.read_text()
        .replace("tables = []", 'tables = ["texthash:/nonexistent"]')
        .replace('sender_keys = ""', 'sender_keys = "nowhere"')
    )
    (site / "keys/webmail-sender.key").unlink()

    done = gateway("check")

    assert fine.status == 0, fine.out
    assert "1 domain, 1 user, 1 rule\n" in fine.out
    assert "webmail-sender.pem: valid to " in fine.out
    assert "of the webmail recipient webmail@webmail.example.com\n" in fine.out
    assert done.status == 78
    wrong = [line for line in done.out.splitlines() if line.startswith("wrong")]
    for words in ("webmail-sender.key", "other@portal.example", "texthash:/nonexistent: can't be asked", "nowhere"):
        assert any(words in line for line in wrong), (words, done.out)


def test_check_points_out_a_policy_that_refuses_all_or_asks_for_nothing(gateway, policy):
    policy.write_text(TEXT.replace("enabled = true", "enabled = false"))
    refuses = gateway("check")
    policy.write_text("[global]\nenabled = true\n")
    asks = gateway("check")

    assert (refuses.status, asks.status) == (0, 0)
    assert "all such mail is refused" in refuses.out
    assert "no mail must be protected" in asks.out


@pytest.mark.skipif(not Path(POSTMAP).exists(), reason="no Postfix here")
def test_show_asks_the_tables_of_postfix(gateway, site, policy, monkeypatch):
    (site / "main.cf").write_text("compatibility_level = 3.6\n")
    monkeypatch.setenv("MAIL_CONFIG", str(site))
    (site / "people").write_text(f"{ANNA} enabled=no read_receipt=yes\n")
    settings = site / "messenger.toml"
    settings.write_text(settings.read_text().replace("tables = []", f'tables = ["texthash:{site}/people"]'))
    policy.write_text(TEXT)

    shown = gateway("show", "--to", ANNA)
    (site / "people").unlink()
    broken = gateway("show", "--to", ANNA)

    assert f"user {ANNA} (texthash:{site}/people)\n" in shown.out
    assert broken.status == 75
    assert "can't be asked" in broken.err


def test_killed_in_the_middle_of_set_leaves_the_old_policy_and_the_next_one_cleans_up(gateway, site, policy):
    policy.write_text(TEXT)
    # Everything is written, and nothing is in its place yet.
    killing = "Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"

    killed = in_another_process(site, "set", "enabled", "no", before=killing)
    killed.communicate()

    assert killed.returncode == -9
    assert policy.read_text() == TEXT
    assert list(site.glob(".gateway.toml.*"))
    assert gateway("set", "enabled", "no").status == 0
    assert parse(policy.read_text(), policy).everywhere == {"enabled": False}
    assert not list(site.glob(".gateway.toml.*"))


def test_several_sets_at_once_are_all_done_and_a_running_gateway_takes_them_over(site, policy):
    policy.write_text(TEXT)
    file = PolicyFile(policy)
    assert "u0@a.example" not in file.current(time.time()).users

    several = [in_another_process(site, "set", "enabled", "yes", "--user", f"u{n}@a.example") for n in range(3)]
    for one in several:
        assert one.wait() == 0, one.communicate()

    assert set(file.current(time.time() + 2).users) == {ANNA, *(f"u{n}@a.example" for n in range(3))}
    assert policy.read_text().startswith(TEXT)
