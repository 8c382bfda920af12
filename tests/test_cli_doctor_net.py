"""What messenger doctor finds on the net: milters' sockets, names, who may send, and TLS. Against real servers here."""

import os
import pwd
import shutil
import socket
import ssl
import struct
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dns.message
import dns.rcode
import dns.rrset
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from messenger.cli import doctor_apart, doctor_dns, doctor_portal, doctor_sender, doctor_sockets
from messenger.cli.doctor_finding import Level
from messenger.cli.doctor_sender import Standing
from messenger.cli.doctor_sockets import View
from messenger.cli.doctor_spf import Result, evaluate

NOW = int(time.time())
DAY = 86_400


@contextmanager
def serving(listener: socket.socket, answer):
    """Let *answer* talk to whoever connects."""

    def serve():
        with suppress(OSError):
            while True:
                there, _ = listener.accept()
                with suppress(OSError), there:
                    answer(there)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


# Sockets


def unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen()
    return listener


def milter(there):
    assert there.recv(64)[4:5] == b"O"
    there.sendall(struct.pack(">IcIII", 13, b"O", 6, 0, 0))
    there.recv(64)


def smtp(there):
    there.sendall(b"220 hello, this is SMTP\r\n")
    there.recv(64)


def tried(address, view) -> str:
    return doctor_apart.answer(lambda: doctor_sockets.reach(address, view), 4)


def test_a_milter_answers_or_the_reason_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_sockets, "SECONDS", 0.3)
    view = View(tmp_path, None, chrooted=False)
    with serving(unix(tmp_path / "m"), milter):
        assert tried("unix:m", view) == ""
    with serving(unix(tmp_path / "n"), smtp):
        assert tried("unix:n", view) == "something that is no milter answers there"
    with serving(unix(tmp_path / "o"), lambda there: time.sleep(1)):
        assert tried("unix:o", view) == "no answer within 0.3 seconds"
    with serving(socket.create_server(("127.0.0.1", 0)), milter) as listener:
        assert tried(f"inet:127.0.0.1:{listener.getsockname()[1]}", view) == ""
    assert tried("unix:m", view) == "Connection refused"
    assert tried("unix:gone", view) == "No such file or directory"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_a_milter_is_tried_as_postfix_in_its_chroot(short_folder):
    inside, shut = short_folder / "in", short_folder / "shut"
    inside.mkdir(mode=0o755)
    shut.mkdir(mode=0o700)
    nobody = View(short_folder, "nobody", chrooted=True)
    with serving(unix(inside / "m"), milter), serving(unix(shut / "m"), milter):
        assert tried("unix:in/m", nobody) == ""
        # Its absolute path isn't there, seen from inside.
        assert tried(f"unix:{inside}/m", nobody) == "No such file or directory"
        assert tried(f"unix:{inside}/m", View(short_folder, "nobody", chrooted=False)) == ""
        trouble = tried("unix:shut/m", nobody)
    assert trouble == "Permission denied"
    found = doctor_sockets.judge("milter", "unix:shut/m", nobody, "messenger-milter", trouble)
    assert f"chgrp nobody {shut} && chmod 2750 {shut}" in found.mend
    assert os.geteuid() == 0
    assert pwd.getpwnam("nobody").pw_uid != 0


