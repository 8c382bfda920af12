"""The bundle: everything a gateway needs, nobody's but Messenger's, and no other bytes than those it was made of."""

import json
import subprocess
from base64 import b64decode
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from messenger import config
from messenger.cli import bundle
from messenger.cli.status import Failed
from messenger.cli.tunnel_files import recipient_certificate, sender_key
from messenger.errors import MessengerError
from messenger.tunnel.certificates import make_pair
from messenger.tunnel.key_sealing import SealedKeyError, open_key, seal_key

from .cli_fixtures import made_site_fixture, messenger_fixture, site_fixture  # noqa: F401

NOW = datetime.now(UTC)
PASSPHRASE = b"correct horse battery"


@pytest.fixture(scope="module", name="made")
def made_fixture(made_site) -> bytes:
    settings = config.load(made_site / "messenger.toml")
    return bundle.make(settings, sender_key(settings), recipient_certificate(settings), PASSPHRASE)


def changed(made: bytes, **parts: object) -> bytes:
    return json.dumps({**json.loads(made), **parts}).encode()


def test_what_goes_in_comes_out(made, made_site):
    settings = config.load(made_site / "messenger.toml")

    found = bundle.read(made, "b.json", NOW)

    assert found.settings == bundle.settings_of(settings)
    assert found.settings["site", "own_domains"] == ["example.com"]
    assert found.recipient == recipient_certificate(settings)
    assert found.sender == sender_key(settings).certificate
    assert found.open(PASSPHRASE).key.private_numbers() == sender_key(settings).key.private_numbers()
    assert bundle.says(made, settings, found.sender, found.recipient)
    assert b"PRIVATE" not in made


