"""The gateway beside opendkim behind a real Postfix: each signature, also inside the tunnel, verifies."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from demo.postfix import PostfixMissing, free_port, require

from .gateway_fixtures import SECRET, running
from .gateway_postfix_fixtures import outbound
from .milter_fixtures import TUNNEL

try:
    require()
    missing = "" if shutil.which("opendkim", path="/usr/sbin:/usr/bin") else "opendkim is not installed"
except PostfixMissing as error:
    missing = str(error)

pytestmark = [pytest.mark.postfix, pytest.mark.skipif(bool(missing), reason=missing)]

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SIGNER, SIGNER_FIRST = free_port(), free_port()


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    home = tmp_path_factory.mktemp("opendkim")
    (home / "key").write_bytes(PEM)
    settings = {
        "Domain": "example.com", "Selector": "site", "KeyFile": home / "key", "Socket": f"inet:{SIGNER}@127.0.0.1",
        "Mode": "s", "Canonicalization": "relaxed/simple", "OversignHeaders": "From", "InternalHosts": "127.0.0.1",
        "Background": "no", "RequireSafeKeys": "no", "Syslog": "no",
    }  # fmt: skip
    (home / "opendkim.conf").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    process = subprocess.Popen(["/usr/sbin/opendkim", "-f", "-x", str(home / "opendkim.conf")])
    time.sleep(0.3)
    assert process.poll() is None
    yield f"inet:127.0.0.1:{SIGNER}"
    process.kill()
    process.wait(10)


@pytest.fixture(scope="module")
def site(signer, tmp_path_factory):
    def other_order(asked: str) -> str:
        return f"127.0.0.1:{SIGNER_FIRST} inet n - n - - smtpd\n    -o smtpd_milters={signer},{asked}\n"

    home = tmp_path_factory.mktemp("postfix")
    with outbound(home, more_milters=signer, services=other_order) as found:
        yield found


@pytest.fixture(scope="module")
def gateway(site, tmp_path_factory):
    found = site.gateway(tmp_path_factory.mktemp("gateway"))
    with running(found):
        yield found


def verified(raw: bytes) -> list[str]:
    """The selectors of all signatures, each of which fits."""
    public = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    mail = dkim.DKIM(raw)
    fields = [value for name, value in mail.headers if name.lower() == b"dkim-signature"]
    assert all(mail.verify(number, dnsfunc=lambda name, timeout=5: record) for number in range(len(fields)))
    return [dkim.util.parse_tag_value(value)[b"s"].decode() for value in fields]


def subject(raw: bytes) -> bytes:
    return raw.partition(b"\r\nSubject: ")[2].partition(b"\r\n")[0]


def test_what_goes_on_in_clear_and_the_tunnel_mail_are_signed_behind_the_gateway(site, gateway):
    raw = SECRET.replace(b"4711", b"gateway first.")

    assert site.send(raw, "boss@example.com", "ann@example.org")[0] == 250

    left = site.left(gateway, "gateway first.")
    [in_clear] = left.clear["boss@example.com"]
    assert (verified(in_clear), subject(in_clear)) == (["site"], b"A plan")
    tunnel_mails = [mail.raw.replace(b"\n", b"\r\n") for mail in site.postfix.caught() if mail.rcpt_to == TUNNEL]
    assert [verified(mail) for mail in tunnel_mails] == [["site"]]
    assert b"DKIM-Signature" not in left.opened["ann@example.org"][0].raw


def test_a_mail_that_was_signed_before_travels_as_it_is(site, gateway):
    raw = SECRET.replace(b"4711", b"signed before.")
    signed = dkim.sign(raw, b"author", b"example.com", PEM, include_headers=[b"From", b"To", b"Subject"]) + raw

    assert site.send(signed, "boss@example.com", "ann@example.org")[0] == 250

    left = site.left(gateway, "signed before.")
    [inside] = left.opened["ann@example.org"]
    assert (inside.raw, verified(inside.raw)) == (signed, ["author"])
    [in_clear] = left.clear["boss@example.com"]
    assert (sorted(verified(in_clear)), subject(in_clear)) == (["author", "site"], b"[secure] A plan")


def test_behind_the_signer_the_gateway_leaves_the_subject_alone(site, gateway):
    raw = SECRET.replace(b"4711", b"signer first.")

    assert site.send(raw, "boss@example.com", "ann@example.org", port=SIGNER_FIRST)[0] == 250

    left = site.left(gateway, "signer first.")
    for mail in (left.clear["boss@example.com"][0], left.opened["ann@example.org"][0].raw):
        assert (verified(mail), subject(mail)) == (["site"], b"[secure] A plan")
