import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner

from messenger import config as settings
from messenger import link, message
from messenger.passing import EX_TEMPFAIL
from messenger_reader import checks
from messenger_reader.service import EX_CONFIG, EX_UNAVAILABLE, gunicorn_settings, main
from tests.reader_fixtures import ALICE, KEY, OURS, PASSWORD, settings_for

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from messenger_reader.service import main; main()"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Running:
    def __init__(self, process: subprocess.Popen[bytes], port: int, home: Path) -> None:
        self.process, self.port, self.home = process, port, home

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        connection.request(method, path, body, {"Host": f"localhost:{self.port}", **OURS, **form, **named})
        return connection.getresponse()

    def send(self, raw: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            plain.sendall(raw)
            plain.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: plain.recv(65536), b""))

    def log(self) -> str:
        return (self.home / "log").read_text()


@contextmanager
def reader(home: Path, environment: dict[str, str] | None = None, **more: str) -> Iterator[Running]:
    port = free_port()
    settings_for(home, portal=f"http://localhost:{port}", **more)
    own = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'reader'}", **(environment or {})}
    words = [*COMMAND, "--config", str(home / "messenger.toml"), "--listen", f"127.0.0.1:{port}"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(words, env=own, stderr=log, stdout=log)
    running = Running(process, port, home)
    try:
        for _ in range(400):
            try:
                if running.ask("GET", "/healthz").status == 200:
                    break
            except OSError:
                time.sleep(0.1)
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
        assert process.wait(40) == 0, running.log()


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    with reader(tmp_path_factory.mktemp("reader"), environment={"FORWARDED_ALLOW_IPS": "*"}) as found:
        yield found


# -- the start


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_check_says_that_all_is_fine_and_changes_nothing(tmp_path):
    settings_for(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    status, output = run("--check", "--config", str(tmp_path / "messenger.toml"))

    assert (status, output) == (
        0,
        "settings, keys, folders, templates, the sanitiser and the drawing of PDFs are fine\n",
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_check_says_that_html_mail_would_not_be_sanitised(tmp_path, monkeypatch):
    settings_for(tmp_path)
    monkeypatch.setattr(checks.message, "show", lambda _raw: message.Shown("", 0, "too-complex"))

    status, output = run("--check", "--config", str(tmp_path / "messenger.toml"))

    assert status == EX_CONFIG
    assert "the process that sanitises HTML mail gives no answer (too-complex)" in output


def test_check_says_that_pdfs_could_only_be_saved(tmp_path, monkeypatch):
    settings_for(tmp_path)
    monkeypatch.setattr(checks.pdf_pages, "WORKER", "no_such_module")

    status, output = run("--check", "--config", str(tmp_path / "messenger.toml"))

    assert status == EX_CONFIG
    assert "the process that draws PDFs gives no picture" in output


@pytest.mark.parametrize("arguments", [("--check",), ()])
def test_everything_that_is_missing_is_named_at_once_and_the_start_refused(tmp_path, arguments):
    settings_for(tmp_path)
    for folder in ("accounts", "mail", "cache"):
        (tmp_path / folder).rmdir()
    (tmp_path / "cache").write_text("a file")
    (tmp_path / "link.key").unlink()
    (tmp_path / "totp.key").unlink()

    status, output = run(*arguments, "--config", str(tmp_path / "messenger.toml"))

    assert status == EX_CONFIG
    lines = output.splitlines()
    assert len(lines) == 5
    assert "link.key" in lines[0]
    assert "totp.key: no TOTP key there; `messenger setup` makes one" in lines[1]
    assert "mail root" in lines[2]
    assert "for the accounts, is missing: make it" in lines[3]
    assert "cache" in lines[4]


@pytest.mark.parametrize("arguments", [("--check",), ()])
def test_a_letter_that_could_not_be_written_is_named_with_its_line_and_the_start_refused(tmp_path, arguments):
    settings_for(tmp_path)
    path = tmp_path / "messenger.toml"
    path.write_text(path.read_text().replace("[notice]", f'[notice]\ntemplates = "{tmp_path}"'))
    (tmp_path / "account.txt").write_text("Hello\n{% if link %}\n")

    status, output = run(*arguments, "--config", str(path))

    assert status == EX_CONFIG
    assert output.startswith(f"{tmp_path}/account.txt, line 2: ")
    assert output.endswith("; mend it, or take it away and ours is used\n")


def test_settings_with_an_error_refuse_the_start_with_the_line(tmp_path):
    settings_for(tmp_path)
    path = tmp_path / "messenger.toml"
    path.write_text(path.read_text() + "colour = 'blue'\n")

    status, output = run("--config", str(path))

    assert status == EX_CONFIG
    assert "colour" in output


def test_settings_that_are_not_there_are_named(tmp_path):
    status, output = run("--config", str(tmp_path / "nowhere.toml"))

    assert status == EX_CONFIG
    assert "nowhere.toml" in output
    assert "Traceback" not in output


def test_a_database_that_is_none_refuses_the_start(tmp_path):
    settings_for(tmp_path)
    (tmp_path / "accounts" / "accounts.sqlite").write_bytes(b"rubbish" * 1000)

    status, output = run("--config", str(tmp_path / "messenger.toml"))

    assert status == EX_CONFIG
    assert "accounts.sqlite" in output
    assert "must be a SQLite file" in output


@pytest.mark.parametrize(("options", "ballast"), [("size=2m", 2**21), ("size=2m,nr_inodes=20", 0), ("size=2m,ro", 0)])
def test_a_reader_whose_disk_is_full_or_read_only_for_now_is_started_again_by_systemd(tmp_path, options, ballast):
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    settings_for(tmp_path)
    disk = tmp_path / "accounts"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=True)
    try:
        with suppress(OSError):
            (disk / "ballast").write_bytes(bytes(ballast))
        with suppress(OSError):
            for number in range(20):
                (disk / str(number)).touch()
        started, said = run("--config", str(tmp_path / "messenger.toml"))
        checked, _ = run("--check", "--config", str(tmp_path / "messenger.toml"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)

    assert started == EX_TEMPFAIL, said
    assert "accounts" in said
    assert checked in (0, EX_CONFIG)  # what is asked by hand is answered as ever


def test_listen_wants_a_host_and_a_port(tmp_path):
    settings_for(tmp_path)

    status, output = run("--config", str(tmp_path / "messenger.toml"), "--listen", "nonsense")

    assert status == 2
    assert "HOST:PORT" in output


def test_a_port_that_is_taken_is_named_at_once(tmp_path):
    settings_for(tmp_path)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        status, output = run("--config", str(tmp_path / "messenger.toml"), "--listen", taken)

    assert status == EX_UNAVAILABLE
    assert f"cannot listen on {taken}: Address already in use; stop what listens there already" in output


@pytest.mark.skipif(os.geteuid() != 0, reason="changes its user")
def test_folders_of_somebody_else_are_named_with_the_mend(tmp_path):
    config = settings_for(tmp_path)
    for folder in (tmp_path / "mail", tmp_path / "accounts", tmp_path / "cache"):
        folder.chmod(0o700)
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "link.key").chmod(0o600)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        os.write(writing, "\n".join(checks.problems(config)).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        found = pipe.read()

    assert "can't read the link key" in found
    assert "cannot read the mail root" in found
    assert "cannot write to the folder" in found
    assert "cannot write to the cache" in found


def test_nothing_of_gunicorn_is_left_to_its_environment(tmp_path, monkeypatch):
    for name in ("WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS", "GUNICORN_CMD_ARGS"):
        monkeypatch.setenv(name, "9999")

    found = gunicorn_settings(settings_for(tmp_path))

    assert found["workers"] == settings.Reader().workers
    assert found["bind"] == settings.Reader().listen
    assert found["forwarded_allow_ips"] == ""
    assert found["control_socket_disable"] is True
    assert found["accesslog"] is None


# -- serving


def test_a_person_signs_up_reads_and_logs_out_over_a_real_connection(running):
    token = link.token(KEY, ALICE, int(time.time()))
    landed = running.ask("GET", f"/l/{token}")
    welcome = running.ask("GET", "/welcome", Cookie=landed.headers["Set-Cookie"].split(";")[0]).read().decode()
    typed = re.search(r'name="token" value="([^"]+)"', welcome)[1]
    form = urlencode({"token": typed, "password": PASSWORD, "again": PASSWORD})

    inside = running.ask("POST", "/signup", form)
    cookie = inside.headers["Set-Cookie"].split(";")[0]

    assert inside.status == 303
    assert running.ask("GET", "/", Cookie=cookie).status == 200
    assert running.ask("POST", "/logout", "", Cookie=cookie).status == 303
    assert running.ask("GET", "/", Cookie=cookie).status == 303


def test_a_proxy_nobody_named_is_not_believed(running):
    plain = running.ask("GET", "/login")
    spoofed = running.ask(
        "GET",
        "/login",
        X_Forwarded_Proto="https",
        X_Forwarded_Host="evil.example",
        X_Forwarded_For="203.0.113.1",
        Script_Name="/evil",
        Path_Info="/healthz",
    )

    assert spoofed.status == 200
    assert "evil" not in spoofed.read().decode()
    assert plain.status == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /login HTTP/1.0\r\n\r\n", 400),
        (b"GET /login HTTP/1.1\r\nHost: %(host)s\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET http://evil.example/login HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /login HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /%(long)s HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: %(host)s\r\nX: %(longer)s\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: %(host)s\r\n%(many)s\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: %(host)s\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /login HTTP/1.1\r\nHost: %(host)s\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST /login HTTP/1.1\r\nHost: %(host)s\r\nContent-Length: -1\r\n\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: %(host)s\r\n\r\n", 403),
        (b"rubbish\r\n\r\n", 400),
    ],
)
def test_hostile_requests_are_refused(running, raw, status):
    filled = raw % {
        b"host": f"localhost:{running.port}".encode(),
        b"long": b"a" * 5000,
        b"longer": b"a" * 9000,
        b"many": b"".join(b"X-%d: a\r\n" % number for number in range(100)),
    }

    answer = running.send(filled)

    assert int(answer.split(b" ", 2)[1]) == status
    assert b"Traceback" not in answer
    assert b"/site-packages/" not in answer


def test_a_body_without_a_length_is_read_up_to_the_limit_and_logs_nobody_in(running):
    head = (
        f"POST /login HTTP/1.1\r\nHost: localhost:{running.port}\r\nSec-Fetch-Site: same-origin\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    ).encode()
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"

    answer = running.send(head + chunk * 3 + b"0\r\n\r\n")

    assert int(answer.split(b" ", 2)[1]) in (403, 413)


def test_the_log_holds_no_token_no_address_and_no_password(running):
    token = link.token(KEY, "logged@example.net", int(time.time()))
    running.ask("GET", f"/l/{token}")
    running.ask("GET", "/l/forged-token")
    running.ask("POST", "/login", urlencode({"address": "logged@example.net", "password": "a wrong password"}))

    log = running.log()

    assert "Listening at" in log
    assert "Traceback" not in log
    for secret in (token, "forged-token", "logged@example.net", "a wrong password"):
        assert secret not in log


def test_a_stop_still_sends_the_letters_under_way(tmp_path):
    sendmail, sent = tmp_path / "sendmail", tmp_path / "sent"
    sendmail.write_text(f'#!/bin/sh\necho "$@" >> {sent}\ncat >> {sent}\n')
    sendmail.chmod(0o755)
    with reader(tmp_path, reader="workers = 1", sendmail=str(sendmail)) as found:
        token, password = link.token(KEY, ALICE, int(time.time())), "three plain blue doors"
        found.ask("POST", "/signup", urlencode({"token": token, "password": password, "again": password}))
        found.ask("POST", "/forgot", urlencode({"address": ALICE}))
        at_the_answer = sent.exists()

    assert not at_the_answer
    assert f"-f webmail@example.org -- {ALICE}" in sent.read_text()


def test_a_stop_lets_an_answer_under_way_finish(tmp_path):
    with reader(tmp_path, reader="workers = 1") as found:
        form = urlencode({"address": ALICE, "password": "not this one, sorry"}).encode()
        connection = http.client.HTTPConnection("127.0.0.1", found.port, timeout=20)
        host = {"Host": f"localhost:{found.port}"}
        connection.request("GET", "/healthz", headers=host)
        connection.getresponse().read()
        connection.putrequest("POST", "/login", skip_host=True)
        fields = {**host, **OURS, "Content-Length": len(form), "Content-Type": "application/x-www-form-urlencoded"}
        for name, value in fields.items():
            connection.putheader(name, str(value))
        connection.endheaders(form[:10])

        found.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        connection.send(form[10:])

        assert connection.getresponse().status == 403
        assert found.process.wait(40) == 0