def test_the_key_is_sealed_as_everybody_seals_keys(made, tmp_path):
    (tmp_path / "key.der").write_bytes(b64decode(json.loads(made)["sender_key"]))

    said = subprocess.run(
        ["openssl", "asn1parse", "-inform", "DER", "-in", tmp_path / "key.der"],
        capture_output=True,
        text=True,
        check=True,
    )
    opened = subprocess.run(
        [
            "openssl",
            "pkey",
            "-inform",
            "DER",
            "-in",
            tmp_path / "key.der",
            "-passin",
            f"pass:{PASSPHRASE.decode()}",
            "-noout",
        ],
        capture_output=True,
        check=False,
    )

    assert all(word in said.stdout for word in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc", f"{600_000:X}"))
    assert opened.returncode == 0


def test_another_passphrase_opens_nothing_and_a_short_one_seals_nothing(made, made_site):
    settings = config.load(made_site / "messenger.toml")

    with pytest.raises(SealedKeyError, match="doesn't open the key"):
        bundle.read(made, "b.json", NOW).open(b"correct horse batterx")
    with pytest.raises(Failed, match="at least 12 bytes"):
        bundle.make(settings, sender_key(settings), recipient_certificate(settings), b"short")


def test_a_key_that_is_open_or_somebody_elses_is_refused(made):
    certificate, key = make_pair("x@example.com", "ec-p256", "sender", NOW)
    found = bundle.read(made, "b.json", NOW)

    with pytest.raises(SealedKeyError, match="passphrase"):
        open_key(b"\x30\x00", PASSPHRASE)
    with pytest.raises(Failed, match="doesn't belong to its sender certificate"):
        replace(found, sealed=seal_key(key, PASSPHRASE)).open(PASSPHRASE)
    assert certificate != found.sender


def test_its_fingerprint_is_what_sha256sum_says_and_hangs_on_each_byte(made, tmp_path):
    (tmp_path / "b.json").write_bytes(made)
    digits = subprocess.run(
        ["sha256sum", tmp_path / "b.json"], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    said = bundle.groups(made)

    assert said.replace(" ", "") == digits[:32]
    assert all(
        bundle.is_fingerprint(given, made)
        for given in (said, said.upper(), said.replace(" ", ":"), digits, f" {said}\n")
    )
    assert not any(bundle.is_fingerprint(given, made) for given in ("", said[:-1], digits[:-1] + "g", "0" * 32))
    assert not bundle.is_fingerprint(said, made + b"\n")


HOSTILE = {
    "nothing": lambda made: b"",
    "the beginning of one": lambda made: made[: len(made) // 2],
    "no text": lambda made: b"\xff\xfe" + made,
    "no bundle": lambda made: b'{"a": 1}',
    "a list": lambda made: b"[]",
    "very deep": lambda made: b"[" * 200_000,
    "a number without end": lambda made: b'{"webmail-messenger-bundle": ' + b"1" * 5000 + b"}",
    "too large": lambda made: made + b" " * bundle.MAX_OCTETS,
    "version 2": lambda made: made.replace(b'bundle": 1', b'bundle": 2'),
    "version true": lambda made: made.replace(b'bundle": 1', b'bundle": true'),
    "a part more": lambda made: changed(made, more=1),
    "a part less": lambda made: made.replace(b'"sender_key"', b'"sender_kex"'),
    "no certificate": lambda made: changed(made, recipient_certificate="-----BEGIN CERTIFICATE-----\nAAAA\n"),
    "certificate of a wrong type": lambda made: changed(made, recipient_certificate=7),
    "two certificates": lambda made: changed(made, sender_certificate=json.loads(made)["sender_certificate"] * 2),
    "certificates the wrong way round": lambda made: changed(
        made,
        sender_certificate=json.loads(made)["recipient_certificate"],
        recipient_certificate=json.loads(made)["sender_certificate"],
    ),
    "no base64": lambda made: changed(made, sender_key="!"),
    "settings of another kind": lambda made: changed(made, settings=[]),
    "a section of another kind": lambda made: changed(made, settings={**json.loads(made)["settings"], "site": 1}),
    "a setting less": lambda made: made.replace(b"webmail_sender", b"webmail_sendex"),
    "a setting of somebody's own": lambda made: changed(
        made, settings={**json.loads(made)["settings"], "gateway": {"sendmail": ["/bin/sh"]}}
    ),
    "an address that is none": lambda made: made.replace(b'"webmail-sender@example.com"', b'"\\u001b[2J"'),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_bundle_is_refused_in_a_sentence_that_says_what_to_do(made, kind):
    data = HOSTILE[kind](made)
    assert data != made

    with pytest.raises(MessengerError) as refused:
        bundle.read(data, "b.json", NOW)

    text = str(refused.value)
    assert text.startswith("b.json: ")
    assert "expected" in text
    assert "found" in text
    assert "; " in text
    assert len(text) < 800
    assert "\x1b" not in text


def test_a_bundle_of_another_release_asks_for_the_same_release(made):
    with pytest.raises(Failed, match=r"version 1, found 7; bring both ends to the same\s+release"):
        bundle.read(made.replace(b'bundle": 1', b'bundle": 7'), "b.json", NOW)


def test_certificates_that_are_not_valid_now_are_refused(made):
    with pytest.raises(Failed, match=r"valid from .* only"):
        bundle.read(made, "b.json", NOW + timedelta(days=4000))


def test_the_command_writes_it_shows_a_passphrase_once_and_replaces_nothing(messenger, site):
    out = site / "b.json"
    words = ("tunnel", "bundle", "--out", out, "--config", site / "messenger.toml")

    done, again, forced = messenger(*words), messenger(*words), messenger(*words, "--force")

    assert (done.status, again.status, forced.status) == (0, 73, 0)
    passphrase = done.err.rpartition(": ")[2].strip()
    assert len(passphrase) == 29
    assert passphrase not in done.out + forced.err
    assert "passphrase" not in again.err
    assert out.stat().st_mode & 0o777 == 0o600
    assert bundle.groups(out.read_bytes()) in forced.out


def test_the_gateways_end_makes_no_bundle(messenger, site):
    (site / "keys" / "webmail-recipient.key").unlink()

    done = messenger("tunnel", "bundle", "--out", site / "b.json", "--config", site / "messenger.toml")

    assert done.status == 66
    assert "made at Messenger's end" in done.err
    assert not (site / "b.json").exists()