@pytest.fixture(name="short_folder")
def short_folder_fixture():
    """Open to others, as folders of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="d", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_without_root_a_shut_socket_is_not_taken_for_broken():
    view = View(Path("/q"), None, chrooted=False)

    assert doctor_sockets.judge("milter", "unix:m", view, "u", "Permission denied").level is Level.SKIP
    assert doctor_sockets.judge("milter", "unix:m", view, "u", "Connection refused").level is Level.FAIL


# Names


ZONE = {
    ("portal.example.org.", "A"): ["192.0.2.1"],
    ("example.org.", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 " "-all"'],
    ("example.org.", "MX"): ["10 mx.example.org."],
}


@pytest.fixture(name="resolver")
def resolver_fixture():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        stop = threading.Event()

        def serve():
            while not stop.is_set():
                with suppress(OSError):
                    asked, who = server.recvfrom(4096)
                    if said := _said(asked):
                        server.sendto(said, who)

        server.settimeout(0.1)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield doctor_dns.Resolver(server.getsockname())
        stop.set()
        thread.join()


def _said(asked: bytes) -> bytes:
    query = dns.message.from_wire(asked)
    name, kind = str(query.question[0].name), dns.rdatatype.to_text(query.question[0].rdtype)
    if name.startswith("silent."):
        return b""
    answer = dns.message.make_response(query)
    if name.startswith("broken."):
        answer.set_rcode(dns.rcode.SERVFAIL)
    elif records := ZONE.get((name, kind)):
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", kind, *records))
    elif not any(name == known for known, _ in ZONE):
        answer.set_rcode(dns.rcode.NXDOMAIN)
    return answer.to_wire()


def test_the_dns_is_asked_with_short_patience(resolver, monkeypatch):
    assert resolver.ask("portal.example.org", "A") == ("192.0.2.1",)
    assert resolver.ask("example.org", "TXT") == ("v=spf1 ip4:192.0.2.0/24 -all",)
    assert resolver.ask("example.org", "MX") == ("mx.example.org",)
    assert resolver.ask("portal.example.org", "AAAA") == resolver.ask("gone.example.org", "A") == ()
    with pytest.raises(doctor_dns.NoAnswer, match="SERVFAIL"):
        resolver.ask("broken.example.org", "A")
    with pytest.raises(doctor_dns.NoResolver):
        resolver.ask("silent.example.org", "A")


def test_a_portal_without_an_address_is_broken():
    assert doctor_dns.judge("p.example", ()).level is Level.FAIL
    assert doctor_dns.judge("p.example", ("192.0.2.1",)).level is Level.OK


SPF = {
    "plain.example": "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/32 ~all",
    "a.example": "v=spf1 a -all",
    "near.example": "v=spf1 a/24 mx -all",
    "mx.example": "v=spf1 mx ?all",
    "includes.example": "v=spf1 include:plain.example -all",
    "redirects.example": "v=spf1 redirect=a.example",
    "loops.example": "v=spf1 include:loops.example -all",
    "lost.example": "v=spf1 include:gone.example -all",
    "odd.example": "v=spf1 ip4:300.1.1.1 -all",
    "macro.example": "v=spf1 exists:%{i}.example -all",
}


@pytest.mark.parametrize(
    ("domain", "address", "result"),
    [
        ("plain.example", "192.0.2.9", Result.PASS),
        ("plain.example", "2001:db8::1", Result.PASS),
        ("plain.example", "192.0.2.77", Result.SOFT_FAIL),
        ("a.example", "192.0.2.5", Result.PASS),
        ("a.example", "192.0.2.6", Result.FAIL),
        ("near.example", "192.0.2.6", Result.PASS),
        ("mx.example", "192.0.2.8", Result.PASS),
        ("mx.example", "192.0.2.6", Result.NEUTRAL),
        ("includes.example", "192.0.2.9", Result.PASS),
        ("includes.example", "192.0.2.99", Result.FAIL),
        ("redirects.example", "192.0.2.5", Result.PASS),
        ("loops.example", "192.0.2.5", Result.BROKEN),
        ("lost.example", "192.0.2.5", Result.BROKEN),
        ("odd.example", "192.0.2.5", Result.BROKEN),
        ("macro.example", "192.0.2.5", Result.UNKNOWN),
        ("gone.example", "192.0.2.5", Result.NONE),
    ],
)
def test_spf_lets_those_send_that_its_record_names(domain, address, result):
    def ask(name, kind):
        if kind == "TXT":
            return ("something else", SPF[name]) if name in SPF else ()
        if kind == "MX":
            return ("host.example",)
        return {"A": ("192.0.2.8",) if name == "host.example" else ("192.0.2.5",)}.get(kind, ())

    assert evaluate(domain, address, ask) is result


@pytest.mark.parametrize(
    ("standing", "levels"),
    [
        (Standing("e.example", {"192.0.2.1": Result.PASS}, "reject", signs=True), ["OK", "OK"]),
        (Standing("e.example", {"192.0.2.1": Result.PASS}, "", signs=False), ["OK", "WARN"]),
        (Standing("e.example", {"192.0.2.1": Result.FAIL}, "reject", signs=False), ["FAIL", "FAIL"]),
        (Standing("e.example", {"192.0.2.1": Result.FAIL}, "reject", signs=True), ["WARN", "OK"]),
        (Standing("e.example", {"192.0.2.1": Result.NONE}, "none", signs=False), ["WARN", "OK"]),
        (Standing("e.example", {}, "quarantine", signs=False), ["SKIP"]),
        (Standing("e.example", {}, "quarantine", signs=False, relay="[out.example]"), ["SKIP"]),
    ],
)
def test_one_of_spf_and_dkim_must_stand_for_notices(standing, levels):
    assert [one.level.value for one in doctor_sender.judge(standing)] == levels


def test_the_dmarc_policy_is_that_of_the_nearest_domain():
    records = {
        "_dmarc.example.org": ("v=DMARC1; p=reject; sp=quarantine",),
        "_dmarc.own.example.org": ("v=DMARC1;p=none",),
    }
    resolver = SimpleNamespace(ask=lambda name, _: records.get(name, ()))

    found = [
        doctor_sender._policy(resolver, name) for name in ("example.org", "a.example.org", "own.example.org", "b.net")
    ]

    assert found == ["reject", "quarantine", "none", ""]


# TLS


@pytest.fixture(scope="module", name="certificate")
def certificate_fixture(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")

    def make(name: str, days: int) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(who)
            .issuer_name(who)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=100))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, SHA256())
        )
        path = folder / f"{name}-{days}.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
        return path

    return make


@contextmanager
def https(certificate: Path, status: int = 200, *, old: bool = False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if old:
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers("ALL:@SECLEVEL=0")

    def answer(there):
        with context.wrap_socket(there, server_side=True) as inside:
            if inside.recv(4096):
                inside.sendall(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())

    with serving(socket.create_server(("127.0.0.1", 0)), answer) as listener:
        yield listener.getsockname()[1]


def looked_at(certificate, roots, **how):
    with https(certificate, **how) as port:
        found = doctor_portal.probe("localhost", port, str(roots))
    return found, doctor_portal.judge_tls(found, NOW)


def test_a_portal_whose_certificate_is_good_is_told_with_its_days(certificate):
    good, soon = certificate("localhost", 50), certificate("localhost", 10)

    found, judged = looked_at(good, good)

    assert (judged.level, found.version, found.status) == (Level.OK, "TLSv1.3", 200)
    assert " days)" in judged.text
    assert looked_at(soon, soon)[1].level is Level.WARN
    gone = looked_at(good, good, status=502)[1]
    assert (gone.level, "messenger-reader" in gone.mend) == (Level.FAIL, True)


def test_a_certificate_that_browsers_refuse_is_told_with_the_reason(certificate):
    good, expired, other = certificate("localhost", 50), certificate("localhost", -3), certificate("other.example", 50)

    for shown, roots, reason in ((good, other, "self"), (expired, expired, "expired, ended"), (other, other, "match")):
        found, judged = looked_at(shown, roots)
        assert judged.level is Level.FAIL
        assert found.ends
        assert reason in judged.text


def test_old_versions_are_told(certificate):
    good = certificate("localhost", 50)

    with pytest.warns(DeprecationWarning, match="TLSv1"):
        judged = looked_at(good, good, old=True)[1]

    assert (judged.level, "TLS 1.0 or 1.1" in judged.text) == (Level.WARN, True)


def test_a_portal_that_nobody_serves_is_broken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    assert doctor_portal.judge_tls(doctor_portal.probe("localhost", port), NOW).level is Level.FAIL
    assert doctor_portal.ask_reader(f"127.0.0.1:{port}") == (0, "Connection refused")


@pytest.mark.parametrize(
    ("status", "seconds", "level"),
    [(200, 0.01, "OK"), (200, 1.5, "WARN"), (503, 0.1, "FAIL"), (404, 0.1, "FAIL"), (0, 0, "FAIL")],
)
def test_a_reader_that_is_well_says_so_soon(status, seconds, level):
    assert doctor_portal.judge_reader("127.0.0.1:8025", status, "", seconds).level.value == level
