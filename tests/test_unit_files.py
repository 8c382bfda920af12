"""What systemd hands over is found where it put it, and told of keys and addresses that only the settings know."""

import stat
from pathlib import Path

import pytest

from messenger import config, key_file, link
from messenger.cli import unit_files
from messenger.cli.doctor_files import judge_handing
from messenger.cli.doctor_finding import Host
from messenger.cli.roles import Role
from messenger.gateway.certificates import SigningKeys
from messenger.tunnel.keys import load_key

from .cli_fixtures import made_site_fixture, messenger_fixture, setup_words, site_fixture  # noqa: F401
from .milter_fixtures import NOW, pair, write_pair

STANDARD = config.DEFAULT_PATH.parent / "keys"
PLAIN = """
[site]
portal_url = "https://webmail.example.com"
own_domains = ["example.com"]
[tunnel]
webmail_sender = "a@example.com"
webmail_recipient = "b@example.com"
[notice]
mail_from = "c@example.com"
"""
MORE = """
[reader]
listen = "127.0.0.1:8100"
[reply]
sign_certificate = "/srv/mail.pem"
sign_key = "/srv/100% mail.key"
"""


def settings(text: str = PLAIN) -> config.Config:
    return config.parse(text, config.DEFAULT_PATH)


@pytest.fixture(name="handed")
def handed_fixture(tmp_path, monkeypatch) -> Path:
    """The folder of what systemd handed over."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv(key_file.VARIABLE, str(folder))
    return folder


# -- finding a key


def test_a_key_that_systemd_handed_over_is_read_and_the_file_need_not_be_open(handed, tmp_path):
    (handed / "link.key").write_text("22" * 32)
    write_pair(handed / "recipient", *pair("recipient", "b@example.com"))

    assert link.load_key(tmp_path / "nobody may look here" / "link.key") == bytes.fromhex("22" * 32)
    assert load_key(tmp_path / "recipient.key").public_key() == pair("recipient", "b@example.com")[1].public_key()


@pytest.mark.parametrize("given", [None, "-"], ids=["another unit's", "nothing to hand over"])
def test_a_key_that_was_not_handed_over_is_read_from_its_file(handed, tmp_path, given):
    (tmp_path / "link.key").write_text("11" * 32)
    if given:
        (handed / "link.key").write_text(given)

    assert link.load_key(tmp_path / "link.key") == bytes.fromhex("11" * 32)


def test_a_key_that_is_nowhere_is_named_by_its_file(handed, tmp_path):
    (handed / "link.key").write_text("-")

    with pytest.raises(link.LinkError, match=f"{tmp_path}/link.key: no link key there"):
        link.load_key(tmp_path / "link.key")


def test_keys_of_senders_are_found_in_a_folder_that_was_handed_over(handed, tmp_path):
    folder = tmp_path / "senders"
    folder.mkdir()
    write_pair(tmp_path / "sam", *pair("sender", "sam@example.com"))
    (tmp_path / "sam.pem").rename(folder / "sam@example.com.pem")
    (tmp_path / "sam.key").rename(handed / "senders_sam@example.com.key")

    found = SigningKeys(folder).of("sam@example.com", NOW)

    assert found
    assert found.certificate == pair("sender", "sam@example.com")[0]


# -- what systemd must be told


def test_units_need_to_be_told_nothing_of_a_site_as_setup_makes_it(tmp_path):
    assert set(unit_files.drop_ins(settings(), Role.BOTH).values()) == {""}
    assert unit_files.put(settings(), Role.BOTH, tmp_path) == []


def test_keys_and_an_address_of_the_settings_own_get_to_the_units_that_need_them(tmp_path):
    folder = tmp_path / "system"

    done = unit_files.put(settings(PLAIN + MORE), Role.BOTH, folder)

    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert done == [f"wrote {path}" for path in reversed(written)] or len(done) == len(written)
    assert [path.relative_to(folder).as_posix() for path in written] == [
        "messenger-reader.service.d/keys.conf",
        "messenger-reader.socket.d/listen.conf",
    ]
    keys, listen = (path.read_text().splitlines()[1:] for path in written)
    # A per cent sign begins a specifier of systemd's.
    line = "LoadCredential=100%% mail.key:/srv/100%% mail.key"
    assert keys == ["[Service]", line, "SetCredential=100%% mail.key:-"]
    assert listen == ["[Socket]", "ListenStream=", "ListenStream=127.0.0.1:8100"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in written} == {0o644}
    assert unit_files.put(settings(PLAIN + MORE), Role.BOTH, folder) == []


def test_a_second_recipient_key_goes_to_the_milter_alone_and_leaves_with_the_setting(tmp_path):
    two = PLAIN.replace("[notice]", 'recipient_certificates = ["a.pem", "b.pem"]\nrecipient_keys = ["keys/b-2.key", '
                        '"keys/webmail-recipient.key"]\n[notice]')  # fmt: skip
    unit_files.put(settings(two), Role.MESSENGER, tmp_path)
    (path,) = (path for path in tmp_path.rglob("*") if path.is_file())

    assert path.parent.name == "messenger-milter.service.d"
    assert f"LoadCredential=b-2.key:{STANDARD}/b-2.key\n" in path.read_text()
    assert "webmail-recipient" not in path.read_text()
    assert unit_files.put(settings(), Role.MESSENGER, tmp_path) == [f"removed {path}"]


def test_a_drop_in_that_somebody_wrote_is_left(tmp_path):
    path = tmp_path / "messenger-milter.service.d" / "keys.conf"
    path.parent.mkdir()
    path.write_text("[Service]\nNice=5\n")

    assert unit_files.put(settings(), Role.MESSENGER, tmp_path) == []
    assert path.read_text() == "[Service]\nNice=5\n"


def test_keys_that_systemd_could_not_tell_apart_or_name_are_told():
    same = settings(PLAIN + '[accounts]\ntotp_key = "/srv/link.key"\n[pdf]\nkey = "/srv/schl\\u00fcssel"\n')

    found = unit_files.complaints(same, Role.MESSENGER)

    assert any("/srv/link.key: messenger-reader.service reads" in text for text in found)
    assert any("a name in ASCII" in text for text in found)
    assert unit_files.complaints(settings(), Role.BOTH) == []


def test_doctor_says_that_units_are_handed_other_keys_than_the_settings_name(tmp_path):
    host = Host(settings(PLAIN + MORE), config.DEFAULT_PATH, Role.BOTH, None, 0)

    before = judge_handing(host, tmp_path)
    unit_files.put(host.config, Role.BOTH, tmp_path)

    assert len(before) == 2
    assert all("messenger setup --non-interactive" in one.mend for one in before)
    assert judge_handing(host, tmp_path) == []
    after = Host(settings(), config.DEFAULT_PATH, Role.BOTH, None, 0)
    assert [one.level.value for one in judge_handing(after, tmp_path)] == ["WARN", "WARN"]


def test_setup_tells_systemd_of_the_machines_own_settings_alone(messenger, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(unit_files, "put", lambda *_: told.append("put") or ["wrote it"])
    monkeypatch.setattr(unit_files, "tell_systemd", lambda: told.append("told"))

    trial = messenger(*setup_words(tmp_path / "a"))
    monkeypatch.setattr(unit_files, "ours_to_write", lambda _: True)
    own = messenger(*setup_words(tmp_path / "b"))

    assert "wrote it" not in trial.out
    assert "wrote it\n" in own.out
    assert "note: units are handed other keys, or listen elsewhere: systemctl daemon-reload, then restart" in own.out
    assert told == ["put", "told"]
