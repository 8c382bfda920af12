"""messenger setup: makes a site, changes nothing the second time, leaves nothing half done."""

import codecs
import errno
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from messenger import config, link, totp
from messenger.cli import files, places, postfix
from messenger.cli.tunnel_files import sender_key, tunnel_keys
from messenger.tunnel import fingerprint

from .cli_fixtures import messenger_fixture, setup_words  # noqa: F401
from .other_user import WHY_NOT


def contents(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def assert_complete(folder: Path) -> None:
    """Everything a start needs is there and usable."""
    settings = config.load(folder / "messenger.toml")
    assert tunnel_keys(settings).recipients
    assert sender_key(settings)
    assert len(link.load_key(settings.notice.link_key)) == 32
    assert len(totp.load_key(settings.accounts.totp_key)) == 32
    assert len(link.load_key(settings.pdf.key)) == 32
    for path in (settings.mail.root, settings.intake.ledger, settings.accounts.database.parent, settings.reader.cache):
        assert path.is_dir()
    assert not [path for path in folder.rglob(".*") if path.is_file()], "a draft was left behind"


def test_setup_makes_everything_a_start_needs(messenger, tmp_path):
    done = messenger(*setup_words(tmp_path))

    assert done.status == 0, done.err
    assert_complete(tmp_path)
    settings = config.load(tmp_path / "messenger.toml")
    assert settings.site.portal_url == "https://webmail.example.com"
    assert settings.tunnel.webmail_sender == "webmail-sender@example.com"
    assert settings.tunnel.webmail_recipient == "webmail@webmail.example.com"
    assert settings.notice.mail_from == "webmail-notice@example.com"
    assert settings.intake.socket == str(tmp_path / "state" / "milter" / "milter.sock")


def test_secrets_are_shut_and_what_is_shared_is_shared(messenger, tmp_path):
    messenger(*setup_words(tmp_path))

    def mode(name):
        return stat.S_IMODE((tmp_path / name).stat().st_mode)

    assert mode("keys") == 0o700
    assert {
        mode(f"keys/{name}")
        for name in ("link.key", "totp.key", "pdf.key", "webmail-sender.key", "webmail-recipient.key")
    } == {0o600}
    assert mode("mail") == 0o2770
    assert mode("state/accounts") == mode("state/cache") == mode("state/ledger") == 0o700


def test_the_settings_keep_every_comment_of_the_example(messenger, tmp_path):
    messenger(*setup_words(tmp_path))

    def comments(path):
        return [line for line in path.read_text().splitlines() if line.startswith("#")]

    example = Path(__file__).parent.parent / "config" / "messenger.toml.example"
    assert comments(tmp_path / "messenger.toml") == comments(example)


def test_the_second_time_it_changes_nothing_and_says_so(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    before = contents(tmp_path)

    same, bare = messenger(*setup_words(tmp_path)), messenger(*setup_words(tmp_path)[:4])

    assert (same.status, bare.status) == (0, 0)
    assert "nothing to change" in same.out
    assert "nothing to change" in bare.out
    assert contents(tmp_path) == before


def test_other_answers_change_the_settings_and_never_a_key(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    before = contents(tmp_path)
    old = (tmp_path / "messenger.toml").read_text()

    done = messenger(*setup_words(tmp_path, site_name="Post", webmail_recipient="post@example.com", key_type="rsa"))

    assert done.status == 0
    settings = config.load(tmp_path / "messenger.toml")
    assert (settings.site.name, settings.tunnel.webmail_recipient) == ("Post", "post@example.com")
    assert contents(tmp_path / "keys") == {path: data for path, data in before.items() if "keys/" in str(path)}
    (copy,) = tmp_path.glob("messenger.toml.2*")
    assert copy.read_text() == old


def test_what_a_person_wrote_into_the_settings_stays(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    settings = tmp_path / "messenger.toml"
    settings.write_text("# mine\n" + settings.read_text().replace("link_days = 30", "link_days = 7 # a week"))

    messenger(*setup_words(tmp_path, site_name="Post"))

    text = settings.read_text()
    assert text.startswith("# mine\n")
    assert "link_days = 7 # a week" in text
    assert 'name = "Post"' in text


@pytest.mark.parametrize(("kind", "curve"), [("rsa-3072", "RSA"), ("ec-p256", "EC")])
def test_the_kind_of_key_can_be_chosen(messenger, tmp_path, kind, curve):
    messenger(*setup_words(tmp_path, key_type=kind))

    key = tunnel_keys(config.load(tmp_path / "messenger.toml")).recipients[0].key
    assert curve in type(key).__name__ or "Elliptic" in type(key).__name__


def test_it_asks_for_what_nobody_said_and_asks_again_when_the_answer_is_no_good(messenger, tmp_path):
    answers = ["http://webmail.example.com", "https://webmail.example.com", "example.com example.org", "", "",
               "nobody", "notice@example.com", str(tmp_path / "mail"), "ec"]  # fmt: skip

    done = messenger("setup", "--config", tmp_path / "messenger.toml", given="\n".join([*answers, ""]).encode())

    assert done.status == 0, done.err
    assert done.out.count("Error: ") == 2
    settings = config.load(tmp_path / "messenger.toml")
    assert settings.site.own_domains == ("example.com", "example.org")
    assert settings.notice.mail_from == "notice@example.com"
    assert settings.mail.root == tmp_path / "mail"


def test_stopping_in_the_middle_of_the_questions_leaves_nothing(messenger, tmp_path):
    done = messenger("setup", "--config", tmp_path / "s" / "messenger.toml", given=b"https://webmail.example.com\n")

    assert done.status == 130
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"portal_url": "http://webmail.example.com"}, "--portal-url"),
        ({"own_domain": "exa mple"}, "--own-domain"),
        ({"webmail_sender": "nobody"}, "--webmail-sender"),
        ({"notice_from": "a@example.com\nBcc: x@example.com"}, "--notice-from"),
        ({"milter_socket": "inet:x"}, "--milter-socket"),
        ({"listen": "8025"}, "--listen"),
        ({"sendmail": "sendmail"}, "--sendmail"),
    ],
)
def test_a_wrong_answer_is_named_by_its_option_and_nothing_is_made(messenger, tmp_path, changed, named):
    done = messenger(*setup_words(tmp_path / "s", **changed))

    assert done.status == 64
    assert named in done.err
    assert not (tmp_path / "s").exists()


