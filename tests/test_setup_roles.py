"""messenger setup --role: each host gets what its end of the tunnel needs, and nothing of the other end."""

import errno
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from messenger import config
from messenger.cli import bundle as bundles
from messenger.cli import places
from messenger.cli.tunnel_files import recipient_certificate, sender_key, tunnel_keys
from messenger.gateway.policy import parse
from messenger.tunnel import fingerprint, key_sealing, load_certificate, load_sender_key

from .cli_fixtures import MAIL, made_site_fixture, messenger_fixture, setup_words, site_fixture  # noqa: F401
from .setup_fixtures import assert_complete, contents, no_users_fixture  # noqa: F401
from .test_setup_trouble import stop_at
from .test_setup_users import Users, ownership, users  # noqa: F401

PROGRAM = [sys.executable, "-c", "from messenger.cli import main; main()"]


@pytest.fixture(scope="module", name="made")
def made_fixture(made_site, tmp_path_factory) -> Path:
    """A bundle of *made_site*: ``b.json``, its passphrase in the file ``pw``, its fingerprint in ``mark``."""
    folder = tmp_path_factory.mktemp("bundle")
    settings = config.load(made_site / "messenger.toml")
    (folder / "pw").write_text("correct horse battery\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(key_sealing, "ROUNDS", 1000)  # each run opens it once
        data = bundles.make(settings, sender_key(settings), recipient_certificate(settings), b"correct horse battery")
    (folder / "b.json").write_bytes(data)
    (folder / "mark").write_text(bundles.groups(data))
    return folder


@pytest.fixture(name="bundle")
def bundle_fixture(made, tmp_path) -> Path:
    for path in made.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / "b.json"


def renewed_bundle(messenger, site, out: Path) -> None:
    done = messenger(
        "tunnel", "bundle", "--config", site / "messenger.toml", "--out", out, "--force",
        "--bundle-password-file", out.parent / "pw",
    )  # fmt: skip
    assert done.status == 0, done.err
    (out.parent / "mark").write_text(done.out.rpartition(": ")[2].strip())


def gateway_words(bundle: Path, folder: Path, /, **changed: object) -> list[object]:
    options = {
        "role": "gateway",
        "config": folder / "messenger.toml",
        "bundle": bundle,
        "bundle-password-file": bundle.parent / "pw",
        "fingerprint": (bundle.parent / "mark").read_text(),
    } | {name.replace("_", "-"): value for name, value in changed.items()}
    given = {name: value for name, value in options.items() if value is not None}
    return ["setup", "--non-interactive", *(word for name, value in given.items() for word in (f"--{name}", value))]


def assert_gateway(folder: Path, site: Path) -> None:
    """A gateway can start there, and works with the keys that Messenger's end has now."""
    settings, theirs = config.load(folder / "messenger.toml"), config.load(site / "messenger.toml")
    pair = load_sender_key(settings.gateway.sender_certificate, settings.gateway.sender_key)
    assert pair.certificate == sender_key(theirs).certificate
    assert load_certificate(settings.gateway.recipient_certificate) == tunnel_keys(theirs).recipients[0].certificate
    assert parse(settings.gateway.policy.read_text(), settings.gateway.policy).everywhere == {"enabled": True}
    assert settings.site == theirs.site
    assert settings.tunnel.webmail_recipient == theirs.tunnel.webmail_recipient
    assert settings.notice.mail_from == theirs.notice.mail_from
    assert not [path for path in folder.rglob(".*") if path.is_file()], "a draft was left behind"


def opened(messenger, site: Path, wrapped_at: Path) -> str:
    """Wrap a mail at one end, open it at the other; say what became of it."""
    tunnel_mail = messenger(
        "tunnel", "wrap", "-", "--to", "anna@example.net", "--config", wrapped_at / "messenger.toml", given=MAIL
    ).out
    return messenger("tunnel", "open", "-", "--config", site / "messenger.toml", given=tunnel_mail.encode()).out


def test_a_gateway_gets_what_it_needs_and_no_key_of_messengers(messenger, site, bundle, tmp_path):
    done = messenger(*gateway_words(bundle, tmp_path / "g"))

    assert done.status == 0, done.err
    assert_gateway(tmp_path / "g", site)
    assert {path.name for path in (tmp_path / "g" / "keys").iterdir()} == {
        "webmail-sender.pem", "webmail-sender.key", "webmail-recipient.pem",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "g" / "state").iterdir()} == {"gateway", "observed"}
    assert (tmp_path / "g" / "keys" / "webmail-sender.key").stat().st_mode & 0o777 == 0o600
    assert not any(path.name in ("mail", "ledger", "accounts") for path in (tmp_path / "g").rglob("*"))
    checked = messenger("gateway", "check", "--config", tmp_path / "g" / "messenger.toml")
    assert checked.status == 0, checked.out + checked.err
    assert "verdict:    accepted" in opened(messenger, site, tmp_path / "g")


