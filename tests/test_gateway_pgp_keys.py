"""Who has a PGP key: by a real GnuPG home, made here, and by a list."""

import logging
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from messenger.gateway.pgp_keys import PgpKeys, PgpKeysError

YEAR = 365 * 86_400


class Clock:
    """Time that goes on by itself, so that each question is a look of its own, and further where a test wants it."""

    def __init__(self):
        self.ahead = 0

    def __call__(self):
        self.ahead += 2
        return time.time() + self.ahead


def gpg(home, *words, stdin="", when=None):
    faked = [f"--faked-system-time={when}"] if when else []
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode=loopback", "--passphrase=", *faked]
    return subprocess.run([*command, *words], input=stdin, text=True, capture_output=True, check=True).stdout


def make(home, user, *, encrypts=True, when=None, until="2y"):
    gpg(home, "--quick-gen-key", user, "ed25519", "sign", until, when=when)
    # Of several with one name, the one made last.
    listed = gpg(home, "--with-colons", "--list-keys", f"={user}")
    fingerprint = [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr")][-1]
    if encrypts:
        gpg(home, "--quick-add-key", fingerprint, "cv25519", "encr", until, when=when)
    return fingerprint


@pytest.fixture(scope="module")
def home():
    # gpg-agent's socket wants a short path.
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="gnupg-"))
    make(folder, "Anna Beispiel <Anna@Partner.Example>")
    make(folder, "plain@partner.example")
    make(folder, "Jörg: <jörg@bücher.example>")
    make(folder, "sign@partner.example", encrypts=False)
    make(folder, "expired@partner.example", when="20200101T000000", until="1y")
    make(folder, "twice@partner.example", encrypts=False)
    gpg(folder, "--quick-add-uid", "twice@partner.example", "also@partner.example")
    gpg(folder, "--quick-add-key", _of(folder, "twice@partner.example"), "cv25519", "encr", "1y")
    gpg(folder, "--quick-revoke-uid", "twice@partner.example", "also@partner.example")
    _revoke(folder, make(folder, "revoked@partner.example"))
    make(folder, "disabled@partner.example")
    gpg(folder, "--command-fd=0", "--edit-key", "disabled@partner.example", stdin="disable\nquit\n")
    yield folder
    subprocess.run(["gpgconf", "--homedir", str(folder), "--kill", "gpg-agent"], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _of(folder, user):
    listed = gpg(folder, "--with-colons", "--list-keys", user)
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))


def _revoke(folder, fingerprint):
    prepared = (folder / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
    gpg(folder, "--import", stdin=prepared.replace(":-----BEGIN", "-----BEGIN"))


def test_a_key_in_the_ring_counts_for_each_address_of_its_owner(home):
    keys = PgpKeys(home)

    assert keys.has("anna@partner.example")
    assert keys.has("plain@partner.example")
    assert keys.has("jörg@xn--bcher-kva.example")
    assert keys.has("twice@partner.example")
    assert not keys.has("nobody@partner.example")
    assert not keys.has("partner.example")


@pytest.mark.parametrize("who", ["sign", "expired", "revoked", "disabled", "also"])
def test_a_key_that_cannot_encrypt_or_no_longer_counts_is_none(home, who):
    assert not PgpKeys(home).has(f"{who}@partner.example")


def test_a_key_expires_though_the_ring_does_not_change(home):
    clock = Clock()
    keys = PgpKeys(home, clock=clock)
    assert keys.has("twice@partner.example")

    clock.ahead += YEAR + 86_400

    assert not keys.has("twice@partner.example")  # its subkey for encryption had one year, itself two
    assert keys.has("anna@partner.example")


def test_the_ring_is_listed_once_and_again_when_it_changes(home, tmp_path):
    counted = tmp_path / "gpg"
    counted.write_text(f'#!/bin/sh\necho >>{tmp_path}/calls\nexec gpg "$@"\n')
    counted.chmod(0o755)
    keys = PgpKeys(home, gpg=str(counted), clock=Clock())

    assert not keys.has("new@partner.example")
    assert not keys.has("new@partner.example")
    assert (tmp_path / "calls").read_text() == "\n"
    make(home, "new@partner.example")

    assert keys.has("new@partner.example")
    assert (tmp_path / "calls").read_text() == "\n\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_ring_that_is_only_read_is_enough(home, tmp_path):
    copy = Path(tempfile.mkdtemp(dir="/tmp", prefix="gnupg-"))
    copy.chmod(0o755)
    for name in ("pubring.kbx", "trustdb.gpg"):
        shutil.copy(home / name, copy / name)
        (copy / name).chmod(0o644)
    as_nobody = tmp_path / "gpg"
    as_nobody.write_text('#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups gpg "$@"\n')
    as_nobody.chmod(0o755)

    keys = PgpKeys(copy, gpg=str(as_nobody))

    assert keys.has("anna@partner.example")
    assert not keys.has("disabled@partner.example")
    shutil.rmtree(copy)


def test_a_list_names_addresses_domains_and_subdomains(tmp_path, caplog):
    path = tmp_path / "list"
    path.write_text("# ours\nAnna@Partner.Example\n\nbücher.example  # all\n*.wide.example\n@at.example\nno good\n")

    with caplog.at_level(logging.WARNING):
        keys = PgpKeys(path, clock=Clock())
        had = [
            keys.has(address)
            for address in (
                "anna@partner.example",
                "x@xn--bcher-kva.example",
                "x@deep.sub.wide.example",
                "x@at.example",
                "bob@partner.example",
                "x@sub.xn--bcher-kva.example",
                "x@wide.example",
            )
        ]

    assert had == [True] * 4 + [False] * 3
    assert "line 7" in caplog.text
    assert "no good" not in caplog.text
    path.write_text("bob@partner.example\n")
    assert keys.has("bob@partner.example")
    assert not keys.has("anna@partner.example")


def test_keys_that_cannot_be_listed_are_no_leave_to_send_in_clear(home, tmp_path):
    broken = tmp_path / "home"
    broken.mkdir(mode=0o700)
    (broken / "pubring.gpg").write_text("garbage")

    for keys in (
        PgpKeys(tmp_path / "none"),
        PgpKeys(tmp_path),
        PgpKeys(home / "pubring.kbx"),
        PgpKeys(broken),
        PgpKeys(home, gpg="/nowhere/gpg"),
    ):
        with pytest.raises(PgpKeysError, match=r"expected|gpg") as caught:
            keys.has("anna@partner.example")
        assert caught.value.temporary
        with pytest.raises(PgpKeysError):
            keys.check()
