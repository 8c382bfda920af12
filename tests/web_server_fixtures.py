"""The examples of config/ for web servers, run on loopback with a certificate of their own, in front of anything."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = "webmail.example.com"
PATHS = os.environ["PATH"] + ":/usr/sbin:/sbin"
APACHE_MODULES = Path("/usr/lib/apache2/modules")
NEEDED_MODULES = (
    *("mpm_event", "authz_core", "alias", "rewrite", "mime", "dir", "filter", "deflate", "reqtimeout"),
    *("socache_shmcb", "ssl", "http2", "headers", "proxy", "proxy_http"),
)


@dataclass(frozen=True)
class Front:
    """A web server that runs: where it speaks TLS, and where it doesn't."""

    kind: str
    tls: int
    plain: int
    ca: Path

    def send(
        self, raw: str | bytes, *, plain: bool = False, source: str = "127.0.0.1", most: ssl.TLSVersion | None = None
    ) -> str:
        """Send bytes as they are and return the whole answer; the connection ends with it."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # what the server refuses is to be offered first
        with warnings.catch_warnings(action="ignore"):  # that they are old is the point
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = most or ssl.TLSVersion.MAXIMUM_SUPPORTED
        address = ("127.0.0.1", self.plain if plain else self.tls)
        with socket.create_connection(address, 20, source_address=(source, 0)) as connection:
            talk = connection if plain else context.wrap_socket(connection, server_hostname=NAME)
            found = b""
            with suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has heard us out
                talk.sendall(raw if isinstance(raw, bytes) else raw.encode())
            with suppress(ConnectionResetError):
                while more := talk.recv(65536):
                    found += more
            talk.close()
        return found.decode(errors="replace")

    def ask(self, method: str, path: str, body: str = "", host: str = NAME, fields: str = "", **more: str) -> str:
        """Return the answer to one request, head and body."""
        form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n" if body else ""
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n"
        return self.send(f"{head}{form}{fields}\r\n{body}", **more)


def lacking(kind: str) -> str:
    """Say in one line why *kind* can't be tried; empty if it can."""
    program = {"nginx": "nginx", "apache": "apache2"}[kind]
    return "" if shutil.which(program, path=PATHS) else f"{program} isn't installed (scripts/set-up test)"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def front(kind: str, home: Path, backend: int, certificate: tuple[Path, Path]) -> Iterator[Front]:
    """Run the example for *kind* below *home*, in front of the port *backend*."""
    found = Front(kind, free_port(), free_port(), certificate[0])
    home.mkdir(exist_ok=True)
    (home / "tmp").mkdir(exist_ok=True)
    (home / "site.conf").write_text(placed(kind, found, home, backend, certificate))
    words = {"nginx": _nginx, "apache": _apache}[kind](home)
    tried = subprocess.run([*words, "-t"], capture_output=True, text=True, check=False, env=_environment(home))
    assert tried.returncode == 0, tried.stderr
    with (home / "output").open("wb") as output:
        process = subprocess.Popen(words + _alone(kind), stdout=output, stderr=output, env=_environment(home))
    try:
        _wait(found, process, home)
        yield found
    finally:
        process.terminate()
        process.wait(20)


def placed(kind: str, found: Front, home: Path, backend: int, certificate: tuple[Path, Path]) -> str:
    """Return the example with ports, files and the reader's place changed, and nothing else."""
    text = (ROOT / "config" / kind / "webmail-messenger.conf").read_text()
    changes = {
        "nginx": (
            (r"listen (\[::\]:)\d+.*;\n", ""),
            (r"listen 80;", f"listen 127.0.0.1:{found.plain};"),
            (r"listen 443", f"listen 127.0.0.1:{found.tls}"),
            (r"/var/log/nginx/error.log", str(home / "error.log")),
        ),
        "apache": (
            (r"<VirtualHost \*:80>", f"<VirtualHost 127.0.0.1:{found.plain}>"),
            (r"<VirtualHost \*:443>", f"<VirtualHost 127.0.0.1:{found.tls}>"),
        ),
    }[kind]
    everywhere = (
        (r"/etc/letsencrypt/live/webmail.example.com/fullchain.pem", str(certificate[0])),
        (r"/etc/letsencrypt/live/webmail.example.com/privkey.pem", str(certificate[1])),
        (r"127\.0\.0\.1:8025", f"127.0.0.1:{backend}"),
        (r"/var/www/html", str(home)),
    )
    for pattern, new in (*changes, *everywhere):
        text, count = re.subn(pattern, new, text)
        assert count, pattern
    return text


def _nginx(home: Path) -> list[str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "\n".join(f"{kind}_temp_path {home}/tmp/{kind};" for kind in kinds)
    user = "user root;" if os.geteuid() == 0 else ""
    (home / "nginx.conf").write_text(
        f"{user} pid {home}/pid; error_log {home}/error.log; worker_processes 1; events {{ }}\n"
        f"http {{ access_log off; {folders}\ninclude {home}/site.conf; }}\n"
    )
    program = shutil.which("nginx", path=PATHS)
    assert program
    return [program, "-e", str(home / "error.log"), "-p", str(home), "-c", str(home / "nginx.conf")]


def _apache(home: Path) -> list[str]:
    modules = "\n".join(f"LoadModule {name}_module {APACHE_MODULES}/mod_{name}.so" for name in NEEDED_MODULES)
    ports = "\n".join(f"Listen {one}" for one in re.findall(r"<VirtualHost (.*)>", (home / "site.conf").read_text()))
    (home / "apache.conf").write_text(
        f"ServerRoot {home}\nServerName localhost\nPidFile {home}/pid\nErrorLog {home}/error.log\n"
        f"DefaultRuntimeDir {home}/tmp\nMutex file:{home}/tmp default\n{modules}\n{ports}\nTypesConfig /dev/null\n"
        f"Include {home}/site.conf\n"
    )
    program = shutil.which("apache2", path=PATHS)
    assert program
    return [program, "-d", str(home), "-f", str(home / "apache.conf")]


def _alone(kind: str) -> list[str]:
    return {"nginx": ["-g", "daemon off;"], "apache": ["-D", "FOREGROUND"]}[kind]


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "APACHE_LOG_DIR": str(home)}


def _wait(found: Front, process: subprocess.Popen[bytes], home: Path) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", found.tls), 5).close()
            return
        except OSError:
            assert process.poll() is None, (home / "output").read_text() + (home / "error.log").read_text()
            time.sleep(0.05)
    raise AssertionError(f"{found.kind} doesn't listen")


def certificate(home: Path) -> tuple[Path, Path]:
    """Make one for NAME that vouches for itself."""
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}"]
    paths = (home / "tls.pem", home / "tls.key")
    subprocess.run([*words, *names, "-out", str(paths[0]), "-keyout", str(paths[1])], check=True, capture_output=True)
    return paths