def test_the_second_time_a_gateway_needs_no_bundle_and_changes_nothing(messenger, bundle, tmp_path):
    messenger(*gateway_words(bundle, tmp_path / "g"))
    before = contents(tmp_path / "g")

    same = messenger(*gateway_words(bundle, tmp_path / "g"))
    bare = messenger("setup", "--non-interactive", "--config", tmp_path / "g" / "messenger.toml")

    assert (same.status, bare.status) == (0, 0)
    assert all("nothing to change" in done.out for done in (same, bare))
    assert contents(tmp_path / "g") == before


@pytest.mark.parametrize(
    ("changed", "status", "named"),
    [
        ({"fingerprint": "0" * 32}, 65, "expected the fingerprint"),
        ({"fingerprint": None}, 64, "--fingerprint is needed"),
        ({"bundle": None}, 64, "--bundle is needed"),
        ({"bundle_password_file": None}, 64, "--bundle-password-file is needed"),
        ({"bundle_password_file": "/dev/null"}, 65, "doesn't open the key"),
        ({"bundle": "/dev/null"}, 65, "expected JSON"),
        ({"bundle": "/nonexistent"}, 66, "/nonexistent"),
        ({"messenger_host": "a b"}, 64, "--messenger-host: expected HOST"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_nobody_vouches_for_is_refused_and_nothing_is_written(messenger, bundle, tmp_path, changed, status, named):
    done = messenger(*gateway_words(bundle, tmp_path / "g", **changed))

    assert done.status == status, done.err
    assert named in done.err
    assert not (tmp_path / "g").exists()


def test_a_person_compares_the_fingerprint_and_may_mistype_the_passphrase(messenger, site, bundle, tmp_path):
    words = ["setup", "--config", tmp_path / "g" / "messenger.toml"]
    mark = (tmp_path / "mark").read_text()

    no = messenger(*words, given=f"gateway\n{bundle}\nn\n".encode())
    left = (tmp_path / "g").exists()
    yes = messenger(*words, given=f"gateway\n{bundle}\ny\ncorrect horse\ncorrect horse battery\n".encode())

    assert (no.status, left) == (65, False)
    assert yes.status == 0, yes.err
    assert f"fingerprint {mark}" in no.out
    assert "https://webmail.example.com, own domains example.com" in no.out
    assert "passphrase doesn't open the key" in yes.err
    assert_gateway(tmp_path / "g", site)


def test_messengers_end_writes_the_bundle_once_and_shows_its_passphrase_once(messenger, tmp_path):
    done = messenger(*setup_words(tmp_path / "m", role="messenger"))
    before = contents(tmp_path / "m")
    again = messenger(*setup_words(tmp_path / "m", role="messenger"))

    file = tmp_path / "m" / "gateway-bundle.json"
    (tmp_path / "pw").write_text(done.err.rpartition(": ")[2])
    mark = done.out.rpartition(": ")[2].strip()
    arrived = messenger(
        "setup", "--non-interactive", "--role", "gateway", "--config", tmp_path / "g" / "messenger.toml",
        "--bundle", file, "--bundle-password-file", tmp_path / "pw", "--fingerprint", mark,
    )  # fmt: skip

    assert (done.status, again.status) == (0, 0)
    assert contents(tmp_path / "m") == before
    assert "passphrase" not in again.err
    assert arrived.status == 0, arrived.err
    assert_gateway(tmp_path / "g", tmp_path / "m")


def test_both_ends_on_one_host_need_one_run(messenger, tmp_path):
    done = messenger(*setup_words(tmp_path / "b", role="both"))
    again = messenger("setup", "--non-interactive", "--config", tmp_path / "b" / "messenger.toml")

    assert done.status == 0, done.err
    assert_complete(tmp_path / "b")
    assert_gateway(tmp_path / "b", tmp_path / "b")
    assert not (tmp_path / "b" / "gateway-bundle.json").exists()
    assert "nothing to change" in again.out
    assert messenger("gateway", "check", "--config", tmp_path / "b" / "messenger.toml").status == 0


def test_messenger_becomes_both_with_the_keys_it_has(messenger, site):
    messenger("setup", "--non-interactive", "--renew-tunnel", "--config", site / "messenger.toml")
    keys = contents(site / "keys")

    done = messenger("setup", "--non-interactive", "--role", "both", "--config", site / "messenger.toml")

    assert done.status == 0, done.err
    assert contents(site / "keys") == keys
    assert_gateway(site, site)
    assert config.load(site / "messenger.toml").gateway.sender_key.name == "webmail-sender-2.key"
    assert config.load(site / "messenger.toml").gateway.socket == str(site / "state" / "gateway" / "gateway.sock")


def test_a_role_that_would_break_what_is_there_is_refused(messenger, site, bundle, tmp_path):
    messenger(*gateway_words(bundle, tmp_path / "g"))
    messenger(*setup_words(tmp_path / "b", role="both"))
    before = contents(tmp_path)

    refused = [
        messenger(*gateway_words(bundle, site)),
        *(messenger(*setup_words(tmp_path / "g", role=role)) for role in ("messenger", "both")),
        messenger(*setup_words(tmp_path / "b", role="messenger")),
        messenger(*gateway_words(bundle, tmp_path / "b")),
        messenger("setup", "--non-interactive", "--renew-tunnel", "--config", tmp_path / "g" / "messenger.toml"),
        messenger(*setup_words(site, role="messenger", fingerprint="0" * 32)),
        messenger(*setup_words(site, role="messenger", messenger_host="x")),
    ]

    assert [done.status for done in refused] == [64] * len(refused)
    assert contents(tmp_path) == before
    assert "--role both" in refused[0].err
    assert "made at Messenger's end" in refused[5].err


def test_new_keys_reach_the_gateway_and_old_ones_are_accepted_meanwhile(messenger, site, bundle, tmp_path):
    messenger(*gateway_words(bundle, tmp_path / "g"))
    old = contents(tmp_path / "g" / "keys")

    renewed = messenger("setup", "--non-interactive", "--renew-tunnel", "--config", site / "messenger.toml")
    meanwhile = opened(messenger, site, tmp_path / "g")
    renewed_bundle(messenger, site, bundle)
    done = messenger(*gateway_words(bundle, tmp_path / "g", role=None))

    assert "messenger tunnel bundle" in renewed.out
    assert "accepted" in meanwhile
    assert done.status == 0, done.err
    assert "systemctl restart messenger-gateway" in done.out
    assert_gateway(tmp_path / "g", site)
    assert old.items() <= contents(tmp_path / "g" / "keys").items()
    assert "accepted" in opened(messenger, site, tmp_path / "g")
    oldest = config.load(site / "messenger.toml").tunnel.sender_certificates[-1]
    mark = fingerprint(load_certificate(oldest))
    assert messenger("tunnel", "retire", mark, "--config", site / "messenger.toml").status == 0
    assert "accepted" in opened(messenger, site, tmp_path / "g")


def test_on_one_host_renewing_takes_the_gateway_along(messenger, tmp_path):
    messenger(*setup_words(tmp_path, role="both"))

    done = messenger("setup", "--non-interactive", "--renew-tunnel", "--config", tmp_path / "messenger.toml")

    assert done.status == 0, done.err
    assert "systemctl restart messenger-milter messenger-reader messenger-gateway" in done.out
    assert config.load(tmp_path / "messenger.toml").gateway.sender_key.name == "webmail-sender-2.key"
    assert_gateway(tmp_path, tmp_path)


def test_a_policy_that_is_there_is_kept_and_its_errors_are_named(messenger, bundle, tmp_path):
    (tmp_path / "g").mkdir()
    (tmp_path / "g" / "gateway.toml").write_text("[global]\nenabeld = true\n")

    done = messenger(*gateway_words(bundle, tmp_path / "g"))

    assert done.status == 0, done.err
    assert "line 2" in done.out
    assert (tmp_path / "g" / "gateway.toml").read_text() == "[global]\nenabeld = true\n"


@pytest.mark.parametrize("step", range(1, 6))
def test_a_full_disk_at_each_file_leaves_a_gateway_that_the_next_run_finishes(
    messenger, site, bundle, tmp_path, monkeypatch, step
):
    with monkeypatch.context() as patch:
        count = stop_at(patch, step, OSError(errno.ENOSPC, "No space left on device"))
        failed = messenger(*gateway_words(bundle, tmp_path / "g"))

    done = messenger(*gateway_words(bundle, tmp_path / "g"))

    assert (failed.status, count[0]) == (73, step)
    assert done.status == 0, done.err
    assert_gateway(tmp_path / "g", site)
    assert len(list((tmp_path / "g" / "keys").iterdir())) == 3


def test_a_gateway_killed_at_any_moment_is_finished_by_the_next_run_of_two_at_once(messenger, site, bundle, tmp_path):
    killed = 0
    for number, delay in enumerate((0.5, 0.8, 1.1)):
        folder = tmp_path / f"g{number}"
        words = [*PROGRAM, *map(str, gateway_words(bundle, folder))]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL

        done = messenger(*gateway_words(bundle, folder))

        assert done.status == 0, done.err
        assert_gateway(folder, site)
    assert killed, "the machine was too quick for every kill"

    together = [subprocess.Popen([*PROGRAM, *map(str, gateway_words(bundle, tmp_path / "t"))],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]  # fmt: skip
    statuses = sorted(process.wait() for process in together)

    assert statuses in ([0, 0], [0, 75])
    assert_gateway(tmp_path / "t", site)


def test_keys_are_for_root_alone_whatever_the_host_is(messenger, bundle, tmp_path, users, monkeypatch):  # noqa: F811
    names = (*Users.NAMES, "messenger-gateway")
    monkeypatch.setattr(Users, "GROUPS", {name: 60_000 + number if number else 0 for number, name in enumerate(names)})
    users()

    messenger(*gateway_words(bundle, tmp_path / "g"))
    messenger(*setup_words(tmp_path / "b", role="both"))

    for folder in (tmp_path / "g", tmp_path / "b"):
        assert ownership(folder, "keys/webmail-sender.key") == ("root", "root", "0o600")
        assert ownership(folder, "state/observed") == ("service", "messenger-gateway", "0o700")
        assert ownership(folder, "state/gateway") == ("service", "postfix", "0o2750")
        assert ownership(folder, "gateway.toml") == ("root", "root", "0o644")
    assert ownership(tmp_path / "b", "keys/webmail-recipient.key") == ("root", "root", "0o600")


def test_users_that_are_missing_are_those_of_the_role():
    role = places.Role

    assert places.missing_users(role.GATEWAY) == ["messenger-gateway", "messenger"]
    assert "messenger-gateway" not in places.missing_users(role.MESSENGER)
    assert {"messenger-gateway", "messenger-milter"} <= set(places.missing_users(role.BOTH))
