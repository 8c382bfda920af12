"""messenger setup: makes a site, asks for what it lacks, and changes nothing the second time."""

import stat
from pathlib import Path

import pytest

from messenger import config
from messenger.cli.tunnel_files import tunnel_keys
from messenger.tunnel import fingerprint

from .cli_fixtures import messenger_fixture, setup_words  # noqa: F401
from .setup_fixtures import assert_complete, contents, no_users_fixture, nobody_fixture  # noqa: F401


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
    answers = ["", "http://webmail.example.com", "https://webmail.example.com", "example.com example.org", "", "",
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