def test_settings_that_contradict_each_other_are_refused(messenger, tmp_path):
    done = messenger(*setup_words(tmp_path / "s", webmail_sender="webmail@webmail.example.com"))

    assert done.status == 78
    assert not (tmp_path / "s" / "messenger.toml").exists()


def test_broken_settings_are_not_written_over(messenger, tmp_path):
    (tmp_path / "messenger.toml").write_text("[site\n")

    done = messenger(*setup_words(tmp_path))

    assert done.status == 78
    assert "line 1: not TOML" in done.err
    assert (tmp_path / "messenger.toml").read_text() == "[site\n"


def test_renewing_keeps_the_old_pairs_accepted(messenger, tmp_path):
    messenger(*setup_words(tmp_path))
    before = contents(tmp_path / "keys")
    old = tunnel_keys(config.load(tmp_path / "messenger.toml"))

    done = messenger("setup", "--non-interactive", "--renew-tunnel", "--config", tmp_path / "messenger.toml")

    assert done.status == 0
    assert "messenger tunnel retire" in done.out
    new = tunnel_keys(config.load(tmp_path / "messenger.toml"))
    assert [one.certificate for one in new.recipients[1:]] == [one.certificate for one in old.recipients]
    assert new.signers[1:] == old.signers
    assert len({fingerprint(one) for one in new.signers}) == 2
    assert before.items() <= contents(tmp_path / "keys").items()


@pytest.fixture
def nobody():
    """Go on as an ordinary user, in a folder of that user's; root again afterwards."""
    if os.geteuid() == 0 and WHY_NOT:
        pytest.skip(WHY_NOT)
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))  # the folders of pytest are shut to others
    if os.geteuid() != 0:
        yield folder
    else:
        # Python lies below /root, maybe: what it first looks for as nobody, it never finds again.
        codecs.lookup("ascii")
        os.chown(folder, 65534, 65534)
        os.setegid(65534)
        os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(0)
            os.setegid(0)
    shutil.rmtree(folder)


def test_without_root_it_works_in_any_folder(messenger, nobody):
    done = messenger(*setup_words(nobody))

    assert done.status == 0, done.err
    assert_complete(nobody)
    assert {path.stat().st_uid for path in nobody.rglob("*")} == {os.geteuid()}


def test_what_an_ordinary_user_may_not_write_is_a_sentence(messenger, nobody):
    done = messenger(*setup_words(nobody, config="/etc/webmail-messenger-test/messenger.toml"))

    assert done.status == 77
    assert (
        done.err
        == "messenger: /etc/webmail-messenger-test: Permission denied; run it as a user who may, such as root\n"
    )


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


