"""The ways of recipients who have a key, behind a real Postfix: S/MIME that they open, PGP by a filter and gpg."""

from __future__ import annotations

import shutil
import smtplib
import socketserver
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from demo.postfix import PostfixMissing, require

from . import cms_makers as make
from .gateway_fixtures import POLICY, SECRET, running
from .gateway_postfix_fixtures import outbound
from .milter_fixtures import pair, write_pair

try:
    require()
    missing = "" if shutil.which("gpg") else "gpg is not installed"
except PostfixMissing as error:
    missing = str(error)

pytestmark = [pytest.mark.postfix, pytest.mark.skipif(bool(missing), reason=missing)]

#: A rule alone makes these mails protected: what comes back from the filter has no trigger any more.
RULED = POLICY + '\n[domain."pgp.example"]\nencrypt_mode = "no-encryption"\n'
READERS = ("ann@smime.example", "bob@smime.example", "bea@smime.example")


class Filter(socketserver.ThreadingTCPServer):
    """Takes mail by SMTP as pgp_filter does, encrypts it with gpg, and hands it back to Postfix."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, home: Path, back: int) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.home = home
        self.back = back
        self.broken = False
        self.answers: list[tuple[int, bytes]] = []

    def take(self, raw: bytes, mail_from: str, rcpt_tos: list[str]) -> None:
        with smtplib.SMTP("127.0.0.1", self.back, timeout=30) as client:
            client.ehlo()
            client.mail(mail_from)
            for rcpt_to in rcpt_tos:
                client.rcpt(rcpt_to)
            try:
                self.answers.append(client.data(raw if self.broken else self._encrypted(raw, rcpt_tos)))
            except smtplib.SMTPDataError as error:
                self.answers.append((error.smtp_code, error.smtp_error))

    def _encrypted(self, raw: bytes, rcpt_tos: list[str]) -> bytes:
        head, _, body = raw.partition(b"\r\n\r\n")
        words = [word for rcpt_to in rcpt_tos for word in ("-r", rcpt_to)]
        armored = gpg(self.home, "--armor", "--trust-model", "always", *words, "--encrypt", given=b"\r\n" + body)
        parts = (
            b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
            b"Content-Type: application/octet-stream\r\n\r\n" + armored.replace(b"\n", b"\r\n"),
        )
        kind = b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b'
        return b"\r\n".join(
            (head, b"MIME-Version: 1.0", kind, b"", *(b"--b\r\n" + part for part in parts), b"--b--", b"")
        )


class _Session(socketserver.StreamRequestHandler):
    server: Filter

    def handle(self) -> None:
        mail_from, rcpt_tos = "", []
        self.wfile.write(b"220 filter\r\n")
        for line in self.rfile:
            word, address = line[:4].upper(), line.partition(b"<")[2].partition(b">")[0].decode()
            answer = b"250 OK"
            if word == b"MAIL":
                mail_from, rcpt_tos = address, []
            elif word == b"RCPT":
                rcpt_tos.append(address)
            elif word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = iter(self.rfile.readline, b".\r\n")
                self.server.take(b"".join(one.removeprefix(b".") for one in lines), mail_from, rcpt_tos)
            elif word == b"QUIT":
                answer = b"221 bye"
            self.wfile.write(answer + b"\r\n")
            if word == b"QUIT":
                return


def gpg(home: Path, *words: str, given: bytes = b"") -> bytes:
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase="]
    return subprocess.run([*command, *words], input=given, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def keyring():
    home = Path(tempfile.mkdtemp(dir="/tmp", prefix="gnupg-"))  # gpg-agent's socket wants a short path
    gpg(home, "--quick-gen-key", "carl@pgp.example", "ed25519", "sign", "2y")
    listed = gpg(home, "--with-colons", "--list-keys").decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    gpg(home, "--quick-add-key", fingerprint, "cv25519", "encr", "2y")
    yield home
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with outbound(tmp_path_factory.mktemp("postfix")) as found:
        yield found


@pytest.fixture(scope="module")
def pgp(site, keyring):
    with Filter(keyring, site.postfix.port) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture(scope="module")
def gateway(site, pgp, keyring, tmp_path_factory):
    home = tmp_path_factory.mktemp("gateway")
    for folder in ("certificates", "senders"):
        (home / folder).mkdir()
    for reader in READERS:
        certificate, _ = pair("recipient", reader)
        (home / "certificates" / f"{reader}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    write_pair(home / "senders" / "sam@example.com.pem", *pair("sender", "sam@example.com"))
    section = {
        "certificates": f'"{home}/certificates"',
        "sender_keys": f'"{home}/senders"',
        "pgp_keys": f'"{keyring}"',
        "pgp_filter": f'"127.0.0.1:{pgp.server_address[1]}"',
    }
    found = site.gateway(home, policy=RULED, section=section)
    with running(found):
        yield found


def opened(tmp_path, raw: bytes, reader: str) -> bytes:
    write_pair(tmp_path / "reader", *pair("recipient", reader))
    certificate, key = tmp_path / "reader.pem", tmp_path / "reader.key"
    return make.openssl("cms", "-decrypt", "-recip", certificate, "-inkey", key, stdin=raw)


def test_who_has_a_certificate_gets_a_copy_that_only_they_open_and_nobody_sees_who_was_hidden(site, gateway, tmp_path):
    to = b"To: Ann <ann@smime.example>, Bob <bob@smime.example>"
    raw = SECRET.replace(b"To: Ann <ann@example.org>", to).replace(b"4711", b"by S/MIME.")

    assert site.send(raw, "boss@example.com", *READERS)[0] == 250

    left = site.left(gateway, "by S/MIME.")
    assert list(left.clear) == ["boss@example.com"]
    assert {reader: len(left.sealed[reader]) for reader in READERS} == dict.fromkeys(READERS, 1)
    for reader in READERS:
        [copy] = left.sealed[reader]
        assert b"by S/MIME." in (inside := opened(tmp_path, copy, reader))
        assert b"multipart/signed" in inside
        assert (copy.count(b"\r\nSubject: A plan\r\n"), copy.count(b"X-Webmail-Gateway")) == (1, 0)
    with pytest.raises(OSError, match="decrypting"):
        opened(tmp_path, left.sealed["ann@smime.example"][0], "bea@smime.example")


def test_who_has_a_pgp_key_gets_what_the_filter_made(site, gateway, pgp, keyring):
    assert site.send(SECRET.replace(b"4711", b"by PGP."), "boss@example.com", "carl@pgp.example")[0] == 250

    left = site.left(gateway, "by PGP.")
    assert list(left.clear) == ["boss@example.com"]
    [copy] = left.sealed["carl@pgp.example"]
    armored = copy[copy.index(b"-----BEGIN PGP") :].partition(b"--b--")[0]
    assert b"by PGP." in gpg(keyring, "--decrypt", given=armored)
    assert pgp.answers[-1][0] == 250


def test_a_filter_that_does_not_encrypt_gets_nothing_out(site, gateway, pgp):
    pgp.broken = True
    try:
        assert site.send(SECRET.replace(b"4711", b"in clear."), "boss@example.com", "carl@pgp.example")[0] == 250
    finally:
        pgp.broken = False

    assert pgp.answers[-1][0] == 550
    assert pgp.answers[-1][1].startswith(b"5.4.6 ")
    assert list(site.left(gateway, "in clear.").clear) == ["boss@example.com"]
