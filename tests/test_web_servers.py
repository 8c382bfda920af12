"""The examples for web servers do what they say, in front of a real reader."""

import http.server
import json
import re
import shutil
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from messenger.config import Reply
from messenger_reader import app, post
from messenger_reader.access import HEADERS
from tests.reader_fixtures import settings_for
from tests.web_server_fixtures import NAME, ROOT, Front, certificate, free_port, front, lacking

KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(bool(lacking(kind)), reason=lacking(kind) or "-"))
    for kind in ("nginx", "apache")
]
#: What a browser might say of itself to be taken for somebody else.
LIES = (
    "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.10\r\nX-Forwarded-Proto: http\r\n"
    "X-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\n"
    "X-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9;host=evil.example\r\n"
)
PASSWORD_TRY = "address=nobody%40example.net&password=wrong+wrong+wrong"


@contextmanager
def reader(home: Path) -> Iterator[int]:
    port = free_port()
    settings_for(home, portal=f"https://{NAME}", reader="trusted_proxies = 1\nworkers = 1")
    words = [sys.executable, "-c", "from messenger_reader.service import main; main()"]
    words += ["--config", str(home / "messenger.toml"), "--listen", f"127.0.0.1:{port}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log, env={"PYTHONPATH": f"{ROOT}:{ROOT}/reader"})
    try:
        for _ in range(300):
            try:
                urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (home / "log").read_text()
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(40)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def tls(home) -> tuple[Path, Path]:
    return certificate(home)


@pytest.fixture(scope="module")
def reader_port(home) -> Iterator[int]:
    with reader(home) as port:
        yield port


@pytest.fixture(scope="module", params=KINDS)
def site(request, home, tls, reader_port) -> Iterator[Front]:
    with front(request.param, home / request.param, reader_port, tls) as found:
        yield found


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


def test_a_page_comes_from_the_reader_with_its_headers_once(site):
    answer = site.ask("GET", "/login")

    assert status(answer) == 200
    for name in HEADERS:
        assert len(re.findall(rf"^{name}:", answer, re.MULTILINE | re.IGNORECASE)) == 1, name
    assert "Content-Encoding" not in answer


def test_files_that_are_the_same_for_everybody_come_compressed_and_may_be_kept(site):
    style = re.search(r'href="(/static/[^"]+\.css[^"]*)"', site.ask("GET", "/login"))
    assert style

    answer = site.ask("GET", style[1], fields="Accept-Encoding: gzip\r\n")

    assert status(answer) == 200
    assert "immutable" in answer
    assert re.search(r"^Content-Encoding: gzip", answer, re.MULTILINE)


def test_without_tls_there_is_nothing_but_the_way_to_tls(site):
    answer = site.ask("GET", "/login?next=/m/1", plain=True)

    assert status(answer) == 308
    assert re.search(rf"^Location: https://{NAME}/login\?next=/m/1\r$", answer, re.MULTILINE)
    assert "Strict-Transport-Security" not in answer


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(site, version):
    with pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version|unsupported protocol"):
        site.ask("GET", "/login", most=version)


def test_tls_12_is_taken(site):
    assert status(site.ask("GET", "/healthz", most=ssl.TLSVersion.TLSv1_2)) == 200


def test_the_reader_hears_where_the_browser_is_whatever_that_says(site, home):
    answer = site.ask("POST", "/login", PASSWORD_TRY, fields=LIES, source="127.0.0.77")

    assert status(answer) in (403, 429)
    audit = sqlite3.connect(home / "accounts" / "accounts.sqlite").execute("SELECT * FROM audit").fetchall()
    assert "127.0.0.77" in audit[-1]
    assert "203.0.113" not in str(audit)


def test_another_host_is_refused_by_the_reader(site):
    assert status(site.ask("GET", "/login", host="evil.example")) in (400, 421)
    assert status(site.send("GET https://evil.example/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) >= 400


def test_a_body_that_is_too_large_is_answered_in_words(site):
    largest = 2 * 1024 * 1024
    announced = site.ask("POST", "/login", "x" * largest)
    chunk = f"{largest:x}\r\n{'x' * largest}\r\n0\r\n\r\n"
    head = f"POST /login HTTP/1.1\r\nHost: {NAME}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n"
    in_pieces = site.send(head + "Transfer-Encoding: chunked\r\n\r\n" + chunk)

    # Apache hands pieces on as they come; the reader gives up first, and hangs up.
    for answer in (announced, in_pieces) if site.kind == "nginx" else (announced,):
        assert status(answer) == 413
        assert "too much at once" in answer
        assert "zu viel auf einmal" in answer
    assert status(in_pieces) >= 400


def test_a_large_upload_reaches_the_reader(site):
    body = "x" * (3 * 1024 * 1024)

    # Nobody is logged in: the reader, not the web server, says so.
    answer = site.ask("POST", "/compose", body)

    assert status(answer) == 303
    assert "/login" in answer


def test_too_many_tries_are_answered_in_words_before_the_reader_hears_of_them(site):
    if site.kind != "nginx":
        pytest.skip("Apache has no limit of its own: the example says so")
    answers = [site.ask("POST", "/forgot", "address=x", source="127.0.0.78") for _ in range(13)]
    read = site.ask("GET", "/forgot", source="127.0.0.78")
    elsewhere = site.ask("POST", "/forgot", "address=x", source="127.0.0.79")

    assert status(answers[-1]) == 429
    assert "Too many tries. Please wait a minute" in answers[-1]
    assert "Zu viele Versuche" in answers[-1]
    assert "Retry-After: 60" in answers[-1]
    assert answers[-1].count("Strict-Transport-Security") == 1
    assert "Too many tries. Please wait a minute" not in answers[9]
    assert (status(read), status(elsewhere) == 429) == (200, False)


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the header fields it was asked with, or with a lot."""

    def do_GET(self) -> None:
        much = self.path == "/much"
        content = b"x" * 8_000_000 if much else json.dumps(self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_browser_claims_is_replaced_and_a_large_download_leaves_no_file(kind, tmp_path, tls):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    with front(kind, tmp_path / kind, server.server_port, tls) as found:
        answer = found.ask("GET", "/x", fields=LIES, source="127.0.0.77")
        much = found.ask("GET", "/much")
        files = [path for path in (tmp_path / kind / "tmp").rglob("*") if path.is_file() and path.stat().st_size]
    server.shutdown()
    server.server_close()

    heard = [tuple(pair) for pair in json.loads(answer.partition("\r\n\r\n")[2])]
    about = [pair for pair in heard if "forward" in pair[0].lower() or "real" in pair[0].lower()]
    assert sorted(about) == [("X-Forwarded-For", "127.0.0.77"), ("X-Forwarded-Proto", "https")]
    assert ("Host", NAME) in heard
    assert len(much) > 8_000_000
    assert files == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_is_away_is_told_in_words(kind, tmp_path, tls):
    with front(kind, tmp_path / kind, free_port(), tls) as found:
        answer = found.ask("GET", "/login")

    assert status(answer) == 503
    assert "try again in a minute" in answer


def test_the_web_servers_let_through_what_the_reader_is_to_answer():
    octets = {"k": 1024, "m": 1024 * 1024}
    nginx = (ROOT / "config/nginx/webmail-messenger.conf").read_text()
    apache = (ROOT / "config/apache/webmail-messenger.conf").read_text()
    limits = [int(size) * octets[unit] for size, unit in re.findall(r"client_max_body_size\s+(\d+)([km]);", nginx)]
    theirs = [int(size) for size in re.findall(r"Content-Length} -gt (\d+)", apache)]

    # A larger one is told by the reader, which keeps what was typed, up to what it reads at all.
    uploads = max(post.PATIENCE * Reply.size_limit, post.PATIENCE_BYTES)
    assert limits == theirs
    assert limits[0] > app.FORM_BYTES
    assert limits[1] >= uploads > Reply.size_limit


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl isn't installed")
def test_each_cipher_named_has_forward_secrecy_and_authenticated_encryption():
    for kind, pattern in (("nginx", r"ssl_ciphers\s+(\S+);"), ("apache", r"SSLCipherSuite\s+(\S+)")):
        names = re.search(pattern, (ROOT / "config" / kind / "webmail-messenger.conf").read_text())
        assert names

        known = subprocess.run(["openssl", "ciphers", names[1]], capture_output=True, text=True, check=True).stdout

        assert set(names[1].split(":")) <= set(known.strip().split(":"))
        assert all(name.startswith("ECDHE-") and re.search("GCM|CHACHA", name) for name in names[1].split(":"))