class Users:
    """A machine that has the services' users: all of them are nobody here, each group another one."""

    NAMES = ("root", "messenger", "messenger-pdf", "messenger-milter", "messenger-reader", "postfix")
    GROUPS: ClassVar = {name: 60_000 + number if number else 0 for number, name in enumerate(NAMES)}

    def getpwnam(self, name):
        return SimpleNamespace(pw_uid=0 if name == "root" else 65534)

    def getgrnam(self, name):
        return SimpleNamespace(gr_gid=self.GROUPS[name])


@pytest.fixture(autouse=True)
def _no_users(monkeypatch):
    """As if nothing of ours were installed on this machine, whatever is."""

    def missing(name):
        raise KeyError(name)

    monkeypatch.setattr(places, "pwd", SimpleNamespace(getpwnam=missing))
    monkeypatch.setattr(places, "grp", SimpleNamespace(getgrnam=missing))


@pytest.fixture
def users(monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")

    def come():
        monkeypatch.setattr(places, "pwd", Users())
        monkeypatch.setattr(places, "grp", Users())

    return come


def ownership(folder, name):
    found = (folder / name).stat()
    groups = {number: group for group, number in Users.GROUPS.items()}
    return "root" if found.st_uid == 0 else "service", groups[found.st_gid], oct(stat.S_IMODE(found.st_mode))


OWNERSHIP = {
    "keys": ("root", "messenger", "0o751"),
    "keys/link.key": ("root", "messenger", "0o640"),
    "keys/totp.key": ("root", "messenger-reader", "0o640"),
    "keys/pdf.key": ("root", "messenger-pdf", "0o640"),
    "keys/webmail-recipient.key": ("root", "messenger-milter", "0o640"),
    "keys/webmail-sender.key": ("root", "root", "0o600"),
    "mail": ("service", "messenger", "0o2770"),
    "state/ledger": ("service", "messenger-milter", "0o700"),
    "state/accounts": ("service", "messenger-reader", "0o700"),
    "state/cache": ("service", "messenger-reader", "0o700"),
    "state/milter": ("service", "postfix", "0o2750"),
}


def test_where_the_services_have_users_each_reads_its_own_secrets(messenger, tmp_path, users):
    users()

    messenger(*setup_words(tmp_path))

    assert {name: ownership(tmp_path, name) for name in OWNERSHIP} == OWNERSHIP


def test_users_that_come_later_are_given_what_is_theirs(messenger, tmp_path, users):
    messenger(*setup_words(tmp_path))
    users()

    given, again = messenger(*setup_words(tmp_path)), messenger(*setup_words(tmp_path))

    assert given.status == 0
    assert {name: ownership(tmp_path, name) for name in OWNERSHIP} == OWNERSHIP
    assert "nothing to change" in again.out


def test_keys_of_an_older_site_become_reachable_for_who_reads_one_of_them(messenger, tmp_path, users):
    users()
    messenger(*setup_words(tmp_path))
    (tmp_path / "keys").chmod(0o750)

    done = messenger(*setup_words(tmp_path))

    assert f"let services pass through {tmp_path}/keys" in done.out
    assert ownership(tmp_path, "keys") == OWNERSHIP["keys"]


def test_a_folder_that_somebody_arranged_is_left_and_talked_about(messenger, tmp_path, users):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "theirs").write_text("")
    users()

    done = messenger(*setup_words(tmp_path))

    assert (tmp_path / "mail").stat().st_uid == 0
    assert f"chown messenger-milter:messenger {tmp_path}/mail; chmod 2770 {tmp_path}/mail" in done.out


def test_settings_behind_a_symbolic_link_stay_there(messenger, tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "real").mkdir()
    messenger(*setup_words(tmp_path / "etc"))
    (tmp_path / "etc" / "messenger.toml").rename(tmp_path / "real" / "messenger.toml")
    (tmp_path / "etc" / "messenger.toml").symlink_to("../real/messenger.toml")

    done = messenger(*setup_words(tmp_path / "etc", site_name="Post"))

    assert done.status == 0, done.err
    assert (tmp_path / "etc" / "messenger.toml").is_symlink()
    assert 'name = "Post"' in (tmp_path / "real" / "messenger.toml").read_text()


@pytest.mark.parametrize("text", [b"site = 3\n", b"\xff\n", b"[tunnel]\nfields = 1\n"])
def test_settings_that_make_no_sense_are_a_sentence(messenger, tmp_path, text):
    (tmp_path / "messenger.toml").write_bytes(text)

    done = messenger(*setup_words(tmp_path))

    assert done.status == 78
    assert "expected" in done.err or "not UTF-8" in done.err
    assert (tmp_path / "messenger.toml").read_bytes() == text
