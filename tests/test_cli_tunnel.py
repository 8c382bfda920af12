"""messenger tunnel: single mails for trying, certificates for gateways, pins."""

import json
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from messenger import config
from messenger.tunnel import fingerprint
from messenger.tunnel.certificates import make_pair
from messenger.tunnel.keys import load_certificate

from .cli_fixtures import MAIL, made_site_fixture, messenger_fixture, site_fixture  # noqa: F401


@pytest.fixture
def tunnel(messenger, site):
    def run(command: str, *words: object, given: bytes = b""):
        return messenger("tunnel", command, *words, "--config", site / "messenger.toml", given=given)

    return run


@pytest.fixture
def mail(tmp_path):
    path = tmp_path / "mail.eml"
    path.write_bytes(MAIL)
    return path


def foreign(tmp_path, role="sender", address="gateway@example.com", now=None):
    """Another maker's certificate, as a file."""
    certificate, _ = make_pair(address, "ec-p256", role, now or datetime.now(UTC))
    path = tmp_path / f"{fingerprint(certificate)[:8]}.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path


def sizes(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_wrapped_mail_opens_again(tunnel, mail, tmp_path):
    out = tmp_path / "tunnel.eml"
    wrapped = tunnel("wrap", mail, "--to", "Anna@Example.NET", "--to", "x@example.org", "--option", "read-receipt",
                     "--out", out)  # fmt: skip

    opened = tunnel("open", out, "--json")

    assert (wrapped.status, opened.status) == (0, 0)
    found = json.loads(opened.out)
    assert found["verdict"] == "accepted"
    assert found["profile"] == "wrapped"
    assert found["sender"] == "bob@example.com"
    assert found["recipients"] == ["anna@example.net", "x@example.org"]
    assert found["options"] == ["read-receipt"]
    assert len(found["digest"]) == 64


def test_wrap_writes_the_field_names_of_the_settings(tunnel, site, mail):
    settings = site / "messenger.toml"
    settings.write_text(settings.read_text().replace('["X-Webmail-Recipient"]', '["X-Our-Recipient"]'))

    wrapped = tunnel("wrap", mail, "--to", "anna@example.net")

    assert tunnel("open", "-", given=wrapped.out.encode()).status == 0


@pytest.mark.parametrize("words", [(), ("--modern",)])
def test_wrap_and_open_work_in_a_pipe(tunnel, words):
    wrapped = tunnel("wrap", "-", "--to", "anna@example.net", *words, given=MAIL)

    opened = tunnel("open", "-", given=wrapped.out.encode())

    assert opened.status == 0
    assert "verdict:    accepted\nprofile:    wrapped\n" in opened.out


def test_opening_stores_nothing(tunnel, site, mail):
    wrapped = tunnel("wrap", mail, "--to", "anna@example.net").out.encode()
    before = sizes(site)

    tunnel("open", "-", given=wrapped)

    assert sizes(site) == before


def test_a_refused_mail_leaves_with_65_and_says_why(tunnel, mail):
    plain, told = tunnel("open", mail), json.loads(tunnel("open", mail, "--json").out)

    assert plain.status == 65
    assert plain.out.startswith("verdict:    refused\nreason:     ")
    assert told["verdict"] == "refused"
    assert told["reason"]


def test_a_mail_over_the_limit_is_refused(tunnel, site, mail):
    settings = site / "messenger.toml"
    settings.write_text(settings.read_text().replace("size_limit = 52428800", "size_limit = 10240"))
    mail.write_bytes(MAIL + b"x" * 10_240)

    assert tunnel("open", mail).status == 65


def test_what_may_not_be_read_leaves_with_77(tunnel, monkeypatch):
    opened = Path.open

    def refuse(path, *words, **named):
        if path.suffix == ".pem":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *words, **named)

    monkeypatch.setattr(Path, "open", refuse)

    done = tunnel("list")

    assert done.status == 77
    assert "Permission denied" in done.err


def test_a_missing_key_is_temporary(tunnel, site, mail):
    wrapped = tunnel("wrap", mail, "--to", "anna@example.net").out.encode()
    (site / "keys" / "webmail-recipient.key").unlink()

    done = tunnel("open", "-", given=wrapped)

    assert done.status == 75
    assert "webmail-recipient.key" in done.out


def test_wrap_asks_for_the_sender_where_the_mail_names_none(tunnel):
    done = tunnel("wrap", "-", "--to", "anna@example.net", given=b"Subject: x\n\nx")

    assert done.status == 65
    assert "--from" in done.err


def test_wrap_refuses_what_is_no_address(tunnel, mail):
    assert tunnel("wrap", mail, "--to", "anna").status == 65
    assert tunnel("wrap", mail, "--to", "a@example.net\r\nX: y").status == 65


def test_wrap_overwrites_nothing_unless_told(tunnel, mail, tmp_path):
    out = tmp_path / "out.eml"
    out.write_text("mine")

    refused = tunnel("wrap", mail, "--to", "a@example.net", "--out", out)

    assert refused.status == 73
    assert out.read_text() == "mine"
    assert tunnel("wrap", mail, "--to", "a@example.net", "--out", out, "--force").status == 0


