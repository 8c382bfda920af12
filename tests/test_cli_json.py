"""What setup, tunnel and gateway tell a script: one object on standard output, and nothing else there."""

import json
import subprocess
import sys

import pytest
from click import Command, Group

from messenger import config
from messenger.cli.main import commands
from messenger.tunnel import fingerprint, key_sealing, load_certificate

from .cli_fixtures import made_site_fixture, messenger_fixture, setup_words, site_fixture  # noqa: F401
from .setup_fixtures import no_users_fixture  # noqa: F401

#: Their output is a mail, a page or a program's own.
OTHERWISE = {"tunnel wrap", "message show", "pdf make"}


def leaves(command: Command, name: str = "") -> dict[str, Command]:
    if not isinstance(command, Group):
        return {name.strip(): command}
    return {k: v for sub, inner in command.commands.items() for k, v in leaves(inner, f"{name} {sub}").items()}


def test_every_command_speaks_to_scripts():
    silent = {name for name, one in leaves(commands).items() if not any("--json" in param.opts for param in one.params)}

    assert silent == OTHERWISE


def test_setup_tells_a_script_whether_it_changed_something(messenger, tmp_path):
    first = messenger(*setup_words(tmp_path), "--json")
    again = messenger(*setup_words(tmp_path), "--json")
    asking = messenger("setup", "--json", "--config", tmp_path / "messenger.toml")

    one, two = json.loads(first.out), json.loads(again.out)
    assert (first.status, again.status, asking.status) == (0, 0, 64)
    assert one["settings"] == str(tmp_path / "messenger.toml")
    assert (one["role"], one["mode"], two["done"]) == ("messenger", "tunnel", [])
    assert f"wrote {tmp_path / 'messenger.toml'}" in one["done"]


def test_a_setup_that_fails_half_way_still_tells_what_it_did(messenger, tmp_path):
    done = messenger(
        *setup_words(tmp_path / "s"), "--json", "--apply", "--postfix-config", tmp_path / "nowhere"
    )  # fmt: skip

    assert done.status == 69
    assert len(json.loads(done.out)["done"]) > 5


def test_a_gateways_end_is_made_by_two_scripts(messenger, site, tmp_path, monkeypatch):
    monkeypatch.setattr(key_sealing, "ROUNDS", 1000)
    (tmp_path / "pw").write_text("correct horse battery\n")
    words = ("--bundle-password-file", tmp_path / "pw", "--json")
    made = messenger("tunnel", "bundle", "--config", site / "messenger.toml", "--out", tmp_path / "b.json", *words)
    taken = messenger(
        "setup", "--non-interactive", "--role", "gateway", "--config", tmp_path / "g" / "messenger.toml",
        "--bundle", tmp_path / "b.json", "--fingerprint", json.loads(made.out)["fingerprint"], *words,
    )  # fmt: skip

    assert (made.status, taken.status) == (0, 0), made.err + taken.err
    assert json.loads(taken.out)["role"] == "gateway"


def test_certificates_and_the_policy_are_changed_by_scripts(messenger, site, tmp_path):
    settings = ("--config", site / "messenger.toml", "--json")
    mine = site / "keys" / "webmail-recipient.pem"
    exported = messenger("tunnel", "export", "--recipient-certificate", tmp_path / "r.pem", *settings)
    messenger(*setup_words(tmp_path / "other"))
    other = tmp_path / "other" / "keys" / "webmail-sender.pem"
    pinned, again = (json.loads(messenger("tunnel", "import", other, *settings).out) for _ in range(2))
    retired = json.loads(messenger("tunnel", "retire", pinned["fingerprint"], *settings).out)
    told = json.loads(messenger("gateway", "set", "otp_enabled", "yes", "--user", "a@b.example", *settings).out)
    back, twice = (
        json.loads(messenger("gateway", "unset", "otp_enabled", "--user", "a@b.example", *settings).out)
        for _ in range(2)
    )
    checked = messenger("gateway", "check", *settings)

    assert json.loads(exported.out)["written"][0]["fingerprint"] == fingerprint(load_certificate(mine))
    assert (pinned["changed"], again["changed"]) == (True, False)
    assert retired["fingerprint"] == pinned["fingerprint"] == fingerprint(load_certificate(other))
    assert (told["value"], told["before"], told["changed"]) == (True, None, True)
    assert (back["value"], back["before"], back["changed"], twice["changed"]) == (None, True, True, False)
    assert json.loads(checked.out)["ok"] is (checked.status == 0)


@pytest.mark.parametrize("words", [("import",), ("retire",)])
def test_of_two_changes_to_the_certificates_at_once_none_is_lost(messenger, site, tmp_path, words):
    others = []
    for name in ("a", "b"):
        messenger(*setup_words(tmp_path / name))
        others.append(tmp_path / name / "keys" / "webmail-sender.pem")
    settings = site / "messenger.toml"
    if words == ("retire",):
        messenger("tunnel", "import", others[0], "--config", settings)
        given = [fingerprint(load_certificate(path)) for path in config.load(settings).tunnel.sender_certificates]
    else:
        given = [str(path) for path in others]
    program = [sys.executable, "-c", "from messenger.cli import main; main()"]
    running = [
        subprocess.Popen(
            [*program, "tunnel", *words, one, "--config", str(settings)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for one in given
    ]

    # The last one stays, whoever comes second.
    assert sorted(one.wait(60) for one in running) == ([0, 0] if words == ("import",) else [0, 65])
    assert len(config.load(settings).tunnel.sender_certificates) == (3 if words == ("import",) else 1)
