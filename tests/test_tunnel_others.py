"""endesive and GnuPG's gpgsm on the other side."""

import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12
from endesive import signer

from messenger import tunnel
from messenger.tunnel.certificates import make_pair
from tests import cms_makers as make
from tests.tunnel_fixtures import ORIGINAL, Pair, gateway, keys, messenger, wrapped

PASSWORD = b"only for this test"
#: Of files with fresh salts, until gpgsm can open one.
TRIES = 4


@pytest.mark.parametrize("pss", [False, True])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_a_signature_by_endesive_verifies(digest, pss):
    content = make.entity()

    signature = signer.sign(content, gateway().key, gateway().certificate, [], digest, attrs=True, pss=pss)

    mail = make.mail(make.enveloped(make.clear(content, signature), messenger().certificate))
    assert tunnel.unwrap(mail, keys()).raw == ORIGINAL


def test_a_signature_by_endesive_without_attributes_is_refused():
    content = make.entity()

    signature = signer.sign(content, gateway().key, gateway().certificate, [], "sha256", attrs=False)

    with pytest.raises(tunnel.Refused, match="without signed attributes"):
        tunnel.unwrap(make.mail(make.enveloped(make.clear(content, signature), messenger().certificate)), keys())


class Gpgsm:
    """gpgsm with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = os.environ | {"GNUPGHOME": str(home)}

    def run(self, *arguments: Any, password: bytes = b"") -> bytes:
        done = self._done(*arguments, password=password)
        assert not done.returncode, done.stderr.decode()
        return done.stdout

    def _done(self, *arguments: Any, password: bytes) -> subprocess.CompletedProcess[bytes]:
        options = ("--batch", "--disable-crl-checks", "--pinentry-mode", "loopback", "--passphrase-fd", "0")
        return subprocess.run(
            ["gpgsm", *options, *map(str, arguments)],
            input=password,
            env=self.environment,
            capture_output=True,
            check=False,
        )

    def take(self, pair: Pair) -> None:
        """Import a pair, and trust its certificate."""
        # gpgsm 2.2 knows the old algorithms of PKCS#12 alone.
        encryption = (
            PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(2000)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())
            .build(PASSWORD)
        )
        path = self.home / "pair.p12"
        # gpgsm 2.2 can't open one file in 64, by its salts: where a block of RFC 7292, B.2 step 6C begins with a zero
        # byte it drops that byte. Of files made to see, it refused all 12 with such a block and none of 30 without.
        for _ in range(TRIES):
            made = pkcs12.serialize_key_and_certificates(b"pair", pair.key, pair.certificate, None, encryption)
            path.write_bytes(made)
            done = self._done("--import", path, password=PASSWORD)
            if not done.returncode or b"error parsing or decrypting the PKCS#12 file" not in done.stderr:
                break
        assert not done.returncode, done.stderr.decode()
        trusted = pair.certificate.fingerprint(hashes.SHA1()).hex().upper()
        (self.home / "trustlist.txt").write_text(f"{trusted} S relax\n")


@pytest.fixture
def gpgsm() -> Iterator[Gpgsm]:
    if not shutil.which("gpgsm"):
        pytest.fail("gpgsm is not installed: sudo apt-get install gpgsm")
    home = Path(tempfile.mkdtemp(prefix="gpgsm"))  # short: sockets of the agent lie in it
    home.chmod(0o700)
    found = Gpgsm(home)
    yield found
    subprocess.run(["gpgconf", "--kill", "all"], env=found.environment, check=False)
    shutil.rmtree(home, ignore_errors=True)


def test_gpgsm_and_we_open_what_the_other_encrypts(gpgsm):
    now = datetime.now(UTC)
    recipient = Pair(*make_pair("webmail@example.org", "rsa-3072", "recipient", now))
    gpgsm.take(recipient)
    theirs, ours = gpgsm.home / "theirs", gpgsm.home / "ours"
    theirs.write_bytes(make.clear_signed(gateway()))
    ours.write_bytes(base64.b64decode(wrapped(recipient=recipient.certificate).split(b"\r\n\r\n", 1)[1]))

    encrypted = gpgsm.run("--encrypt", "--recipient", "webmail@example.org", theirs)
    plain = gpgsm.run("--decrypt", ours, password=PASSWORD)

    opened = tunnel.unwrap(make.mail(encrypted), tunnel.TunnelKeys((recipient.recipient,), (gateway().certificate,)))
    assert opened.raw == ORIGINAL
    assert ORIGINAL in plain
    assert plain.startswith(b"Content-Type: multipart/signed")


def test_a_signature_by_gpgsm_verifies(gpgsm):
    signer = Pair(*make_pair("gateway@example.org", "rsa-3072", "sender", datetime.now(UTC)))
    gpgsm.take(signer)
    content = make.entity()
    path = gpgsm.home / "content"
    path.write_bytes(content)

    signature = gpgsm.run("--detach-sign", "--local-user", "gateway@example.org", path, password=PASSWORD)

    mail = make.mail(make.enveloped(make.clear(content, signature), messenger().certificate))
    opened = tunnel.unwrap(mail, tunnel.TunnelKeys((messenger().recipient,), (signer.certificate,)))
    assert opened.raw == ORIGINAL
    assert opened.signer == tunnel.fingerprint(signer.certificate)