def test_export_gives_a_gateway_what_it_needs(tunnel, site, tmp_path):
    p12, pem = tmp_path / "gateway.p12", tmp_path / "recipient.pem"

    done = tunnel("export", "--sender-key", p12, "--password", "pässword", "--recipient-certificate", pem)

    assert done.status == 0
    key, certificate, _ = pkcs12.load_key_and_certificates(p12.read_bytes(), "pässword".encode())
    assert certificate == load_certificate(site / "keys" / "webmail-sender.pem")
    assert key.public_key() == certificate.public_key()
    assert stat.S_IMODE(p12.stat().st_mode) == 0o600
    assert load_certificate(pem) == load_certificate(site / "keys" / "webmail-recipient.pem")


@pytest.mark.parametrize("words", [(), ("--old-format",)])
def test_openssl_reads_the_exported_key(tunnel, tmp_path, words):
    tunnel("export", "--sender-key", tmp_path / "g.p12", "--password", "secret", *words)

    legacy = ["-legacy"] if words else []
    done = subprocess.run(
        ["openssl", "pkcs12", "-in", tmp_path / "g.p12", "-passin", "pass:secret", "-nodes", *legacy],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.stdout.count("-----BEGIN") == 2, done.stderr


@pytest.mark.filterwarnings("ignore::getpass.GetPassWarning")
def test_the_password_can_come_from_a_file_or_be_typed_twice(tunnel, tmp_path):
    (tmp_path / "password").write_text("from a file\nnot this\n")

    by_file = tunnel("export", "--sender-key", tmp_path / "a.p12", "--password-file", tmp_path / "password")
    typed = tunnel("export", "--sender-key", tmp_path / "b.p12", given=b"typed\ntyped\n")

    assert (by_file.status, typed.status) == (0, 0)
    assert pkcs12.load_key_and_certificates((tmp_path / "a.p12").read_bytes(), b"from a file")
    assert pkcs12.load_key_and_certificates((tmp_path / "b.p12").read_bytes(), b"typed")


def test_a_private_key_never_leaves_without_a_password(tunnel, tmp_path):
    assert tunnel("export", "--sender-key", tmp_path / "a.p12", "--password", "").status == 64
    assert not (tmp_path / "a.p12").exists()


def test_import_pins_a_certificate_once(tunnel, site, tmp_path):
    file = foreign(tmp_path)
    mark = fingerprint(load_certificate(file))

    first, second = tunnel("import", file), tunnel("import", file)

    assert (first.status, second.status) == (0, 0)
    assert mark in first.out
    assert "pinned already; nothing to change" in second.out
    pinned = config.load(site / "messenger.toml").tunnel.sender_certificates
    assert [fingerprint(load_certificate(path)) for path in pinned].count(mark) == 1
    assert len(pinned) == 2


def test_import_refuses_what_could_not_sign(tunnel, site, tmp_path):
    before = (site / "messenger.toml").read_text()
    now = datetime.now(UTC)
    key = site / "keys" / "webmail-sender.key"
    text = tmp_path / "text.pem"
    text.write_text("hello")

    for file in (foreign(tmp_path, role="recipient"), foreign(tmp_path, now=now - timedelta(days=4000)),
                 foreign(tmp_path, now=now + timedelta(days=1)), key, text, tmp_path / "absent.pem"):  # fmt: skip
        done = tunnel("import", file)

        assert done.status == (65 if file.exists() else 66), file
        assert done.err.startswith("messenger: ")
    assert (site / "messenger.toml").read_text() == before


def test_list_shows_whose_signature_counts(tunnel, site):
    found = json.loads(tunnel("list", "--json").out)["certificates"]

    assert [one["role"] for one in found] == ["sender", "recipient"]
    assert found[0]["fingerprint"] == fingerprint(load_certificate(site / "keys" / "webmail-sender.pem"))
    assert found[0]["fingerprint"] in tunnel("list").out


def test_retire_drops_a_pin_and_deletes_nothing(tunnel, site, tmp_path):
    file = foreign(tmp_path)
    mark = fingerprint(load_certificate(file))
    tunnel("import", file)
    files = set((site / "keys").iterdir())

    done = tunnel("retire", mark[:16].upper())

    assert done.status == 0
    assert mark not in tunnel("list").out
    assert set((site / "keys").iterdir()) == files


def test_retire_drops_a_recipient_with_its_key(messenger, tunnel, site):
    settings = site / "messenger.toml"
    old = fingerprint(load_certificate(site / "keys" / "webmail-recipient.pem"))
    messenger("setup", "--non-interactive", "--renew-tunnel", "--config", settings)

    done = tunnel("retire", old)

    assert done.status == 0
    found = config.load(settings).tunnel
    assert found.recipient_certificates == (site / "keys" / "webmail-recipient-2.pem",)
    assert found.recipient_keys == (site / "keys" / "webmail-recipient-2.key",)


def test_the_last_certificate_of_a_kind_is_not_retired(tunnel, site):
    for name in ("sender", "recipient"):
        mark = fingerprint(load_certificate(site / "keys" / f"webmail-{name}.pem"))

        done = tunnel("retire", mark)

        assert done.status == 65
        assert f"the only {name} certificate" in done.err


@pytest.mark.parametrize(("mark", "status"), [("abc", 64), ("0" * 64, 65), ("", 64)])
def test_retire_wants_a_fingerprint_that_is_there(tunnel, mark, status):
    assert tunnel("retire", mark).status == status


def test_old_settings_are_kept_when_a_certificate_is_pinned(tunnel, site, tmp_path):
    before = (site / "messenger.toml").read_text()

    tunnel("import", foreign(tmp_path))

    (copy,) = site.glob("messenger.toml.2*")
    assert copy.read_text() == before
