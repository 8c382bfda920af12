"""messenger setup, stopped or hindered at any moment: nothing is half done, and the next run goes on."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time

import pytest

from messenger import config
from messenger.cli import files, postfix
from messenger.cli.tunnel_files import sender_key, tunnel_keys

from .cli_fixtures import messenger_fixture, setup_words  # noqa: F401
from .setup_fixtures import assert_complete, contents, no_users_fixture  # noqa: F401


class Killed(BaseException):
    """What a kill -9 is to the program: nothing after it runs."""


def stop_at(monkeypatch, step: int, error: BaseException) -> list[int]:
    """Let the *step*-th file be written, but not yet in its place, when *error* strikes."""
    count = [0]
    real = os.fsync

    def fsync(handle):
        if stat.S_ISREG(os.fstat(handle).st_mode):
            count[0] += 1
            if count[0] == step:
                raise error
        real(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    return count


@pytest.mark.parametrize("step", range(1, 9))
def test_a_full_disk_leaves_nothing_half_written_and_the_next_run_finishes(messenger, tmp_path, monkeypatch, step):
    with monkeypatch.context() as patch:
        stop_at(patch, step, OSError(errno.ENOSPC, "No space left on device"))
        failed = messenger(*setup_words(tmp_path))

    after = contents(tmp_path)
    done = messenger(*setup_words(tmp_path))

    assert failed.status == 73
    assert failed.err.startswith(f"messenger: {tmp_path}/")
    assert "No space left on device; make room there" in failed.err
    assert all(data is None or data for data in after.values()), "an empty file was left"
    assert done.status == 0, done.err
    assert_complete(tmp_path)


def test_an_error_strikes_at_each_file_setup_writes(messenger, tmp_path, monkeypatch):
    count = stop_at(monkeypatch, 99, Killed())

    messenger(*setup_words(tmp_path))

    assert count[0] == 8  # so the steps above are all of them


def test_a_kill_at_any_moment_leaves_a_site_that_the_next_run_finishes(messenger, tmp_path):
    program = [sys.executable, "-c", "from messenger.cli import main; main()"]
    killed = 0
    for number, delay in enumerate(x / 100 for x in range(20, 60, 5)):
        folder = tmp_path / str(number)
        process = subprocess.Popen([*program, *setup_words(folder)], stdout=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        keys = {path: path.read_bytes() for path in folder.glob("keys/*.pem")}

        done = messenger(*setup_words(folder))

        assert done.status == 0, done.err
        settings = config.load(folder / "messenger.toml")
        assert tunnel_keys(settings).recipients
        assert sender_key(settings)
        assert all(path.read_bytes() == data for path, data in keys.items())
    assert killed, "the machine was too quick for every kill"


def test_a_key_without_its_certificate_is_moved_aside_not_overwritten(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    key = tmp_path / "keys" / "webmail-recipient.key"
    orphan = key.read_bytes()
    (tmp_path / "keys" / "webmail-recipient.pem").unlink()
    (tmp_path / "messenger.toml").unlink()  # written last: a run that was killed left none

    done = messenger(*setup_words(tmp_path))

    assert done.status == 0
    assert (tmp_path / "keys" / "webmail-recipient.key.unused").read_bytes() == orphan
    assert_complete(tmp_path)


def test_drafts_of_a_killed_run_are_swept_and_nothing_else(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    drafts = [tmp_path / ".messenger.toml.0123abcd", tmp_path / "keys" / ".link.key.0123abcd"]
    kept = [tmp_path / ".gitignore", tmp_path / "keys" / "old.key.0123abcd"]
    for path in drafts + kept:
        path.write_text("x")

    messenger(*setup_words(tmp_path))

    assert not any(path.exists() for path in drafts)
    assert all(path.exists() for path in kept)


def test_a_lost_certificate_of_a_pair_in_use_is_a_question_for_the_backup(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    (tmp_path / "keys" / "webmail-sender.pem").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()}

    done = messenger(*setup_words(tmp_path))

    assert done.status == 78
    assert "restore the certificate from a backup or from the gateway" in done.err
    assert {path: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before


def test_setup_run_again_on_an_older_site_makes_the_key_that_it_lacks(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    (tmp_path / "keys" / "totp.key").unlink()
    settings = tmp_path / "messenger.toml"
    settings.write_text(
        "\n".join(line for line in settings.read_text().splitlines() if not line.startswith(("totp_", "require_")))
    )
    before = contents(tmp_path)

    done = messenger(*setup_words(tmp_path))

    assert done.status == 0, done.err
    assert f"made {tmp_path}/keys/totp.key" in done.out
    assert {path: contents(tmp_path)[path] for path in before} == before
    assert_complete(tmp_path)


def test_a_run_that_fails_says_what_it_did_before(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    (tmp_path / "keys" / "link.key").unlink()
    (tmp_path / "keys" / "webmail-recipient.key").unlink()

    done = messenger(*setup_words(tmp_path))

    assert done.status == 78
    assert f"made {tmp_path}/keys/link.key" in done.out


def test_changed_settings_ask_for_a_restart_and_others_do_not(messenger, tmp_path):
    first = messenger(*setup_words(tmp_path))
    changed = messenger(*setup_words(tmp_path), "--site-name", "Ours")
    again = messenger(*setup_words(tmp_path), "--site-name", "Ours")

    assert "systemctl restart messenger-milter messenger-reader" in changed.out
    assert "systemctl restart" not in first.out + again.out


def test_a_certificate_without_its_key_is_a_question_for_the_backup(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    (tmp_path / "keys" / "webmail-recipient.key").unlink()

    done = messenger(*setup_words(tmp_path))

    assert done.status == 78
    assert "restore the key from a backup" in done.err


def test_two_setups_at_once_do_not_mix(messenger, tmp_path):
    messenger(*setup_words(tmp_path))

    with files.locked(tmp_path):
        done = messenger(*setup_words(tmp_path, site_name="Post"))

    assert done.status == 75
    assert "another `messenger` command" in done.err


def test_a_folder_nobody_may_write_to_is_a_sentence(messenger, tmp_path):
    (tmp_path / "file").write_text("")

    done = messenger(*setup_words(tmp_path / "file"))

    assert done.status in (66, 73, 77)
    assert re.match(r"messenger: \S+: .+; ", done.err)


def test_without_postfix_setup_finishes_and_says_what_to_do(messenger, tmp_path, monkeypatch):
    monkeypatch.setattr(postfix, "SEARCH", str(tmp_path))

    done, applied = messenger(*setup_words(tmp_path)), messenger(*setup_words(tmp_path), "--apply")

    assert done.status == 0
    assert "Postfix is not installed here: apt-get install postfix, then `messenger setup --apply`" in done.out
    assert applied.status == 69
    assert_complete(tmp_path)
